"""`penstock stats`: the reconciliation, from three sources that are counted apart."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from consumers.commands import output
from consumers.commands.output import Json

if TYPE_CHECKING:
    from infra.store.reconciliation import Balance, Difference
    from infra.store.windows import Budget


def stats(*, as_json: Json = False) -> None:
    """Accepted = sum of outcomes + in flight, by workflow. Exit code 1 when it does not add up.

    A workflow that is paused and a cap that holds events up are told, too: they are no imbalance.
    """
    from consumers.cli import EXIT_FAILURE
    from infra.store import reconciliation

    balances, paused, caps = _read()
    whole = reconciliation.total(balances.values())
    if as_json:
        workflows = {name: _told(balance) for name, balance in balances.items()}
        told = {**_told(whole), "workflows": workflows, "paused": dict(paused)}
        output.emit_json({**told, "caps": [{**asdict(cap), "told": says} for cap, says in caps.items()]})
    else:
        show(balances, whole, paused)
        for says in caps.values():
            output.say(says)
    if not whole.balanced:
        raise SystemExit(EXIT_FAILURE)


def show(balances: "Mapping[str, Balance]", whole: "Balance", paused: Mapping[str, str]) -> None:
    """Print the reconciliation for a person."""
    names = sorted(whole.outcomes)
    output.table(
        ("workflow", "accepted", *names, "in flight", "duplicates", "ignored", "adds up"),
        [_row(name, balance, names) for name, balance in [*balances.items(), ("total", whole)]],
    )
    for difference in whole.differences:
        output.say(sentence(difference))
    for lane, who in paused.items():
        output.say(f"{lane} is paused by {who}; penstock workflow resume {lane}")


def sentence(difference: "Difference") -> str:
    """A difference in words: `receipts: event without its outcome, 2 times: ..., ...`."""
    named = f": {', '.join(difference.events)}" if difference.events else ""
    more = ", ..." if difference.count > len(difference.events) > 0 else ""
    if difference.what.startswith("accepted counter"):
        return f"{difference.workflow}: the {difference.what} by {difference.count}"
    return f"{difference.workflow}: {difference.what} ({difference.count}){named}{more}"


def _read() -> "tuple[dict[str, Balance], dict[str, str], dict[Budget, str]]":
    """The reconciliation, the paused lanes, and the caps that hold events up, each with its sentence."""
    from consumers.commands.running import deployed, run
    from consumers.commands.waiting import sentence
    from infra.store import administration, reconciliation, windows

    async def work() -> "tuple[dict[str, Balance], dict[str, str], dict[Budget, str]]":
        async with deployed() as deployment:
            names = deployment.catalogue.by_name
            found = await reconciliation.balances(deployment.database, workflows=names)
            paused = await administration.paused_lanes(deployment.database)
            budgets = await windows.budgets(deployment.database)
            spend = deployment.settings.spend
            return found, paused, {budget: sentence(budget, spend) for budget in budgets if budget.holds}

    return run(work())


def _told(balance: "Balance") -> dict[str, Any]:
    return {
        "accepted": balance.accepted,
        "outcomes": dict(balance.outcomes),
        "in_flight": balance.in_flight,
        "balanced": balance.balanced,
        "differences": list(balance.differences),
        "duplicates": balance.duplicates,
        "ignored": balance.ignored,
    }


def _row(name: str, balance: "Balance", outcomes: list[str]) -> tuple[Any, ...]:
    counts = [balance.outcomes.get(outcome, 0) for outcome in outcomes]
    verdict = "yes" if balance.balanced else "NO"
    return name, balance.accepted, *counts, balance.in_flight, balance.duplicates, balance.ignored, verdict
