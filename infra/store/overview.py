"""A span of time in, what flowed through it out: events, outcomes, calls; and what waits now.

Everything is counted in slots of a minute or an hour by the database, from its indexes on time. What waits is
counted up to CAPPED, so that a long queue costs no more than a full one.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from sqlalchemy import ColumnElement, Select, func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncConnection

from infra import tables as t
from infra.columns import utc_minute
from infra.database import Database
from infra.store.reconciliation import newest
from infra.store.statements import NOW
from infra.tables.decisions import FAILED
from pipeline.errors import CallLost
from schemas.decision import REOPENED

Span = Literal["hour", "day"]

#: Nothing is counted further than this; who shows such a number says so.
CAPPED: Final = 10_000
#: Latencies are those of the newest calls: enough for a p95, and bounded.
_TIMED_CALLS: Final = 10_000
#: How much of `2024-05-17T12:30` names a slot, and how long that is.
_SLOTS: Final[Mapping[Span, tuple[int, timedelta, timedelta]]] = {
    "hour": (16, timedelta(minutes=1), timedelta(hours=1)),
    "day": (13, timedelta(hours=1), timedelta(days=1)),
}


@dataclass(frozen=True, slots=True)
class Slot:
    """One point of the charts. `outcomes` are decisions in it, by state; money in micro-units."""

    begin: datetime
    accepted: int
    outcomes: Mapping[str, int]
    calls: int
    cost_micros: int
    p50_ms: int | None = None
    p95_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Flow:
    """What one workflow did in the span, and what of it waits now."""

    workflow: str
    accepted: int
    outcomes: Mapping[str, int]
    in_flight: int
    reviews: int

    @property
    def decided(self) -> int:
        return sum(self.outcomes.values())


@dataclass(frozen=True, slots=True)
class Overview:
    """The picture at `at`. `claimed` of those in flight are being worked on; the others wait for it.

    `in_flight`, `reviews` and `failures` are of all times and no larger than CAPPED + 1: then there are more.
    """

    at: datetime
    slots: tuple[Slot, ...]
    flows: tuple[Flow, ...]
    in_flight: int
    claimed: int
    reviews: int
    oldest_review: datetime | None
    failures: int
    p50_ms: int | None
    p95_ms: int | None

    @property
    def accepted(self) -> int:
        return sum(flow.accepted for flow in self.flows)

    @property
    def outcomes(self) -> Mapping[str, int]:
        found: Counter[str] = Counter()
        for flow in self.flows:
            found.update(flow.outcomes)
        return found

    @property
    def cost_micros(self) -> int:
        return sum(slot.cost_micros for slot in self.slots)


async def overview(database: Database, workflows: Collection[str], span: Span) -> Overview:
    """The picture of these workflows, all from one view of the database."""
    length, step, whole = _SLOTS[span]
    async with database.read() as connection:
        now: datetime = (await connection.execute(select(NOW))).scalar_one()
        since = _floor(now - whole, step)
        accepted = await _amounts(connection, _events(workflows, since, length))
        outcomes = await _amounts(connection, _outcomes(workflows, since, length))
        calls = {row[0]: row for row in await connection.execute(_calls(since, length))}
        timed = await _latencies(connection, since, length)
        working = {row[0]: int(row[1]) for row in await connection.execute(_in_flight())}
        claimed = int((await connection.execute(_claimed())).scalar_one())
        reviews = {row[0]: int(row[1]) for row in await connection.execute(_reviews())}
        oldest = (await connection.execute(select(func.min(t.review.c.created_at)))).scalar()
        failures = (await connection.execute(_failures())).scalar_one()
    came, ended = _sums(accepted, by="slot"), _sums(outcomes, by="slot")
    p50_ms, p95_ms = percentiles([ms for found in timed.values() for ms in found])
    return Overview(
        at=now,
        slots=tuple(
            _slot(begin, came[name].total(), ended[name], calls.get(name), timed.get(name, ()))
            for begin, name in _begins(since, now, step, length)
        ),
        flows=_flows(workflows, accepted, outcomes, working, reviews),
        in_flight=sum(working.values()),
        claimed=claimed,
        reviews=sum(reviews.values()),
        oldest_review=oldest,
        failures=int(failures),
        p50_ms=p50_ms,
        p95_ms=p95_ms,
    )


def percentiles(latencies: Sequence[int]) -> tuple[int | None, int | None]:
    """p50 and p95 by nearest rank; None of nothing."""
    if not latencies:
        return None, None
    ordered = sorted(latencies)
    return ordered[(len(ordered) - 1) // 2], ordered[-(-len(ordered) * 95 // 100) - 1]


@dataclass(frozen=True, slots=True)
class _Amount:
    """How many in a slot, of a workflow, in a state."""

    slot: str
    workflow: str
    state: str
    amount: int


def _sums(amounts: Iterable[_Amount], *, by: Literal["slot", "workflow"]) -> defaultdict[str, Counter[str]]:
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for one in amounts:
        found[one.slot if by == "slot" else one.workflow][one.state] += one.amount
    return found


def _flows(
    workflows: Collection[str],
    accepted: Sequence[_Amount],
    outcomes: Sequence[_Amount],
    working: Mapping[str, int],
    reviews: Mapping[str, int],
) -> tuple[Flow, ...]:
    came, ended = _sums(accepted, by="workflow"), _sums(outcomes, by="workflow")
    return tuple(
        Flow(name, came[name].total(), ended[name], working.get(name, 0), reviews.get(name, 0))
        for name in sorted(workflows)
    )


def _slot(
    begin: datetime, accepted: int, outcomes: Mapping[str, int], calls: Any, latencies: Sequence[int]
) -> Slot:
    p50, p95 = percentiles(latencies)
    made, cost = (int(calls[1]), int(calls[2])) if calls else (0, 0)
    return Slot(begin, accepted, outcomes, made, cost, p50, p95)


def _floor(moment: datetime, step: timedelta) -> datetime:
    start = datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
    return start + (moment - start) // step * step


def _begins(since: datetime, now: datetime, step: timedelta, length: int) -> Iterator[tuple[datetime, str]]:
    while since <= now:
        yield since, since.isoformat()[:length]
        since += step


def _named(moment: ColumnElement[Any], length: int) -> ColumnElement[str]:
    """The slot of a time. Its length is part of the text: GROUP BY must read like SELECT."""
    return func.substr(utc_minute(moment), literal_column("1"), literal_column(str(length)))


async def _amounts(connection: AsyncConnection, query: Select[Any]) -> list[_Amount]:
    return [_Amount(*row) for row in await connection.execute(query)]


def _events(workflows: Collection[str], since: datetime, length: int) -> Select[Any]:
    e, slot = t.event.c, _named(t.event.c.accepted_at, length)
    query = select(slot, e.workflow, literal_column("'accepted'"), func.count()).group_by(slot, e.workflow)
    return query.where(e.workflow.in_(workflows), e.accepted_at >= since)


def _outcomes(workflows: Collection[str], since: datetime, length: int) -> Select[Any]:
    r, slot = t.result.c, _named(t.result.c.decided_at, length)
    query = select(slot, r.workflow, r.state, func.count()).group_by(slot, r.workflow, r.state)
    return query.where(r.workflow.in_(workflows), r.decided_at >= since, r.state != REOPENED)


def _calls(since: datetime, length: int) -> Select[Any]:
    a, slot = t.attempt.c, _named(t.attempt.c.started_at, length)
    query = select(slot, func.count(), func.sum(func.coalesce(a.cost_micros, 0))).group_by(slot)
    return query.where(a.started_at >= since, a.original_id.is_(None))


async def _latencies(connection: AsyncConnection, since: datetime, length: int) -> dict[str, list[int]]:
    """By slot, in milliseconds."""
    a = t.attempt.c
    is_call = a.original_id.is_(None) & (func.coalesce(a.failure, "") != CallLost.reason)
    query = select(_named(a.started_at, length), a.latency_ms).where(a.started_at >= since, is_call)
    found: defaultdict[str, list[int]] = defaultdict(list)
    for slot, latency_ms in await connection.execute(query.order_by(a.started_at.desc()).limit(_TIMED_CALLS)):
        found[slot].append(latency_ms)
    return dict(found)


def _in_flight() -> Select[Any]:
    w = select(t.work.c.lane).limit(CAPPED + 1).subquery().c
    return select(w.lane, func.count()).group_by(w.lane)


def _claimed() -> Select[Any]:
    """How many of the first in flight somebody works on."""
    w = select(t.work.c.lease_until).limit(CAPPED + 1).subquery().c
    return select(func.count()).where(w.lease_until > NOW)


def _reviews() -> Select[Any]:
    r = select(t.review.c.workflow).limit(CAPPED + 1).subquery().c
    return select(r.workflow, func.count()).group_by(r.workflow)


def _failures() -> Select[Any]:
    failed = select(t.result.c.event_id).where(FAILED, newest()).limit(CAPPED + 1).subquery()
    return select(func.count()).select_from(failed)
