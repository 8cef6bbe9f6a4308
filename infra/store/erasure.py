"""A subject in, nothing left of it out: the one write that takes texts out of rows that are else kept.

With its data key every text of the subject is lost, in every copy of the database. What stood in rows as it
was (indexed fields, published messages, fingerprints, salts) is emptied. The rows stay: who refers to them
finds that they were erased.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Table, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from infra import tables as t
from infra.database import Database
from infra.store.commit import audit_row
from infra.store.holds import Hold, freeze, holds_on
from infra.store.statements import NOW, insert
from infra.store.words import envelopes
from pipeline.copies import said
from pipeline.errors import Conflict, NotFound
from pipeline.publish import AUDIT_TOPIC
from pipeline.trail import PAYLOAD_READ
from schemas.changeset import AuditRecord

_NAMED: Final = 10


@dataclass(frozen=True, slots=True)
class Copies:
    """Messages about the subject on a topic, which has its own retention; `last` is when the newest came."""

    topic: str
    messages: int
    last: datetime


@dataclass(frozen=True, slots=True)
class Exported:
    """An export that the subject's texts were in, which is out of reach: by whom, and when."""

    id: UUID
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Found:
    """What is kept of a subject, and what stands against erasing it now; `keys` are its message keys."""

    events: int
    contents: int
    results: int
    messages: int
    answers: int
    copies: tuple[Copies, ...]
    keys: tuple[bytes, ...]
    exports: tuple[Exported, ...]
    working: tuple[UUID, ...]
    unpublished: int
    holds: tuple[Hold, ...]

    @property
    def obstacles(self) -> list[str]:
        """Why it cannot be erased now, each with what to do."""
        told = [f"held by {hold.id} ({hold.reason}, by {hold.created_by})" for hold in self.holds]
        if self.working:
            named = ", ".join(map(str, self.working))
            told.append(f"in flight: {named}; wait until they are decided (penstock event show ID)")
        if self.unpublished:
            told.append(f"{self.unpublished} messages wait for the relay; let it publish them first")
        return told


async def look(database: Database, subject: bytes) -> Found:
    """What an erasure would find; raises NotFound when nothing is kept of the subject."""
    async with database.read() as connection:
        return await _found(connection, subject)


async def erase(database: Database, subject: bytes, record: Callable[[Found], AuditRecord]) -> Found:
    """Erase the subject and write the record, in one transaction; returns what was found.

    Raises NotFound, or Conflict with the obstacles.
    """
    events = _events(subject)
    async with database.write() as connection:
        await freeze(connection)
        # In the order of everybody else: events, then keys. Who accepts one more meanwhile waits, or is seen.
        await connection.execute(events.order_by(t.event.c.event_id).with_for_update())
        own = t.subject_key.c.subject_hash == subject
        await connection.execute(select(t.subject_key).where(own).with_for_update())
        found = await _found(connection, subject)
        if found.obstacles:
            raise Conflict("nothing was erased: " + "; ".join(found.obstacles))
        made = record(found)
        await _empty(connection, events)
        gone = {"wrapped_key": None, "master_key_id": None, "erased_at": NOW}
        await connection.execute(update(t.subject_key).where(own).values(**gone))
        await connection.execute(
            update(t.event)
            .where(t.event.c.subject_hash == subject, t.event.c.erasure_id.is_(None))
            .values(fingerprint=b"", erasure_id=made.id)
        )
        await connection.execute(insert(database, t.audit_record), audit_row(made))
    await _overwrite(database)
    return found


def _events(subject: bytes) -> Any:
    return select(t.event.c.event_id).where(t.event.c.subject_hash == subject, t.event.c.erasure_id.is_(None))


async def _found(connection: AsyncConnection, subject: bytes) -> Found:
    events = _events(subject)

    async def number(table: Table, condition: Any) -> int:
        query = select(func.count()).select_from(table).where(condition)
        return int((await connection.execute(query)).scalar_one())

    amount = await number(t.event, t.event.c.event_id.in_(events))
    if not amount:
        raise NotFound("no event with this subject is kept, or all were erased; the spelling counts")
    theirs = t.outbox.c.event_id.in_(events)
    working = select(t.work.c.event_id).where(t.work.c.event_id.in_(events)).limit(_NAMED)
    return Found(
        events=amount,
        contents=await number(t.content, t.content.c.event_id.in_(events)),
        results=await number(t.result, t.result.c.event_id.in_(events)),
        messages=await number(t.outbox, theirs),
        answers=await number(t.answer_cache, _answers(events)),
        copies=(*await _came(connection, events), *await _went(connection, theirs)),
        keys=await _keys(connection, events),
        exports=await _exports(connection, events),
        working=tuple((await connection.scalars(working)).all()),
        unpublished=await number(t.outbox, theirs & t.outbox.c.published_at.is_(None)),
        holds=tuple(await holds_on(connection, subject)),
    )


