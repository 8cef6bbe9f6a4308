"""What the overview shows: what came in, what became of it, and what waits."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from infra import tables as t
from infra.store import SqlStore
from infra.store.overview import Span, overview, percentiles
from schemas import review
from tests.contract.scenes import LANE, claimed, gave_up, replayed, succeeded, tried


async def decided_now(store: SqlStore) -> None:
    """Decisions of the scenes are of long ago: they are made today's."""
    async with store.database.write() as connection:
        await connection.execute(update(t.result).values(decided_at=datetime.now(UTC)))


async def some_of_each(store: SqlStore) -> None:
    """Five came: two succeeded, one is for a person, one is dead, one is in flight."""
    claims = await claimed(store, 5)
    await store.commit(
        [
            succeeded(claims[0]),
            succeeded(claims[1]),
            succeeded(claims[2], review("large")),
            gave_up(claims[3]),
        ]
    )
    await decided_now(store)


@pytest.mark.parametrize("span", ["hour", "day"])
async def test_it_counts_what_came_in_and_what_became_of_it(store: SqlStore, span: Span) -> None:
    await some_of_each(store)

    seen = await overview(store.database, [LANE, "letters"], span)

    assert [flow.workflow for flow in seen.flows] == ["letters", LANE]
    assert seen.accepted == 5
    assert seen.outcomes == {"succeeded": 2, "needs_review": 1, "dead": 1}
    assert seen.flows[1].decided == 4
    assert (seen.in_flight, seen.claimed, seen.reviews, seen.failures) == (1, 1, 1, 1)
    assert seen.oldest_review is not None
    assert sum(slot.accepted for slot in seen.slots) == 5
    assert sum(slot.outcomes["dead"] for slot in seen.slots) == 1


async def test_slots_follow_each_other_up_to_now(store: SqlStore) -> None:
    hour = await overview(store.database, [LANE], "hour")
    day = await overview(store.database, [LANE], "day")

    assert (len(hour.slots), len(day.slots)) == (61, 25)
    for seen, step in ((hour, timedelta(minutes=1)), (day, timedelta(hours=1))):
        begins = [slot.begin for slot in seen.slots]
        assert begins == [begins[0] + step * number for number in range(len(begins))]
        assert seen.at - step < begins[-1] <= seen.at


async def test_what_is_older_than_the_span_is_not_counted_but_still_waits(store: SqlStore) -> None:
    await some_of_each(store)
    long_ago = datetime.now(UTC) - timedelta(days=2)
    async with store.database.write() as connection:
        await connection.execute(update(t.event).values(accepted_at=long_ago))
        await connection.execute(update(t.result).values(decided_at=long_ago))

    seen = await overview(store.database, [LANE], "day")

    assert (seen.accepted, dict(seen.outcomes)) == (0, {})
    assert (seen.in_flight, seen.reviews, seen.failures) == (1, 1, 1)


async def test_a_replayed_event_is_no_failure_any_more(store: SqlStore) -> None:
    (claim,) = await claimed(store, 1)
    dead = gave_up(claim)
    await store.commit([dead])
    await store.commit([replayed(dead)])

    seen = await overview(store.database, [LANE], "day")

    assert (seen.failures, seen.in_flight, seen.claimed) == (0, 1, 0)


async def test_calls_cost_and_take_time(store: SqlStore) -> None:
    claims = await claimed(store, 4)
    now = datetime.now(UTC)
    calls = [
        (tried(claim, started_at=now, latency_ms=latency, cost_micros=10), claim.event)
        for claim, latency in zip(claims, (100, 200, 300, 4_000), strict=True)
    ]
    await store.journal(calls)

    seen = await overview(store.database, [LANE], "hour")

    assert (seen.p50_ms, seen.p95_ms, seen.cost_micros) == (200, 4_000, 40)
    assert sum(slot.calls for slot in seen.slots) == 4


async def test_an_empty_database_has_an_empty_picture(store: SqlStore) -> None:
    await store.accept([])

    seen = await overview(store.database, [LANE], "day")

    assert (seen.accepted, seen.failures, seen.p50_ms, seen.oldest_review) == (0, 0, None, None)


@pytest.mark.parametrize(
    ("latencies", "expected"),
    [
        ([], (None, None)),
        ([7], (7, 7)),
        ([3, 1, 2], (2, 3)),
        (list(range(1, 101)), (50, 95)),
    ],
)
def test_percentiles_are_of_the_nearest_rank(
    latencies: list[int], expected: tuple[int | None, int | None]
) -> None:
    assert percentiles(latencies) == expected
