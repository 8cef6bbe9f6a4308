"""The reconciliation: balanced at every moment, and a row taken away by hand has a name."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from sqlalchemy import delete, update

from infra import tables as t
from infra.database import Database
from infra.store import SqlStore, accept
from infra.store.reconciliation import Balance, Difference, balances, total
from pipeline.claim import Claimed, Release
from pipeline.ports import Written
from schemas import reject, review
from tests.builders import SCRIBE
from tests.contract.scenes import (
    LANE,
    amount_of,
    balance,
    claimed,
    dead_on_arrival,
    expire_leases,
    gave_up,
    make_due,
    note,
    notes,
    remove,
    replayed,
    rows,
    succeeded,
)

LOST = "event without outcome and not in flight"


async def some_of_each(store: SqlStore) -> list[Claimed]:
    """Two succeeded, one in review, one dead, one in flight."""
    claims = await claimed(store, 5)
    await store.commit(
        [
            succeeded(claims[0]),
            succeeded(claims[1]),
            succeeded(claims[2], review("large")),
            gave_up(claims[3]),
        ]
    )
    return claims


async def test_what_was_accepted_is_either_an_outcome_or_in_flight(store: SqlStore) -> None:
    await some_of_each(store)
    await store.accept([note(0)])
    await accept.count_ignored(store.database, LANE, shard=3)

    told = await balance(store.database)

    outcomes = {"succeeded": 2, "needs_review": 1, "dead": 1}
    assert told == Balance(accepted=5, outcomes=outcomes, in_flight=1, duplicates=1, ignored=1)
    assert told.balanced


async def test_a_workflow_without_events_is_told_too_and_all_add_up(store: SqlStore) -> None:
    await some_of_each(store)

    told = await balances(store.database, workflows=["letters"])

    assert set(told) == {"letters", LANE}
    assert told["letters"] == Balance()
    assert total(told.values()) == told[LANE]


@pytest.mark.parametrize(
    ("taken", "what"),
    [
        ("result", LOST),
        ("work", LOST),
        ("event", "work without its event"),
        ("done", "result without its event"),
    ],
)
async def test_a_row_taken_away_by_hand_is_named_with_its_event(
    store: SqlStore, taken: str, what: str
) -> None:
    claims = await some_of_each(store)
    table = {"result": t.result, "work": t.work}.get(taken, t.event)
    victim = claims[4 if taken in ("work", "event") else 1].event.event_id

    await remove(store.database, table, victim)

    told = await balance(store.database)
    assert told.differences == (Difference(LANE, what, 1, (str(victim),)),)
    assert not told.balanced


async def test_a_counter_row_taken_away_by_hand_is_named(store: SqlStore) -> None:
    await some_of_each(store)
    other = SqlStore(store.database, SCRIBE, shard=9)
    await other.accept([note(7), note(8)])

    async with store.database.write() as connection:
        await connection.execute(delete(t.counter).where(t.counter.c.shard == 0))

    told = await balance(store.database)
    assert told.differences == (Difference(LANE, "accepted counter is too low", 5),)


async def test_all_rows_of_an_event_taken_away_are_missed(store: SqlStore) -> None:
    claims = await some_of_each(store)

    for table in (t.event, t.work):
        await remove(store.database, table, claims[4].event.event_id)

    told = await balance(store.database)
    assert told.differences == (Difference(LANE, "accepted counter is too high", 1),)


async def test_an_event_with_an_outcome_that_is_put_to_work_by_hand_is_named(store: SqlStore) -> None:
    claims = await some_of_each(store)
    victim = claims[0].event.event_id

    async with store.database.write() as connection:
        await connection.execute(
            update(t.work).where(t.work.c.event_id == claims[4].event.event_id).values(event_id=victim)
        )

    told = await balance(store.database)
    named = {(difference.what, difference.events) for difference in told.differences}
    assert named == {
        (LOST, (str(claims[4].event.event_id),)),
        ("event with an outcome and in flight", (str(victim),)),
    }


async def test_differences_are_counted_in_full_and_ten_events_named(store: SqlStore) -> None:
    await store.accept(notes(15))

    async with store.database.write() as connection:
        await connection.execute(delete(t.work))

    (difference,) = (await balance(store.database)).differences
    assert (difference.what, difference.count, len(difference.events)) == (LOST, 15, 10)


async def test_the_books_balance_at_every_moment_of_a_random_workload(store: SqlStore) -> None:
    seen: list[Balance] = []

    async with auditor(store.database, seen), asyncio.TaskGroup() as group:
        for worker in range(4):
            group.create_task(work(store, random.Random(worker)))  # noqa: S311 - the same on every run

    assert [told.differences for told in seen if not told.balanced] == []
    assert len(seen) >= 5
    await finish(store)
    told = await balance(store.database)
    assert (told.in_flight, told.balanced) == (0, True)
    assert sum(told.outcomes.values()) == told.accepted == await amount_of(store.database, t.event)


@asynccontextmanager
async def auditor(database: Database, seen: list[Balance]) -> AsyncIterator[None]:
    """Looks at the books as long as the block runs, and once more after."""
    done = asyncio.Event()

    async def look() -> None:
        while not done.is_set():
            seen.append(await balance(database))
            await asyncio.sleep(0)

    looking = asyncio.create_task(look())
    try:
        yield
    finally:
        done.set()
        await looking


async def work(store: SqlStore, chance: random.Random) -> None:
    """What many processes do to one database, in any order."""
    for _ in range(8):
        await store.accept([note(chance.randrange(60)) for _ in range(6)])
        await store.commit([dead_on_arrival(note(chance.randrange(40, 100)))])
        claims = await store.claim(LANE, limit=chance.randrange(1, 6))
        if chance.random() < 0.3:
            await expire_leases(store.database)
        await store.release([Release(claim, timedelta(0), "cancelled") for claim in claims[:1]])
        changesets = [chance.choice((succeeded, gave_up))(claim) for claim in claims[1:]]
        written = await store.commit(changesets)
        for changeset, fate in zip(changesets, written, strict=True):
            if fate is Written.COMMITTED and changeset.result.state == "dead":
                await store.commit([replayed(changeset)])


async def finish(store: SqlStore) -> None:
    """Bring everything to an outcome, whatever became of its claims."""
    await expire_leases(store.database)
    await make_due(store.database)
    for suspects in (False, True):
        while claims := await store.claim(LANE, limit=50, suspects=suspects):
            await store.commit([succeeded(claim, reject("no city")) for claim in claims])


async def test_counters_are_spread_over_shards_and_told_as_one(store: SqlStore) -> None:
    stores = [SqlStore(store.database, SCRIBE, shard=shard) for shard in range(4)]

    await asyncio.gather(*(stores[number % 4].accept([note(number)]) for number in range(20)))

    assert Counter(row.value for row in await rows(store.database, t.counter)) == {5: 4}
    assert (await balance(store.database)).accepted == 20
