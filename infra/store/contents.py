"""Texts of events and models by id: the one place that reads their bytes."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from infra import tables as t


async def read_contents(connection: AsyncConnection, ids: Collection[UUID]) -> dict[UUID, bytes]:
    """The bytes by content id; what is not kept any longer is missing."""
    if not ids:
        return {}
    query = select(t.content.c.id, t.content.c.data).where(t.content.c.id.in_(ids))
    return {row.id: row.data for row in await connection.execute(query)}
