"""The breakers' rows: shared by all processes, one probe for all, no failure counted twice or lost."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta

from infra import database as databases
from infra import tables as t
from infra.store import SqlStore
from pipeline.breaker import MAX_FAILURES, MIN_PAUSE, PROBE, Breaker
from tests.builders import NOW, SCRIBE
from tests.contract.scenes import amount_of

HERE, THERE = "m@here.example/v1", "m@there.example/v1"
SECOND = timedelta(seconds=1)


async def broken(store: SqlStore, endpoint: str = HERE) -> Breaker:
    return await store.note(endpoint, "model_misconfigured", probe=False, now=NOW)


async def test_an_endpoint_that_never_failed_has_no_row(store: SqlStore) -> None:
    assert await store.breakers() == []


async def test_what_a_call_changes_all_see(store: SqlStore, database_url: str) -> None:
    other = databases.connect(database_url)

    first = await store.note(HERE, "model_timeout", probe=False, now=NOW)
    opened = await broken(store, THERE)

    assert first == Breaker(HERE, failures=1, since=NOW)
    assert (opened.retry_at, opened.reason) == (NOW + MIN_PAUSE, "model_misconfigured")
    assert sorted(await SqlStore(other, SCRIBE).breakers(), key=lambda row: row.endpoint) == [first, opened]
    await other.close()


async def test_a_probe_is_taken_once_the_pause_is_over(store: SqlStore) -> None:
    await broken(store)

    early = await store.probe(HERE, now=NOW + MIN_PAUSE - SECOND)
    taken = await store.probe(HERE, now=NOW + MIN_PAUSE)
    late = await store.probe(HERE, now=NOW + MIN_PAUSE + SECOND)

    assert (early, late) == (None, None)
    assert taken is not None
    assert taken.retry_at == NOW + MIN_PAUSE + PROBE


async def test_of_an_endpoint_without_a_row_there_is_nothing_to_probe(store: SqlStore) -> None:
    assert await store.probe(HERE, now=NOW) is None


async def test_of_twenty_probes_at_once_one_is_made(store: SqlStore, database_url: str) -> None:
    await broken(store)
    async with AsyncExitStack() as stack:
        stores = [store]
        for _ in range(3):
            database = databases.connect(database_url, pool_size=4)
            stack.push_async_callback(database.close)
            stores.append(SqlStore(database, SCRIBE))

        probes = await asyncio.gather(*(one.probe(HERE, now=NOW + MIN_PAUSE) for one in stores * 5))

    assert sum(probe is not None for probe in probes) == 1


async def test_failures_noted_at_once_are_all_counted(store: SqlStore, database_url: str) -> None:
    """The first ones also make the row."""
    other = databases.connect(database_url, pool_size=4)
    stores = [store, SqlStore(other, SCRIBE)]

    states = await asyncio.gather(
        *(
            stores[number % 2].note(HERE, "model_timeout", probe=False, now=NOW)
            for number in range(MAX_FAILURES - 1)
        )
    )
    last = await store.note(HERE, "model_unavailable", probe=False, now=NOW)

    assert sorted(state.failures for state in states) == list(range(1, MAX_FAILURES))
    assert all(state.is_closed for state in states)
    assert (last.failures, last.retry_at) == (MAX_FAILURES, NOW + MIN_PAUSE)
    assert await store.breakers() == [last]
    await other.close()


async def test_what_fails_while_it_is_open_changes_nothing_and_an_answer_closes_it(store: SqlStore) -> None:
    opened = await broken(store)

    failed = await store.note(HERE, "model_timeout", probe=False, now=NOW + SECOND)
    answered = await store.note(HERE, None, probe=True, now=NOW + 2 * SECOND)

    assert failed == opened
    assert answered == Breaker(HERE)
    assert await store.breakers() == [answered]


async def test_an_answer_of_an_endpoint_at_the_same_moment_as_failures_leaves_one_row(
    store: SqlStore,
) -> None:
    ends = [None, "model_timeout", "unusable_output", "model_rate_limited", "cancelled"]

    await asyncio.gather(*(store.note(HERE, end, probe=False, now=NOW) for end in ends * 4))

    (row,) = await store.breakers()
    assert row.is_closed
    assert await amount_of(store.database, t.endpoint_state) == 1
