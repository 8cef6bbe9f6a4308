"""What calls have cost: by workflow, model, day and source, on rows as the journal has them."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import pytest
from sqlalchemy import Table, insert, update

from infra import tables as t
from infra.database import Database
from infra.store import SqlStore
from infra.store.spend import By, Spending, budgets, spent
from pipeline.claim import Claimed
from schemas.extraction import Usage
from tests.contract.scenes import claimed, gave_up, replayed, succeeded, tried

DAY: Final = date(2024, 5, 17)
NOON: Final = datetime(2024, 5, 17, 12, 0, tzinfo=UTC)


async def journalled(store: SqlStore, claim: Claimed, step: int = 0, **changes: Any) -> UUID:
    """A call on the event, of 100 tokens in and 20 out for 10 micro-units unless said otherwise."""
    attempt = tried(claim, step, **{"started_at": NOON, **changes})
    await store.journal([(attempt, claim.event)])
    return attempt.id


async def change(database: Database, table: Table, rows: Iterable[UUID], **values: Any) -> None:
    """Columns that other parts of Penstock fill in."""
    async with database.write() as connection:
        key = table.c.id if "id" in table.c else table.c.event_id
        await connection.execute(update(table).where(key.in_(list(rows))).values(**values))


async def seen(database: Database, by: By = "workflow", until: date = DAY) -> dict[str, Spending]:
    found = await spent(database, since=DAY, until=until, by=by)
    return {"total": found.total} | {line.key: line for line in found.lines}


async def test_calls_of_a_workflow_add_up_with_their_outcomes(store: SqlStore) -> None:
    one, two, _ = claims = await claimed(store, 3)
    for claim in claims:
        await journalled(store, claim, usage=Usage(100, 20, 40))
    await journalled(store, two, 1, failure="unusable_output", alias="strong", cost_micros=70)
    await store.commit([succeeded(one), gave_up(two)])

    found = await seen(store.database)

    whole = found["notes"]
    assert (whole.calls, whole.cost_micros) == (4, 100)
    assert (whole.input_tokens, whole.cached_tokens, whole.output_tokens) == (400, 120, 80)
    assert (whole.events, whole.micros_per_event) == (2, 50)
    assert (whole.cached_share, whole.cheap_share) == (0.3, 0.5)
    assert set(found) == {"notes", "total"}
    assert replace(whole, key="total") == found["total"]


async def test_an_event_counts_in_each_line_and_once_in_the_total(store: SqlStore) -> None:
    (claim,) = await claimed(store, 1)
    await journalled(store, claim, model_asked="small")
    await journalled(store, claim, 1, model_asked="small", started_at=NOON + timedelta(hours=11.9))
    await journalled(
        store, claim, 2, model_asked="large", alias="strong", started_at=NOON + timedelta(hours=12)
    )
    await store.commit([succeeded(claim)])
    tomorrow = DAY + timedelta(days=1)

    models = await seen(store.database, "model", until=tomorrow)
    days = await seen(store.database, "day", until=tomorrow)

    assert {key: (line.calls, line.events, line.cheap_events) for key, line in models.items()} == {
        "small": (2, 1, 0),
        "large": (1, 1, 0),
        "total": (3, 1, 0),
    }
    assert {key: (line.calls, line.cost_micros) for key, line in days.items()} == {
        "2024-05-17": (2, 20),
        "2024-05-18": (1, 10),
        "total": (3, 30),
    }


async def test_sources_are_told_apart(store: SqlStore) -> None:
    claims = await claimed(store, 3)
    for claim in claims:
        await journalled(store, claim)
    await change(store.database, t.event, [claims[0].event.event_id], source="shop")

    found = await seen(store.database, "source")

    assert {key: line.calls for key, line in found.items()} == {"shop": 1, "tests": 2, "total": 3}


async def test_only_the_days_asked_for_count_in_utc(store: SqlStore) -> None:
    (claim,) = await claimed(store, 1)
    midnight = datetime(2024, 5, 17, tzinfo=UTC)
    moments = [midnight - timedelta(microseconds=1), midnight, midnight + timedelta(days=1, microseconds=-1)]
    for step, moment in enumerate([*moments, midnight + timedelta(days=1)]):
        await journalled(store, claim, step, started_at=moment)

    assert (await seen(store.database))["total"].calls == 2


async def test_what_the_provider_did_not_tell_and_lost_calls_are_named(store: SqlStore) -> None:
    (claim,) = await claimed(store, 1)
    await journalled(store, claim)
    await journalled(store, claim, 1, failure="model_timeout", is_unknown=True, cost_micros=500)
    lost = await journalled(store, claim, 2, is_unknown=True, cost_micros=300)
    await change(store.database, t.attempt, [lost], failure="lost")

    total = (await seen(store.database))["total"]

    assert (total.calls, total.lost) == (3, 1)
    assert (total.cost_micros, total.unknown_micros) == (810, 800)


async def test_an_answer_from_the_cache_is_no_call_and_saves_what_the_original_cost(store: SqlStore) -> None:
    first, again = await claimed(store, 2)
    original = await journalled(store, first, cost_micros=25, started_at=NOON - timedelta(days=3))
    hit = await journalled(store, again, cost_micros=0)
    await change(store.database, t.attempt, [hit], original_id=original)
    await store.commit([succeeded(again)])

    total = (await seen(store.database))["total"]

    assert total == Spending("total", from_cache=1, saved_micros=25, events=1, cheap_events=1)
    assert (total.micros_per_event, total.cached_share) == (0, None)


async def test_calls_without_a_price_are_counted_apart(store: SqlStore) -> None:
    (claim,) = await claimed(store, 1)
    await journalled(store, claim, cost_micros=None)
    await journalled(store, claim, 1)

    total = (await seen(store.database))["total"]

    assert (total.calls, total.unpriced, total.cost_micros) == (2, 1, 10)


async def test_an_event_that_was_reopened_has_no_outcome_until_it_has_one_again(store: SqlStore) -> None:
    (claim,) = await claimed(store, 1)
    await journalled(store, claim)
    ended = gave_up(claim)
    await store.commit([ended])
    await store.commit([replayed(ended)])

    assert (await seen(store.database))["total"].events == 0


@pytest.mark.parametrize("by", ["workflow", "model", "day", "source"])
async def test_a_time_without_calls_has_no_lines_and_a_total_of_nothing(store: SqlStore, by: By) -> None:
    assert await seen(store.database, by) == {"total": Spending("total")}


async def test_budgets_are_those_of_money_on_that_day(store: SqlStore) -> None:
    rows: list[Mapping[str, Any]] = [
        {"scope": scope, "window": window, "limit": 100, "reserved": 1, "settled": 2, "unknown": 0}
        for scope, window in (
            ("workflow:notes", "2024-05-17"),
            ("total", "2024-05-17"),
            ("source:tests", "2024-05-17"),
            ("total", "2024-05-16"),
            ("requests:gpt@here", "2024-05-17"),
        )
    ]
    async with store.database.write() as connection:
        await connection.execute(insert(t.budget_window), rows)

    found = await budgets(store.database, day=DAY)

    assert [row["scope"] for row in found] == ["source:tests", "total", "workflow:notes"]


async def test_many_calls_for_large_sums_stay_whole_numbers(store: SqlStore) -> None:
    (claim,) = await claimed(store, 1)
    large = 9_000_000_000_000_001
    for step in range(3):
        await journalled(store, claim, step, cost_micros=large)

    assert (await seen(store.database))["total"].cost_micros == 3 * large
