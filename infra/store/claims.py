"""Claims: due work out with a lease, a token and a reservation. The database's clock counts."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import BigInteger, cast, exists, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from infra import tables as t
from infra.columns import later
from infra.database import Database
from infra.store import budget
from infra.store.budget import Settlement
from infra.store.due import is_due
from infra.store.events import read_events
from infra.store.journal import read_attempts, write_attempts
from infra.store.statements import NOW
from pipeline.claim import Claimed
from pipeline.errors import BudgetExhausted, CallLost
from pipeline.retry import BUDGET_DELAY, BUSY_DELAY
from pipeline.spend import Caps, Rate, charge_of, scopes_of
from schemas.event import Received, derived_id
from schemas.extraction import Attempt, Request

_Events = Mapping[UUID, tuple[Received, datetime]]

#: How often one claim looks again for events of other sources.
_ROUNDS: Final = 10


@dataclass(frozen=True, slots=True)
class _Terms:
    lane: str
    ordered: bool
    suspects: bool
    lease_seconds: float
    caps: Caps
    rate: Rate
    shard: int


async def claim(
    database: Database,
    lane: str,
    *,
    limit: int,
    ordered: bool,
    suspects: bool,
    lease_seconds: float,
    caps: Caps,
    rate: Rate,
    shard: int,
) -> list[Claimed]:
    """Up to `limit` due events of `lane`, oldest first; counts a crash that an orderly end takes back.

    For each the worst case of its first call is reserved. Those that find no room are put off in the same
    transaction; where it is their source's budget that is spent, others are looked for.
    """
    terms = _Terms(lane, ordered, suspects, lease_seconds, caps, rate, shard)
    taken: list[Claimed] = []
    spent: set[str] = set()
    async with database.write() as connection:
        for _ in range(_ROUNDS):
            rows = await _due(connection, terms, limit=limit - len(taken), spent=spent)
            if not rows:
                break
            found, full = await _claimed(connection, database, rows, terms, now=rows[0].now)
            taken += found
            sources = {scope.removeprefix("source:") for scope in full if scope.startswith("source:")}
            if len(taken) == limit or not full or len(sources) < len(full):
                break
            spent |= sources
    return taken


async def _due(
    connection: AsyncConnection, terms: _Terms, *, limit: int, spent: Collection[str]
) -> Sequence[Any]:
    """Due rows, locked, in the order of their turn, but those of the `spent` sources."""
    query = select(t.work, NOW.label("now")).where(
        t.work.c.lane == terms.lane, is_due(suspects=terms.suspects)
    )
    if spent:
        theirs = exists().where(t.event.c.event_id == t.work.c.event_id, t.event.c.source.in_(spent))
        query = query.where(~theirs)
    if terms.ordered:
        earlier = t.work.alias()
        query = query.where(
            ~exists().where(
                earlier.c.lane == t.work.c.lane, earlier.c.key == t.work.c.key, earlier.c.seq < t.work.c.seq
            )
        )
    # SQLAlchemy drops SKIP LOCKED on SQLite without a word: there BEGIN IMMEDIATE does the same.
    query = query.order_by(t.work.c.priority, t.work.c.due_at, t.work.c.seq).limit(limit)
    return (await connection.execute(query.with_for_update(skip_locked=True, of=t.work))).all()


async def _claimed(
    connection: AsyncConnection, database: Database, rows: Sequence[Any], terms: _Terms, *, now: datetime
) -> tuple[list[Claimed], set[str]]:
    """Lease those of the rows that find room, and put the others off; returns the scopes without room too."""
    events = await read_events(connection, [row.event_id for row in rows])
    # `stats` names work without its event; leased like the others, it does not stop its lane.
    lost = [row for row in rows if row.event_id not in events]
    rows = [row for row in rows if row.event_id in events]
    attempts = await _attempts(connection, database, rows, events, shard=terms.shard)
    reserved = {row.event_id: _reserved(row, events, attempts, terms) for row in rows}
    needs = [dict.fromkeys(_scopes(row, events), reserved[row.event_id] or 0) for row in rows]
    limits = terms.caps.limits(scope for need in needs for scope in need)
    full = await budget.take(connection, database, needs, limits=limits, window=budget.day(now))
    await _put_off(connection, [row.seq for row, no in zip(rows, full, strict=True) if no and no.is_spent])
    busy = [row.seq for row, no in zip(rows, full, strict=True) if no and not no.is_spent]
    await _put_off(connection, busy, delay=BUSY_DELAY)
    kept = [row for row, no in zip(rows, full, strict=True) if no is None]
    token = uuid4()
    await _lease(connection, [*kept, *lost], reserved, token, terms, now=now)
    claims = [
        Claimed(
            event=events[row.event_id][0],
            token=token,
            revision=row.revision + 1,
            accepted_at=events[row.event_id][1],
            crashes=row.crashes + 1,
            faults=row.faults,
            attempts=attempts.get(row.event_id, ()),
            reserved=reserved[row.event_id],
        )
        for row in kept
    ]
    return claims, {refusal.scope for refusal in full if refusal}


def _scopes(row: Any, events: _Events) -> tuple[str, ...]:
    return scopes_of(row.lane, events[row.event_id][0].identity.source)


def _reserved(
    row: Any, events: _Events, attempts: Mapping[UUID, tuple[Attempt, ...]], terms: _Terms
) -> int | None:
    """What to reserve for the first call; None where the call must be priced before anything is.

    Only the ladder knows the next call of an event that has attempts, and only a person can decide on one
    that no cap allows.
    """
    micros = terms.rate.of(row.size)
    if attempts.get(row.event_id) or not terms.caps.allow(_scopes(row, events), micros):
        return None
    return micros


async def _attempts(
    connection: AsyncConnection, database: Database, rows: Sequence[Any], events: _Events, *, shard: int
) -> dict[UUID, tuple[Attempt, ...]]:
    """The journal of the events that were claimed before; what a crash left open is settled."""
    seen = {row.event_id: row.revision + 1 for row in rows if row.crashes or row.faults or row.waits_for}
    attempts = await read_attempts(connection, seen)
    lost: list[tuple[Attempt, Received]] = []
    left: list[Settlement] = []
    for row in rows:
        if row.crashes and row.reserved_at is not None:
            made = attempts.get(row.event_id, ())
            paid = [attempt for attempt in made if attempt.step >= row.step]
            if not paid:
                paid = [_lost(row)]
                made = (*made, *paid)
                lost.append((paid[0], events[row.event_id][0]))
            left.append(Settlement(_scopes(row, events), row.reserved, row.reserved_at, charge_of(paid)))
            closed = update(t.work).where(t.work.c.seq == row.seq)
            await connection.execute(closed.values(step=len(made)))
            attempts[row.event_id] = made
    if lost:
        await write_attempts(connection, database, lost, shard=shard)
    await budget.settle(connection, left)
    return attempts


def _lost(row: Any) -> Attempt:
    """The call that a crash may have cut off: nobody can tell whether it was made, so it was.

    No version's ladder counts it.
    """
    return Attempt(
        id=derived_id(row.event_id, row.revision + 1, f"lost/{row.token}", row.step),
        event_id=row.event_id,
        revision=row.revision + 1,
        step=row.step,
        version="",
        alias="",
        endpoint="",
        model_asked="",
        request=Request(b"", ()),
        request_sha256=b"",
        started_at=row.reserved_at,
        latency_ms=0,
        failure=CallLost.reason,
        cost_micros=row.reserved or None,
        is_unknown=True,
    )


async def _lease(
    connection: AsyncConnection,
    rows: Sequence[Any],
    reserved: Mapping[UUID, int | None],
    token: UUID,
    terms: _Terms,
    *,
    now: datetime,
) -> None:
    """`now` is the moment whose window was reserved from: at midnight it is not the next statement's."""
    estimate = terms.rate.base_micros + (
        (cast(t.work.c.size, BigInteger) * terms.rate.micros_per_kib + 1023) // 1024
    )
    priced = [row.seq for row in rows if reserved.get(row.event_id) is not None]
    others = [row.seq for row in rows if reserved.get(row.event_id) is None]
    leased = update(t.work).values(
        token=token, lease_until=later(terms.lease_seconds), crashes=t.work.c.crashes + 1
    )
    if priced:
        statement = leased.values(reserved=estimate, reserved_at=now).where(t.work.c.seq.in_(priced))
        await connection.execute(statement)
    if others:
        statement = leased.values(reserved=0, reserved_at=None).where(t.work.c.seq.in_(others))
        await connection.execute(statement)


async def _put_off(
    connection: AsyncConnection, seqs: Sequence[int], *, delay: timedelta = BUDGET_DELAY
) -> None:
    if seqs:
        waiting = update(t.work).where(t.work.c.seq.in_(seqs))
        due_at = later(delay.total_seconds())
        await connection.execute(waiting.values(due_at=due_at, waits_for=BudgetExhausted.reason))
