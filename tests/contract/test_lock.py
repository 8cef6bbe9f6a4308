"""Roles that must be single: one holder at a time, and free again however the holder ends."""

import asyncio
import multiprocessing
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import func, select, text

from infra import database as databases
from infra.database import Database
from infra.lock import AdvisoryRole, FileRole, SingleRole
from pipeline.errors import StoreUnavailable
from tests.conftest import Shelf


@pytest.fixture(params=["file", "advisory"])
async def two(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[SingleRole, SingleRole]]:
    """The same role, as two processes would have it."""
    if request.param == "file":
        yield FileRole(tmp_path / "roles" / "relay"), FileRole(tmp_path / "roles" / "relay")
        return
    async with server(request.getfixturevalue("shelf_postgresql")) as (first, second):
        yield AdvisoryRole(first, "relay"), AdvisoryRole(second, "relay")


@asynccontextmanager
async def server(shelf: Shelf) -> AsyncIterator[tuple[Database, Database]]:
    """Two processes on one database; the first has a single connection."""
    with shelf.lent() as url:
        first, second = databases.connect(url, pool_size=1), databases.connect(url)
        try:
            yield first, second
        finally:
            await first.close()
            await second.close()


async def eventually(role: SingleRole) -> bool:
    """A session that was killed takes a moment to end."""
    for _ in range(500):
        if await role.acquire():
            return True
        await asyncio.sleep(0.01)
    return False


async def test_one_holds_the_role_and_the_other_waits(two: tuple[SingleRole, SingleRole]) -> None:
    holder, other = two

    assert await holder.acquire()
    assert await holder.acquire()
    assert not await other.acquire()
    assert not await other.acquire()

    await holder.release()
    assert await other.acquire()
    assert not await holder.acquire()
    await other.release()
    await other.release()


async def test_roles_of_other_names_are_held_side_by_side(shelf_postgresql: Shelf) -> None:
    async with server(shelf_postgresql) as (_, database):
        relay, seal = AdvisoryRole(database, "relay"), AdvisoryRole(database, "seal")

        assert await relay.acquire()
        assert await seal.acquire()

        await relay.release()
        await seal.release()


async def test_a_role_whose_connection_is_lost_is_lost_and_can_be_had_again(shelf_postgresql: Shelf) -> None:
    async with server(shelf_postgresql) as (first, second):
        holder, other = AdvisoryRole(first, "relay"), AdvisoryRole(second, "relay")
        await holder.acquire()
        async with second.read() as connection:
            ended = select(func.pg_terminate_backend(text("pid"))).select_from(text("pg_locks"))
            await connection.execute(ended.where(text("locktype = 'advisory'")))

        assert await eventually(other)
        with pytest.raises(StoreUnavailable, match="'relay' was lost"):
            await holder.acquire()
        assert not await holder.acquire()
        await other.release()
        assert await holder.acquire()
        await holder.release()


async def test_a_role_that_was_not_taken_keeps_no_connection(shelf_postgresql: Shelf) -> None:
    async with server(shelf_postgresql) as (first, second):
        holder, other = AdvisoryRole(second, "relay"), AdvisoryRole(first, "relay")
        await holder.acquire()

        for _ in range(3):
            assert not await other.acquire()

        async with first.read() as connection:  # its only one
            assert (await connection.execute(select(1))).scalar_one() == 1
        await holder.release()


async def test_a_role_without_a_database_or_a_free_connection_is_unavailable() -> None:
    database = databases.connect("postgresql+psycopg://penstock@127.0.0.1:1/penstock")

    with pytest.raises(StoreUnavailable):
        await AdvisoryRole(database, "relay").acquire()

    await database.close()


async def test_a_file_role_names_its_holder_and_ends_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "relay.lock"
    role = FileRole(path)
    assert role.holder == ""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_hold, args=(path, theirs))
    process.start()
    assert ours.recv()

    assert not await role.acquire()
    assert role.holder == str(process.pid)

    process.kill()
    process.join()
    assert await role.acquire()
    assert role.holder != str(process.pid)
    await role.release()


def _hold(path: Path, told: "multiprocessing.connection.Connection[bool, bool]") -> None:
    role = FileRole(path)
    told.send(asyncio.run(role.acquire()))
    time.sleep(60)
