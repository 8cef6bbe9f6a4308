"""What holds events up though all is well, in sentences: caps of today, open breakers, full minutes."""

from collections.abc import Iterable

from consumers.commands.doctor import Finding
from consumers.commands.output import money
from infra.database import Database
from infra.settings import SpendSettings
from infra.store import endpoints, windows
from infra.store.windows import Budget
from pipeline.breaker import Breaker
from pipeline.spend import TOTAL


def sentence(budget: Budget, caps: SpendSettings) -> str:
    """Who waits, why, and until when."""
    reached, end = _parts(budget, caps)
    return f"{reached}; it goes on {end}"


async def look(database: Database, caps: SpendSettings) -> list[Finding]:
    """For `penstock doctor`: warnings, for none of it is broken."""
    held = (budget for budget in await windows.budgets(database) if budget.holds)
    broken = (breaker for breaker in await endpoints.breakers(database) if not breaker.is_closed)
    return [
        *(_cap(budget, caps) for budget in held),
        *map(_breaker, broken),
        *_minutes(await windows.full_minutes(database)),
    ]


def _parts(budget: Budget, caps: SpendSettings) -> tuple[str, str]:
    kind, _, name = budget.scope.partition(":")
    who, whose = ("every workflow", "the") if budget.scope == TOTAL else (f"{kind} {name}", "its")
    spent = f"{money(budget.spent)} spent, {money(budget.reserved)} reserved"
    full = budget.limit is not None and budget.spent + budget.reserved >= budget.limit
    state = "is reached" if full else "has less left than the next call may cost"
    reached = f"{who} waits: {whose} cap of {money(budget.limit)} a day {state} ({spent})"
    return reached, f"at 00:00 UTC or when {_variable(kind, name, caps)} is raised"


def _variable(kind: str, name: str, caps: SpendSettings) -> str:
    if kind == TOTAL:
        return "PENSTOCK_SPEND__PER_DAY"
    named = caps.workflows if kind == "workflow" else caps.sources
    return f"PENSTOCK_SPEND__{kind.upper()}S" if name in named else f"PENSTOCK_SPEND__PER_{kind.upper()}"


def _cap(budget: Budget, caps: SpendSettings) -> Finding:
    reached, end = _parts(budget, caps)
    return Finding("warning", "cap", reached, f"It goes on {end}.")


def _breaker(breaker: Breaker) -> Finding:
    probe = f"{breaker.retry_at:%H:%M:%S} UTC" if breaker.retry_at else "once"
    found = f"{breaker.endpoint} is not called ({breaker.reason}); the next probe is due at {probe}"
    return Finding(
        "warning", "breaker", found, "See to the endpoint, its key and its quota; then it goes on."
    )


def _minutes(scopes: Iterable[str]) -> list[Finding]:
    findings = []
    for scope in scopes:
        kind, _, endpoint = scope.partition(":")
        found = f"{endpoint} has used up its {kind} of this minute"
        cure = f"It goes on with the next one; PENSTOCK_MODELS__<ALIAS>__{kind.upper()}_PER_MINUTE sets it."
        findings.append(Finding("warning", "minute", found, cure))
    return findings
