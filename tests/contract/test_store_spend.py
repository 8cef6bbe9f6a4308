"""What calls have cost, from the journal, and how today's budgets and this minute's limits stand."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import pytest
from sqlalchemy import Table, update

from infra import tables as t
from infra.database import Database
from infra.store import SqlStore
from infra.store.spend import By, Spending, lost_calls, spent
from infra.store.windows import Budget, budgets, full_minutes
from pipeline.claim import Claimed
from pipeline.resolve import reopen
from pipeline.spend import Caps, Draw, Limits, Rate
from schemas.extraction import Charge, Usage
from tests.builders import NOW
from tests.contract.scenes import (
    LANE,
    PERSON,
    claimed,
    expire_leases,
    gave_up,
    note,
    replayed,
    succeeded,
    tried,
)

DAY: Final = date(2024, 5, 17)
NOON: Final = datetime(2024, 5, 17, 12, 0, tzinfo=UTC)
RATE: Final = Rate(base_micros=100)


async def called(store: SqlStore, claim: Claimed, step: int = 0, **changes: Any) -> UUID:
    """A call on the event at noon, for 10 micro-units unless said otherwise."""
    attempt = tried(claim, step, changes.pop("failure", None), **{"started_at": NOON, **changes})
    await store.journal([(attempt, claim.event)])
    return attempt.id


async def change(database: Database, table: Table, ids: Iterable[UUID], **values: Any) -> None:
    """Columns that other parts of Penstock fill in."""
    key = table.c.id if "id" in table.c else table.c.event_id
    async with database.write() as connection:
        await connection.execute(update(table).where(key.in_(list(ids))).values(**values))


async def seen(database: Database, by: By = "workflow", until: date = DAY) -> dict[str, Spending]:
    found = await spent(database, by, since=DAY, until=until)
    return {"total": found.total} | {line.key: line for line in found.lines}


async def total(database: Database) -> Spending:
    return (await seen(database))["total"]


async def test_calls_add_up_with_the_outcomes_that_they_came_to(store: SqlStore) -> None:
    one, two, _ = claims = await claimed(store, 3)
    for claim in claims:
        await called(store, claim, usage=Usage(100, 20, 40))
    await called(store, two, 1, alias="strong", cost_micros=71, usage=Usage(100, 20))
    await store.commit([succeeded(one), succeeded(two)])

    found = await seen(store.database)

    whole = found[LANE]
    assert (whole.calls, whole.cost_micros) == (4, 101)
    assert (whole.input_tokens, whole.prompt_cached_tokens, whole.output_tokens) == (400, 120, 80)
    assert (whole.decided, whole.micros_per_outcome) == (2, 51)
    assert (whole.prompt_cache_share, whole.first_model_share) == (0.3, 0.5)
    assert found == {LANE: whole, "total": replace(whole, key="total")}


async def test_an_event_counts_in_each_line_and_once_in_the_total(store: SqlStore) -> None:
    (claim,) = await claimed(store, 1)
    await called(store, claim, model_asked="small")
    await called(store, claim, 1, model_asked="small", started_at=NOON + timedelta(hours=11.9))
    night = NOON + timedelta(hours=12)
    await called(store, claim, 2, model_asked="large", alias="strong", started_at=night)
    await store.commit([succeeded(claim)])
    tomorrow = DAY + timedelta(days=1)

    models = await seen(store.database, "model", until=tomorrow)
    days = await seen(store.database, "day", until=tomorrow)

    assert {key: (line.calls, line.decided, line.answered_by_first) for key, line in models.items()} == {
        "small": (2, 1, 0),
        "large": (1, 1, 0),
        "total": (3, 1, 0),
    }
    assert {key: (line.calls, line.cost_micros, line.decided) for key, line in days.items()} == {
        "2024-05-17": (2, 20, 1),
        "2024-05-18": (1, 10, 1),
        "total": (3, 30, 1),
    }


async def test_sources_are_told_apart(store: SqlStore) -> None:
    claims = await claimed(store, 3)
    for claim in claims:
        await called(store, claim)
    await change(store.database, t.event, [claims[0].event.event_id], source="shop")

    found = await seen(store.database, "source")

    assert {key: line.calls for key, line in found.items()} == {"shop": 1, "tests": 2, "total": 3}


async def test_only_the_days_asked_for_count_in_utc(store: SqlStore) -> None:
    (claim,) = await claimed(store, 1)
    midnight = datetime(2024, 5, 17, tzinfo=UTC)
    moments = [midnight - timedelta(microseconds=1), midnight, midnight + timedelta(days=1, microseconds=-1)]
    for step, moment in enumerate([*moments, midnight + timedelta(days=1)]):
        await called(store, claim, step, started_at=moment)

    assert (await total(store.database)).calls == 2
    ever = await spent(store.database, "day", since=date.min, until=date.max)
    assert ever.total.calls == 4


async def test_a_lost_call_is_none_but_costs_its_worst_case(store: SqlStore) -> None:
    await store.accept([note(1)])
    await store.claim(LANE, limit=1, rate=RATE)
    await expire_leases(store.database)
    (claim,) = await store.claim(LANE, limit=1, rate=RATE)
    await change(store.database, t.attempt, [claim.attempts[0].id], started_at=NOON)
    await called(store, claim, 1)
    await called(store, claim, 2, failure="model_timeout", is_unknown=True, cost_micros=500)
    await called(store, claim, 3)
    await store.commit([succeeded(claim)])

    found = await seen(store.database, "model")

    whole = found["total"]
    assert (whole.calls, whole.lost, whole.cost_micros, whole.unknown_micros) == (3, 1, 620, 600)
    assert (found["unknown"].calls, found["unknown"].lost, found["unknown"].cost_micros) == (0, 1, 100)
    assert whole.first_model_share == 1.0
    assert await lost_calls(store.database) == 1


async def test_an_answer_from_the_cache_is_no_call_and_saves_what_the_first_one_cost(store: SqlStore) -> None:
    first, again = await claimed(store, 2)
    original = await called(store, first, cost_micros=25, started_at=NOON - timedelta(days=3))
    hit = await called(store, again, cost_micros=0, usage=Usage(100, 20))
    await change(store.database, t.attempt, [hit], original_id=original)
    await store.commit([succeeded(again)])

    found = await total(store.database)

    assert found == Spending("total", cached=1, saved_micros=25, decided=1)
    assert found.saved_share == 1.0
    assert (found.micros_per_outcome, found.prompt_cache_share, found.first_model_share) == (0, None, None)


async def test_who_answered_is_told_by_the_newest_revision_that_models_were_asked_for(
    store: SqlStore,
) -> None:
    (claim,) = await claimed(store, 1)
    await called(store, claim, failure="unusable_output")
    await called(store, claim, 1, alias="strong", failure="unusable_output")
    ended = gave_up(claim)
    await store.commit([ended])
    assert (await total(store.database)).answered == 0
    await store.commit([replayed(ended)])
    (again,) = await store.claim(LANE, limit=1)
    await called(store, again)
    answered = succeeded(again)
    await store.commit([answered])

    found = await total(store.database)

    assert (found.decided, found.answered, found.answered_by_first) == (1, 1, 1)


async def test_a_reopened_event_has_no_outcome_until_it_has_one_again(store: SqlStore) -> None:
    (claim,) = await claimed(store, 1)
    await called(store, claim)
    ended = gave_up(claim)
    await store.commit([ended])
    assert (await total(store.database)).decided == 1

    back = reopen(ended.event, ended.result, version="6" * 64, actor=PERSON, release="0.0.0", now=NOW)
    await store.commit([back])

    assert (await total(store.database)).decided == 0


@pytest.mark.parametrize("by", ["workflow", "model", "day", "source"])
async def test_a_time_without_calls_has_no_lines_and_a_total_of_nothing(store: SqlStore, by: By) -> None:
    assert await seen(store.database, by) == {"total": Spending("total")}


async def test_large_sums_stay_whole_numbers(store: SqlStore) -> None:
    (claim,) = await claimed(store, 1)
    large = 9_000_000_000_000_001
    for step in range(3):
        await called(store, claim, step, cost_micros=large)

    assert (await total(store.database)).cost_micros == 3 * large


async def test_budgets_of_today_say_what_is_left_and_whether_they_hold_events_up(store: SqlStore) -> None:
    poor = replace(store, caps=Caps(total=1_000, named={f"workflow:{LANE}": 150}))
    await store.accept([note(number) for number in range(3)])
    (first,) = await poor.claim(LANE, limit=1, rate=RATE)
    await poor.commit([replace(succeeded(first), charge=Charge(70, 20))])
    await poor.claim(LANE, limit=1, rate=RATE)
    await poor.draw([Draw("m@here", 1, Limits(1, None))], [])

    found = await budgets(store.database)

    assert found == [
        Budget("source:tests", None, spent=70, reserved=0, unknown=20, holds=False),
        Budget("total", 1_000, spent=70, reserved=0, unknown=20, holds=False),
        Budget(f"workflow:{LANE}", 150, spent=70, reserved=0, unknown=20, holds=True),
    ]
    assert [budget.is_reached for budget in found] == [False, False, True]


async def test_a_cap_that_refused_nobody_of_late_holds_nobody_up(store: SqlStore) -> None:
    poor = replace(store, caps=Caps(total=150))
    await store.accept([note(1), note(2)])
    (first,) = await poor.claim(LANE, limit=1, rate=RATE)
    await poor.commit([replace(succeeded(first), charge=Charge(70))])
    await poor.claim(LANE, limit=1, rate=RATE)
    async with store.database.write() as connection:
        refused = update(t.budget_window).where(t.budget_window.c.refused_at.is_not(None))
        changed = await connection.execute(refused.values(refused_at=NOW))

    assert changed.rowcount == 1
    assert [budget.holds for budget in await budgets(store.database)] == [False] * 3


async def test_a_cap_that_was_raised_holds_nobody_up_any_more(store: SqlStore) -> None:
    poor = replace(store, caps=Caps(total=150))
    await store.accept([note(number) for number in range(3)])
    (first,) = await poor.claim(LANE, limit=1, rate=RATE)
    await poor.commit([replace(succeeded(first), charge=Charge(70, 0))])
    assert await poor.claim(LANE, limit=1, rate=RATE) == []

    assert await replace(store, caps=Caps(total=1_000)).claim(LANE, limit=1, rate=RATE) != []

    assert [budget.holds for budget in await budgets(store.database)] == [False] * 3


async def test_endpoints_whose_minute_is_full_are_named(store: SqlStore) -> None:
    await store.draw(
        [
            Draw("m@here", 100, Limits(3, 100)),
            Draw("n@here", 5, Limits(1, None)),
            Draw("o@here", 5, Limits(2, 6)),
        ],
        [],
    )

    found = await full_minutes(store.database)

    assert found == ["requests:n@here", "tokens:m@here"]
