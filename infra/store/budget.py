"""The spend ledger: reservations in before calls, charges in after them; one row per scope and window.

Rows are locked in the order of (scope, window), after those of `work`: writers that cross never wait for
each other in a ring.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import BigInteger, Boolean, bindparam, case, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from infra import tables as t
from infra.database import Database
from infra.store.statements import NOW, held, insert
from pipeline.claim import Claimed
from pipeline.spend import Caps, Draw, Need, Refusal, Reservation, Return, Room, fit, minute_scopes, scopes_of
from schemas.extraction import NO_CHARGE, Charge

_MINUTE: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Settlement:
    """What a claim had reserved, when and where, and what came of it."""

    scopes: tuple[str, ...]
    reserved: int
    reserved_at: datetime | None
    charge: Charge

    @property
    def changes(self) -> list["_Change"]:
        if self.reserved_at is None or not (self.reserved or self.charge.micros):
            return []
        window = day(self.reserved_at)
        return [_Change(scope, window, self.reserved, self.charge) for scope in self.scopes]


@dataclass(frozen=True, slots=True)
class _Change:
    scope: str
    window: str
    reserved: int
    charge: Charge


def day(moment: datetime) -> str:
    """The window of a moment: its UTC day. A charge settles in the window that reserved it."""
    return moment.date().isoformat()


def minute(moment: datetime) -> str:
    """The window of an endpoint's limits."""
    return moment.isoformat(timespec="minutes")


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
        need = dict.fromkeys(scopes, reservation.micros)
        (refusal,) = await take(connection, database, [need], limits=caps.limits(scopes), window=day(row.now))
        kept = (0, None) if refusal else (reservation.micros, row.now)
        values = {"step": reservation.step, "reserved": kept[0], "reserved_at": kept[1]}
        await connection.execute(update(t.work).where(t.work.c.seq == row.seq).values(**values))
    if refusal is None:
        return Room.GRANTED
    return Room.FULL if refusal.is_spent else Room.BUSY


async def draw(database: Database, draws: Sequence[Draw], returns: Sequence[Return]) -> list[str | None]:
    """Requests and tokens out of the endpoints' minutes; None where one has no room."""
    limits: dict[str, int | None] = {}
    for one in draws:
        requests, tokens = minute_scopes(one.endpoint)
        limits |= {requests: one.limits.requests, tokens: one.limits.tokens}
    async with database.write() as connection:
        now = (await connection.execute(select(NOW))).scalar_one()
        this = minute(now)
        back = [
            _Change(minute_scopes(one.endpoint)[1], one.minute, one.drawn, Charge(one.used))
            for one in returns
            if one.minute == this  # what is past limits nobody
        ]
        await _change(connection, back)
        needs = [one.need for one in draws]
        full = await take(connection, database, needs, limits=limits, window=this)
        await _forget(connection, limits, before=minute(now - _MINUTE))
    return [None if refusal else this for refusal in full]


async def _forget(connection: AsyncConnection, scopes: Iterable[str], *, before: str) -> None:
    """Delete what is past. Last, when the rows of this minute are locked, so that no two do it at once.

    The minute before stays: another process may have read the clock just before it ended, and would find
    a fresh one.
    """
    w = t.budget_window.c
    await connection.execute(delete(t.budget_window).where(w.scope.in_(list(scopes)), w.window < before))


async def take(
    connection: AsyncConnection,
    database: Database,
    needs: Sequence[Need],
    *,
    limits: Mapping[str, int | None],
    window: str,
) -> list[Refusal | None]:
    """Reserve for each need that finds room, in order; None for it."""
    scopes = sorted({scope for need in needs for scope, amount in need.items() if amount})
    if not scopes:
        return [None] * len(needs)
    rows = await _locked(connection, database, scopes, window=window)
    unspent = {scope: limit - rows[scope].settled for scope in scopes if (limit := limits[scope]) is not None}
    full = fit(needs, {scope: left - rows[scope].reserved for scope, left in unspent.items()})
    refusals = [
        None if scope is None else Refusal(scope, is_spent=need[scope] > unspent[scope])
        for need, scope in zip(needs, full, strict=True)
    ]
    spent = {refusal.scope for refusal in refusals if refusal and refusal.is_spent}
    reserved: dict[str, int] = defaultdict(int)
    for need, blocking in zip(needs, full, strict=True):
        for scope, amount in need.items():
            reserved[scope] += 0 if blocking else amount
    changed = [
        {"the_scope": scope, "the_window": window, "the_limit": limits[scope]}
        | {"more": reserved[scope], "refused": scope in spent}
        for scope in scopes
    ]
    await connection.execute(_RESERVE, changed)
    return refusals


async def settle(connection: AsyncConnection, settlements: Iterable[Settlement]) -> None:
    """Put charges in the place of reservations."""
    await _change(connection, [change for one in settlements for change in one.changes])


async def _change(connection: AsyncConnection, changes: Sequence[_Change]) -> None:
    sums: dict[tuple[str, str], tuple[int, Charge]] = {}
    for one in changes:
        reserved, charge = sums.get((one.scope, one.window), (0, NO_CHARGE))
        sums[one.scope, one.window] = (reserved + one.reserved, charge + one.charge)
    rows = [
        {"the_scope": scope, "the_window": window, "less": reserved}
        | {"micros": charge.micros, "doubtful": charge.unknown}
        for (scope, window), (reserved, charge) in sorted(sums.items())
    ]
    if rows:
        await connection.execute(_SETTLE, rows)


async def _locked(
    connection: AsyncConnection, database: Database, scopes: Sequence[str], *, window: str
) -> dict[str, Any]:
    """The rows by scope; they are made where they do not exist, and locked."""
    w = t.budget_window
    query = (
        select(w.c.scope, w.c.reserved, w.c.settled)
        .where(w.c.scope.in_(scopes), w.c.window == window)
        .order_by(w.c.scope)
        .with_for_update()
    )
    found = {row.scope: row for row in await connection.execute(query)}
    missing: list[dict[str, Any]] = [
        {"scope": scope, "window": window, "reserved": 0, "settled": 0, "unknown": 0}
        for scope in scopes
        if scope not in found
    ]
    if not missing:
        return found
    await connection.execute(insert(database, w).on_conflict_do_nothing(), missing)
    return {row.scope: row for row in await connection.execute(query)}


def _update() -> Any:
    w = t.budget_window
    return update(w).where(w.c.scope == bindparam("the_scope"), w.c.window == bindparam("the_window"))


_RESERVE = _update().values(
    limit=bindparam("the_limit", type_=BigInteger),
    reserved=t.budget_window.c.reserved + bindparam("more"),
    refused_at=case(
        (bindparam("refused", type_=Boolean), NOW),
        # A cap that was raised is not the one that refused.
        (t.budget_window.c.limit.is_distinct_from(bindparam("the_limit", type_=BigInteger)), None),
        else_=t.budget_window.c.refused_at,
    ),
)
_SETTLE = _update().values(
    reserved=t.budget_window.c.reserved - bindparam("less"),
    settled=t.budget_window.c.settled + bindparam("micros"),
    unknown=t.budget_window.c.unknown + bindparam("doubtful"),
)
