"""Questions about the rows: the reconciliation, and the whole story of one event."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, Table, false, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from infra import tables as t
from infra.database import Database
from infra.store.statements import NOW
from pipeline.errors import NotFound
from schemas.decision import REOPENED

#: A difference names this many events; its count says how many there are.
NAMED_EVENTS = 10

_IN_NEITHER = "event without outcome and not in flight"
_IN_BOTH = "event with an outcome and in flight"
#: By how much such an event makes `accepted` differ from the other two.
_GAPS = {_IN_NEITHER: 1, _IN_BOTH: -1}


@dataclass(frozen=True, slots=True)
class Difference:
    """Why the three sources do not add up: what is missing, how often, and on which events."""

    workflow: str
    what: str
    count: int
    events: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Balance:
    """accepted = sum of outcomes + in flight, counted from counter, result and work rows."""

    accepted: int = 0
    outcomes: Mapping[str, int] = field(default_factory=dict)
    in_flight: int = 0
    duplicates: int = 0
    ignored: int = 0
    differences: tuple[Difference, ...] = ()

    @property
    def balanced(self) -> bool:
        return not self.differences


async def balances(database: Database, *, workflows: Iterable[str] = ()) -> dict[str, Balance]:
    """The reconciliation by workflow, all from one view of the database."""
    async with database.read() as connection:
        counters = await _counters(connection)
        outcomes = await _outcomes(connection)
        in_flight = await _in_flight(connection)
        differences = await _differences(connection)
        names = {*workflows, *outcomes, *in_flight, *(name for _, name in counters)}
        return {
            name: _balance(name, counters, outcomes[name], in_flight[name], differences)
            for name in sorted(names)
        }


def total(balances: Iterable[Balance]) -> Balance:
    """The sum over all workflows."""
    listed = list(balances)
    outcomes: Counter[str] = Counter()
    for balance in listed:
        outcomes.update(balance.outcomes)
    return Balance(
        accepted=sum(balance.accepted for balance in listed),
        outcomes=dict(outcomes),
        in_flight=sum(balance.in_flight for balance in listed),
        duplicates=sum(balance.duplicates for balance in listed),
        ignored=sum(balance.ignored for balance in listed),
        differences=tuple(difference for balance in listed for difference in balance.differences),
    )


def _balance(
    name: str,
    counters: Mapping[tuple[str, str], int],
    outcomes: Mapping[str, int],
    in_flight: int,
    found: Sequence[Difference],
) -> Balance:
    accepted = counters.get(("accepted", name), 0)
    differences = [difference for difference in found if difference.workflow == name]
    gap = accepted - sum(outcomes.values()) - in_flight
    explained = sum(_GAPS.get(difference.what, 0) * difference.count for difference in differences)
    if gap != explained:
        what = "accepted counter is too high" if gap > explained else "accepted counter is too low"
        differences.append(Difference(name, what, abs(gap - explained)))
    return Balance(
        accepted=accepted,
        outcomes=dict(outcomes),
        in_flight=in_flight,
        duplicates=counters.get(("duplicate", name), 0),
        ignored=counters.get(("ignored", name), 0),
        differences=tuple(differences),
    )


async def _counters(connection: AsyncConnection) -> dict[tuple[str, str], int]:
    query = select(t.counter.c.name, t.counter.c.workflow, func.sum(t.counter.c.value)).group_by(
        t.counter.c.name, t.counter.c.workflow
    )
    return {(name, workflow): int(value) for name, workflow, value in await connection.execute(query)}


def _newest() -> Any:
    """Results that no later revision supersedes."""
    later_result = t.result.alias()
    return ~(
        select(later_result.c.event_id)
        .where(later_result.c.event_id == t.result.c.event_id, later_result.c.revision > t.result.c.revision)
        .exists()
    )


async def _outcomes(connection: AsyncConnection) -> defaultdict[str, dict[str, int]]:
    query = (
        select(t.result.c.workflow, t.result.c.state, func.count())
        .where(_newest(), t.result.c.state != REOPENED)
        .group_by(t.result.c.workflow, t.result.c.state)
    )
    outcomes: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for workflow, state, number in await connection.execute(query):
        outcomes[workflow][state] = number
    return outcomes


async def _in_flight(connection: AsyncConnection) -> Counter[str]:
    query = select(t.work.c.lane, func.count()).group_by(t.work.c.lane)
    return Counter(dict((await connection.execute(query)).all()))


async def _differences(connection: AsyncConnection) -> list[Difference]:
    """Events in none, or in two, of the places where an accepted event must be in exactly one."""
    outcome = (
        select(t.result.c.event_id)
        .where(t.result.c.event_id == t.event.c.event_id, _newest(), t.result.c.state != REOPENED)
        .exists()
    )
    work = select(t.work.c.event_id).where(t.work.c.event_id == t.event.c.event_id).exists()
    found = []
    for what, condition in (
        (_IN_NEITHER, ~outcome & ~work),
        (_IN_BOTH, outcome & work),
    ):
        found += await _named(connection, t.event.c.workflow, t.event.c.event_id, what, condition)
    known = select(t.event.c.event_id)
    lost = t.work.c.event_id.not_in(known)
    found += await _named(connection, t.work.c.lane, t.work.c.event_id, "work without its event", lost)
    lost = t.result.c.event_id.not_in(known)
    return found + await _named(
        connection, t.result.c.workflow, t.result.c.event_id, "result without its event", lost
    )


async def _named(
    connection: AsyncConnection, workflow: Any, event_id: Any, what: str, condition: Any
) -> list[Difference]:
    rows = (await connection.execute(select(workflow, event_id).where(condition))).all()
    by_workflow: defaultdict[str, list[UUID]] = defaultdict(list)
    for name, lost in rows:
        by_workflow[name].append(lost)
    return [
        Difference(name, what, len(lost), tuple(map(str, sorted(lost)[:NAMED_EVENTS])))
        for name, lost in by_workflow.items()
    ]


@dataclass(frozen=True, slots=True)
class Story:
    """All that is stored of one event, as rows; `state` is where it stands now."""

    event: RowMapping
    content: bytes
    work: RowMapping | None
    results: tuple[RowMapping, ...]
    attempts: tuple[RowMapping, ...]
    audit: tuple[RowMapping, ...]
    outbox: tuple[RowMapping, ...]
    review: tuple[RowMapping, ...]

    @property
    def state(self) -> str:
        """The newest outcome, or that it is in flight."""
        if self.work is not None:
            return "in_flight"
        return str(self.results[-1]["state"]) if self.results else "lost"


async def find_events(database: Database, reference: str) -> list[UUID]:
    """The events that `reference` names: our event_id, or the id that the sender gave."""
    try:
        own = UUID(reference)
    except ValueError:
        own = None
    matches = or_(t.event.c.source_id == reference, (t.event.c.event_id == own) if own else false())
    async with database.read() as connection:
        return list((await connection.scalars(select(t.event.c.event_id).where(matches).limit(10))).all())


async def story(database: Database, event_id: UUID) -> Story:
    """Everything about one event, from one view; raises NotFound."""
    async with database.read() as connection:

        async def rows(table: Table, *order: Any) -> tuple[RowMapping, ...]:
            query = select(table).where(table.c.event_id == event_id).order_by(*order)
            return tuple((await connection.execute(query)).mappings().all())

        events = await rows(t.event)
        if not events:
            raise NotFound(f"no event {event_id}")
        content = select(t.content.c.data).where(t.content.c.id == events[0]["content_id"])
        work = await rows(t.work)
        return Story(
            event=events[0],
            content=(await connection.execute(content)).scalar_one(),
            work=work[0] if work else None,
            results=await rows(t.result, t.result.c.revision),
            attempts=await rows(t.attempt, t.attempt.c.revision, t.attempt.c.step, t.attempt.c.started_at),
            audit=await rows(t.audit_record, t.audit_record.c.occurred_at),
            outbox=await rows(t.outbox, t.outbox.c.seq),
            review=await rows(t.review, t.review.c.created_at),
        )


async def dead_letters(
    database: Database, *, workflow: str | None = None, limit: int = 50
) -> list[RowMapping]:
    """Events whose newest revision is dead, newest first."""
    query = (
        select(t.result, t.event.c.topic, t.event.c.source, t.event.c.source_id)
        .join(t.event, t.event.c.event_id == t.result.c.event_id)
        .where(_newest(), t.result.c.state == "dead")
        .order_by(t.result.c.decided_at.desc(), t.result.c.event_id)
        .limit(limit)
    )
    if workflow:
        query = query.where(t.result.c.workflow == workflow)
    async with database.read() as connection:
        return list((await connection.execute(query)).mappings().all())


async def tail(database: Database, topic: str, *, after: int = -1, limit: int = 500) -> list[RowMapping]:
    """Messages of an embedded topic after an offset."""
    query = (
        select(t.topic_log)
        .where(t.topic_log.c.topic == topic, t.topic_log.c.offset > after)
        .order_by(t.topic_log.c.offset)
        .limit(limit)
    )
    async with database.read() as connection:
        return list((await connection.execute(query)).mappings().all())


async def log_end(database: Database, topic: str) -> int:
    """The last offset of an embedded topic, -1 when it is empty."""
    query = select(func.max(t.topic_log.c.offset)).where(t.topic_log.c.topic == topic)
    async with database.read() as connection:
        last = (await connection.execute(query)).scalar()
    return -1 if last is None else int(last)


@dataclass(frozen=True, slots=True)
class Queues:
    """Depths for the gauges: what waits for whom."""

    due: Mapping[str, int]
    in_flight: Mapping[str, int]
    unpublished: int
    unsealed: int
    reviews: Mapping[str, int]


async def queues(database: Database) -> Queues:
    """How much waits, by workflow."""
    async with database.read() as connection:
        due = select(t.work.c.lane, func.count()).where(t.work.c.due_at <= NOW).group_by(t.work.c.lane)
        outbox = select(func.count()).select_from(t.outbox).where(t.outbox.c.published_at.is_(None))
        unsealed = select(func.count()).select_from(t.audit_unsealed)
        reviews = select(t.review.c.workflow, func.count()).group_by(t.review.c.workflow)
        return Queues(
            due=dict((await connection.execute(due)).all()),
            in_flight=dict(await _in_flight(connection)),
            unpublished=int((await connection.execute(outbox)).scalar_one()),
            unsealed=int((await connection.execute(unsealed)).scalar_one()),
            reviews=dict((await connection.execute(reviews)).all()),
        )
