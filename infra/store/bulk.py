"""A search in, the events that it finds and that can be decided on now out: those that wait, or the dead.

A record is taken for its event only where it tells of the newest revision: what was decided since is not
found. What a random sample drew is never among them: it is there to be looked at one by one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, select, tuple_

from infra import tables as t
from infra.database import Database
from infra.store import search
from infra.store.reconciliation import newest
from infra.store.search import Count, Revision, Search
from infra.store.statements import NOW
from infra.store.words import listed
from infra.tables.decisions import FAILED

Which = Literal["waiting", "dead"]

#: Who has found more needs several goes, or another filter.
_MAX_COUNT: Final = 1_000


@dataclass(frozen=True, slots=True)
class Candidate:
    """An event that can be decided on; `data` is what stands open of its result, `id` its sender's."""

    event_id: UUID
    revision: int
    workflow: str
    source: str
    id: str
    decided_at: datetime
    reasons: tuple[str, ...]
    data: Mapping[str, Any] | None
    claimed_by: str | None


@dataclass(frozen=True, slots=True)
class Candidates:
    """The oldest of them, and how many there are in all."""

    rows: tuple[Candidate, ...]
    count: Count


async def candidates(database: Database, asked: Search, which: Which, *, limit: int) -> Candidates:
    """What the search finds of these, the oldest first."""
    # One search for both: counting by itself took longer than finding as many.
    found = await search.oldest(database, asked, _CONDITIONS[which], limit=_MAX_COUNT + 1)
    number = Count(min(len(found), _MAX_COUNT), is_more=len(found) > _MAX_COUNT)
    return Candidates(tuple(await _whole(database, found[:limit])), number)


def _among(pairs: Any) -> ColumnElement[bool]:
    record = t.audit_record.c
    pair = tuple_(record.event_id, record.revision)
    return and_(record.kind == "decision", pair.in_(pairs))


_CONDITIONS: Final[Mapping[Which, ColumnElement[bool]]] = {
    "waiting": _among(select(t.review.c.event_id, t.review.c.revision).where(~t.review.c.sampled)),
    "dead": _among(
        select(t.result.c.event_id, t.result.c.revision).where(FAILED, t.result.c.state == "dead", newest())
    ),
}


async def _whole(database: Database, found: Sequence[Revision]) -> list[Candidate]:
    """In their order, with what a person wants to know of each."""
    own, claim = t.result.c, t.review.c
    query = (
        select(
            t.result,
            t.event.c.source,
            t.event.c.source_id,
            t.event.c.subject_hash,
            case((claim.claimed_until > NOW, claim.claimed_by)).label("claimed_by"),
        )
        .join(t.event, t.event.c.event_id == own.event_id)
        .outerjoin(t.review, and_(claim.event_id == own.event_id, claim.revision == own.revision))
        # By the events alone: planning a list of 500 pairs takes PostgreSQL 200 ms.
        .where(own.event_id.in_([event_id for event_id, _ in found]))
    )
    wanted = set(found)
    async with database.read() as connection:
        rows = (await connection.execute(query)).mappings().all()
    made = {
        row["event_id"]: _candidate(row)
        for row in listed([row for row in rows if (row["event_id"], row["revision"]) in wanted])
    }
    return [made[event_id] for event_id, _ in found if event_id in made]


def _candidate(row: Mapping[str, Any]) -> Candidate:
    return Candidate(
        event_id=row["event_id"],
        revision=row["revision"],
        workflow=row["workflow"],
        source=row["source"],
        id=row["source_id"],
        decided_at=row["decided_at"],
        reasons=tuple(row["reasons"]),
        data=row["data"],
        claimed_by=row["claimed_by"],
    )
