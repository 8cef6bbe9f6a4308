"""The exact cache's rows: an answer is found until it expires, is erased or is no longer trusted."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, update

from infra import database as databases
from infra import tables as t
from infra.cache import StoredCache
from infra.database import Database
from infra.store import SqlStore
from infra.store.cache import Kept
from pipeline.cache import Original
from pipeline.claim import Claimed
from pipeline.errors import StoreUnavailable
from schemas.extraction import Attempt
from tests.builders import NOW, SCRIBE
from tests.contract.scenes import claimed, gave_up, replayed, rows, succeeded, tried

KEY = b"k" * 32
HOUR = timedelta(hours=1)


async def answered(store: SqlStore, claim: Claimed) -> Attempt:
    """A call on the event gave an answer, which is journalled."""
    made = replace(
        tried(claim),
        response=b'{"city":"Oban"}',
        finish_reason="stop",
        model_answered="fast-2",
        response_id="r-1",
        system_fingerprint="fp",
    )
    await store.journal([(made, claim.event)])
    return made


def kept(made: Attempt, key: bytes = KEY, ttl: timedelta = HOUR) -> Kept:
    return Kept(key, "notes", made.id, ttl)


async def expire(database: Database, *keys: bytes) -> None:
    async with database.write() as connection:
        await connection.execute(
            update(t.answer_cache).where(t.answer_cache.c.key.in_(keys)).values(expires_at=NOW)
        )


async def keys(store: SqlStore) -> set[bytes]:
    return {row.key for row in await rows(store.database, t.answer_cache)}


async def test_an_answer_comes_back_with_what_is_known_of_its_call(store: SqlStore) -> None:
    (claim,) = await claimed(store, 1)
    made = await answered(store, claim)

    await store.keep_answers([kept(made)])

    found = await store.find_answer(KEY)
    assert found == Original(made.id, b'{"city":"Oban"}', "stop", "fast-2", "r-1", "fp")
    assert await store.find_answer(b"another") is None


async def test_an_answer_expires_by_the_databases_clock(store: SqlStore) -> None:
    (claim,) = await claimed(store, 1)
    made = await answered(store, claim)

    await store.keep_answers([kept(made, ttl=timedelta(seconds=0.4)), kept(made, b"later")])
    at_once = await store.find_answer(KEY)
    await asyncio.sleep(0.5)

    assert at_once is not None
    assert await store.find_answer(KEY) is None
    assert await store.find_answer(b"later") is not None


async def test_a_newer_answer_takes_the_place_of_an_older_one_and_its_time(store: SqlStore) -> None:
    first, second = await claimed(store, 2)
    old, new = await answered(store, first), await answered(store, second)

    await store.keep_answers([kept(old)])
    await expire(store.database, KEY)
    await store.keep_answers([kept(old), kept(new)])

    found = await store.find_answer(KEY)
    assert found is not None
    assert found.id == new.id
    assert len(await rows(store.database, t.answer_cache)) == 1


async def test_an_erased_answer_is_no_answer(store: SqlStore) -> None:
    (claim,) = await claimed(store, 1)
    made = await answered(store, claim)
    await store.keep_answers([kept(made)])

    async with store.database.write() as connection:
        await connection.execute(delete(t.content).where(t.content.c.id == made.id))

    assert await store.find_answer(KEY) is None


async def test_an_answer_of_which_nothing_is_journalled_is_no_answer(store: SqlStore) -> None:
    await store.keep_answers([Kept(KEY, "notes", UUID(int=1), HOUR)])

    assert await store.find_answer(KEY) is None


async def test_an_answer_whose_decision_stands_is_found(store: SqlStore) -> None:
    (claim,) = await claimed(store, 1)
    made = await answered(store, claim)
    await store.keep_answers([kept(made)])

    await store.commit([succeeded(claim)])

    assert await store.find_answer(KEY) is not None


async def test_an_answer_whose_decision_was_superseded_is_not_trusted(store: SqlStore) -> None:
    (claim,) = await claimed(store, 1)
    made = await answered(store, claim)
    await store.keep_answers([kept(made)])
    await store.commit([ended := gave_up(claim)])
    before = await store.find_answer(KEY)

    await store.commit([replayed(ended)])

    assert before is not None
    assert await store.find_answer(KEY) is None


async def test_each_new_answer_takes_two_expired_ones_away_and_no_others(store: SqlStore) -> None:
    (claim,) = await claimed(store, 1)
    made = await answered(store, claim)
    old = [b"old-%d" % number for number in range(5)]
    await store.keep_answers([kept(made, key) for key in (*old, b"live")])
    await expire(store.database, *old)

    await store.keep_answers([kept(made, b"new")])
    left = len(await keys(store))
    await store.keep_answers([kept(made, b"newer"), kept(made, b"newest")])

    assert left == 5
    assert await keys(store) == {b"live", b"new", b"newer", b"newest"}


async def test_processes_that_keep_the_same_answers_do_not_block_each_other(
    store: SqlStore, database_url: str
) -> None:
    (claim,) = await claimed(store, 1)
    made = await answered(store, claim)
    others = [databases.connect(database_url) for _ in range(3)]
    several = [b"key-%d" % number for number in range(20)]

    for _ in range(5):
        await asyncio.gather(
            *(
                SqlStore(one, SCRIBE).keep_answers([kept(made, key) for key in order])
                for one, order in zip(others, (several, several[::-1], several[5:]), strict=True)
            )
        )
        await expire(store.database, *several[::3])

    assert await keys(store) == set(several)
    for one in others:
        await one.close()


async def test_nothing_is_written_from_an_empty_batch(store: SqlStore) -> None:
    await store.keep_answers([])

    assert await keys(store) == set()


async def test_the_port_keeps_finds_and_counts(store: SqlStore) -> None:
    (claim,) = await claimed(store, 1)
    made, hits = await answered(store, claim), list[str]()
    port = StoredCache(store, hit=hits.append)

    missed = await port.find(KEY, workflow="notes")
    await asyncio.gather(*(port.put(KEY, made, workflow="notes", ttl=HOUR) for _ in range(3)))
    found = await port.find(KEY, workflow="notes")

    assert missed is None
    assert found is not None
    assert (found.id, hits) == (made.id, ["notes"])


async def test_an_answer_that_cannot_be_kept_now_is_lost_and_nothing_else(store: SqlStore) -> None:
    (claim,) = await claimed(store, 1)
    made = await answered(store, claim)
    away = Away(store.database, SCRIBE)
    port = StoredCache(away, hit=lambda workflow: None)

    await port.put(KEY, made, workflow="notes", ttl=HOUR)

    assert await keys(store) == set()


class Away(SqlStore):
    """A database that takes nothing."""

    async def keep_answers(self, answers: object) -> None:
        raise StoreUnavailable
