"""Events at the door in, rows out: the accepting transaction."""

from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from infra import tables as t
from infra.database import Database
from infra.store.contents import make_keys, write_contents
from infra.store.statements import NOW, count, insert, work_row
from infra.store.words import contents_of
from pipeline.ports import Admission
from pipeline.publish import content_id
from schemas.event import Received


async def accept(database: Database, events: Sequence[Received], *, shard: int) -> list[Admission]:
    """Event, content, work and counter rows of what is new, in one transaction; duplicates are counted."""
    first: dict[UUID, Received] = {}
    for event in events:
        first.setdefault(event.event_id, event)
    async with database.write() as connection:
        new = await insert_events(connection, database, list(first.values()), shard=shard)
        # In the order of arrival, which is the order of a key's events.
        fresh = [event for event_id, event in first.items() if event_id in new]
        if fresh:
            statement = insert(database, t.work).values(due_at=NOW)
            await connection.execute(statement, [work_row(event, lane=event.workflow) for event in fresh])
        known = await _fingerprints(connection, [event for event in first if event not in new])
        known |= {event.event_id: event.fingerprint for event in fresh}
        admissions = [_admission(event, known, new) for event in events]
        duplicates = Counter(
            event.workflow
            for event, admission in zip(events, admissions, strict=True)
            if admission is Admission.DUPLICATE
        )
        await count(connection, database, "duplicate", duplicates, shard=shard)
    return admissions


async def insert_events(
    connection: AsyncConnection, database: Database, events: Sequence[Received], *, shard: int
) -> set[UUID]:
    """Event, content and counter rows of the events that did not exist; returns their ids."""
    if not events:
        return set()
    # In id order, so that two transactions with the same events do not wait for each other in a ring.
    ordered = sorted(events, key=lambda event: event.event_id)
    statement = insert(database, t.event).values(accepted_at=NOW).on_conflict_do_nothing()
    rows = [_event(event) for event in ordered]
    inserted = await connection.scalars(statement.returning(t.event.c.event_id), rows)
    new = set(inserted.all())
    fresh = [event for event in ordered if event.event_id in new]
    if fresh:
        await make_keys(connection, database, {event.subject_hash for event in fresh})
        contents = [content for event in fresh for content in contents_of(event)]
        await write_contents(connection, database, contents)
        accepted = Counter(event.workflow for event in fresh)
        await count(connection, database, "accepted", accepted, shard=shard)
    return new


async def count_ignored(database: Database, workflow: str, *, shard: int) -> None:
    """Count what a webhook sent that is no event of ours."""
    async with database.write() as connection:
        await count(connection, database, "ignored", {workflow: 1}, shard=shard)


async def fingerprint(database: Database, event_id: UUID) -> bytes | None:
    """The fingerprint of an event that exists: are these bytes it, or another one with its id?"""
    async with database.read() as connection:
        return (await _fingerprints(connection, [event_id])).get(event_id)


def _admission(event: Received, known: dict[UUID, bytes], new: set[UUID]) -> Admission:
    if event.event_id in new:
        new.discard(event.event_id)  # a second one in the same batch is a duplicate of the first
        return Admission.ACCEPTED
    # An erased event has no fingerprint left; sent once more, it must not come back.
    same = known[event.event_id] in (event.fingerprint, b"")
    return Admission.DUPLICATE if same else Admission.ID_REUSED


async def _fingerprints(connection: AsyncConnection, ids: Sequence[UUID]) -> dict[UUID, bytes]:
    if not ids:
        return {}
    query = select(t.event.c.event_id, t.event.c.fingerprint).where(t.event.c.event_id.in_(ids))
    return {row.event_id: row.fingerprint for row in await connection.execute(query)}


def _event(event: Received) -> dict[str, Any]:
    return {
        "event_id": event.event_id,
        "topic": event.identity.topic,
        "source": event.identity.source,
        "source_id": event.identity.id,
        "workflow": event.workflow,
        "type": event.type,
        "subject": None if event.subject_hash else event.subject,
        "time": event.time,
        "key": b"" if event.subject_hash else event.key,
        "fingerprint": event.fingerprint,
        "content_id": content_id(event.event_id),
        "partition": event.origin.partition if event.origin else None,
        "offset": event.origin.offset if event.origin else None,
        "traceparent": event.traceparent,
        "subject_hash": event.subject_hash,
    }
