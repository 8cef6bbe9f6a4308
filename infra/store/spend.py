"""What calls of models have cost: a period in, sums by workflow, model, day or source out.

Read from the journal, where every call stands with its cost. An answer from the cache is no call and costs
nothing. A call lost in a crash, or whose charge the provider did not tell, counts at its worst case.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final, Literal

from sqlalchemy import ColumnElement, RowMapping, ScalarSelect, Select, Subquery, case, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from infra import tables as t
from infra.columns import utc_day
from infra.database import Database
from schemas.decision import REOPENED

By = Literal["workflow", "model", "day", "source"]

_KEYS: Final[Mapping[By, ColumnElement[Any]]] = {
    "workflow": t.event.c.workflow,
    "model": t.attempt.c.model_asked,
    "day": utc_day(t.attempt.c.started_at),
    "source": t.event.c.source,
}
_LOST: Final = "lost"
_TOTAL: Final = "total"


@dataclass(frozen=True, slots=True)
class Spending:
    """The calls under one key; money in micro-units.

    `events` have an outcome; `cheap_events` are those of them that only the first model was asked about.
    `unpriced` calls are from a time without a price, and not in the cost.
    """

    key: str
    calls: int = 0
    lost: int = 0
    unpriced: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost_micros: int = 0
    unknown_micros: int = 0
    from_cache: int = 0
    saved_micros: int = 0
    events: int = 0
    cheap_events: int = 0

    @property
    def micros_per_event(self) -> int | None:
        """All that was spent, on events still in flight too, for each event with an outcome; rounded up."""
        return -(-self.cost_micros // self.events) if self.events else None

    @property
    def cached_share(self) -> float | None:
        """Of the input tokens, those that the provider had in its prompt cache."""
        return self.cached_tokens / self.input_tokens if self.input_tokens else None

    @property
    def cheap_share(self) -> float | None:
        """Of the events with an outcome, those that the first model was enough for."""
        return self.cheap_events / self.events if self.events else None


@dataclass(frozen=True, slots=True)
class Spent:
    """One view of a period: a line for each key, and all of it."""

    lines: tuple[Spending, ...]
    total: Spending


async def spent(database: Database, *, since: date, until: date, by: By) -> Spent:
    """What was called in the UTC days from `since` to `until`, both included."""
    begin = datetime.combine(since, time(), UTC)
    end = datetime.combine(until, time(), UTC) + timedelta(days=1)
    within = (t.attempt.c.started_at >= begin) & (t.attempt.c.started_at < end)
    async with database.read() as connection:
        lines = await _read(connection, _query(within, _KEYS[by]))
        (total,) = await _read(connection, _query(within, None))
    return Spent(tuple(sorted(lines, key=lambda line: line.key)), total)


async def budgets(database: Database, *, day: date) -> list[RowMapping]:
    """The budgets of a UTC day: what is spent and reserved of each, and whether it refused a call."""
    w = t.budget_window
    is_money = or_(w.c.scope == _TOTAL, w.c.scope.startswith("workflow:"), w.c.scope.startswith("source:"))
    query = select(w).where(is_money, w.c.window == day.isoformat()).order_by(w.c.scope)
    async with database.read() as connection:
        return list((await connection.execute(query)).mappings().all())


async def _read(connection: AsyncConnection, query: Select[Any]) -> list[Spending]:
    found = (await connection.execute(query)).mappings().all()
    # Sums of big integers are decimals on PostgreSQL, and nothing is the sum of no rows.
    return [
        Spending(row.get("key", _TOTAL), **{name: int(row[name] or 0) for name in row if name != "key"})
        for row in found
    ]


def _query(within: ColumnElement[bool], key: ColumnElement[Any] | None) -> Select[Any]:
    """Sums over the tabs: one row for each key, or one in all without a key."""
    tab, aliases = _tabs(within, key).subquery(), _aliases(within)
    ended = case((tab.c.state != REOPENED, 1), else_=0)
    cheap = case((aliases.c.lowest == aliases.c.highest, ended), else_=0)
    sums = [func.sum(tab.c[name]).label(name) for name in _amounts()]
    query = (
        select(*sums, func.sum(ended).label("events"), func.sum(cheap).label("cheap_events"))
        .select_from(tab)
        .join(aliases, aliases.c.event_id == tab.c.event_id)
    )
    return query if key is None else query.add_columns(tab.c.key).group_by(tab.c.key)


def _tabs(within: ColumnElement[bool], key: ColumnElement[Any] | None) -> Select[Any]:
    """One row for each key and event, so that an event of several calls counts once."""
    a = t.attempt.c
    sums = [func.sum(amount).label(name) for name, amount in _amounts().items()]
    query = (
        select(a.event_id, _newest_state(a.event_id).label("state"), *sums)
        .join(t.event, t.event.c.event_id == a.event_id)
        .where(within)
        .group_by(a.event_id)
    )
    return query if key is None else query.add_columns(key.label("key")).group_by(key)


def _amounts() -> dict[str, ColumnElement[Any]]:
    """What each attempt adds, by the field of `Spending`."""
    a, original = t.attempt.c, t.attempt.alias("original")
    is_call = a.original_id.is_(None)
    cost = func.coalesce(a.cost_micros, 0)
    of_calls: dict[str, Any] = {
        "calls": 1,
        "lost": case((a.failure == _LOST, 1), else_=0),
        "unpriced": case((a.cost_micros.is_(None), 1), else_=0),
        "input_tokens": a.input_tokens,
        "cached_tokens": a.cached_tokens,
        "output_tokens": a.output_tokens,
        "cost_micros": cost,
        "unknown_micros": case((a.is_unknown, cost), else_=0),
    }
    # Looked up for each: joined, all attempts of all time would be read.
    saved = select(original.c.cost_micros).where(original.c.id == a.original_id).scalar_subquery()
    return {name: case((is_call, amount), else_=0) for name, amount in of_calls.items()} | {
        "from_cache": case((is_call, 0), else_=1),
        "saved_micros": case((is_call, 0), else_=func.coalesce(saved, 0)),
    }


def _aliases(within: ColumnElement[bool]) -> Subquery:
    """The first and last alias, by name, that were asked about each event.

    Where they are one it is the first of the ladder, which begins there.
    """
    a = t.attempt.c
    ends = (func.min(a.alias).label("lowest"), func.max(a.alias).label("highest"))
    return select(a.event_id, *ends).where(within).group_by(a.event_id).subquery()


def _newest_state(event_id: ColumnElement[Any]) -> ScalarSelect[Any]:
    """The state of an event's newest revision; NULL while it has none."""
    return (
        select(t.result.c.state)
        .where(t.result.c.event_id == event_id)
        .order_by(t.result.c.revision.desc())
        .limit(1)
        .scalar_subquery()
    )
