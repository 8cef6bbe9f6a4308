"""The process that seals: one at a time, with the key of the moment, its checkpoints in a file."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from consumers.seal import Sealer
from infra import tables as t
from infra.checkpoints import CheckpointFile
from infra.database import Database
from infra.keys import KeyFile
from infra.lock import FileRole
from infra.settings import AuditSettings
from infra.store import seals
from infra.store.commit import audit_row
from infra.store.statements import insert
from pipeline import checkpoint, note
from pipeline.seal import Signer
from pipeline.trail import noted
from schemas.changeset import AuditRecord
from tests.builders import NOW, SCRIBE
from tests.contract.scenes import amount_of, rows

SOON = AuditSettings(seal_seconds=0.01, batch=5)


def introduced(signer: Signer) -> AuditRecord:
    return noted("audit_key", {"key": str(signer.key)}, scribe=SCRIBE, now=datetime.now(UTC))


async def write(database: Database, *numbers: int) -> None:
    async with database.write() as connection:
        for number in numbers:
            record = noted("token_made", {"number": number}, scribe=SCRIBE, now=NOW)
            await connection.execute(insert(database, t.audit_record), audit_row(record))


@pytest.fixture
def keys(tmp_path: Path) -> KeyFile:
    file = KeyFile(tmp_path / "key")
    file.make("tests.example/log", now=NOW)
    return file


@pytest.fixture
def sealer(database: Database, tmp_path: Path, keys: KeyFile) -> Callable[[], Sealer]:
    """As each process would make it."""

    def made() -> Sealer:
        role, file = FileRole(tmp_path / "seal.lock"), CheckpointFile(tmp_path / "checkpoints")
        return Sealer(database, role, SOON, keys.signer, introduced, file)

    return made


@pytest.fixture
def logged() -> Iterator[list[MutableMapping[str, Any]]]:
    with capture_logs() as entries:
        yield entries


def events(logged: list[MutableMapping[str, Any]]) -> list[str]:
    return [entry["event"] for entry in logged]


@asynccontextmanager
async def running(*sealers: Sealer) -> AsyncIterator[None]:
    stop = asyncio.Event()
    tasks = [asyncio.create_task(sealer.run(stop)) for sealer in sealers]
    yield
    stop.set()
    await asyncio.gather(*tasks)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(1_000):
        if await condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it does not come to pass")


async def test_two_sealers_started_at_once_seal_everything_once(
    database: Database, sealer: Callable[[], Sealer]
) -> None:
    async with running(sealer(), sealer()):
        for start in range(0, 30, 3):
            await write(database, *range(start, start + 3))

    assert await seals.unsealed(database, at_most=1) == 0
    leaves = sorted(await rows(database, t.audit_leaf))
    assert [leaf.sequence for leaf in leaves] == list(range(31))  # and the record of the key


async def test_what_is_committed_before_the_end_is_sealed_before_the_end(
    database: Database, sealer: Callable[[], Sealer]
) -> None:
    await write(database, *range(12))

    async with running(sealer()):
        pass

    assert await amount_of(database, t.audit_seal) == 3
    assert await seals.unsealed(database, at_most=1) == 0


async def test_each_checkpoint_is_in_the_file_once_also_after_a_crash(
    database: Database, sealer: Callable[[], Sealer], tmp_path: Path, keys: KeyFile
) -> None:
    path = tmp_path / "checkpoints"
    await write(database, 1)
    async with running(sealer()):
        pass
    with path.open("a") as file:
        file.write("\n\ntests.example/log\n2\nto")  # a crash tore this one
    await write(database, 2)
    await seals.seal(database, keys.signer(), limit=1)  # and this one never got there
    await write(database, 3)

    async with running(sealer()):
        pass

    kept = [str(one) for one in note.each(path.read_text())]
    assert kept == [written for _, written in await seals.notes_after(database, 0, limit=10)]


async def test_a_new_file_begins_with_the_newest_checkpoint(
    database: Database, sealer: Callable[[], Sealer], tmp_path: Path
) -> None:
    await write(database, *range(12))
    async with running(sealer()):
        pass
    (tmp_path / "checkpoints").unlink()

    async with running(sealer()):
        pass

    (one,) = note.each((tmp_path / "checkpoints").read_text())
    assert checkpoint.parse(one.text).batch == await amount_of(database, t.audit_seal)


async def test_a_file_that_knows_more_than_the_database_is_reported_and_goes_on(
    database: Database, sealer: Callable[[], Sealer], tmp_path: Path, logged: list[MutableMapping[str, Any]]
) -> None:
    async with running(sealer()):
        pass
    path = tmp_path / "checkpoints"
    (one,) = note.each(path.read_text())
    path.write_text(str(one).replace("batch 1\n", "batch 9\n"))
    await write(database, 1)

    async with running(sealer()):
        pass

    assert "audit.cut" in events(logged)
    assert [checkpoint.parse(one.text).batch for one in note.each(path.read_text())] == [9, 2]


async def test_a_rotated_key_signs_the_next_seal_without_a_restart(
    database: Database, sealer: Callable[[], Sealer], keys: KeyFile
) -> None:
    old = keys.signer()

    async with running(sealer()):
        await until(lambda: amount_is(database, 1))
        keys.rotated(above=1, now=NOW).use()
        await write(database, 1)
        await until(lambda: amount_is(database, 3))

    signed_by = [row.key for row in sorted(await rows(database, t.audit_seal))]
    new = keys.signer().key.label
    first_new = signed_by.index(new)  # a batch that was under way still has the old key
    assert set(signed_by[:first_new]) == {old.key.label}
    assert set(signed_by[first_new:]) == {new}
    kinds = [row.kind for row in await rows(database, t.audit_record)]
    assert sorted(kinds) == ["audit_key", "audit_key", "token_made"]


async def amount_is(database: Database, amount: int) -> bool:
    return await amount_of(database, t.audit_leaf) == amount


async def is_logged(logged: list[MutableMapping[str, Any]], event: str) -> bool:
    return event in events(logged)


async def test_a_key_that_cannot_be_read_is_reported_and_waited_for(
    database: Database, sealer: Callable[[], Sealer], keys: KeyFile, logged: list[MutableMapping[str, Any]]
) -> None:
    away = keys.path.rename(keys.path.with_name("elsewhere"))
    await write(database, 1)

    async with running(sealer()):
        await until(lambda: is_logged(logged, "audit.not_sealed"))
        away.rename(keys.path)
        await until(lambda: amount_is(database, 2))

    assert "cannot be read" in str(logged)
