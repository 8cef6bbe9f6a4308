"""`penstock spend`: what calls of models have cost, and what today's caps leave."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import date, timedelta
from typing import Annotated, Any, Final

from cyclopts import Parameter
from sqlalchemy import RowMapping

from consumers import wiring
from consumers.commands import output
from consumers.commands.output import Json, money
from consumers.commands.running import deployed, run
from infra.store import spend as store
from infra.store.spend import By, Spending, Spent
from pipeline.errors import InvalidSettingsError

#: By day, one wants to see a few.
_DAYS: Final = timedelta(days=6)

_COLUMNS: Final[Sequence[tuple[str, Callable[[Spending], Any]]]] = (
    ("calls", lambda one: one.calls),
    ("tokens in", lambda one: one.input_tokens),
    ("cached", lambda one: _percent(one.cached_share)),
    ("out", lambda one: one.output_tokens),
    ("cost", lambda one: money(one.cost_micros)),
    ("unknown", lambda one: money(one.unknown_micros)),
    ("outcomes", lambda one: one.events),
    ("each", lambda one: money(one.micros_per_event)),
    ("first model", lambda one: _percent(one.cheap_share)),
)
#: Shown where there is any.
_RARE_COLUMNS: Final[Sequence[tuple[str, Callable[[Spending], Any], Callable[[Spending], int]]]] = (
    ("lost", lambda one: one.lost, lambda one: one.lost),
    ("without price", lambda one: one.unpriced, lambda one: one.unpriced),
    ("from cache", lambda one: one.from_cache, lambda one: one.from_cache),
    ("saved", lambda one: money(one.saved_micros), lambda one: one.from_cache),
)


def spend(
    *,
    by: Annotated[By, Parameter(help="A line for each of these.")] = "workflow",
    since: Annotated[
        date | None, Parameter(help="The first UTC day; default: the last one, by day six before it.")
    ] = None,
    until: Annotated[date | None, Parameter(help="The last UTC day, included; default: today.")] = None,
    as_json: Json = False,
) -> None:
    """What calls of models have cost, from the journal; and the budgets of today, where there are any.

    Columns: `cached` is the share of the input tokens that the provider had in its prompt cache; `unknown`
    the part of the cost that the provider did not tell, counted at its worst case; `outcomes` the events
    that came to one; `each` the cost for each of them, with all failed calls; `first model` the share of
    them that the first, cheap model of the ladder was enough for. Where there are any: calls `lost` in a
    crash, counted at their worst case; calls `without price`, not in the cost; answers `from cache`, which
    are no calls, and what they `saved`.

    Money is in the currency of the prices in PENSTOCK_MODELS__*; list prices are in USD. In JSON it is in
    whole millionths. An event with calls under several lines counts in each, and once in the total.
    """
    today = wiring.clock().date()
    until = until or today
    since = since or (until - _DAYS if by == "day" else until)
    if since > until:
        raise InvalidSettingsError(f"--since {since} comes after --until {until}")
    found, budgets = run(_read(since=since, until=until, by=by, today=today))
    if as_json:
        output.emit_json(_told(found, budgets, since=since, until=until, by=by))
        return
    _show(found, since=since, until=until, by=by)
    _show_budgets(budgets, today)


async def _read(*, since: date, until: date, by: By, today: date) -> tuple[Spent, list[RowMapping]]:
    async with deployed() as deployment:
        found = await store.spent(deployment.database, since=since, until=until, by=by)
        return found, await store.budgets(deployment.database, day=today)


def _told(found: Spent, budgets: list[RowMapping], *, since: date, until: date, by: By) -> dict[str, Any]:
    return {
        "since": since.isoformat(),
        "until": until.isoformat(),
        "by": by,
        "lines": [_line(line) for line in found.lines],
        "total": _line(found.total),
        "budgets": budgets,
    }


def _line(line: Spending) -> dict[str, Any]:
    return {
        **asdict(line),
        "micros_per_event": line.micros_per_event,
        "cached_share": line.cached_share,
        "cheap_share": line.cheap_share,
    }


def _show(found: Spent, *, since: date, until: date, by: By) -> None:
    period = f"{since}" if since == until else f"{since} to {until}"
    if not found.lines:
        output.say(f"{period} (UTC): no model was called.")
        return
    rare = [(name, cell) for name, cell, amount in _RARE_COLUMNS if amount(found.total)]
    columns = [*_COLUMNS, *rare]
    output.table(
        (by, *(name for name, _ in columns)),
        [(line.key, *(cell(line) for _, cell in columns)) for line in (*found.lines, found.total)],
        title=f"Calls of models, {period} (UTC)",
    )


def _show_budgets(budgets: list[RowMapping], today: date) -> None:
    if not budgets:
        return
    output.say("")
    output.table(
        ("scope", "cap", "spent", "reserved", "left", "unknown", "last refused"),
        [_budget(row) for row in budgets],
        title=f"Budgets of today, {today} (UTC)",
    )


def _budget(row: RowMapping) -> tuple[Any, ...]:
    cap = row["limit"]
    left = None if cap is None else max(cap - row["settled"] - row["reserved"], 0)
    amounts = (cap, row["settled"], row["reserved"], left, row["unknown"])
    return row["scope"], *map(money, amounts), row["refused_at"]


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"
