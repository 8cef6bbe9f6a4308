"""A record in, all that proves its place in the log out: for one record, or for many in a row."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from infra import tables as t
from infra.store import trimming
from infra.store.seals import as_seal, newest, of_size
from pipeline.errors import Conflict, NotFound
from pipeline.merkle import EMPTY, Frontier, Tree
from pipeline.seal import Seal

_PAGE: Final = 50_000


@dataclass(frozen=True, slots=True)
class Proof:
    """A record's bytes, its place, and the path from its leaf to the root that `seal` signs."""

    record_id: UUID
    canonical: bytes
    sequence: int
    path: tuple[bytes, ...]
    seal: Seal


@dataclass(frozen=True, slots=True)
class Prover:
    """The whole tree in memory, 64 bytes for each record: it proves any under `seal`, its newest or older."""

    connection: AsyncConnection
    tree: Tree
    seal: Seal

    async def prove(self, record: UUID | bytes) -> Proof:
        """The proof of the record with this id or leaf; raises NotFound, or Conflict before it is sealed."""
        column = t.audit_record.c.leaf if isinstance(record, bytes) else t.audit_record.c.id
        joined = t.audit_record.outerjoin(t.audit_leaf, t.audit_leaf.c.record_id == t.audit_record.c.id)
        columns = (t.audit_record.c.id, t.audit_record.c.canonical, t.audit_leaf.c.sequence)
        row = (
            await self.connection.execute(select(*columns).select_from(joined).where(column == record))
        ).first()
        if row is None:
            raise NotFound(f"no audit record {record.hex() if isinstance(record, bytes) else record}")
        if row.sequence is None or row.sequence >= self.seal.size:
            raise Conflict(_too_late(row.id, row.sequence, self.seal.size))
        path = tuple(self.tree.inclusion(row.sequence, self.seal.size))
        return Proof(row.id, row.canonical, row.sequence, path, self.seal)


async def prover(connection: AsyncConnection, size: int | None = None) -> Prover:
    """Read every leaf up to the newest seal, or to that of a log of `size` records; raises as `closing`."""
    seal, before = await closing(connection, size), await _before(connection)
    leaves = [leaf async for leaf in _leaves(connection, before.size, seal.size)]
    return Prover(connection, Tree(leaves, before), seal)


async def closing(connection: AsyncConnection, size: int | None = None) -> Seal:
    """The newest seal, or that of a log of `size` records.

    Raises NotFound when there is none, or when the records of such a log are kept no longer.
    """
    seal = await (newest(connection) if size is None else of_size(connection, size))
    if seal is None:
        raise NotFound("nothing is sealed yet" if size is None else f"no seal closes a log of {size} records")
    if seal.size <= (await _before(connection)).size and size is not None:
        raise NotFound(f"the records of a log of {size} are kept no longer, so nothing is proved under it")
    return seal


def _too_late(record_id: UUID, sequence: int | None, size: int) -> str:
    if sequence is None:
        return f"the audit record {record_id} is not sealed yet; ask again in a few seconds"
    return f"the audit record {record_id} was sealed at place {sequence}, after that log of {size}"


async def _before(connection: AsyncConnection) -> Frontier:
    """What is known of the leaves that were pruned: the frontier of the seal that was the last of them."""
    anchor = await trimming.anchor(connection)
    if anchor is None:
        return EMPTY
    query = select(t.audit_seal.c.size, t.audit_seal.c.frontier).where(t.audit_seal.c.batch == anchor.batch)
    row = (await connection.execute(query)).first()
    return EMPTY if row is None else Frontier.unpacked(row.size, row.frontier)


async def places(connection: AsyncConnection, records: Sequence[UUID]) -> dict[UUID, int]:
    """The place in the log of each of these records that is sealed."""
    own = t.audit_leaf.c
    query = select(own.record_id, own.sequence).where(own.record_id.in_(records))
    return {row.record_id: row.sequence for row in await connection.execute(query)}


async def _leaves(connection: AsyncConnection, begin: int, size: int) -> AsyncIterator[bytes]:
    place = t.audit_leaf.c
    for first in range(begin, size, _PAGE):
        end = min(first + _PAGE, size)
        query = select(place.leaf).where(place.sequence >= first, place.sequence < end)
        for leaf in await connection.scalars(query.order_by(place.sequence)):
            yield leaf


async def seal_of(connection: AsyncConnection, record_id: UUID) -> tuple[int, Seal] | None:
    """A record's place in the log, and the first seal over it; None before it is sealed."""
    place = t.audit_leaf.c
    joined = t.audit_leaf.join(t.audit_seal, t.audit_seal.c.batch == place.batch)
    query = select(*t.audit_seal.columns, place.sequence).select_from(joined)
    row = (await connection.execute(query.where(place.record_id == record_id))).mappings().first()
    if row is None:
        return None
    return row["sequence"], as_seal({name: row[name] for name in t.audit_seal.columns.keys()})  # noqa: SIM118
