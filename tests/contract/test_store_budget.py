"""Budgets: no cap is ever exceeded, what a call costs is settled once, and what may be lost is counted."""

import asyncio
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, update

from infra import tables as t
from infra.database import Database
from infra.store import SqlStore
from pipeline.claim import Claimed, Release
from pipeline.ports import Written
from pipeline.spend import Caps, Draw, Limits, Rate, Reservation, Return, Room
from schemas.extraction import Charge
from tests.builders import NOW
from tests.contract.scenes import LANE, expire_leases, note, notes, oversized, rows, succeeded, tried

RATE = Rate(base_micros=100)
SOURCE = "source:" + note(0).identity.source


def capped(store: SqlStore, **caps: Any) -> SqlStore:
    return replace(store, caps=Caps(**caps))


async def windows(database: Database) -> dict[str, tuple[int, int, int]]:
    """(reserved, settled, unknown) by scope."""
    return {
        row.scope: (row.reserved, row.settled, row.unknown) for row in await rows(database, t.budget_window)
    }


async def work(database: Database) -> Any:
    (row,) = await rows(database, t.work)
    return row


async def due_now(database: Database) -> None:
    """A minute passes for everybody who waits."""
    async with database.write() as connection:
        await connection.execute(update(t.work).values(due_at=NOW))


def everywhere(*amounts: int) -> Mapping[str, tuple[int, ...]]:
    return dict.fromkeys((SOURCE, "total", f"workflow:{LANE}"), amounts)


async def test_a_claim_reserves_by_size_and_the_commit_settles_in_all_scopes(store: SqlStore) -> None:
    await store.accept([note(1)])
    size = len(note(1).content)

    (claim,) = await store.claim(LANE, limit=1, rate=Rate(100, 1024 * 3 - 1))

    assert claim.reserved == Rate(100, 1024 * 3 - 1).of(size) == 100 + 3 * size
    assert await windows(store.database) == everywhere(claim.reserved, 0, 0)
    assert (await work(store.database)).reserved == claim.reserved

    await store.commit([replace(succeeded(claim), charge=Charge(70, 20))])
    await store.commit([replace(succeeded(claim), charge=Charge(70, 20))])

    assert await windows(store.database) == everywhere(0, 70, 20)


async def test_where_nothing_has_a_price_no_window_is_kept(store: SqlStore) -> None:
    await store.accept([note(1)])
    (claim,) = await store.claim(LANE, limit=1)
    await store.commit([succeeded(claim)])

    assert claim.reserved == 0
    assert await windows(store.database) == {}


async def test_a_release_settles_what_was_called_and_frees_the_rest(store: SqlStore) -> None:
    await store.accept([note(1)])
    (claim,) = await store.claim(LANE, limit=1, rate=RATE)
    back = Release(claim, timedelta(0), "model_unavailable", charge=Charge(30), step=1)

    await store.release([back])
    await store.release([back])

    assert await windows(store.database) == everywhere(0, 30, 0)
    assert ((await work(store.database)).reserved, (await work(store.database)).step) == (0, 1)


async def test_events_without_room_wait_and_come_again_when_the_cap_is_raised(store: SqlStore) -> None:
    await store.accept(notes(3))
    poor, rich = capped(store, total=250), capped(store, total=300)

    claims = await poor.claim(LANE, limit=3, rate=RATE)

    assert len(claims) == 2
    waiting = [row for row in await rows(store.database, t.work) if row.token is None]
    assert [(row.waits_for, row.crashes) for row in waiting] == [("budget_exhausted", 0)]
    (total,) = [row for row in await rows(store.database, t.budget_window) if row.scope == "total"]
    assert (total.limit, total.reserved) == (250, 200)
    assert total.refused_at is None, "calls under way hold it"
    assert await rich.claim(LANE, limit=1, rate=RATE) == [], "it is due within a minute, not before"
    await due_now(store.database)
    assert await poor.claim(LANE, limit=1, rate=RATE) == []
    await due_now(store.database)
    assert len(await rich.claim(LANE, limit=1, rate=RATE)) == 1


async def test_a_cap_that_is_spent_says_when_it_last_refused(store: SqlStore) -> None:
    await store.accept(notes(3))
    poor = capped(store, total=150)
    (claim,) = await poor.claim(LANE, limit=1, rate=RATE)
    await poor.commit([replace(succeeded(claim), charge=Charge(70))])

    assert await poor.claim(LANE, limit=2, rate=RATE) == []
    assert {row.scope for row in await rows(store.database, t.budget_window) if row.refused_at} == {"total"}


