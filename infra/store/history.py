"""An event's id in, what a person needs to judge it out: its newest result, its texts' marks."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import RowMapping, select
from sqlalchemy.ext.asyncio import AsyncConnection

from infra import tables as t
from infra.database import Database
from infra.store.contents import read_where
from infra.store.events import read_events
from infra.store.words import restored
from pipeline.errors import Conflict, NotFound
from pipeline.resolve import Subject, standing
from schemas.changeset import Result
from schemas.event import Identity, Received


@dataclass(frozen=True, slots=True)
class Mark:
    """What may be said of a text without showing it: its size, and SHA-256(salt || bytes) as hex."""

    bytes: int
    sha256: str


async def newest(database: Database, event_id: UUID) -> tuple[Received, Result | None]:
    """The event, and its newest revision if it has one; raises NotFound."""
    query = (
        select(t.result).where(t.result.c.event_id == event_id).order_by(t.result.c.revision.desc()).limit(1)
    )
    async with database.read() as connection:
        found = await read_events(connection, [event_id])
        row = (await connection.execute(query)).mappings().first()
        if event_id not in found:
            raise NotFound(f"no event {event_id}")
        event = found[event_id][0]
        if row is None:
            return event, None
        return event, await _whole(connection, row, event)


async def subject(database: Database, event_id: UUID) -> Subject:
    """The event as a person judges it; raises NotFound, or Conflict before its first decision."""
    query = select(t.result).where(t.result.c.event_id == event_id).order_by(t.result.c.revision)
    async with database.read() as connection:
        found = await read_events(connection, [event_id])
        rows = (await connection.execute(query)).mappings().all()
        if event_id not in found:
            raise NotFound(f"no event {event_id}")
        if not rows:
            raise Conflict(f"event {event_id} has no result: it is in flight, or its result was pruned")
        event, accepted_at = found[event_id]
        newest = await _whole(connection, rows[-1], event)
    return Subject(event, accepted_at, newest, standing((row["revision"], row["state"]) for row in rows))


async def revision(database: Database, event_id: UUID, number: int) -> Result | None:
    """One revision of an event as it was decided; None where there is none, or none any more."""
    query = select(t.result).where(t.result.c.event_id == event_id, t.result.c.revision == number)
    async with database.read() as connection:
        found = await read_events(connection, [event_id])
        row = (await connection.execute(query)).mappings().first()
        if row is None or event_id not in found:
            return None
        return await _whole(connection, row, found[event_id][0])


async def _whole(connection: AsyncConnection, row: RowMapping, event: Received) -> Result:
    """A row of `result` with the words that are kept apart."""
    (whole,) = await restored(connection, [{**row, "subject_hash": event.subject_hash}])
    del whole["subject_hash"]
    return Result(**{**whole, "reasons": tuple(whole["reasons"])})


async def marks(database: Database, event_id: UUID) -> dict[UUID, Mark]:
    """Every text that is kept of an event, by content id: its own, the model's, what was asked."""
    async with database.read() as connection:
        found = await read_where(connection, t.content.c.event_id == event_id)
    return {
        content_id: Mark(len(text.data), hashlib.sha256(text.salt + text.data).hexdigest())
        for content_id, text in found.items()
    }


async def identities(database: Database, ids: Sequence[UUID]) -> dict[UUID, Identity]:
    """Who these events are, to tell several with the same sender's id apart."""
    query = (
        select(t.event.c.event_id, t.event.c.topic, t.event.c.source, t.event.c.source_id)
        .where(t.event.c.event_id.in_(ids))
        .order_by(t.event.c.topic, t.event.c.source)
    )
    async with database.read() as connection:
        return {
            row.event_id: Identity(row.topic, row.source, row.source_id)
            for row in await connection.execute(query)
        }
