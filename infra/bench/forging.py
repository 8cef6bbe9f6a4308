"""What somebody with all rights in the database may do to the audit log: one way, one function.

In: a connection on which the triggers are off, a source of randomness, the log as it was built. Each
changes the rows of one record, place, seal or result, or, where it says so, all that would have to be
changed with them for the log to look whole.
"""

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, Table, and_, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from infra import tables as t
from infra.store.seals import as_seal
from pipeline.audit import leaf
from pipeline.seal import Seal, Signer
from pipeline.seal import seal as make


@dataclass(frozen=True, slots=True)
class Forger:
    """Who changes the log: `old` is a retired key, `own` a key of the forger's, `stolen` the one in use."""

    connection: AsyncConnection
    dice: random.Random
    old: Signer
    own: Signer
    stolen: Signer

    async def pick(self, table: Table) -> Any:
        rows = (await self.connection.execute(select(table).order_by(*table.primary_key.columns))).all()
        return self.dice.choice(rows)

    async def run(self, statement: Any, rows: Any = None) -> None:
        await self.connection.execute(statement, rows)


Way = Callable[[Forger], Awaitable[None]]


def edit(table: Table, name: str | None = None) -> Way:
    """One column of one row, this one or any, gets another value."""

    async def way(forger: Forger) -> None:
        row = await forger.pick(table)
        column = table.columns[name] if name else forger.dice.choice(list(table.columns))
        value = _other(row._mapping[column], column.type.python_type, forger.dice)
        await forger.run(update(table).where(_same(table, row)).values({column.name: value}))

    return way


def take(table: Table) -> Way:
    """One row is deleted."""

    async def way(forger: Forger) -> None:
        await forger.run(delete(table).where(_same(table, await forger.pick(table))))

    return way


async def insert_record(forger: Forger) -> None:
    """A record more, and no place for it."""
    await forger.run(t.audit_record.insert(), _forged(await forger.pick(t.audit_record)))


async def insert_last(forger: Forger) -> None:
    """A record more, at the end of the sealed sequence."""
    last = max(await _leaves(forger), key=lambda row: int(row.sequence))
    await _place(forger, last.sequence + 1, last.batch)


async def insert_between(forger: Forger) -> None:
    """A record more, in the middle of the sealed sequence: all places behind it move up."""
    place = await forger.pick(t.audit_leaf)
    sequence = t.audit_leaf.c.sequence
    # By way of negative places: the column is unique after each row.
    await forger.run(update(t.audit_leaf).where(sequence >= place.sequence).values(sequence=-2 - sequence))
    await forger.run(update(t.audit_leaf).where(sequence < 0).values(sequence=-1 - sequence))
    await _place(forger, place.sequence, place.batch)


async def _place(forger: Forger, sequence: int, batch: int) -> None:
    record = _forged(await forger.pick(t.audit_record))
    await forger.run(t.audit_record.insert(), record)
    place = {"sequence": sequence, "batch": batch, "record_id": record["id"], "leaf": record["leaf"]}
    await forger.run(t.audit_leaf.insert(), place)


async def insert_seal(forger: Forger) -> None:
    """The last seal again, with the next number."""
    last = (await _seals(forger))[-1]
    row = {name: getattr(last, name) for name in Seal.__slots__}
    await forger.run(
        t.audit_seal.insert(), row | {"batch": last.batch + 1, "first": last.size, "size": last.size + 1}
    )


async def queue_again(forger: Forger) -> None:
    """A sealed record is put into the queue, to be sealed once more."""
    row = await forger.pick(t.audit_record)
    await forger.run(t.audit_unsealed.insert(), {"record_id": row.id})


async def insert_result(forger: Forger) -> None:
    """A result that no record tells of."""
    row = await forger.pick(t.result)
    await forger.run(t.result.insert(), {**row._mapping, "event_id": uuid4(), "id": uuid4()})


async def reorder(forger: Forger) -> None:
    """Two records change places."""
    first, second = forger.dice.sample(await _leaves(forger), 2)
    for place, content in ((first, uuid4()), (second, first.record_id), (first, second.record_id)):
        is_place = t.audit_leaf.c.sequence == place.sequence
        await forger.run(update(t.audit_leaf).where(is_place).values(record_id=content))
    for place, other in ((first, second), (second, first)):
        is_place = t.audit_leaf.c.sequence == place.sequence
        await forger.run(update(t.audit_leaf).where(is_place).values(leaf=other.leaf))