async def test_a_source_that_used_up_its_budget_does_not_hold_others_up(store: SqlStore) -> None:
    greedy = [note(number, source="greedy") for number in range(40)]
    await store.accept([*greedy, note(99, source="modest")])
    thrifty = capped(store, named={"source:greedy": 250})

    claims = await thrifty.claim(LANE, limit=5, rate=RATE)

    assert [claim.event.identity.source for claim in claims] == ["greedy", "greedy", "modest"]


async def test_an_event_dearer_than_a_cap_is_handed_out_without_a_reservation(store: SqlStore) -> None:
    await store.accept([note(1)])
    thrifty = capped(store, event=99)

    (claim,) = await thrifty.claim(LANE, limit=1, rate=RATE)

    assert claim.reserved is None
    assert await thrifty.reserve(claim, Reservation(0, 100)) is Room.NEVER
    assert await thrifty.reserve(claim, Reservation(0, 50, spent=50)) is Room.NEVER
    assert await thrifty.reserve(claim, Reservation(0, 99)) is Room.GRANTED


async def test_the_next_call_settles_the_one_before_and_may_be_reserved_twice(store: SqlStore) -> None:
    await store.accept([note(1)])
    (claim,) = await store.claim(LANE, limit=1, rate=RATE)
    again = Reservation(1, 150, spent=40, charge=Charge(40))

    assert [await store.reserve(claim, again) for _ in "ab"] == [Room.GRANTED] * 2

    assert await windows(store.database) == everywhere(150, 40, 0)
    await store.commit([replace(succeeded(claim), charge=Charge(60))])
    assert await windows(store.database) == everywhere(0, 100, 0)


async def test_a_call_without_room_settles_the_one_before_once(store: SqlStore) -> None:
    await store.accept([note(1)])
    thrifty = capped(store, total=180)
    (claim,) = await thrifty.claim(LANE, limit=1, rate=RATE)
    again = Reservation(1, 150, spent=40, charge=Charge(40))

    assert [await thrifty.reserve(claim, again) for _ in "ab"] == [Room.FULL] * 2
    assert await thrifty.reserve(claim, Reservation(1, 120)) is Room.GRANTED

    assert await windows(store.database) == everywhere(120, 40, 0)
    await thrifty.release([Release(claim, timedelta(0), "budget_exhausted", step=1)])
    assert await windows(store.database) == everywhere(0, 40, 0)


async def test_while_calls_under_way_hold_the_room_the_wait_is_short(store: SqlStore) -> None:
    await store.accept(notes(2))
    thrifty = capped(store, total=250)
    first, _ = await thrifty.claim(LANE, limit=2, rate=RATE)

    assert await thrifty.reserve(first, Reservation(1, 240, spent=10, charge=Charge(10))) is Room.BUSY


async def test_who_lost_the_claim_reserves_nothing(store: SqlStore) -> None:
    await store.accept([note(1)])
    (lost,) = await store.claim(LANE, limit=1, rate=RATE)
    await expire_leases(store.database)
    await store.claim(LANE, limit=1, rate=RATE)

    assert await store.reserve(lost, Reservation(1, 500)) is Room.LOST


async def test_a_crash_before_the_journal_is_settled_as_a_lost_call_at_its_worst(store: SqlStore) -> None:
    await store.accept([note(1)])
    await store.claim(LANE, limit=1, rate=RATE)
    await expire_leases(store.database)

    (claim,) = await store.claim(LANE, limit=1, rate=RATE)

    assert await windows(store.database) == everywhere(0, 100, 100)
    (lost,) = claim.attempts
    assert (lost.failure, lost.cost_micros, lost.is_unknown, lost.step) == ("lost", 100, True, 0)
    assert claim.reserved is None
    await expire_leases(store.database)
    (claim,) = await store.claim(LANE, limit=1, rate=RATE, suspects=True)
    assert claim.attempts == (lost,), "no call was reserved, so none can be lost"


async def test_a_crash_after_the_journal_is_settled_by_what_the_call_cost(store: SqlStore) -> None:
    await store.accept([note(1)])
    (claim,) = await store.claim(LANE, limit=1, rate=RATE)
    made = tried(claim, 0, None, cost_micros=33)
    await store.journal([(made, claim.event)])
    await expire_leases(store.database)

    (claim,) = await store.claim(LANE, limit=1, rate=RATE)

    assert claim.attempts == (made,)
    assert await windows(store.database) == everywhere(0, 33, 0)


async def test_a_buried_result_is_settled_too(store: SqlStore) -> None:
    await store.accept([note(1)])
    (claim,) = await store.claim(LANE, limit=1, rate=RATE)
    too_large = replace(oversized(succeeded(claim)), charge=Charge(70))

    assert await store.commit([too_large]) == [Written.BURIED]

    assert await windows(store.database) == everywhere(0, 70, 0)


