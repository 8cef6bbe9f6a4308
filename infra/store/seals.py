"""Unsealed records in, the next seal out. One transaction per batch: a crash leaves no gap and no fork."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Select, delete, func, literal, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from infra import tables as t
from infra.database import Database
from infra.store.commit import audit_row
from infra.store.statements import NOW, insert
from pipeline import publish
from pipeline.copies import said
from pipeline.errors import Conflict
from pipeline.seal import Seal, Signer
from pipeline.seal import seal as make
from schemas.changeset import AuditRecord


async def seal(database: Database, signer: Signer, *, limit: int) -> Seal | None:
    """Seal up to `limit` committed records; None when there are none.

    What commits later is taken by a later batch, whatever its number in the queue: records are found
    by absence of a place, never by a cursor. Raises Conflict when another sealer was faster.
    """
    try:
        async with database.write() as connection:
            before = await newest(connection)
            now = (await connection.execute(select(NOW))).scalar_one()
            leaves = await _numbered(connection, before, limit)
            if not leaves:
                return None
            made = make(before, leaves, sealed_at=now, signer=signer)
            await _write(connection, database, made)
            return made
    except IntegrityError as error:
        raise Conflict("another process seals this audit log; only one may") from error


async def newest(connection: AsyncConnection) -> Seal | None:
    """The last seal."""
    query = select(t.audit_seal).order_by(t.audit_seal.c.batch.desc()).limit(1)
    row = (await connection.execute(query)).mappings().first()
    return None if row is None else as_seal(row)


async def of_size(connection: AsyncConnection, size: int) -> Seal | None:
    """The seal that closed a log of so many records."""
    row = (
        (await connection.execute(select(t.audit_seal).where(t.audit_seal.c.size == size))).mappings().first()
    )
    return None if row is None else as_seal(row)


async def last(database: Database) -> Seal | None:
    """The last seal, in a transaction of its own."""
    async with database.read() as connection:
        return await newest(connection)


async def unsealed(database: Database, *, at_most: int) -> int:
    """How many records wait for their seal."""
    some = select(t.audit_unsealed.c.seq).limit(at_most).subquery()
    async with database.read() as connection:
        return int((await connection.execute(select(func.count()).select_from(some))).scalar_one())


async def lag_seconds(connection: AsyncConnection) -> float:
    """How long the record has waited that is first in the queue; 0 when none waits."""
    first = select(t.audit_unsealed.c.record_id).order_by(t.audit_unsealed.c.seq).limit(1).scalar_subquery()
    query = select(NOW, t.audit_record.c.occurred_at).where(t.audit_record.c.id == first)
    row = (await connection.execute(query)).first()
    # A record's time is its process's, which may be ahead of the database's.
    return 0.0 if row is None else max(0.0, (row[0] - row[1]).total_seconds())


def as_seal(row: Mapping[Any, Any]) -> Seal:
    return Seal(**row)


async def notes_after(database: Database, batch: int, *, limit: int) -> Sequence[tuple[int, str]]:
    """Batch and signed checkpoint of the seals after `batch`, in order."""
    query = (
        select(t.audit_seal.c.batch, t.audit_seal.c.note)
        .where(t.audit_seal.c.batch > batch)
        .order_by(t.audit_seal.c.batch)
        .limit(limit)
    )
    async with database.read() as connection:
        return [(row.batch, row.note) for row in await connection.execute(query)]


async def _numbered(connection: AsyncConnection, last: Seal | None, limit: int) -> list[bytes]:
    """Give the oldest unsealed records their places; returns their leaf hashes in order."""
    first, batch = (last.size, last.batch + 1) if last else (0, 1)
    statement = t.audit_leaf.insert().from_select(
        ["sequence", "record_id", "leaf", "batch"], _waiting(first=first, batch=batch, limit=limit)
    )
    placed = await connection.execute(statement.returning(t.audit_leaf.c.sequence, t.audit_leaf.c.leaf))
    return [row.leaf for row in sorted(placed.all())]


def _waiting(*, first: int, batch: int, limit: int) -> Select[Any]:
    queue = select(t.audit_unsealed).order_by(t.audit_unsealed.c.seq).limit(limit).subquery()
    place = func.row_number().over(order_by=queue.c.seq)
    columns = (place + (first - 1), queue.c.record_id, t.audit_record.c.leaf, literal(batch))
    return select(*columns).join(t.audit_record, t.audit_record.c.id == queue.c.record_id)


async def introduce(database: Database, record: AuditRecord) -> bool:
    """Write the record of what was done with a key, unless there is one of the same already.

    A key that was rotated in is on record a second time when it is used: so there is always something for it
    to seal, and the newest seal is never one that the old key made while it was replaced.
    """
    query = select(t.audit_record.c.canonical).where(t.audit_record.c.kind == record.kind)
    async with database.write() as connection:
        for canonical in await connection.scalars(query):
            if _use(canonical, record.kind) == _use(record.canonical, record.kind):
                return False
        await connection.execute(insert(database, t.audit_record), audit_row(record))
    return True


def _use(canonical: bytes, kind: str) -> tuple[Any, Any]:
    told = said(canonical, kind)
    return told.get("key"), told.get("action")


async def _write(connection: AsyncConnection, database: Database, made: Seal) -> None:
    batch = select(t.audit_leaf.c.record_id).where(t.audit_leaf.c.sequence >= made.first)
    await connection.execute(delete(t.audit_unsealed).where(t.audit_unsealed.c.record_id.in_(batch)))
    row = {column.name: getattr(made, column.name) for column in t.audit_seal.columns}
    await connection.execute(insert(database, t.audit_seal), row)
    message = publish.checkpoint_message(made)
    await connection.execute(
        insert(database, t.outbox).values(created_at=NOW),
        {
            "id": message.id,
            "topic": message.topic,
            "key": message.key,
            "value": message.value,
            "headers": dict(message.headers),
        },
    )
