"""What calls of models have cost: a period in, sums by workflow, model, day or source out.

Read from the journal, where every call stands with its cost. An answer from the exact cache is no call; a
call that a crash may have cut off counts as lost, at its worst case.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any, Final, Literal

from sqlalchemy import ColumnElement, Select, Subquery, and_, case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from infra import tables as t
from infra.columns import utc_day
from infra.database import Database
from pipeline.errors import CallLost
from schemas.decision import REOPENED

By = Literal["workflow", "model", "day", "source"]

_TOTAL: Final = "total"
_KEYS: Final[Mapping[By, ColumnElement[str]]] = {
    "workflow": t.event.c.workflow,
    # Nobody knows which model a lost call went to.
    "model": case((t.attempt.c.model_asked == "", "unknown"), else_=t.attempt.c.model_asked),
    "day": utc_day(t.attempt.c.started_at),
    "source": t.event.c.source,
}


@dataclass(frozen=True, slots=True)
class Spending:
    """What was spent under one key, in micro-units.

    `cached` answers were no calls, and would have cost `saved_micros`. Of the events that were spent on,
    `decided` have an outcome; a model's answer was the last word on `answered` of them, the first model's
    on `answered_by_first`.
    """

    key: str
    calls: int = 0
    lost: int = 0
    cached: int = 0
    saved_micros: int = 0
    input_tokens: int = 0
    prompt_cached_tokens: int = 0
    output_tokens: int = 0
    cost_micros: int = 0
    unknown_micros: int = 0
    decided: int = 0
    answered: int = 0
    answered_by_first: int = 0

    @property
    def micros_per_outcome(self) -> int | None:
        """All of the cost, failed calls too, for each event decided; rounded up."""
        return -(-self.cost_micros // self.decided) if self.decided else None

    @property
    def saved_share(self) -> float | None:
        """Of what all answers would have cost, the part that Penstock's own cache saved."""
        would = self.saved_micros + self.cost_micros
        return self.saved_micros / would if would else None

    @property
    def prompt_cache_share(self) -> float | None:
        """Of the input tokens, those that the provider's prompt cache served."""
        return self.prompt_cached_tokens / self.input_tokens if self.input_tokens else None

    @property
    def first_model_share(self) -> float | None:
        """Of the events that a model answered, those for which the first of the chain was enough."""
        return self.answered_by_first / self.answered if self.answered else None


@dataclass(frozen=True, slots=True)
class Spent:
    """One view of a period: a line for each key, and all of it. An event may count in several lines."""

    lines: tuple[Spending, ...]
    total: Spending


async def spent(database: Database, by: By, *, since: date, until: date) -> Spent:
    """What calls that began on the UTC days from `since` to `until`, both included, have cost."""
    begin, end = datetime.combine(since, time(), UTC), datetime.combine(until, time.max, UTC)
    within = t.attempt.c.started_at.between(begin, end)
    async with database.read() as connection:
        lines = await _read(connection, _sums(within, _KEYS[by]))
        (total,) = await _read(connection, _sums(within, None))
    return Spent(tuple(sorted(lines, key=lambda line: line.key)), total)


async def lost_calls(database: Database) -> int:
    """How many calls a crash may have cut off."""
    query = select(func.count()).where(t.attempt.c.failure == CallLost.reason)
    async with database.read() as connection:
        return int((await connection.execute(query)).scalar_one())


async def _read(connection: AsyncConnection, query: Select[Any]) -> list[Spending]:
    found = (await connection.execute(query)).mappings().all()
    # Sums of big integers are decimals on PostgreSQL, and that of no rows is NULL.
    return [
        Spending(row.get("key", _TOTAL), **{name: int(row[name] or 0) for name in row if name != "key"})
        for row in found
    ]


def _sums(within: ColumnElement[bool], key: ColumnElement[str] | None) -> Select[Any]:
    """One row for each key, or a single one."""
    tabs, newest, asked = _tabs(within, key), _newest(within), _asked(within)
    answered = case((asked.c.answers > 0, 1), else_=0)
    decided = case((newest.c.state != REOPENED, 1), else_=0)
    sums = [func.sum(one).label(one.name) for one in tabs.c if one.name not in ("key", "event_id")]
    query = (
        select(*sums)
        .add_columns(func.sum(decided).label("decided"))
        .add_columns(func.sum(decided * answered).label("answered"))
        .add_columns(
            func.sum(case((asked.c.aliases == 1, decided * answered), else_=0)).label("answered_by_first")
        )
        .select_from(tabs)
        .outerjoin(newest, and_(newest.c.event_id == tabs.c.event_id, newest.c.age == 1))
        .outerjoin(asked, and_(asked.c.event_id == tabs.c.event_id, asked.c.age == 1))
    )
    return query if key is None else query.add_columns(tabs.c.key).group_by(tabs.c.key)


def _tabs(within: ColumnElement[bool], key: ColumnElement[str] | None) -> Subquery:
    """One row for each key and event, so that an event of several calls counts once."""
    a, original = t.attempt.c, t.attempt.alias("original")
    is_cached = a.original_id.is_not(None)
    is_lost = func.coalesce(a.failure, "") == CallLost.reason
    cost = func.coalesce(a.cost_micros, 0)
    amounts: dict[str, Any] = {
        "calls": case((is_cached | is_lost, 0), else_=1),
        "lost": case((is_lost, 1), else_=0),
        "cached": case((is_cached, 1), else_=0),
        "saved_micros": case((is_cached, func.coalesce(original.c.cost_micros, 0)), else_=0),
        "input_tokens": case((is_cached, 0), else_=a.input_tokens),
        "prompt_cached_tokens": case((is_cached, 0), else_=a.cached_tokens),
        "output_tokens": case((is_cached, 0), else_=a.output_tokens),
        "cost_micros": case((is_cached, 0), else_=cost),
        "unknown_micros": case((a.is_unknown, cost), else_=0),
    }
    query = (
        select(a.event_id, *(func.sum(amount).label(name) for name, amount in amounts.items()))
        .join(t.event, t.event.c.event_id == a.event_id)
        .outerjoin(original, original.c.id == a.original_id)
        .where(within)
        .group_by(a.event_id)
    )
    return (query if key is None else query.add_columns(key.label("key")).group_by(key)).subquery("tabs")


def _newest(within: ColumnElement[bool]) -> Subquery:
    """The revisions of the events that were spent on, the newest of age 1."""
    r = t.result.c
    age = func.row_number().over(partition_by=r.event_id, order_by=r.revision.desc())
    query = select(r.event_id, r.state, age.label("age")).where(r.event_id.in_(_spent_on(within)))
    return query.subquery("newest")


def _asked(within: ColumnElement[bool]) -> Subquery:
    """Who was asked for each revision that models were asked for, whenever that was; the newest of age 1.

    A person's revision has no calls: the machine's before it counts.
    """
    a = t.attempt.alias("asked_attempt").c
    age = func.row_number().over(partition_by=a.event_id, order_by=a.revision.desc())
    query = (
        select(a.event_id, func.count(a.alias.distinct()).label("aliases"), age.label("age"))
        .add_columns(func.sum(case((a.failure.is_(None), 1), else_=0)).label("answers"))
        .where(a.event_id.in_(_spent_on(within)), a.original_id.is_(None), a.alias != "")
        .group_by(a.event_id, a.revision)
    )
    return query.subquery("asked")


def _spent_on(within: ColumnElement[bool]) -> Select[Any]:
    return select(t.attempt.c.event_id).where(within)