@dataclass
class Crowd:
    """Workers of ten slots each, whose calls end, are repeated, or are lost with their process."""

    store: SqlStore
    chance: random.Random
    rate: Rate

    async def work(self) -> None:
        while claims := await self.store.claim(LANE, limit=10, rate=self.rate):
            await asyncio.gather(*(self.call(claim) for claim in claims))

    async def call(self, claim: Claimed) -> None:
        await asyncio.sleep(self.chance.random() / 100)
        fate, spent = self.chance.random(), self.cost()
        if fate < 0.2:
            return
        if fate < 0.5:
            again = Reservation(1, 40_000, spent=spent, charge=Charge(spent))
            if await self.store.reserve(claim, again) is not Room.GRANTED:
                back = Release(claim, timedelta(0), "budget_exhausted", charge=Charge(spent), step=1)
                await self.store.release([back])
                return
            spent = self.cost()
        await self.store.commit([replace(succeeded(claim), charge=Charge(spent))])

    def cost(self) -> int:
        return self.chance.randrange(1_000, 40_000)


@pytest.mark.parametrize("seed", range(2))
async def test_a_hundred_slots_never_exceed_a_cap(store: SqlStore, seed: int) -> None:
    await store.accept(notes(300))
    cap = 1_000_000  # 1.00
    crowd = Crowd(capped(store, total=cap), random.Random(seed), Rate(40_000))  # noqa: S311 - a reproducible one

    working = asyncio.gather(*(crowd.work() for _ in range(10)))
    samples: list[tuple[int, int, int]] = []
    while not working.done():
        samples += (await windows(store.database)).values()
        await asyncio.sleep(0.002)
    await working
    await expire_leases(store.database)
    while await crowd.store.claim(LANE, limit=50, rate=crowd.rate):
        await expire_leases(store.database)

    assert max(reserved + settled for reserved, settled, _ in samples) <= cap
    reserved, settled, unknown = (await windows(store.database))["total"]
    assert cap - 40_000 < reserved + settled <= cap, "and it is used up"
    assert unknown > 0, "calls were lost"


# --- the minutes of endpoints ---


def draw(tokens: int, requests: int | None = 3, limit: int | None = 100) -> Draw:
    return Draw("m@here", tokens, Limits(requests, limit))


async def test_a_minute_gives_its_requests_and_tokens_once(store: SqlStore) -> None:
    first = await store.draw([draw(40), draw(70), draw(60), draw(0), draw(0)], [])

    (minute,) = {one for one in first if one}
    assert first == [minute, None, minute, minute, None]
    assert await windows(store.database) == {"requests:m@here": (3, 0, 0), "tokens:m@here": (100, 0, 0)}


async def test_tokens_that_were_not_used_can_be_drawn_again(store: SqlStore) -> None:
    (minute,) = await store.draw([draw(90, requests=None)], [])
    assert minute is not None

    back = [Return("m@here", minute, 90, 20), Return("m@here", "2024-01-01T00:00+00:00", 90, 0)]

    assert await store.draw([draw(80, requests=None), draw(1, requests=None)], back) == [minute, None]
    assert await windows(store.database) == {"tokens:m@here": (80, 20, 0)}


async def test_many_processes_draw_no_more_than_there_is(store: SqlStore) -> None:
    drawn = await asyncio.gather(*(store.draw([draw(1, requests=30, limit=None)] * 5, []) for _ in range(20)))

    by_minute = Counter(minute for batch in drawn for minute in batch if minute)
    assert set(by_minute.values()) == {30}


async def test_past_minutes_of_an_endpoint_are_forgotten_when_it_is_drawn_from(store: SqlStore) -> None:
    await store.draw([draw(1), Draw("n@here", 1, Limits(3, None))], [])
    past = {"scope": "tokens:m@here", "window": "2024-05-17T12:00+00:00"}
    async with store.database.write() as connection:
        await connection.execute(insert(t.budget_window).values(**past, reserved=0, settled=0, unknown=0))

    await store.draw([Draw("n@here", 1, Limits(3, None))], [])
    assert past["window"] in [row.window for row in await rows(store.database, t.budget_window)]
    await store.draw([draw(1)], [])

    kept = [(row.scope, row.window) for row in await rows(store.database, t.budget_window)]
    assert tuple(past.values()) not in kept
    assert {scope for scope, _ in kept} == {"requests:m@here", "tokens:m@here", "requests:n@here"}