def _answers(events: Any) -> Any:
    """Of the cache: the answers that were given for these events."""
    return t.answer_cache.c.attempt_id.in_(select(t.attempt.c.id).where(t.attempt.c.event_id.in_(events)))


async def _came(connection: AsyncConnection, events: Any) -> Sequence[Copies]:
    query = (
        select(t.event.c.topic, func.count(), func.max(t.event.c.accepted_at))
        .where(t.event.c.event_id.in_(events), t.event.c.offset.is_not(None))
        .group_by(t.event.c.topic)
        .order_by(t.event.c.topic)
    )
    return [Copies(*row) for row in await connection.execute(query)]


async def _went(connection: AsyncConnection, theirs: Any) -> Sequence[Copies]:
    query = (
        select(t.outbox.c.topic, func.count(), func.max(t.outbox.c.published_at))
        .where(theirs, t.outbox.c.published_at.is_not(None))
        .group_by(t.outbox.c.topic)
        .order_by(t.outbox.c.topic)
    )
    return [Copies(*row) for row in await connection.execute(query)]


async def _keys(connection: AsyncConnection, events: Any) -> tuple[bytes, ...]:
    some = (await connection.scalars(events.limit(1_000))).all()
    spoken = await envelopes(connection, some)
    return tuple(sorted({one.key for one in spoken.values()})[:_NAMED])


async def _exports(connection: AsyncConnection, events: Any) -> tuple[Exported, ...]:
    """As far back as the audit trail goes, by time."""
    record = t.audit_record.c
    query = select(record.canonical, record.actor_name, record.occurred_at).where(
        record.kind == PAYLOAD_READ, record.event_id.in_(events)
    )
    told: dict[str, Exported] = {}
    for row in await connection.execute(query.order_by(record.occurred_at)):
        if export := said(row.canonical, PAYLOAD_READ).get("export"):
            told.setdefault(export, Exported(UUID(export), row.actor_name, row.occurred_at))
    return tuple(told.values())


async def _empty(connection: AsyncConnection, events: Any) -> None:
    """Take every value out of the rows of these events, and away what is of no use without."""
    empty: dict[str, Any] = {"key": b"", "value": b""}
    theirs = t.outbox.c.event_id.in_(events)
    logged = t.topic_log.c.outbox_id.in_(select(t.outbox.c.id).where(theirs))
    audit = {"key": b""}  # an audit record holds no value of the subject's
    statements = (
        delete(t.answer_cache).where(_answers(events)),
        delete(t.review).where(t.review.c.event_id.in_(events)),
        delete(t.label).where(t.label.c.event_id.in_(events)),
        delete(t.result_index).where(t.result_index.c.event_id.in_(events)),
        update(t.content).where(t.content.c.event_id.in_(events)).values(data=b"", salt=b""),
        update(t.result).where(t.result.c.event_id.in_(events)).values(data=None),
        update(t.topic_log).where(logged, t.topic_log.c.topic != AUDIT_TOPIC).values(**empty),
        update(t.topic_log).where(logged, t.topic_log.c.topic == AUDIT_TOPIC).values(**audit),
        update(t.outbox).where(theirs, t.outbox.c.topic != AUDIT_TOPIC).values(**empty),
        update(t.outbox).where(theirs, t.outbox.c.topic == AUDIT_TOPIC).values(**audit),
    )
    for statement in statements:
        await connection.execute(statement)


async def _overwrite(database: Database) -> None:
    """SQLite: bring what was written into the database's file, and empty the log that has the old pages."""
    if database.dialect == "sqlite":
        async with database.writer.connect() as connection:
            raw: Any = (await connection.get_raw_connection()).driver_connection  # ours begins a transaction
            await raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
