"""Questions about the rows: the whole story of one event, dead letters, embedded topics, what waits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, Table, false, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from infra import tables as t
from infra.database import Database
from infra.store.contents import read_contents
from infra.store.reconciliation import in_flight, newest
from infra.store.seals import lag_seconds
from infra.store.statements import NOW
from infra.store.words import complaints_id, envelopes, listed, read_words, restored
from pipeline.errors import NotFound


@dataclass(frozen=True, slots=True)
class Story:
    """All that is stored of one event, as rows; `state` is where it stands now.

    `content` is None once it was erased or is not kept; `erasure` is the audit record of who erased it,
    `pruning` that of the removal of its results.
    """

    event: Mapping[str, Any]
    content: bytes | None
    work: RowMapping | None
    results: tuple[Mapping[str, Any], ...]
    attempts: tuple[Mapping[str, Any], ...]
    audit: tuple[RowMapping, ...]
    outbox: tuple[RowMapping, ...]
    review: tuple[Mapping[str, Any], ...]
    erasure: RowMapping | None = None
    pruning: RowMapping | None = None

    @property
    def state(self) -> str:
        """The newest outcome, or that it is in flight."""
        if self.work is not None:
            return "in_flight"
        if self.results:
            return str(self.results[-1]["state"])
        return "lost" if self.pruning is None else "pruned"


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
        event, work = events[0], await rows(t.work)
        contents = await read_contents(connection, [event["content_id"]])
        erasures = select(t.audit_record).where(t.audit_record.c.id == event["erasure_id"])
        prunings = select(t.audit_record).where(t.audit_record.c.id == event["pruning_id"])
        attempts = await rows(t.attempt, t.attempt.c.revision, t.attempt.c.step, t.attempt.c.started_at)
        return Story(
            event=await _whole_event(connection, event),
            content=contents.get(event["content_id"]),
            work=work[0] if work else None,
            results=await _whole(connection, event, await rows(t.result, t.result.c.revision)),
            attempts=await _whole_attempts(connection, attempts),
            audit=await rows(t.audit_record, t.audit_record.c.occurred_at),
            outbox=await rows(t.outbox, t.outbox.c.seq),
            review=await _whole(connection, event, await rows(t.review, t.review.c.created_at)),
            erasure=(await connection.execute(erasures)).mappings().first(),
            pruning=(await connection.execute(prunings)).mappings().first(),
        )


async def _whole(
    connection: AsyncConnection, event: RowMapping, rows: Sequence[RowMapping]
) -> tuple[Mapping[str, Any], ...]:
    """Results or reviews of `event` with the words that are kept apart."""
    return tuple(await restored(connection, [{**row, "subject_hash": event["subject_hash"]} for row in rows]))


async def _whole_event(connection: AsyncConnection, event: RowMapping) -> Mapping[str, Any]:
    spoken = await envelopes(connection, [event["event_id"]] if event["subject_hash"] else [])
    return {**event, **{name: value for one in spoken.values() for name, value in one.columns.items()}}


async def _whole_attempts(
    connection: AsyncConnection, attempts: Sequence[RowMapping]
) -> tuple[Mapping[str, Any], ...]:
    found = await read_contents(connection, [complaints_id(row["id"]) for row in attempts])
    said = {own: list(read_words(text)) for own, text in found.items()}
    return tuple(
        {**row, "complaints": said.get(complaints_id(row["id"]), row["complaints"])} for row in attempts
    )


async def dead_letters(
    database: Database, *, workflow: str | None = None, limit: int = 50
) -> list[dict[str, Any]]:
    """Events whose newest revision is dead, newest first."""
    query = (
        select(t.result, t.event.c.topic, t.event.c.source, t.event.c.source_id, t.event.c.subject_hash)
        .join(t.event, t.event.c.event_id == t.result.c.event_id)
        .where(newest(), t.result.c.state == "dead")
        .order_by(t.result.c.decided_at.desc(), t.result.c.event_id)
        .limit(limit)
    )
    if workflow:
        query = query.where(t.result.c.workflow == workflow)
    async with database.read() as connection:
        return listed((await connection.execute(query)).mappings().all())


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
    lag_seconds: float
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
            in_flight=dict(await in_flight(connection)),
            unpublished=int((await connection.execute(outbox)).scalar_one()),
            unsealed=int((await connection.execute(unsealed)).scalar_one()),
            lag_seconds=await lag_seconds(connection),
            reviews=dict((await connection.execute(reviews)).all()),
        )
