"""A workflow in, the audit records of its reviewed events out, event by event; and how much sample waits."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import func, select

from infra import tables as t
from infra.database import Database
from pipeline.copies import said

#: The newest so many reviewed events are measured; more of them hardly make an interval narrower.
MAX_EVENTS: Final = 10_000
_BATCH: Final = 500
#: Those that say what the machine found, what a person found, and that it begins anew.
_KINDS: Final = ("decision", "review", "replay")


async def reviewed(
    database: Database, workflow: str, *, since: datetime | None = None
) -> list[list[dict[str, Any]]]:
    """The records of the events that people decided on (since then), the newest first."""
    own = t.audit_record.c
    last = func.max(own.occurred_at)
    query = (
        select(own.event_id)
        .where(own.kind == "review", own.workflow == workflow)
        .group_by(own.event_id)
        .order_by(last.desc(), own.event_id)
        .limit(MAX_EVENTS)
    )
    if since is not None:
        query = query.where(own.occurred_at >= since)
    async with database.read() as connection:
        ids = (await connection.scalars(query)).all()
    found: list[list[dict[str, Any]]] = []
    for start in range(0, len(ids), _BATCH):
        found += await _records(database, ids[start : start + _BATCH])
    return found


async def of_event(database: Database, event_id: UUID) -> list[dict[str, Any]]:
    """The same of one event."""
    (found,) = await _records(database, [event_id])
    return found


async def sample_waiting(database: Database, workflow: str) -> int:
    """How many of the random sample nobody has decided on."""
    query = select(func.count()).where(t.review.c.workflow == workflow, t.review.c.sampled)
    async with database.read() as connection:
        return int((await connection.execute(query)).scalar_one())


async def _records(database: Database, ids: Sequence[UUID]) -> list[list[dict[str, Any]]]:
    own = t.audit_record.c
    query = select(own.event_id, own.kind, own.canonical).where(own.event_id.in_(ids), own.kind.in_(_KINDS))
    by_event: defaultdict[UUID, list[dict[str, Any]]] = defaultdict(list)
    async with database.read() as connection:
        for row in await connection.execute(query):
            if record := said(row.canonical, row.kind):
                by_event[row.event_id].append(dict(record))
    return [by_event[event_id] for event_id in ids]
