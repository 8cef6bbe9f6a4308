"""Claims: what may be claimed, by whom, in which order; and how a claim is kept, lost and given back."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import update

from infra import database as databases
from infra import tables as t
from infra.database import Database
from infra.store import SqlStore, administration
from pipeline import trail
from pipeline.claim import Claimed, Release
from pipeline.ports import Written
from schemas import review
from schemas.event import Received
from tests.builders import NOW, SCRIBE
from tests.contract.scenes import (
    LANE,
    claimed,
    dead,
    expire_leases,
    gave_up,
    make_due,
    note,
    notes,
    remove,
    replayed,
    rows,
    succeeded,
    tried,
)

SECOND = timedelta(seconds=1)


def numbers(claims: list[Claimed]) -> list[str]:
    return [claim.event.identity.id.removeprefix("note-") for claim in claims]


async def make_due_at(database: Database, event: Received, *, hours_ago: int) -> None:
    async with database.write() as connection:
        where = t.work.c.event_id == event.event_id
        await connection.execute(update(t.work).where(where).values(due_at=NOW - timedelta(hours=hours_ago)))


async def pause(database: Database, *, paused: bool) -> bool:
    record = trail.noted("workflow_paused", {"paused": paused}, scribe=SCRIBE, now=NOW, workflow=LANE)
    return await administration.set_paused(database, LANE, record, paused=paused)


async def test_no_event_is_claimed_twice_and_no_limit_passed_by_many_claimers(
    database: Database, database_url: str
) -> None:
    other = databases.connect(database_url)
    stores = [SqlStore(database, SCRIBE), SqlStore(other, SCRIBE)]
    await stores[0].accept(notes(150))

    taken = await asyncio.gather(*(store.claim(LANE, limit=7) for _ in range(20) for store in stores))

    assert all(len(claims) <= 7 for claims in taken)
    ids = [claim.event.event_id for claims in taken for claim in claims]
    assert len(ids) == len(set(ids))
    # Claimers that meet may leave some to each other; the next look finds those.
    ids += [claim.event.event_id for claim in await stores[0].claim(LANE, limit=150)]
    assert len(ids) == len(set(ids)) == 150
    await other.close()


async def test_live_events_go_before_replays_then_what_is_due_longest_then_what_came_first(
    store: SqlStore,
) -> None:
    await store.commit([replayed(await dead(store))])
    await store.accept([note(1), note(2), note(3), note(4)])
    for number, hours_ago in ((0, 9), (3, 2), (1, 1), (2, 1), (4, 1)):
        await make_due_at(store.database, note(number), hours_ago=hours_ago)

    claims = [claim for _ in range(5) for claim in await store.claim(LANE, limit=1)]

    assert numbers(claims) == ["3", "1", "2", "4", "0"]


async def test_a_batch_comes_in_the_order_in_which_it_is_due(store: SqlStore) -> None:
    await store.accept(notes(3))
    for number in range(3):
        await make_due_at(store.database, note(number), hours_ago=number)

    assert numbers(await store.claim(LANE, limit=3)) == ["2", "1", "0"]


async def test_only_the_named_lane_is_claimed(store: SqlStore) -> None:
    letter = replace(note(2), workflow="letters")
    await store.accept([note(1), letter])

    assert await store.due_lanes([LANE, "letters", "other"]) == [LANE, "letters"]
    assert numbers(await store.claim(LANE, limit=5)) == ["1"]
    assert await store.due_lanes([LANE, "letters", "other"]) == ["letters"]
    assert await store.due_lanes([]) == []


async def test_the_depth_is_counted_up_to_a_limit(store: SqlStore) -> None:
    await store.accept(notes(5))

    assert await store.depth(at_most=10) == 5
    assert await store.depth(at_most=3) == 3


async def test_what_is_due_later_is_not_claimed_before(store: SqlStore) -> None:
    (claim,) = await claimed(store, 1)

    await store.release([Release(claim, timedelta(hours=1), "model_unavailable")])

    assert await store.claim(LANE, limit=1) == []
    assert await store.depth(at_most=10) == 0
    await make_due(store.database)
    assert len(await store.claim(LANE, limit=1)) == 1


async def test_an_event_given_back_at_once_is_claimed_again_with_its_crashes_forgotten(
    store: SqlStore,
) -> None:
    (claim,) = await claimed(store, 1)
    await expire_leases(store.database)
    (again,) = await store.claim(LANE, limit=1)
    assert (claim.crashes, again.crashes) == (1, 2)

    await store.release([Release(again, timedelta(0), "cancelled")])

    (last,) = await store.claim(LANE, limit=1)
    assert (last.crashes, last.faults) == (1, 0)


@pytest.mark.parametrize("delay", [timedelta(microseconds=1), timedelta(milliseconds=1), timedelta(days=1)])
async def test_any_delay_is_a_time(store: SqlStore, delay: timedelta) -> None:
    (claim,) = await claimed(store, 1)

    await store.release([Release(claim, delay, "model_unavailable")])

    (row,) = await rows(store.database, t.work)
    (event,) = await rows(store.database, t.event)
    assert timedelta(0) <= row.due_at - event.accepted_at - delay < timedelta(seconds=30)
    assert row.waits_for == "model_unavailable"


async def test_faults_are_counted_over_releases(store: SqlStore) -> None:
    (claim,) = await claimed(store, 1)

    await store.release([Release(claim, timedelta(0), "faulty", fault=True)])
    (claim,) = await store.claim(LANE, limit=1)
    await store.release([Release(claim, timedelta(0), "faulty", fault=True)])

    (claim,) = await store.claim(LANE, limit=1)
    assert claim.faults == 2


async def test_many_are_given_back_at_once(store: SqlStore) -> None:
    claims = await claimed(store, 3)
    gone = replace(claims[1], token=uuid4())

    await store.release([Release(claim, timedelta(0), "cancelled") for claim in (claims[2], gone, claims[0])])

    assert sorted(numbers(await store.claim(LANE, limit=5))) == ["0", "2"]
    await store.release([])


async def test_a_lease_ends_by_the_databases_clock(database: Database) -> None:
    brief, long = SqlStore(database, SCRIBE, lease_seconds=0.05), SqlStore(database, SCRIBE)
    (first,) = await claimed(brief, 1)

    await asyncio.sleep(0.1)

    assert await long.due_lanes([LANE]) == [LANE]
    (second,) = await long.claim(LANE, limit=1)
    assert (first.crashes, second.crashes) == (1, 2)
    assert second.token != first.token
    assert await long.claim(LANE, limit=1) == []
    assert await long.due_lanes([LANE]) == []


async def test_a_renewed_lease_does_not_end(database: Database) -> None:
    brief, long = SqlStore(database, SCRIBE, lease_seconds=0.05), SqlStore(database, SCRIBE)
    claims = await claimed(brief, 2)

    assert await long.renew(claims) == {claim.event.event_id for claim in claims}

    await asyncio.sleep(0.1)
    assert await long.claim(LANE, limit=2) == []
    assert await long.renew([]) == set()


async def test_after_two_crashes_only_the_suspects_process_claims_an_event(store: SqlStore) -> None:
    await store.accept([note(1)])
    for crashes in (1, 2):
        assert await store.claim(LANE, limit=1, suspects=True) == []
        (claim,) = await store.claim(LANE, limit=1)
        assert claim.crashes == crashes
        await expire_leases(store.database)

    for crashes in (3, 4, 5, 6):
        assert await store.claim(LANE, limit=1) == []
        assert (await store.due_lanes([LANE]), await store.due_lanes([LANE], suspects=True)) == ([], [LANE])
        (claim,) = await store.claim(LANE, limit=1, suspects=True)
        assert claim.crashes == crashes
        await expire_leases(store.database)


async def test_a_claim_that_was_lost_can_neither_renew_nor_release_nor_commit(store: SqlStore) -> None:
    (lost,) = await claimed(store, 1)
    await expire_leases(store.database)
    (held,) = await store.claim(LANE, limit=1)

    assert await store.renew([lost, held]) == {held.event.event_id}
    await store.release([Release(lost, timedelta(0), "cancelled")])
    assert await store.commit([succeeded(lost)]) == [Written.FENCED]

    assert await store.claim(LANE, limit=1) == []
    assert await store.commit([succeeded(held)]) == [Written.COMMITTED]


async def test_ordered_only_the_lowest_unfinished_event_of_a_key_is_claimed(store: SqlStore) -> None:
    one, two = b"one" * 2_000, b"two"
    await store.accept([note(1, key=one), note(2, key=one), note(3, key=two), note(4, key=one)])

    first, other = await store.claim(LANE, limit=5, ordered=True)
    assert numbers([first, other]) == ["1", "3"]

    # Neither a wait nor a crash lets the next one pass; a decision does, to review or dead as well.
    await store.release([Release(first, timedelta(hours=1), "model_unavailable")])
    assert await store.claim(LANE, limit=5, ordered=True) == []
    await make_due(store.database)
    (first,) = await store.claim(LANE, limit=5, ordered=True)
    await store.commit([succeeded(first, review("large"))])
    (second,) = await store.claim(LANE, limit=5, ordered=True)
    await store.commit([gave_up(second)])
    assert numbers([first, second, *await store.claim(LANE, limit=5, ordered=True)]) == ["1", "2", "4"]


async def test_a_paused_lane_is_left_alone_until_it_is_resumed(store: SqlStore) -> None:
    await store.accept([note(1)])

    assert await pause(store.database, paused=True)
    assert not await pause(store.database, paused=True)
    assert await store.claim(LANE, limit=1) == []
    assert await store.due_lanes([LANE]) == []
    assert await administration.paused_lanes(store.database) == {LANE: "worker"}

    record = trail.noted("workflow_resumed", {}, scribe=SCRIBE, now=NOW, workflow=LANE)
    assert await administration.set_paused(store.database, LANE, record, paused=False)
    assert len(await store.claim(LANE, limit=1)) == 1
    assert len(await rows(store.database, t.audit_record)) == 2


@pytest.mark.parametrize("how", ["crash", "release"])
async def test_attempts_come_back_with_the_next_claim(store: SqlStore, how: str) -> None:
    claim, other = await claimed(store, 2)
    made = tuple(
        tried(claim, step, failure, retry_after_seconds=1.5, complaints=("amount: missing",), status=200)
        for step, failure in enumerate(["unusable_output", "model_unavailable", None])
    )
    await store.journal([(attempt, claim.event) for attempt in made])

    if how == "crash":
        await expire_leases(store.database)
    else:
        await store.release([Release(held, timedelta(0), "cancelled") for held in (claim, other)])

    again = {back.event.event_id: back for back in await store.claim(LANE, limit=2)}
    back = again[claim.event.event_id].attempts
    assert back == made
    assert [attempt.request.body for attempt in back] == [attempt.request.body for attempt in made]
    lost = [attempt.failure for attempt in again[other.event.event_id].attempts]
    assert lost == (["lost"] if how == "crash" else [])


async def test_an_event_whose_row_was_taken_away_does_not_stop_its_lane(store: SqlStore) -> None:
    await store.accept(notes(3))
    await remove(store.database, t.event, note(1).event_id)

    assert numbers(await store.claim(LANE, limit=3)) == ["0", "2"]


async def test_an_event_whose_row_was_taken_away_does_not_stand_before_the_others(store: SqlStore) -> None:
    await store.accept(notes(2))
    await remove(store.database, t.event, note(0).event_id)

    assert await store.claim(LANE, limit=1) == []
    assert numbers(await store.claim(LANE, limit=1)) == ["1"]
