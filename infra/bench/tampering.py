"""`python -m infra.bench.tampering`: a thousand changes to a sealed log by a superuser, each found or not.

In: `--database` (a PostgreSQL server's URL; SQLite in a temporary folder unless given), `--trials` of a
single row each (a fifth as many follow that change all it takes), `--seed`. Out: ways of tampering, how
often each was tried, how often `verify` found it, and the false alarms on the untouched log in between.
Each change is made in a transaction with the triggers off, verified there, and rolled back. Exit code 1
when one was missed.
"""

import argparse
import asyncio
import random
import sys
from collections import Counter
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import SQLModel

from infra import schema
from infra.bench.audit import database_for, fill, sample
from infra.bench.forging import SINGLE, WHOLE, Forger, Way
from infra.database import Database
from infra.signing import check, new_key, read_key
from infra.store import audit, seals
from pipeline import checkpoint, note
from pipeline.keyring import TrustedKey
from pipeline.seal import Signer
from pipeline.verify import Trust

_RECORDS: Final = 60
_BATCH: Final = 5
#: The untouched log is verified after every so many changes.
_CLEAN: Final = 20
_NAME: Final = "bench.example/log"


@dataclass
class Matrix:
    """By way: how often tried, how often found; what was missed; alarms on the untouched log."""

    tried: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    clean: int = 0
    false_alarms: int = 0

    @property
    def is_whole(self) -> bool:
        return self.tried == self.found and not self.false_alarms


@dataclass(frozen=True, slots=True)
class Keys:
    """Two keys that signed the log one after the other, and one that never did."""

    old: Signer
    new: Signer
    other: Signer


async def build(database: Database) -> tuple[Keys, Trust]:
    """A log of sixty decisions under twelve seals; the key was rotated halfway, the last checkpoint kept."""
    keys = Keys(*(read_key(new_key(_NAME)) for _ in range(3)))
    await schema.upgrade(database)
    rows, half = sample(), _RECORDS // 2
    for signer, first in ((keys.old, 0), (keys.new, half)):
        await fill(database, rows, first, first + half)
        while await seals.seal(database, signer, limit=_BATCH):
            continue
    last = await seals.last(database)
    kept = checkpoint.parse(note.parse(last.note if last else "").text)
    trusted = [TrustedKey(keys.old.key), TrustedKey(keys.new.key, half)]
    return keys, Trust(trusted, check, [kept])


async def differences(connection: AsyncConnection, trust: Trust) -> int:
    report = await audit.verify(connection, trust, progress=lambda *_: None)
    return report.findings.total


async def tried(database: Database, keys: Keys, trust: Trust, way: Way, dice: random.Random) -> bool:
    """Change something, verify, undo; returns whether it was found."""
    async with database.writer.connect() as connection:
        transaction = await connection.begin()
        await triggers_off(connection, database)
        forger = Forger(connection, dice, old=keys.old, own=keys.other, stolen=keys.new)
        try:
            await way(forger)
            return bool(await differences(connection, trust))
        finally:
            await transaction.rollback()


async def triggers_off(connection: AsyncConnection, database: Database) -> None:
    if database.dialect == "postgresql":
        for table in SQLModel.metadata.tables:
            await connection.execute(text(f'ALTER TABLE "{table}" DISABLE TRIGGER USER'))
        return
    triggers = text("SELECT name FROM sqlite_master WHERE type = 'trigger'")
    for name in (await connection.scalars(triggers)).all():
        await connection.execute(text(f"DROP TRIGGER {name}"))


async def measure(database: Database, trials: int, seed: int) -> Matrix:
    keys, trust = await build(database)
    dice = random.Random(seed)  # noqa: S311 - a run can be repeated
    matrix = Matrix()
    planned = [*islice(cycle(SINGLE.items()), trials), *islice(cycle(WHOLE.items()), trials // 5)]
    for trial, (name, way) in enumerate(planned):
        if trial % _CLEAN == 0:
            matrix.clean += 1
            async with database.read() as connection:
                matrix.false_alarms += bool(await differences(connection, trust))
        matrix.tried[name] += 1
        matrix.found[name] += await tried(database, keys, trust, way, dice)
    return matrix


def _report(matrix: Matrix) -> None:
    width = max(len(name) for name in (*SINGLE, *WHOLE))

    def line(what: str, tried: int | str, found: int | str) -> str:
        return f"{what:<{width}}  {tried:>6}  {found:>6}\n"

    told = line("what a superuser did", "tried", "found")
    for ways, total in ((SINGLE, "single rows"), (WHOLE, "as many rows as it takes")):
        told += "".join(line(name, matrix.tried[name], matrix.found[name]) for name in ways)
        tried, found = (sum(counts[name] for name in ways) for counts in (matrix.tried, matrix.found))
        told += line(f"= {total}", tried, found)
    sys.stdout.write(told + line("nothing (false alarms)", matrix.clean, matrix.false_alarms))


async def _run(server: str | None, trials: int, seed: int) -> Matrix:
    async with database_for(server) as database:
        return await measure(database, trials, seed)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m infra.bench.tampering")
    parser.add_argument("--database", metavar="URL")
    parser.add_argument("--trials", type=int, default=1_000, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    arguments = parser.parse_args()
    matrix = asyncio.run(_run(arguments.database, arguments.trials, arguments.seed))
    _report(matrix)
    return 0 if matrix.is_whole else 1


if __name__ == "__main__":
    sys.exit(main())
