"""An event's id in, where it stands out: what a sender who polls gets to see."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select

from infra import tables as t
from infra.database import Database
from infra.store.words import restored, withheld
from pipeline.errors import NotFound
from schemas.decision import REOPENED


@dataclass(frozen=True, slots=True)
class Status:
    """Where an event stands. `outcome` to `decided_at` are those of its newest revision, None before one.

    `state` is the outcome, `in_flight` while a machine works on it (again), or `pruned` when its result is
    kept no longer. `withheld` names the fields of an event with a subject: what they hold is a text of that
    subject, and not told here; nor are the reasons.
    """

    event_id: UUID
    topic: str
    source: str
    id: str
    workflow: str
    state: str
    outcome: str | None
    revision: int | None
    version: str | None
    data: Mapping[str, Any] | None
    withheld: tuple[str, ...]
    reasons: tuple[str, ...]
    accepted_at: datetime
    decided_at: datetime | None


async def status(database: Database, event_id: UUID) -> Status:
    """Where the event stands, in one statement; raises NotFound."""
    query = (
        select(t.event, t.work.c.seq, t.result.c.state, t.result.c.revision, t.result.c.version)
        .add_columns(t.result.c.data, t.result.c.reasons, t.result.c.decided_at)
        .outerjoin(t.work, t.work.c.event_id == t.event.c.event_id)
        .outerjoin(t.result, t.result.c.event_id == t.event.c.event_id)
        .where(t.event.c.event_id == event_id)
        .order_by(t.result.c.revision.desc())
        .limit(1)
    )
    async with database.read() as connection:
        found = (await connection.execute(query)).mappings().all()
        if not found:
            raise NotFound(f"no event {event_id}")
        (row,) = await restored(connection, found)
    has_subject = row["subject_hash"] is not None
    return Status(
        event_id=row["event_id"],
        topic=row["topic"],
        source=row["source"],
        id=row["source_id"],
        workflow=row["workflow"],
        state="in_flight" if row["seq"] is not None else row["state"] or _without(row),
        outcome=None if row["state"] == REOPENED else row["state"],
        revision=row["revision"],
        version=row["version"],
        data=None if has_subject else row["data"],
        withheld=tuple(sorted(row["data"] or ())) if has_subject else (),
        reasons=withheld(row["reasons"] or ()) if has_subject else tuple(row["reasons"] or ()),
        accepted_at=row["accepted_at"],
        decided_at=row["decided_at"],
    )


def _without(row: Mapping[str, Any]) -> str:
    """The state of an event that has no result."""
    return "lost" if row["pruning_id"] is None else "pruned"
