"""Sealed batches that are older than the audit trail is kept, out: whole ones, from the oldest on.

What they held is gone; the last seal that goes stays as the anchor from which the rest is verified, and a
record in the rest says so. A batch stays, and with it all behind it, while a result that it decided is
kept or a hold names one of its events.
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import delete, func, or_, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from infra import tables as t
from infra.columns import later
from infra.database import Database, whole
from infra.store.commit import audit_row
from infra.store.holds import freeze, is_held
from infra.store.statements import insert
from pipeline.copies import said
from pipeline.errors import Conflict
from pipeline.retention import TRIMMED
from schemas.changeset import AuditRecord

#: Seals that go in one transaction.
_BATCHES: Final = 10
_TABLES: Final = ("audit_record", "audit_leaf", "audit_seal")

place, seal = t.audit_leaf.c, t.audit_seal.c


@dataclass(frozen=True, slots=True)
class Cut:
    """Where the log begins from now on: behind seal `batch`, whose first place is `first`; `records` go."""

    batch: int
    first: int
    size: int
    root: bytes
    records: int


@dataclass(frozen=True, slots=True)
class Anchor:
    """The seal behind which the log begins, as the record of the pruning says; older ones name no `first`."""

    batch: int
    first: int | None
    record: str


Scribed = Callable[[Cut], AuditRecord]


async def trim(database: Database, age: timedelta, record: Scribed) -> Counter[str]:
    """Remove what is due, by table. Raises Conflict where the connection does not own the tables."""
    total: Counter[str] = Counter()
    while removed := await whole(_step(database, age, record)):
        total += removed
    return total


async def _step(database: Database, age: timedelta, record: Scribed) -> Counter[str]:
    async with database.write() as connection:
        await freeze(connection)
        cut = await _cut(connection, age)
        if cut is None:
            return Counter()
        async with _unguarded(connection, database.dialect):
            removed = await _remove(connection, cut)
        await connection.execute(insert(database, t.audit_record), audit_row(record(cut)))
    return removed


async def _cut(connection: AsyncConnection, age: timedelta) -> Cut | None:
    oldest = (await connection.execute(select(func.min(place.sequence)))).scalar()
    if oldest is None:
        return None
    old = select(t.audit_seal).where(seal.size > oldest, seal.sealed_at < later(-age.total_seconds()))
    seals: Sequence[Any] = (await connection.execute(old.order_by(seal.batch).limit(_BATCHES))).all()
    blocked = await _blocked(connection, [row.batch for row in seals])
    free = [row for row in seals if blocked is None or row.batch < blocked]
    if not free:
        return None
    last = free[-1]
    return Cut(last.batch, last.first, last.size, last.root, last.size - oldest)


async def _blocked(connection: AsyncConnection, batches: Sequence[int]) -> int | None:
    """The first of these batches that must stay."""
    joined = t.audit_leaf.join(t.audit_record, t.audit_record.c.id == place.record_id)
    joined = joined.join(t.event, t.event.c.event_id == t.audit_record.c.event_id)
    kept = or_(t.event.c.pruning_id.is_(None), is_held())
    query = select(func.min(place.batch)).select_from(joined).where(place.batch.in_(batches), kept)
    found: int | None = (await connection.execute(query)).scalar()
    return found


async def _remove(connection: AsyncConnection, cut: Cut) -> Counter[str]:
    """With a record that says which results were pruned go the identities that it answers for."""
    records = select(place.record_id).where(place.sequence < cut.size)
    due = (
        (t.event, t.event.c.pruning_id.in_(records)),
        (t.audit_record, t.audit_record.c.id.in_(records)),
        (t.audit_leaf, place.sequence < cut.size),
        (t.audit_seal, seal.batch < cut.batch),
    )
    removed: Counter[str] = Counter()
    for table, condition in due:
        removed[table.name] += (await connection.execute(delete(table).where(condition))).rowcount
    return removed


@asynccontextmanager
async def _unguarded(connection: AsyncConnection, dialect: str) -> AsyncIterator[None]:
    """Without the triggers that keep the log from being cut; others still meet them."""
    switch = _postgresql if dialect == "postgresql" else _sqlite
    async with switch(connection):
        yield


@asynccontextmanager
async def _postgresql(connection: AsyncConnection) -> AsyncIterator[None]:
    async def every(what: str) -> None:
        for table in _TABLES:
            await connection.execute(text(f"ALTER TABLE {table} {what} TRIGGER {table}_kept"))

    try:
        await every("DISABLE")
    except DBAPIError as error:
        cure = "run `penstock prune` as the role that ran `penstock db upgrade`"
        raise Conflict(f"the audit trail is pruned by the owner of its tables alone; {cure}") from error
    yield
    await every("ENABLE")


@asynccontextmanager
async def _sqlite(connection: AsyncConnection) -> AsyncIterator[None]:
    named = ", ".join(f"'{table}_deleted'" for table in _TABLES)
    query = text(f"SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND name IN ({named})")
    triggers = (await connection.execute(query)).all()
    for trigger in triggers:
        await connection.exec_driver_sql(f"DROP TRIGGER {trigger.name}")
    yield
    for trigger in triggers:
        await connection.exec_driver_sql(trigger.sql)


async def anchor(connection: AsyncConnection) -> Anchor | None:
    """Where the log begins; None where nothing was cut off."""
    record = t.audit_record.c
    query = select(record.canonical).where(record.kind == TRIMMED)
    told = [said(canonical, TRIMMED) for canonical in await connection.scalars(query)]
    found = [
        Anchor(one["batch"], one.get("first"), str(one.get("id")))
        for one in told
        if isinstance(one.get("batch"), int)
    ]
    return max(found, key=lambda one: one.batch, default=None)
