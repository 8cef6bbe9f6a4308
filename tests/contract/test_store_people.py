"""What people decide is guarded by the revision that they saw, and told back when it cannot be written."""

import asyncio
from dataclasses import replace

import pytest

from infra import tables as t
from infra.store import SqlStore
from infra.store.commit import REPLAY_PRIORITY
from pipeline.errors import MessageTooLarge, Unstorable
from pipeline.ports import Written
from schemas.changeset import Actor, ExpectedRevision
from tests.contract.scenes import (
    LANE,
    amount_of,
    balance,
    dead,
    dead_on_arrival,
    note,
    oversized,
    refuse,
    replay_of,
    replayed,
    rows,
    states,
    succeeded,
)

COMMITTED, FENCED = Written.COMMITTED, Written.FENCED


async def test_a_replay_puts_a_dead_event_back_to_work_and_its_decision_has_the_revision_after(
    store: SqlStore,
) -> None:
    changeset = await dead(store)

    assert await store.commit([replayed(changeset)]) == [COMMITTED]

    told = await balance(store.database)
    assert (told.outcomes, told.in_flight, told.balanced) == ({}, 1, True)
    (row,) = await rows(store.database, t.work)
    assert (row.priority, row.revision, row.lane) == (REPLAY_PRIORITY, 2, LANE)
    (claim,) = await store.claim(LANE, limit=1)
    assert (claim.revision, claim.crashes, claim.attempts) == (3, 1, ())
    assert await store.commit([succeeded(claim)]) == [COMMITTED]
    revisions = {row.revision: row for row in await rows(store.database, t.result)}
    assert {number: row.state for number, row in revisions.items()} == {
        1: "dead",
        2: "reopened",
        3: "succeeded",
    }
    assert [revisions[number].supersedes for number in (1, 2, 3)] == [None, 1, 2]
    told = await balance(store.database)
    assert (told.accepted, told.outcomes, told.balanced) == (1, {"succeeded": 1}, True)


@pytest.mark.parametrize("expected", [0, 2, 7])
async def test_a_person_who_saw_another_revision_is_fenced(store: SqlStore, expected: int) -> None:
    changeset = replace(replayed(await dead(store)), guard=ExpectedRevision(expected))

    assert await store.commit([changeset]) == [FENCED]

    assert await amount_of(store.database, t.work) == 0


async def test_a_person_is_fenced_while_a_machine_works_on_the_event(store: SqlStore) -> None:
    changeset = await dead(store)
    await store.commit([replayed(changeset)])
    seen = replace(changeset.result, revision=2)

    assert await store.commit([replay_of(changeset.event, seen)]) == [FENCED]

    assert await amount_of(store.database, t.work) == 1


async def test_of_two_people_at_once_one_is_fenced(store: SqlStore) -> None:
    for number in range(5):
        event = note(number)
        changeset = dead_on_arrival(event)
        await store.commit([changeset])

        written = await asyncio.gather(
            *(store.commit([replayed(changeset, Actor("os", name))]) for name in ("ada", "bob", "cyd"))
        )

        assert sorted(fate.value for (fate,) in written) == ["committed", "fenced", "fenced"]
    assert await amount_of(store.database, t.work) == 5
    assert (await balance(store.database)).balanced


async def test_of_two_people_in_one_batch_one_is_fenced(store: SqlStore) -> None:
    changeset = await dead(store)

    written = await store.commit([replayed(changeset), replayed(changeset, Actor("os", "bob"))])

    assert written == [COMMITTED, FENCED]


async def test_people_see_why_their_changeset_cannot_be_stored(store: SqlStore) -> None:
    changeset = replayed(await dead(store))
    with_nul = replace(changeset, result=replace(changeset.result, data={"city": "\0"}))
    too_large = oversized(replace(changeset, outbox=dead_on_arrival(changeset.event).outbox))

    for wrong, error in ((with_nul, Unstorable), (too_large, MessageTooLarge)):
        with pytest.raises(error):
            await store.commit([wrong])
    await refuse(store.database, t.result, "NEW.state = 'reopened'")
    with pytest.raises(Unstorable):
        await store.commit([changeset])

    assert await states(store.database, [changeset.event]) == ["dead"]
