"""Claims: due work out with a lease and a token, renewed, given back. The database's clock counts."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Float, and_, bindparam, exists, func, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from infra import tables as t
from infra.columns import later
from infra.database import Database
from infra.store.journal import read_attempts
from infra.store.statements import NOW, held
from pipeline.claim import Claimed, Release
from pipeline.retry import SUSPECT_CRASHES
from schemas.event import Identity, Origin, Received


def is_due(*, suspects: bool) -> Any:
    """Work rows that may be claimed: due, not leased, in no paused lane.

    `suspects` picks the rows that crashed their process repeatedly, else the others.
    """
    crashed = t.work.c.crashes >= SUSPECT_CRASHES
    return and_(
        t.work.c.due_at <= NOW,
        or_(t.work.c.lease_until.is_(None), t.work.c.lease_until < NOW),
        crashed if suspects else ~crashed,
        ~_is_paused(),
    )


def _is_paused() -> Any:
    return exists().where(t.lane.c.name == t.work.c.lane, t.lane.c.paused_at.is_not(None))


async def claim(
    database: Database, lane: str, *, limit: int, ordered: bool, suspects: bool, lease_seconds: float
) -> list[Claimed]:
    """Up to `limit` due events of `lane`, oldest first; counts a crash that the commit takes back."""
    picked = select(t.work.c.seq).where(t.work.c.lane == lane, is_due(suspects=suspects))
    if ordered:
        earlier = t.work.alias()
        picked = picked.where(
            ~exists().where(
                earlier.c.lane == t.work.c.lane, earlier.c.key == t.work.c.key, earlier.c.seq < t.work.c.seq
            )
        )
    # A CTE, because PostgreSQL may run a subquery with SKIP LOCKED more than once and pass the limit.
    # SQLAlchemy drops SKIP LOCKED on SQLite without a word: there BEGIN IMMEDIATE does the same.
    cte = (
        picked.order_by(t.work.c.priority, t.work.c.due_at, t.work.c.seq)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("picked")
    )
    statement = (
        update(t.work)
        .where(t.work.c.seq.in_(select(cte.c.seq)))
        .values(token=uuid4(), lease_until=later(lease_seconds), crashes=t.work.c.crashes + 1)
        .returning(t.work)
    )
    async with database.write() as connection:
        rows = (await connection.execute(statement)).all()
        first_due = sorted(rows, key=lambda row: (row.priority, row.due_at, row.seq))
        return await _claimed(connection, first_due) if rows else []


async def _claimed(connection: AsyncConnection, rows: Sequence[Any]) -> list[Claimed]:
    events = await read_events(connection, [row.event_id for row in rows])
    seen = {row.event_id: row.revision + 1 for row in rows if row.crashes > 1 or row.faults or row.waits_for}
    attempts = await read_attempts(connection, seen)
    return [
        Claimed(
            event=events[row.event_id][0],
            token=row.token,
            revision=row.revision + 1,
            accepted_at=events[row.event_id][1],
            crashes=row.crashes,
            faults=row.faults,
            attempts=attempts.get(row.event_id, ()),
        )
        for row in rows
        if row.event_id in events  # `stats` names work without its event; it must not stop its lane
    ]


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


async def renew(database: Database, claims: Sequence[Claimed], *, lease_seconds: float) -> set[UUID]:
    """Prolong the leases in one statement; returns the events that are still ours."""
    if not claims:
        return set()
    pairs = sorted((claimed.event.event_id, claimed.token) for claimed in claims)
    locked = held(pairs)
    statement = (
        update(t.work).where(t.work.c.seq.in_(select(locked.c.seq))).values(lease_until=later(lease_seconds))
    )
    async with database.write() as connection:
        kept = await connection.scalars(statement.returning(t.work.c.event_id))
        return set(kept.all())


async def release(database: Database, releases: Sequence[Release]) -> None:
    """Give events back; an orderly end, so their crashes are forgotten."""
    if not releases:
        return
    statement = (
        update(t.work)
        .where(t.work.c.event_id == bindparam("event"), t.work.c.token == bindparam("held"))
        .values(
            token=None,
            lease_until=None,
            crashes=0,
            faults=t.work.c.faults + bindparam("fault"),
            due_at=later(bindparam("delay", type_=Float)),
            waits_for=bindparam("reason"),
        )
    )
    rows = [
        {
            "event": release.claimed.event.event_id,
            "held": release.claimed.token,
            "fault": int(release.fault),
            "delay": release.delay.total_seconds(),
            "reason": release.reason,
        }
        for release in sorted(releases, key=lambda release: release.claimed.event.event_id)
    ]
    async with database.write() as connection:
        await connection.execute(statement, rows)


async def forget(database: Database) -> None:
    """End all leases, for a process that is known to be the only one: the last one was killed.

    The crashes stay counted.
    """
    held = t.work.c.lease_until.is_not(None)
    async with database.write() as connection:
        await connection.execute(update(t.work).where(held).values(lease_until=None, token=None))


async def due_lanes(database: Database, lanes: Sequence[str], *, suspects: bool) -> list[str]:
    """Those of `lanes` that have an event to claim; stops looking at the first one of each."""
    if not lanes:
        return []
    checks = [
        exists().where(t.work.c.lane == lane, is_due(suspects=suspects)).label(f"lane_{index}")
        for index, lane in enumerate(lanes)
    ]
    async with database.read() as connection:
        row = (await connection.execute(select(*checks))).one()
    return [lane for lane, due in zip(lanes, row, strict=True) if due]


async def depth(database: Database, *, at_most: int) -> int:
    """How many events are due, counted up to `at_most`; those of paused lanes hold nobody up."""
    some = select(literal(1)).where(t.work.c.due_at <= NOW, ~_is_paused()).limit(at_most).subquery()
    async with database.read() as connection:
        return int((await connection.execute(select(func.count()).select_from(some))).scalar_one())
