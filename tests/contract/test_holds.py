"""Holds that come at the moment of an erasure or a pruning: what one keeps is not removed."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from infra import tables as t
from infra.database import Database
from infra.store import SqlStore, erasure, retention
from infra.store.holds import Hold
from infra.store.statements import insert
from pipeline.errors import Conflict
from pipeline.retention import Terms
from tests.builders import NOW, SCRIBE
from tests.contract import private
from tests.contract.private import MARK, about, live, pruned, publish, whose
from tests.contract.private import erasure as record_of
from tests.contract.scenes import amount_of

database = private.database


@pytest.fixture
async def store(database: Database) -> SqlStore:
    """With an event of a subject that nothing waits for."""
    store = SqlStore(database, SCRIBE)
    await live(store, [about(MARK, 1)])
    await publish(store)
    return store


@asynccontextmanager
async def while_held(database: Database, removing: Coroutine[Any, Any, Any]) -> AsyncIterator[Any]:
    """Begin to remove while a hold on the subject is written and not committed yet."""
    hold = Hold(uuid4(), "a dispute", NOW, "os:ada@desk", subject_hash=whose(MARK))
    async with database.write() as connection:
        await connection.execute(insert(database, t.hold), asdict(hold))
        task = asyncio.create_task(removing)
        done, _ = await asyncio.wait([task], timeout=0.3)
        assert not done
    yield task


async def test_an_erasure_waits_for_it(store: SqlStore, database: Database) -> None:
    async with while_held(database, erasure.erase(database, whose(MARK), record_of)) as erasing:
        with pytest.raises(Conflict, match="a dispute"):
            await erasing


@pytest.mark.parametrize("kind", ["content", "results", "topics"])
async def test_pruning_waits_for_it(store: SqlStore, database: Database, kind: str) -> None:
    before = [await amount_of(database, table) for table in (t.content, t.result, t.outbox)]
    terms = Terms(**{kind: timedelta(days=1)})

    async with while_held(database, retention.prune(database, terms, pruned, shard=0)) as removed:
        assert not await removed

    assert [await amount_of(database, table) for table in (t.content, t.result, t.outbox)] == before
