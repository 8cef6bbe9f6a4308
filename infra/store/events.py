"""Event rows back into `Received`."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from infra import tables as t
from infra.store.contents import Content, open_rows
from infra.store.words import Spoken, envelopes
from schemas.event import Identity, Origin, Received


async def read_events(connection: AsyncConnection, ids: Sequence[UUID]) -> dict[UUID, tuple[Received, Any]]:
    """Events by id, each with the time it was accepted; one whose texts are gone has no data and no salt."""
    query = (
        select(t.event, t.content.c.data, t.content.c.salt)
        .outerjoin(t.content, t.content.c.id == t.event.c.content_id)
        .where(t.event.c.event_id.in_(ids))
    )
    rows = (await connection.execute(query)).all()
    contents = await open_rows(connection, rows)
    spoken = await envelopes(connection, [row.event_id for row in rows if row.subject_hash])
    return {
        row.event_id: (
            _received(row, contents.get(row.content_id), spoken.get(row.event_id)),
            row.accepted_at,
        )
        for row in rows
    }


def _received(row: Any, content: Content | None, spoken: Spoken | None) -> Received:
    return Received(
        event_id=row.event_id,
        identity=Identity(row.topic, row.source, row.source_id),
        workflow=row.workflow,
        type=row.type,
        key=spoken.key if spoken else row.key,
        content=content.data if content else b"",
        salt=content.salt if content else b"",
        fingerprint=row.fingerprint,
        subject=spoken.subject if spoken else row.subject,
        time=row.time,
        origin=None if row.offset is None else Origin(row.partition, row.offset),
        traceparent=row.traceparent,
        subject_hash=row.subject_hash,
    )
