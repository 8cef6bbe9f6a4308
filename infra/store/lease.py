"""Leases: prolonged while an event is worked on, ended when it is given back. The database's clock counts."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Float, bindparam, select, update

from infra import tables as t
from infra.columns import later
from infra.database import Database
from infra.store import budget
from infra.store.budget import Settlement
from infra.store.statements import held
from pipeline.claim import Claimed, Release
from pipeline.spend import scopes_of


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
    """Give events back; an orderly end, so their crashes are forgotten and their calls are settled."""
    if not releases:
        return
    by_claim = {(release.claimed.event.event_id, release.claimed.token): release for release in releases}
    locked = held(sorted(by_claim))
    query = select(t.work).where(t.work.c.seq.in_(select(locked.c.seq)))
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
            step=bindparam("number"),
            reserved=0,
            reserved_at=None,
        )
    )
    rows = [
        {
            "event": release.claimed.event.event_id,
            "held": release.claimed.token,
            "fault": int(release.fault),
            "delay": release.delay.total_seconds(),
            "reason": release.reason,
            "number": release.step,
        }
        for release in by_claim.values()
    ]
    async with database.write() as connection:
        ours = (await connection.execute(query)).all()  # locks them, in order
        await connection.execute(statement, rows)
        settlements = [_settlement(row, by_claim[row.event_id, row.token]) for row in ours]
        await budget.settle(connection, settlements)


def _settlement(row: Any, release: Release) -> Settlement:
    event = release.claimed.event
    scopes = scopes_of(event.workflow, event.identity.source)
    return Settlement(scopes, row.reserved, row.reserved_at, release.charge)


async def forget(database: Database) -> None:
    """End all leases, for a process that is known to be the only one: the last one was killed.

    The crashes stay counted, and what was reserved is settled by the next claim.
    """
    leased = t.work.c.lease_until.is_not(None)
    async with database.write() as connection:
        await connection.execute(update(t.work).where(leased).values(lease_until=None))
