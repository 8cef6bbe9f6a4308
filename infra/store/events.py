"""Event rows back into `Received`."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from infra import tables as t
from schemas.event import Identity, Origin, Received


async def read_events(connection: AsyncConnection, ids: Sequence[UUID]) -> dict[UUID, tuple[Received, Any]]:
    """Events by id, each with the time it was accepted."""
    query = (
        select(t.event, t.content.c.data, t.content.c.salt)
        .join(t.content, t.content.c.id == t.event.c.content_id)
        .where(t.event.c.event_id.in_(ids))
    )
    return {row.event_id: (_received(row), row.accepted_at) for row in await connection.execute(query)}


def _received(row: Any) -> Received:
    return Received(
        event_id=row.event_id,
        identity=Identity(row.topic, row.source, row.source_id),
        workflow=row.workflow,
        type=row.type,
        key=row.key,
        content=row.data,
        salt=row.salt,
        fingerprint=row.fingerprint,
        subject=row.subject,
        time=row.time,
        origin=None if row.offset is None else Origin(row.partition, row.offset),
        traceparent=row.traceparent,
    )
