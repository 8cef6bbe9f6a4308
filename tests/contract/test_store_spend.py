"""What calls have cost, summed as they are stored, and how today's budgets and this minute's limits stand."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from importlib import import_module
from typing import Any, Final

import pytest
from sqlalchemy import update

from infra import tables as t
from infra.database import Database
from infra.store import SqlStore
from infra.store.spend import By, Spending, lost_calls, spent
from infra.store.windows import Budget, budgets, full_minutes
from pipeline.claim import Claimed
from pipeline.spend import Caps, Draw, Limits, Rate, asked_of
from schemas.changeset import Changeset
from schemas.extraction import Attempt, Charge, Usage
from tests.builders import NOW
from tests.contract.scenes import (
    LANE,
    claimed,
    expire_leases,
    gave_up,
    note,
    replayed,
    rows,
    succeeded,
    tried,
)

DAY: Final = date(2024, 5, 17)
NOON: Final = datetime(2024, 5, 17, 12, 0, tzinfo=UTC)
RATE: Final = Rate(base_micros=100)


async def called(store: SqlStore, claim: Claimed, step: int = 0, **changes: Any) -> Attempt:
    """A call on the event at noon, for 10 micro-units unless said otherwise."""
    attempt = tried(claim, step, changes.pop("failure", None), **{"started_at": NOON, **changes})
    await store.journal([(attempt, claim.event)])
    return attempt


async def decide(store: SqlStore, claim: Claimed, *attempts: Attempt) -> Changeset:
    """The event succeeds after these calls."""
    changeset = replace(succeeded(claim), asked=asked_of(attempts))
    await store.commit([changeset])
    return changeset


async def seen(database: Database, by: By = "workflow", until: date = DAY) -> dict[str, Spending]:
    found = await spent(database, by, since=DAY, until=until)
    return {"total": found.total} | {line.key: line for line in found.lines}


async def total(database: Database) -> Spending:
    return (await seen(database))["total"]


async def test_calls_add_up_with_the_outcomes_that_they_came_to(store: SqlStore) -> None:
    one, two, _ = claims = await claimed(store, 3)
    calls = [await called(store, claim, usage=Usage(100, 20, 40)) for claim in claims]
    strong = await called(store, two, 1, alias="strong", cost_micros=71, usage=Usage(100, 20))
    await decide(store, one, calls[0])
    await decide(store, two, calls[1], strong)

    found = await seen(store.database)

    whole = found[LANE]
    assert (whole.calls, whole.cost_micros) == (4, 101)
    assert (whole.input_tokens, whole.prompt_cached_tokens, whole.output_tokens) == (400, 120, 80)
    assert (whole.decided, whole.micros_per_outcome) == (2, 51)
    assert (whole.prompt_cache_share, whole.first_model_share) == (0.3, 0.5)
    assert found == {LANE: whole, "total": replace(whole, key="total")}


async def test_a_decision_counts_once_with_the_last_call_for_it(store: SqlStore) -> None:
    (claim,) = await claimed(store, 1)
    first = await called(store, claim, model_asked="small")
    again = await called(store, claim, 1, model_asked="small", started_at=NOON + timedelta(hours=11.9))
    night = NOON + timedelta(hours=12)
    last = await called(store, claim, 2, model_asked="large", alias="strong", started_at=night)
    await decide(store, claim, first, again, last)
    tomorrow = DAY + timedelta(days=1)

    models = await seen(store.database, "model", until=tomorrow)
    days = await seen(store.database, "day", until=tomorrow)

    assert {key: (line.calls, line.decided, line.answered_by_first) for key, line in models.items()} == {
        "small": (2, 0, 0),
        "large": (1, 1, 0),
        "total": (3, 1, 0),
    }
    assert {key: (line.calls, line.cost_micros, line.decided) for key, line in days.items()} == {
        "2024-05-17": (2, 20, 0),
        "2024-05-18": (1, 10, 1),
        "total": (3, 30, 1),
    }


async def test_sources_are_told_apart(store: SqlStore) -> None:
    for claim in await claimed(store, 2):
        await called(store, claim)
    await store.accept([note(9, source="shop")])
    (claim,) = await store.claim(LANE, limit=1)
    await called(store, claim)

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
    (lost,) = claim.attempts
    at = lost.started_at
    late = await called(
        store, claim, 1, failure="model_timeout", is_unknown=True, cost_micros=500, started_at=at
    )
    two = [await called(store, claim, step, started_at=at) for step in (2, 3)]
    await decide(store, claim, lost, late, *two)

    found = await seen(store.database, "model", at.date())

    whole = found["total"]
    assert (whole.calls, whole.lost, whole.cost_micros, whole.unknown_micros) == (3, 1, 620, 600)
    assert (found["unknown"].calls, found["unknown"].lost, found["unknown"].cost_micros) == (0, 1, 100)
    assert whole.first_model_share == 1.0
    assert await lost_calls(store.database) == 1


async def test_an_answer_from_the_cache_is_no_call_and_saves_what_the_first_one_cost(store: SqlStore) -> None:
    first, again = await claimed(store, 2)
    original = await called(store, first, cost_micros=25, started_at=NOON - timedelta(days=3))
    hit = await called(store, again, cost_micros=0, usage=Usage(100, 20), original_id=original.id)
    await decide(store, again, hit)

    found = await total(store.database)

    assert found == Spending("total", cached=1, saved_micros=25, decided=1)
    assert found.saved_share == 1.0
    assert (found.micros_per_outcome, found.prompt_cache_share, found.first_model_share) == (0, None, None)


async def test_each_decision_of_a_replayed_event_counts_where_its_own_calls_do(store: SqlStore) -> None:
    (claim,) = await claimed(store, 1)
    weak = await called(store, claim, failure="unusable_output")
    strong = await called(store, claim, 1, alias="strong", failure="unusable_output")
    ended = replace(gave_up(claim), asked=asked_of([weak, strong]))
    await store.commit([ended])
    assert (await total(store.database)).answered == 0
    await store.commit([replayed(ended)])
    (again,) = await store.claim(LANE, limit=1)
    await decide(store, again, await called(store, again))

    found = await total(store.database)

    assert (found.decided, found.answered, found.answered_by_first) == (2, 1, 1)
    assert found.micros_per_outcome == 15


async def test_what_was_fenced_is_no_decision(store: SqlStore) -> None:
    (claim,) = await claimed(store, 1)
    made = await called(store, claim)
    await decide(store, claim, made)
    await decide(store, claim, made)

    assert (await total(store.database)).decided == 1


async def test_a_call_that_is_journalled_twice_is_added_once(store: SqlStore) -> None:
    (claim,) = await claimed(store, 1)
    made = tried(claim, started_at=NOON)
    await store.journal([(made, claim.event), (made, claim.event)])
    await store.journal([(made, claim.event), (tried(claim, 1, started_at=NOON), claim.event)])

    found = await total(store.database)

    assert (found.calls, found.cost_micros) == (2, 20)


async def test_processes_add_to_rows_of_their_own(store: SqlStore) -> None:
    (claim,) = await claimed(store, 1)
    for shard in (0, 1, 1):
        made = tried(claim, started_at=NOON)
        await replace(store, shard=shard).journal([(made, claim.event)])

    assert len(await rows(store.database, t.spend_day)) == 2
    assert (await total(store.database)).calls == 3


async def test_the_migration_adds_up_what_the_journal_holds_as_calls_are_added(store: SqlStore) -> None:
    one, two, three = await claimed(store, 3)
    first = await called(store, one, failure="unusable_output", usage=Usage(100, 20, 40))
    strong = await called(store, one, 1, alias="strong", model_asked="large", is_unknown=True)
    await decide(store, one, first, strong)
    plain = await called(store, two, cost_micros=25, started_at=NOON - timedelta(days=3))
    await decide(store, two, plain)
    await decide(store, three, await called(store, three, cost_micros=0, original_id=plain.id))
    await store.accept([note(9, source="shop")])
    await store.claim(LANE, limit=1, rate=RATE)
    await expire_leases(store.database)
    await store.claim(LANE, limit=1, rate=RATE)
    migration = import_module("infra.migrations.versions.0017_spend_by_day")

    async with store.database.read() as connection:
        summed = (await connection.execute(migration.summed())).all()

    kept = await rows(store.database, t.spend_day)
    assert sorted(map(tuple, summed)) == sorted(map(tuple, kept))


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
