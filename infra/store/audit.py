"""The audit tables in, every difference from what was signed out.

All is read from one view, in pages by place. Nothing that is found in the database is believed: what
is trusted comes in `Trust`, from outside.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from infra import tables as t
from infra.store import joins, trimming
from infra.store.seals import as_seal
from infra.store.trimming import Anchor
from pipeline.checkpoint import Checkpoint
from pipeline.seal import Seal
from pipeline.verify import Findings, Trust, Walk

_PAGE: Final = 5_000

_SEAL_TYPES: Final = {
    "first": int, "size": int, "root": bytes, "frontier": bytes, "link": bytes, "key": str, "note": str,
}  # fmt: skip

#: Told how many records of the log are verified, and how many there are.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Report:
    """What was verified: seals and the records under them; the log's first `since` records were not.

    `anchor` says of which record's pruning that is, where it is.
    """

    seals: int
    records: int
    since: int
    unsealed: int
    newest: Seal | None
    findings: Findings
    anchor: Anchor | None = None


async def verify(
    connection: AsyncConnection, trust: Trust, *, since: Checkpoint | None = None, progress: Progress
) -> Report:
    """Verify the log, all of it or what came after a trusted checkpoint."""
    findings = Findings()
    walk = Walk(trust, findings)
    cut = await trimming.anchor(connection)
    if since is not None and (cut is None or since.batch >= cut.batch):
        cut = None
        walk.begin(since, await _seal(connection, findings, since.batch))
    elif cut is not None:
        walk.resume(cut.batch, await _seal(connection, findings, cut.batch), first=cut.first)
    first, before, newest = walk.size, walk.batch, None
    stored, leaves = await _stored(connection, first), _Leaves(connection, findings, first)
    async for newest in _seals(connection, findings, before):
        rows = await leaves.until(newest.size)
        try:
            walk.step(newest, rows)
        except (TypeError, ValueError) as error:  # SQLite keeps any type in any column
            findings.add(f"audit_seal {newest.batch}", f"it or its leaves cannot be read: {error}")
        progress(walk.size - first, stored)
    walk.end(await leaves.rest())
    if stored != leaves.read:
        findings.add("audit_leaf", f"{stored} rows from place {first} on, {leaves.read} of them in order")
    await joins.joins(connection, findings, first=first)
    waiting = await joins.unsealed(connection, findings)
    return Report(walk.batch - before, walk.size - first, first, waiting, newest, findings, cut)


async def _seal(connection: AsyncConnection, findings: Findings, batch: int) -> Seal | None:
    query = select(t.audit_seal).where(t.audit_seal.c.batch == batch)
    rows = await _readable(connection, findings, query, ("audit_seal", batch), (0, 1))
    return _typed(findings, rows[0]) if rows else None


def _typed(findings: Findings, row: Any) -> Seal | None:
    seal = as_seal(row._mapping)
    if all(isinstance(getattr(seal, name), kind) for name, kind in _SEAL_TYPES.items()):
        return seal
    findings.add(f"audit_seal {seal.batch}", "a column of it is of another type")
    return None


async def _stored(connection: AsyncConnection, first: int) -> int:
    query = select(func.count()).select_from(t.audit_leaf).where(t.audit_leaf.c.sequence >= first)
    return int((await connection.execute(query)).scalar_one())


async def _seals(connection: AsyncConnection, findings: Findings, after: int) -> AsyncIterator[Seal]:
    query = select(t.audit_seal).order_by(t.audit_seal.c.batch)
    batch = t.audit_seal.c.batch
    while True:
        page = await _page(connection, findings, query.where(batch > after), batch, after + 1)
        for row in page:
            if seal := _typed(findings, row):
                yield seal
        if not page:
            return
        after = page[-1].batch


@dataclass
class _Leaves:
    """The leaves from place `next` on, each with its record."""

    connection: AsyncConnection
    findings: Findings
    next: int
    read: int = 0
    _buffer: list[Any] = field(default_factory=list)
    _at: int = 0

    async def until(self, end: int) -> list[Any]:
        """Those not yet read whose place is before `end`."""
        rows: list[Any] = []
        while True:
            start = self._at
            while self._at < len(self._buffer) and self._buffer[self._at].sequence < end:
                self._at += 1
            rows += self._buffer[start : self._at]
            if self._at < len(self._buffer) or not await self._turn():
                return rows

    async def rest(self) -> list[Any]:
        """The first page of what is left."""
        if self._at == len(self._buffer):
            await self._turn()
        return self._buffer[self._at :]

    async def _turn(self) -> bool:
        sequence = t.audit_leaf.c.sequence
        page = _placed().where(sequence >= self.next).order_by(sequence)
        self._buffer = await _page(self.connection, self.findings, page, sequence, self.next)
        self._at = 0
        self.read += len(self._buffer)
        if self._buffer:
            self.next = self._buffer[-1].sequence + 1
        return bool(self._buffer)


def _placed() -> Select[Any]:
    place = t.audit_leaf.c
    columns = (place.sequence, place.record_id, place.leaf.label("placed"), place.batch)
    joined = t.audit_leaf.outerjoin(t.audit_record, t.audit_record.c.id == place.record_id)
    return select(*columns, *t.audit_record.columns).select_from(joined)


async def _page(
    connection: AsyncConnection, findings: Findings, query: Select[Any], key: Any, first: int
) -> list[Any]:
    """The next rows; one whose key is no number is named instead, as SQLite keeps any type in any column."""
    found = await _readable(connection, findings, query, (key.table.name, first), (0, _PAGE))
    rows = [row for row in found if type(row._mapping[key]) is int]
    for row in found[len(rows) :]:  # they sort behind the numbers
        findings.add(key.table.name, f"{row._mapping[key]!r} is no {key.name}")
    return rows


async def _readable(
    connection: AsyncConnection,
    findings: Findings,
    query: Select[Any],
    where: tuple[str, int],
    part: tuple[int, int],
) -> list[Any]:
    """Part of the query's rows, from an offset on. One that cannot be read is found by halves, and named."""
    offset, limit = part
    try:
        return list((await connection.execute(query.offset(offset).limit(limit))).all())
    except (TypeError, ValueError) as error:
        if limit == 1:
            table, first = where
            findings.add(f"{table} {first + offset}", f"it or its record cannot be read: {error}")
            return []
    half = limit // 2
    left = await _readable(connection, findings, query, where, (offset, half))
    return left + await _readable(connection, findings, query, where, (offset + half, limit - half))
