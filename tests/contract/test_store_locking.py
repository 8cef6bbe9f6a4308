"""Writers that cross never wait for each other in a ring: rows are locked in the order of their ids."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta

import pytest
from sqlalchemy import select, text

from infra import database as databases
from infra import tables as t
from infra.database import Database
from infra.store import SqlStore
from pipeline.claim import Claimed, Release
from pipeline.ports import Placed, Written
from tests.builders import SCRIBE
from tests.conftest import Shelf
from tests.contract.scenes import claimed, succeeded

Write = Callable[[SqlStore, Sequence[Claimed]], Awaitable[object]]

WRITES: dict[str, Write] = {
    "renew": lambda store, claims: store.renew(claims),
    "commit": lambda store, claims: store.commit([succeeded(claim) for claim in claims]),
    "release": lambda store, claims: store.release([Release(c, timedelta(0), "cancelled") for c in claims]),
}


@pytest.fixture
async def postgresql_store(shelf_postgresql: Shelf) -> AsyncIterator[SqlStore]:
    """SQLite locks the whole database: only PostgreSQL's rows can be waited for in a ring."""
    with shelf_postgresql.lent() as url:
        database = databases.connect(url)
        yield SqlStore(database, SCRIBE)
        await database.close()


async def until_one_waits(database: Database) -> None:
    waits = text(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    for _ in range(500):
        async with database.read() as connection:
            if (await connection.execute(waits)).first() is not None:
                return
        await asyncio.sleep(0.01)
    pytest.fail("nothing waits for the lock")


@pytest.mark.parametrize("write", WRITES)
async def test_a_write_that_waits_for_the_first_row_holds_no_other(
    postgresql_store: SqlStore, write: str
) -> None:
    database = postgresql_store.database
    claims = await claimed(postgresql_store, 24)
    first = min(claim.event.event_id for claim in claims)

    async with database.write() as holding:
        await holding.execute(select(t.work).where(t.work.c.event_id == first).with_for_update())
        writing = asyncio.ensure_future(WRITES[write](postgresql_store, claims))
        await until_one_waits(database)
        async with database.write() as looking:
            free = await looking.execute(select(t.work.c.seq).with_for_update(skip_locked=True))
            assert len(free.all()) == 23

    await writing


async def test_renewing_and_committing_at_once_neither_deadlocks_nor_fences(
    postgresql_store: SqlStore,
) -> None:
    claims = await claimed(postgresql_store, 240)
    committing = asyncio.gather(
        *(postgresql_store.commit([succeeded(claim) for claim in claims[part::6]]) for part in range(6))
    )

    while not committing.done():
        await asyncio.gather(postgresql_store.renew(claims), postgresql_store.renew(claims[::-1]))

    assert {fate for part in await committing for fate in part} == {Written.COMMITTED}


async def test_acknowledgements_that_cross_do_not_deadlock(postgresql_store: SqlStore) -> None:
    await postgresql_store.commit([succeeded(claim) for claim in await claimed(postgresql_store, 60)])
    placed = [Placed(message.id, 0, 0) for message in await postgresql_store.unpublished(limit=200)]

    await asyncio.gather(
        *(postgresql_store.published(order) for order in (placed, placed[::-1]) for _ in "ab")
    )

    assert await postgresql_store.unpublished(limit=200) == []
