"""Every text of one event, as it was stored: what came in, and per attempt what was sent and answered.

Nothing is rebuilt: a request is its stored parts put together, whatever today's code would send.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select

from infra import tables as t
from infra.database import Database
from infra.store.contents import read_contents
from infra.store.journal import read_attempts
from pipeline.publish import content_id
from schemas.extraction import Attempt


@dataclass(frozen=True, slots=True)
class Texts:
    """`content` is None, and an attempt is missing, where the bytes are not kept any longer."""

    content: bytes | None
    attempts: Mapping[UUID, Attempt]


async def contents_of(database: Database, event_id: UUID) -> list[UUID]:
    """The ids of what `texts` reads."""
    query = select(t.content.c.id).where(t.content.c.event_id == event_id).order_by(t.content.c.id)
    async with database.read() as connection:
        return list((await connection.scalars(query)).all())


async def texts(database: Database, event_id: UUID) -> Texts:
    """All of them, from one view."""
    revisions = select(t.attempt.c.revision).where(t.attempt.c.event_id == event_id).distinct()
    async with database.read() as connection:
        found = await read_contents(connection, [content_id(event_id)])
        attempts = {
            attempt.id: attempt
            for revision in (await connection.scalars(revisions)).all()
            for made in (await read_attempts(connection, {event_id: revision})).values()
            for attempt in made
        }
    return Texts(found.get(content_id(event_id)), attempts)