async def cut(forger: Forger) -> None:
    """The end of the log goes, from some seal on, with everything that belongs to it."""
    seal = await forger.pick(t.audit_seal)
    gone = select(t.audit_leaf.c.record_id).where(t.audit_leaf.c.sequence >= seal.first)
    events = select(t.audit_record.c.event_id).where(t.audit_record.c.id.in_(gone))
    await forger.run(delete(t.result).where(t.result.c.event_id.in_(events)))
    await forger.run(delete(t.audit_record).where(t.audit_record.c.id.in_(gone)))
    await forger.run(delete(t.audit_leaf).where(t.audit_leaf.c.sequence >= seal.first))
    await forger.run(delete(t.audit_seal).where(t.audit_seal.c.batch >= seal.batch))


async def rehash(forger: Forger) -> int:
    """A record is rewritten, and its hash wherever it stands; returns its place."""
    place = await forger.pick(t.audit_leaf)
    found = await forger.connection.execute(
        select(t.audit_record).where(t.audit_record.c.id == place.record_id)
    )
    record = found.one()
    canonical = record.canonical.replace(b'"accepted"', b'"rejected"')
    values = {"canonical": canonical, "leaf": leaf(canonical)}
    await forger.run(update(t.audit_record).where(_same(t.audit_record, record)).values(values))
    await forger.run(update(t.audit_leaf).where(_same(t.audit_leaf, place)).values(leaf=leaf(canonical)))
    return int(place.sequence)


async def rewrite(forger: Forger) -> None:
    """`rehash`, and nothing more."""
    await rehash(forger)


def resign(key: str) -> Way:
    """A record is rewritten, and every seal from its own on made anew, signed by this key of the forger's."""

    async def way(forger: Forger) -> None:
        place = await rehash(forger)
        leaves = [bytes(row.leaf) for row in sorted(await _leaves(forger), key=lambda row: int(row.sequence))]
        last: Seal | None = None
        for one in await _seals(forger):
            if one.size > place:
                batch = leaves[one.first : one.size]
                one = make(last, batch, sealed_at=one.sealed_at, signer=getattr(forger, key))
                values = {name: getattr(one, name) for name in Seal.__slots__}
                await forger.run(update(t.audit_seal).where(t.audit_seal.c.batch == one.batch).values(values))
            last = one

    return way


#: One row each.
SINGLE: Final[dict[str, Way]] = {
    "edit a record": edit(t.audit_record),
    "edit a place": edit(t.audit_leaf),
    "edit a seal": edit(t.audit_seal),
    "delete a record": take(t.audit_record),
    "delete a place": take(t.audit_leaf),
    "delete a seal": take(t.audit_seal),
    "delete a result": take(t.result),
    "insert a record": insert_record,
    "insert a seal": insert_seal,
    "insert a result": insert_result,
    "queue a sealed record": queue_again,
}
#: As many rows as it takes to hide it.
WHOLE: Final[dict[str, Way]] = {
    "insert at the end": insert_last,
    "insert between": insert_between,
    "reorder": reorder,
    "cut the end": cut,
    "rewrite a record and its hashes": rewrite,
    "the same, seals re-signed with another key": resign("own"),
    "the same, with a retired key": resign("old"),
    "the same, with the stolen key": resign("stolen"),
}


async def _leaves(forger: Forger) -> list[Any]:
    return list((await forger.connection.execute(select(t.audit_leaf))).all())


async def _seals(forger: Forger) -> Sequence[Seal]:
    found = await forger.connection.execute(select(t.audit_seal).order_by(t.audit_seal.c.batch))
    return [as_seal(row) for row in found.mappings()]


def _same(table: Table, row: Any) -> ColumnElement[bool]:
    return and_(*(column == row._mapping[column] for column in table.primary_key.columns))


def _forged(row: Any) -> dict[str, Any]:
    """A record like this one, of another id, whole in itself."""
    made = uuid4()
    canonical = row.canonical.replace(str(row.id).encode(), str(made).encode())
    words = row.words.replace(str(row.id), str(made))
    return {**row._mapping, "id": made, "canonical": canonical, "leaf": leaf(canonical), "words": words}


def _other(value: Any, kind: type, dice: random.Random) -> Any:
    """Another value of the same kind."""
    if value is not None:
        kind = type(value)
    if kind is UUID:
        return uuid4()
    if kind is datetime:
        return value + timedelta(microseconds=dice.choice((1, -1, 3_600_000_000)))
    if kind is int:
        return (value or 0) + dice.choice((10_000, 2**30))
    if kind is bytes:
        at = dice.randrange(len(value))
        return value[:at] + bytes([value[at] ^ (1 << dice.randrange(8))]) + value[at + 1 :]
    return dice.choice([text for text in ("", "x", f"{value} ") if text != value])
