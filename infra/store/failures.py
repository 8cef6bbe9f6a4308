"""What went to a dead topic and which calls failed: grouped by reason, and the events of a group by pages.

Two reasons are of one group when they differ in numbers only. Only the newest CAPPED failures are looked at.
Of an event with a subject the row holds no reason: those are one group, and each page reads their own.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, RowMapping, and_, func, or_, select, true

from infra import tables as t
from infra.database import Database
from infra.store.overview import CAPPED
from infra.store.reconciliation import newest
from infra.store.statements import NOW
from infra.store.words import listed
from infra.tables.decisions import FAILED

#: What stands for a number in a group's reason.
ANY_NUMBER: Final = "#"
#: Of its own, not part of a name: neither `v1` nor `UTF-8`.
_NUMBER: Final = re.compile(r"(?<![\w.-])\d+(?:[.,:]\d+)*(?!\w)")
_CHUNK: Final = 500


@dataclass(frozen=True, slots=True)
class Group:
    """Failures with the same cause; `reason` is empty where it is encrypted with the events' texts."""

    workflow: str
    state: str
    reason: str
    count: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Groups:
    """The groups, the largest first. `looked_at` of CAPPED or more: there may be older failures, too."""

    groups: tuple[Group, ...]
    looked_at: int


@dataclass(frozen=True, slots=True)
class Place:
    """After which failure a page begins: they are in the order of time and id, the newest first."""

    decided_at: datetime
    event_id: UUID


@dataclass(frozen=True, slots=True)
class Page:
    """Failures of one group as rows, and where the next page begins; None at the end."""

    rows: tuple[Mapping[str, Any], ...]
    next: Place | None


@dataclass(frozen=True, slots=True)
class FailedCalls:
    """Calls of one model that failed alike."""

    failure: str
    model: str
    count: int
    last_at: datetime


def shape(reason: str | None) -> str:
    """A reason without its numbers, which is what a group is called."""
    return _NUMBER.sub(ANY_NUMBER, reason or "")


async def groups(database: Database, *, workflow: str | None = None) -> Groups:
    """Why events of one workflow, or of all, went to a dead topic."""
    r = t.result.c
    lately = (
        select(r.workflow, r.state, r.decided_at, r.reasons[0].as_string().label("reason"))
        .where(FAILED, newest(), _of(workflow))
        .order_by(r.decided_at.desc(), r.event_id.desc())
        .limit(CAPPED)
        .subquery()
    )
    f = lately.c
    query = select(
        f.workflow, f.state, f.reason, func.count(), func.min(f.decided_at), func.max(f.decided_at)
    ).group_by(f.workflow, f.state, f.reason)
    async with database.read() as connection:
        found = [Group(*row) for row in await connection.execute(query)]
    merged: dict[tuple[str, str, str], Group] = {}
    for one in found:
        key = (one.workflow, one.state, shape(one.reason))
        merged[key] = _merged(merged.get(key), one, key)
    ordered = sorted(merged.values(), key=lambda one: (one.count, one.last_at), reverse=True)
    return Groups(tuple(ordered), sum(one.count for one in found))


async def events(
    database: Database, *, workflow: str, state: str, reason: str, after: Place | None = None, limit: int = 50
) -> Page:
    """A page of the events of a group, the newest first."""
    e, r = t.event.c, t.result.c
    query = (
        select(t.result, e.source, e.source_id, e.topic, e.accepted_at, e.subject_hash)
        .join(t.event, e.event_id == r.event_id)
        .where(FAILED, newest(), _of(workflow), r.state == state)
        .order_by(r.decided_at.desc(), r.event_id.desc())
        .limit(_CHUNK)
    )
    rows: list[Any] = []
    async with database.read() as connection:
        for _ in range(CAPPED // _CHUNK):
            chunk = (await connection.execute(query.where(_after(after)))).mappings().all()
            # One more than a page holds tells whether there is a next one.
            rows += [row for row in chunk if shape(next(iter(row["reasons"]), None)) == reason]
            if len(rows) > limit or len(chunk) < _CHUNK:
                break
            after = _place(chunk[-1])
    return Page(tuple(listed(rows[:limit])), _place(rows[limit - 1]) if len(rows) > limit else None)


async def failed_calls(database: Database, *, within: timedelta) -> Sequence[FailedCalls]:
    """Calls of models that failed in the last while, whatever became of their events; the most first."""
    a = t.attempt.c
    async with database.read() as connection:
        now: datetime = (await connection.execute(select(NOW))).scalar_one()
        query = (
            select(a.failure, a.model_asked, func.count(), func.max(a.started_at))
            .where(a.started_at >= now - within, a.failure.is_not(None))
            .group_by(a.failure, a.model_asked)
            .order_by(func.count().desc(), a.failure, a.model_asked)
        )
        return [FailedCalls(*row) for row in await connection.execute(query)]


def _of(workflow: str | None) -> ColumnElement[bool]:
    return t.result.c.workflow == workflow if workflow else true()


def _after(place: Place | None) -> ColumnElement[bool]:
    if place is None:
        return true()
    r = t.result.c
    same = and_(r.decided_at == place.decided_at, r.event_id < place.event_id)
    # The first condition says nothing new, but is one that an index can begin with.
    return and_(r.decided_at <= place.decided_at, or_(r.decided_at < place.decided_at, same))


def _place(row: RowMapping) -> Place:
    return Place(row["decided_at"], row["event_id"])


def _merged(known: Group | None, more: Group, key: tuple[str, str, str]) -> Group:
    first, last, count = more.first_at, more.last_at, more.count
    if known is not None:
        first, last, count = min(first, known.first_at), max(last, known.last_at), count + known.count
    return Group(*key, count, first, last)
