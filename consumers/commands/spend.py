"""`penstock spend`: what calls of models have cost, and what today's caps leave."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from cyclopts import Parameter

from consumers.commands import output
from consumers.commands.output import Json, money

if TYPE_CHECKING:
    from infra.store.spend import Spending, Spent
    from infra.store.windows import Budget

_Column = tuple[str, Callable[["Spending"], Any]]

_COLUMNS: Final[Sequence[_Column]] = (
    ("calls", lambda one: one.calls),
    ("lost", lambda one: one.lost),
    ("from cache", lambda one: one.cached),
    ("saved", lambda one: money(one.saved_micros)),
    ("share", lambda one: _percent(one.saved_share)),
    ("tokens in", lambda one: one.input_tokens),
    ("prompt cache", lambda one: _percent(one.prompt_cache_share)),
    ("out", lambda one: one.output_tokens),
    ("cost", lambda one: money(one.cost_micros)),
    ("unknown", lambda one: money(one.unknown_micros)),
    ("decided", lambda one: one.decided),
    ("per outcome", lambda one: money(one.micros_per_outcome)),
    ("first model", lambda one: _percent(one.first_model_share)),
)
#: Left out where no line has any.
_RARE: Final[Sequence[tuple[str, Callable[["Spending"], int]]]] = (
    ("lost", lambda one: one.lost),
    ("from cache", lambda one: one.cached),
    ("saved", lambda one: one.cached),
    ("share", lambda one: one.cached),
    ("unknown", lambda one: one.unknown_micros),
)


def spend(
    *,
    by: Annotated[
        Literal["workflow", "model", "day", "source"], Parameter(help="A line for each of these.")
    ] = "workflow",
    since: Annotated[
        date | None, Parameter(help="The first UTC day, such as 2026-05-17; unset: that of --until.")
    ] = None,
    until: Annotated[date | None, Parameter(help="The last UTC day, included; unset: today.")] = None,
    as_json: Json = False,
) -> None:
    """What calls of models have cost, and what the caps of today leave. Days are UTC.

    `lost` are calls that a crash may have cut off, counted at their worst case, as is all that is `unknown`:
    what the provider did not tell. Answers `from cache` (Penstock's own) are no calls, and `saved` what the
    first ones cost, a `share` of all that would have been spent. `prompt cache` is the share of input tokens
    that the provider's cache served. `decided` is how often the machine came to an outcome after calls
    (after a replay, again), counted on the day and with the model of the last one; `per outcome` is the cost
    for each, failed calls too; `first model` is the share of those on a model's answer that needed no
    stronger one.

    Money is in the currency of the prices in PENSTOCK_MODELS__*, list prices are in USD; in JSON it is in
    whole millionths.
    """
    from consumers.commands.running import run
    from consumers.wiring import clock
    from pipeline.errors import InvalidSettingsError

    until = until or clock().date()
    since = since or until
    if since > until:
        raise InvalidSettingsError(f"--since {since} is after --until {until}")
    found, caps = run(_read(by, since, until))
    if as_json:
        output.emit_json(_told(by, since, until, found, caps))
    else:
        _show(by, since, until, found)
        _show_caps(caps)


async def _read(
    by: Literal["workflow", "model", "day", "source"], since: date, until: date
) -> "tuple[Spent, list[Budget]]":
    from consumers.commands.running import deployed
    from infra.store.spend import spent
    from infra.store.windows import budgets

    async with deployed() as deployment:
        found = await spent(deployment.database, by, since=since, until=until)
        return found, await budgets(deployment.database)


def _told(by: str, since: date, until: date, found: "Spent", caps: "list[Budget]") -> dict[str, Any]:
    return {
        "by": by,
        "since": since.isoformat(),
        "until": until.isoformat(),
        "lines": [_line(line) for line in found.lines],
        "total": _line(found.total),
        "caps_today": [{**asdict(cap), "reached": cap.is_reached} for cap in caps],
    }


def _line(line: "Spending") -> dict[str, Any]:
    return {
        **asdict(line),
        "micros_per_outcome": line.micros_per_outcome,
        "saved_share": line.saved_share,
        "prompt_cache_share": line.prompt_cache_share,
        "first_model_share": line.first_model_share,
    }


def _show(by: str, since: date, until: date, found: "Spent") -> None:
    period = f"{since}" if since == until else f"{since} to {until}"
    if not found.lines:
        output.say(f"{period}, UTC: no model was called.")
        return
    idle = {name for name, amount in _RARE if not amount(found.total)}
    columns = [(name, cell) for name, cell in _COLUMNS if name not in idle]
    lines = (*found.lines, found.total)
    output.table(
        (by, *(name for name, _ in columns)),
        [(line.key, *(cell(line) for _, cell in columns)) for line in lines],
        title=f"Calls of models, {period}, UTC",
    )


def _show_caps(caps: "list[Budget]") -> None:
    if not caps:
        return
    output.say("")
    output.table(
        ("scope", "cap", "spent", "reserved", "unknown", "reached"),
        [
            (
                cap.scope,
                "none" if cap.limit is None else money(cap.limit),
                *(money(amount) for amount in (cap.spent, cap.reserved, cap.unknown)),
                "yes" if cap.is_reached else "no",
            )
            for cap in caps
        ],
        title="Caps today, UTC",
    )


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{share:.0%}"
