"""The people's queue: the oldest first, one person per item, and gone with the decision."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import update

from infra import tables as t
from infra.store import SqlStore, history, reviews
from infra.store.reviews import Item
from pipeline.errors import Conflict, NotFound
from pipeline.ports import Written
from pipeline.resolve import Verdict, approve, correct, send_back
from pipeline.sample import SAMPLED
from schemas import review
from schemas.changeset import Actor, Changeset
from tests.builders import NOW, SCRIBE, entry
from tests.contract.scenes import LANE, amount_of, balance, claimed, rows, states, succeeded

ADA, BOB = "os:ada@desk", "os:bob@desk"
VERDICT = Verdict(replace(SCRIBE, actor=Actor("person", ADA)), NOW)


async def doubted(store: SqlStore, amount: int) -> list[UUID]:
    """Events that wait for a person, the oldest first."""
    claims = await claimed(store, amount)
    await store.commit([succeeded(claim, review("large amount")) for claim in claims])
    for number, claim in enumerate(claims):
        event_id, at = claim.event.event_id, NOW + timedelta(minutes=number // 2)
        async with store.database.write() as connection:
            row = update(t.review).where(t.review.c.event_id == event_id)
            await connection.execute(row.values(created_at=at))
    return [item.event_id for item in await reviews.waiting(store.database)]


async def approval(store: SqlStore, event_id: UUID) -> Changeset:
    return approve(await history.subject(store.database, event_id), entry(), VERDICT)


async def expire(store: SqlStore) -> None:
    async with store.database.write() as connection:
        await connection.execute(update(t.review).values(claimed_until=NOW))


def ids(items: Sequence[Item]) -> list[UUID]:
    return [item.event_id for item in items]


async def test_pages_walk_the_queue_from_the_oldest_and_leave_none_out(store: SqlStore) -> None:
    every = await doubted(store, 7)

    walked: list[Item] = []
    while page := await reviews.waiting(
        store.database, workflow=LANE, after=walked[-1].place() if walked else None, limit=2
    ):
        walked += page

    assert ids(walked) == every
    assert [item.created_at for item in walked] == sorted(item.created_at for item in walked)
    assert (walked[0].reasons, walked[0].revision, walked[0].claimed_by) == (("large amount",), 1, None)
    assert await reviews.waiting(store.database, workflow="other") == []


async def test_a_page_goes_on_behind_an_item_that_is_resolved_meanwhile(store: SqlStore) -> None:
    every = await doubted(store, 4)
    page = await reviews.waiting(store.database, limit=2)

    await store.commit([await approval(store, every[1])])

    assert ids(await reviews.waiting(store.database, after=page[-1].place())) == every[2:]


@pytest.mark.parametrize("place", ["", "x", f"2024-05-17/{UUID(int=1)}", "2024-05-17T00:00:00+00:00/1"])
async def test_a_place_that_is_none_is_told(store: SqlStore, place: str) -> None:
    with pytest.raises(NotFound, match="no such place"):
        await reviews.waiting(store.database, after=place)


async def test_a_second_person_is_told_who_has_it_and_since_when(store: SqlStore) -> None:
    (event_id,) = await doubted(store, 1)
    mine = await reviews.claim(store.database, event_id, who=ADA)

    with pytest.raises(Conflict, match=r"claimed by ada@desk since \d\d:\d\d, until \d\d:\d\d"):
        await reviews.claim(store.database, event_id, who=BOB)
    with pytest.raises(Conflict, match="ada@desk"):
        await reviews.release(store.database, event_id, who=BOB)

    again = await reviews.claim(store.database, event_id, who=ADA)
    assert again.claimed_at == mine.claimed_at
    assert again.claimed_until
    assert mine.claimed_until
    assert again.claimed_until >= mine.claimed_until


async def test_a_claim_ends_by_release_or_by_time(store: SqlStore) -> None:
    (event_id,) = await doubted(store, 1)
    await reviews.claim(store.database, event_id, who=ADA)
    await reviews.release(store.database, event_id, who=ADA)
    assert (await reviews.claim(store.database, event_id, who=BOB)).claimed_by == BOB

    await expire(store)

    found = await reviews.find(store.database, event_id)
    assert found
    assert (found.claimed_by, found.claimed_at, found.claimed_until) == (None, None, None)
    assert (await reviews.claim(store.database, event_id, who=ADA)).claimed_by == ADA


async def test_next_takes_the_oldest_that_nobody_looks_at(store: SqlStore) -> None:
    every = await doubted(store, 3)
    await reviews.claim(store.database, every[0], who=BOB)

    first = await reviews.claim_next(store.database, who=ADA)
    again = await reviews.claim_next(store.database, who=ADA, workflow=LANE)
    other = await reviews.claim_next(store.database, who="os:cyd@desk")

    assert first
    assert again
    assert other
    assert [first.event_id, again.event_id, other.event_id] == [every[1], every[1], every[2]]
    assert await reviews.claim_next(store.database, who="os:dan@desk") is None
    assert await reviews.claim_next(store.database, who=ADA, workflow="other") is None


async def test_of_people_who_claim_at_once_one_has_it(store: SqlStore) -> None:
    for event_id in await doubted(store, 5):
        tried = [reviews.claim(store.database, event_id, who=f"os:{name}@desk") for name in "abc"]
        found = await asyncio.gather(*tried, return_exceptions=True)

        assert sorted(type(one).__name__ for one in found) == ["Conflict", "Conflict", "Item"]


async def test_people_who_ask_for_the_next_at_once_get_different_ones(store: SqlStore) -> None:
    every = await doubted(store, 6)

    found = await asyncio.gather(
        *(reviews.claim_next(store.database, who=f"os:{name}@desk") for name in "abcdef")
    )

    assert sorted(item.event_id for item in found if item) == sorted(every)


async def test_a_decision_closes_the_item_in_its_transaction(store: SqlStore) -> None:
    first, second = await doubted(store, 2)
    changeset = await approval(store, first)

    assert await store.commit([changeset]) == [Written.COMMITTED]

    assert ids(await reviews.waiting(store.database)) == [second]
    assert await states(store.database, [changeset.event]) == ["approved"]
    told = await balance(store.database)
    assert (told.outcomes, told.balanced) == ({"approved": 1, "needs_review": 1}, True)
    with pytest.raises(NotFound, match="does not wait for a person"):
        await reviews.claim(store.database, first, who=ADA)
    with pytest.raises(NotFound, match="does not wait for a person"):
        await reviews.release(store.database, first, who=ADA)


async def test_of_two_people_who_decide_at_once_one_is_fenced(store: SqlStore) -> None:
    for event_id in await doubted(store, 5):
        seen = await history.subject(store.database, event_id)
        right = correct(seen, entry(), {"city": "Mallaig", "amount": None}, VERDICT)

        found = await asyncio.gather(store.commit([approve(seen, entry(), VERDICT)]), store.commit([right]))

        assert sorted(fate.value for (fate,) in found) == ["committed", "fenced"]
    assert await amount_of(store.database, t.review) == 0
    assert (await balance(store.database)).balanced


async def test_what_is_sent_back_leaves_the_queue_and_is_worked_on(store: SqlStore) -> None:
    (event_id,) = await doubted(store, 1)
    seen = await history.subject(store.database, event_id)

    assert await store.commit([send_back(seen, entry(), VERDICT)]) == [Written.COMMITTED]

    assert await amount_of(store.database, t.review) == 0
    (claim,) = await store.claim(LANE, limit=1)
    assert claim.revision == 3
    with pytest.raises(Conflict, match="in flight"):
        await approval(store, event_id)
    await store.commit([succeeded(claim, review("again"))])
    assert [row.revision for row in await rows(store.database, t.review)] == [3]


async def test_what_receivers_act_on_is_read_with_the_event(store: SqlStore) -> None:
    (claim,) = await claimed(store, 1)
    event_id = claim.event.event_id
    with pytest.raises(Conflict, match="in flight"):
        await history.subject(store.database, event_id)
    await store.commit([succeeded(claim)])
    await store.commit([await approval(store, event_id)])

    found = await history.subject(store.database, event_id)

    assert (found.newest.state, found.newest.revision, found.standing) == ("approved", 2, 1)
    with pytest.raises(NotFound):
        await history.subject(store.database, UUID(int=1))


async def test_a_sampled_event_waits_though_it_is_published_and_its_approval_publishes_nothing(
    store: SqlStore,
) -> None:
    (claim,) = await claimed(store, 1)
    await store.commit([succeeded(claim, sampled=True)])

    (item,) = await reviews.waiting(store.database)
    assert (item.event_id, item.sampled, item.reasons) == (claim.event.event_id, True, (SAMPLED,))
    before = await store.unpublished(limit=10)
    await store.commit([await approval(store, item.event_id)])

    assert await reviews.waiting(store.database) == []
    assert await states(store.database, [claim.event]) == ["approved"]
    topics = [message.topic for message in await store.unpublished(limit=10)]
    assert sorted(topics) == sorted([*(message.topic for message in before), "audit.records.v1"])


async def ranked_by(store: SqlStore, ranks: Sequence[float]) -> list[UUID]:
    """Events that wait, the oldest first, with these ranks."""
    found = await doubted(store, len(ranks))
    for event_id, rank in zip(found, ranks, strict=True):
        async with store.database.write() as connection:
            await connection.execute(
                update(t.review).where(t.review.c.event_id == event_id).values(rank=rank)
            )
    return found


async def test_a_workflow_s_queue_can_begin_with_what_is_doubted_most(store: SqlStore) -> None:
    every = await ranked_by(store, [99.99, 0.0, 91.0, 99.99, 91.5])
    ranked = [every[place] for place in (1, 2, 4, 0, 3)]

    walked: list[Item] = []
    while page := await reviews.waiting(
        store.database,
        workflow=LANE,
        after=walked[-1].place("doubted") if walked else None,
        limit=2,
        order="doubted",
    ):
        walked += page

    assert ids(walked) == ranked
    for number, item in enumerate(walked):
        before, behind = await reviews.beside(store.database, item, LANE, "doubted")
        assert before == (ranked[number - 1] if number else None)
        assert behind == (ranked[number + 1] if number < 4 else None)
    first = await reviews.claim_next(store.database, who=ADA, workflow=LANE, order="doubted")
    second = await reviews.claim_next(store.database, who=BOB, workflow=LANE, order="doubted")
    assert [first and first.event_id, second and second.event_id] == ranked[:2]


async def test_several_workflows_have_no_common_doubt(store: SqlStore) -> None:
    with pytest.raises(Conflict, match="one workflow"):
        await reviews.waiting(store.database, order="doubted")


@pytest.mark.parametrize("place", ["", "nan/2026-11-21T08:00:00+00:00/1", "1e999/x", "5", "5/2026-11-21/5"])
async def test_a_place_that_is_none_in_this_order_is_told(store: SqlStore, place: str) -> None:
    with pytest.raises(NotFound, match="no such place"):
        await reviews.waiting(store.database, workflow=LANE, after=place, order="doubted")
