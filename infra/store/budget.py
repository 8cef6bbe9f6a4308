"""The spend ledger: reservations in before calls, charges in after them; one row per scope and window.

Rows are locked in the order of (scope, window), after those of `work`: writers that cross never wait for
each other in a ring.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, bindparam, case, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from infra import tables as t
from infra.database import Database
from infra.store.statements import NOW, held, insert
from pipeline.claim import Claimed
from pipeline.spend import Caps, Reservation, Room, fit, scopes_of
from schemas.extraction import NO_CHARGE, Charge


@dataclass(frozen=True, slots=True)
class Settlement:
    """What a claim had reserved, when and where, and what came of it."""

    scopes: tuple[str, ...]
    reserved: int
    reserved_at: datetime | None
    charge: Charge


def day(moment: datetime) -> str:
    """The window of a moment: its UTC day. A charge settles in the window that reserved it."""
    return moment.date().isoformat()


async def reserve(database: Database, claimed: Claimed, reservation: Reservation, *, caps: Caps) -> Room:
    """Settle what the claim reserved before, and reserve for its next call. May be called twice."""
    event = claimed.event
    scopes = scopes_of(event.workflow, event.identity.source)
    if not caps.allow(scopes, reservation.micros, spent=reservation.spent):
        return Room.NEVER
    async with database.write() as connection:
        locked = held([(event.event_id, claimed.token)])
        query = select(t.work, NOW.label("now")).where(t.work.c.seq.in_(select(locked.c.seq)))
        row = (await connection.execute(query)).first()
        if row is None:
            return Room.LOST
        if (row.step, row.reserved) == (reservation.step, reservation.micros) and row.reserved_at:
            return Room.GRANTED
        charge = reservation.charge if row.step < reservation.step else NO_CHARGE
        await settle(connection, [Settlement(scopes, row.reserved, row.reserved_at, charge)])
        (full,) = await take(connection, database, [(scopes, reservation.micros)], caps=caps, now=row.now)
        kept = (0, None) if full else (reservation.micros, row.now)
        values = {"step": reservation.step, "reserved": kept[0], "reserved_at": kept[1]}
        await connection.execute(update(t.work).where(t.work.c.seq == row.seq).values(**values))
        return Room.FULL if full else Room.GRANTED


async def take(
    connection: AsyncConnection,
    database: Database,
    needs: Sequence[tuple[tuple[str, ...], int]],
    *,
    caps: Caps,
    now: datetime,
) -> list[str | None]:
    """Reserve for each (scopes, micros) that finds room, in order; None for it, else a scope without room."""
    scopes = sorted({scope for wanted, micros in needs if micros for scope in wanted})
    if not scopes:
        return [None] * len(needs)
    spent = await _locked(connection, database, scopes, window=day(now), caps=caps)
    limits = {scope: caps.of(scope) for scope in scopes}
    free = {scope: None if (cap := limits[scope]) is None else cap - spent[scope] for scope in scopes}
    full = fit([(wanted if micros else (), micros) for wanted, micros in needs], free)
    reserved: dict[str, int] = defaultdict(int)
    for (wanted, micros), blocking in zip(needs, full, strict=True):
        for scope in wanted if blocking is None and micros else ():
            reserved[scope] += micros
    changed = [
        {"the_scope": scope, "the_limit": limits[scope], "more": reserved[scope], "refused": scope in full}
        for scope in scopes
    ]
    await connection.execute(_RESERVE.where(t.budget_window.c.window == day(now)), changed)
    return full


async def settle(connection: AsyncConnection, settlements: Iterable[Settlement]) -> None:
    """Put charges in the place of reservations."""
    sums: dict[tuple[str, str], tuple[int, Charge]] = {}
    for one in settlements:
        if one.reserved_at is None or not (one.reserved or one.charge.micros):
            continue
        for scope in one.scopes:
            reserved, charge = sums.get((scope, day(one.reserved_at)), (0, NO_CHARGE))
            sums[scope, day(one.reserved_at)] = (reserved + one.reserved, charge + one.charge)
    if sums:
        rows = [
            {"the_scope": scope, "the_window": window, "less": reserved}
            | {"micros": charge.micros, "doubtful": charge.unknown}
            for (scope, window), (reserved, charge) in sorted(sums.items())
        ]
        await connection.execute(_SETTLE, rows)


async def _locked(
    connection: AsyncConnection, database: Database, scopes: Sequence[str], *, window: str, caps: Caps
) -> dict[str, int]:
    """What is spent or reserved, by scope; the rows are made where they do not exist, and locked."""
    w = t.budget_window
    query = (
        select(w.c.scope, (w.c.reserved + w.c.settled).label("spent"))
        .where(w.c.scope.in_(scopes), w.c.window == window)
        .order_by(w.c.scope)
        .with_for_update()
    )
    found = {row.scope: int(row.spent) for row in await connection.execute(query)}
    missing: list[dict[str, Any]] = [
        {"scope": scope, "window": window, "reserved": 0, "settled": 0, "unknown": 0}
        for scope in scopes
        if scope not in found
    ]
    if not missing:
        return found
    await connection.execute(insert(database, w).on_conflict_do_nothing(), missing)
    return {row.scope: int(row.spent) for row in await connection.execute(query)}


_RESERVE = (
    update(t.budget_window)
    .where(t.budget_window.c.scope == bindparam("the_scope"))
    .values(
        limit=bindparam("the_limit"),
        reserved=t.budget_window.c.reserved + bindparam("more"),
        refused_at=case((bindparam("refused", type_=Boolean), NOW), else_=t.budget_window.c.refused_at),
    )
)
_SETTLE = (
    update(t.budget_window)
    .where(
        t.budget_window.c.scope == bindparam("the_scope"), t.budget_window.c.window == bindparam("the_window")
    )
    .values(
        reserved=t.budget_window.c.reserved - bindparam("less"),
        settled=t.budget_window.c.settled + bindparam("micros"),
        unknown=t.budget_window.c.unknown + bindparam("doubtful"),
    )
)
