"""The endpoints as one process sees them: balanced, bulkheads, and breakers that let one probe through."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.endpoints import Endpoints, Unshared
from infra.model_settings import name_of
from infra.settings import EndpointSettings, ModelSettings
from pipeline.assemble import Ticket
from pipeline.breaker import MAX_FAILURES, MIN_PAUSE, PROBE, Breaker
from pipeline.errors import StoreUnavailable
from pipeline.extract import Rung
from pipeline.spend import Draw, Return
from tests.builders import NOW

SECOND = timedelta(seconds=1)
SMALL, LARGE = "m@small.example/v1", "m@large.example/v1"


def endpoint(place: str, *, slots: int = 64) -> EndpointSettings:
    return EndpointSettings(base_url=f"https://{place}.example/v1", model="m", slots=slots)


FAST = ModelSettings(endpoints=(endpoint("small", slots=2), endpoint("large", slots=6)))


@dataclass
class Clock:
    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


@dataclass
class World:
    """One process's endpoints, with rows of the test's and a clock that it turns."""

    models: dict[str, ModelSettings] = field(default_factory=lambda: {"fast": FAST})
    rows: Unshared = field(default_factory=Unshared)
    clock: Clock = field(default_factory=Clock)
    opened: list[Breaker] = field(default_factory=list)

    def process(self) -> Endpoints:
        return Endpoints(self.models, self.rows, self.clock, opened=self.opened.append)


async def call(endpoints: Endpoints, name: str, failure: str | None) -> bool:
    """One call from beginning to end; False when it was not admitted."""
    ticket = await endpoints.admit(name)
    if ticket is None:
        return False
    with endpoints.busy(name):
        await asyncio.sleep(0)
    await endpoints.ended(ticket, failure)
    return True


async def break_down(endpoints: Endpoints, *names: str) -> None:
    for name in names:
        for _ in range(MAX_FAILURES):
            await call(endpoints, name, "model_timeout")


def listed(endpoints: Endpoints) -> tuple[str, ...]:
    (rung,) = endpoints.rungs(["fast"])
    return rung.endpoints


@pytest.mark.parametrize(
    ("base_url", "name"),
    [
        ("https://api.example/v1", "m@api.example/v1"),
        ("https://api.example/v1/", "m@api.example/v1"),
        ("http://127.0.0.1:8099/v1", "m@127.0.0.1:8099/v1"),
    ],
)
def test_an_endpoint_is_named_by_its_model_and_its_place(base_url: str, name: str) -> None:
    assert name_of(EndpointSettings(base_url=base_url, model="m")) == name


def test_the_one_with_most_room_comes_first() -> None:
    endpoints = World().process()

    with ExitStack() as calls:
        assert listed(endpoints) == (LARGE, SMALL)
        for _ in range(5):
            calls.enter_context(endpoints.busy(LARGE))
        assert listed(endpoints) == (SMALL, LARGE)

    assert listed(endpoints) == (LARGE, SMALL)


def test_aliases_each_have_their_rung_and_may_share_an_endpoint() -> None:
    endpoints = World({"fast": FAST, "strong": ModelSettings(endpoints=(endpoint("large"),))}).process()

    assert endpoints.rungs(["strong", "fast"]) == (Rung("strong", (LARGE,)), Rung("fast", (LARGE, SMALL)))


@given(st.integers(0, 8))
def test_calls_spread_so_that_none_is_over_its_slots(calls: int) -> None:
    endpoints, made = World().process(), Counter[str]()

    with ExitStack() as under_way:
        for _ in range(calls):
            best = listed(endpoints)[0]
            under_way.enter_context(endpoints.busy(best))
            made[best] += 1

        assert endpoints.room("fast") == 8 - calls
        assert made[SMALL] <= 2
        assert made[LARGE] <= 6


def test_a_hanging_endpoint_holds_no_more_than_its_slots_and_leaves_the_others_theirs() -> None:
    endpoints = World({"fast": FAST, "slow": ModelSettings(endpoints=(endpoint("slow", slots=3),))}).process()

    with ExitStack() as hanging:
        for _ in range(3):
            hanging.enter_context(endpoints.busy("m@slow.example/v1"))

        assert endpoints.room("slow") == 0
        assert endpoints.room("fast") == 8


async def test_an_open_breaker_takes_its_endpoint_and_its_room_away() -> None:
    endpoints = World().process()

    await break_down(endpoints, LARGE)

    assert listed(endpoints) == (SMALL,)
    assert endpoints.room("fast") == 2
    assert not await endpoints.admit(LARGE)


async def test_while_all_are_open_there_is_no_room_until_a_probe_is_due() -> None:
    world = World()
    endpoints = world.process()

    await break_down(endpoints, SMALL, LARGE)

    assert listed(endpoints) == ()
    assert endpoints.room("fast") is None
    world.clock.now += MIN_PAUSE
    assert set(listed(endpoints)) == {SMALL, LARGE}
    assert endpoints.room("fast") == 1


async def test_the_probe_that_is_due_comes_first_or_nobody_would_make_it() -> None:
    world = World()
    endpoints = world.process()
    await break_down(endpoints, SMALL)

    world.clock.now += MIN_PAUSE

    assert listed(endpoints) == (SMALL, LARGE)
    assert await endpoints.admit(SMALL)
    assert listed(endpoints) == (LARGE,)


async def test_of_many_that_want_to_one_probes() -> None:
    world = World()
    first, second = world.process(), world.process()
    await break_down(first, SMALL)
    await second.refresh()
    world.clock.now += MIN_PAUSE

    admitted = await asyncio.gather(*(process.admit(SMALL) for process in [first, second] * 10))

    assert sum(ticket is not None for ticket in admitted) == 1


async def test_a_probe_that_answers_opens_the_endpoint_to_all() -> None:
    world = World()
    first, second = world.process(), world.process()
    await break_down(first, SMALL)
    await second.refresh()
    world.clock.now += MIN_PAUSE

    assert await call(first, SMALL, None)
    assert await second.admit(SMALL)

    assert set(listed(first)) == set(listed(second)) == {SMALL, LARGE}


async def test_a_probe_that_fails_makes_the_pause_longer() -> None:
    world = World()
    endpoints = world.process()
    await break_down(endpoints, SMALL)
    world.clock.now += MIN_PAUSE

    assert await call(endpoints, SMALL, "model_timeout")

    world.clock.now += MIN_PAUSE
    assert not await endpoints.admit(SMALL)
    world.clock.now += MIN_PAUSE
    assert await endpoints.admit(SMALL)


async def test_calls_from_before_it_opened_are_not_taken_for_the_probe() -> None:
    world = World()
    endpoints = world.process()
    early = await endpoints.admit(SMALL)
    await break_down(endpoints, SMALL)
    world.clock.now += MIN_PAUSE
    probe = await endpoints.admit(SMALL)
    before = await world.rows.breakers()

    assert early is not None
    await endpoints.ended(early, "model_timeout")

    assert (early, probe) == (Ticket(SMALL), Ticket(SMALL, probe=True))
    assert await world.rows.breakers() == before


async def test_a_probe_that_is_lost_is_made_again() -> None:
    world = World()
    endpoints = world.process()
    await break_down(endpoints, SMALL)
    world.clock.now += MIN_PAUSE
    assert await endpoints.admit(SMALL)

    world.clock.now += PROBE

    assert await endpoints.admit(SMALL)


async def test_the_opening_is_told_once() -> None:
    world = World()
    endpoints = world.process()

    async def failing() -> None:
        await endpoints.ended(Ticket(SMALL), "model_misconfigured")

    await asyncio.gather(*(failing() for _ in range(20)))

    assert [(row.endpoint, row.reason) for row in world.opened] == [(SMALL, "model_misconfigured")]


@dataclass
class Away(Unshared):
    """Rows of a database that cannot be reached from some moment on."""

    is_away: bool = False

    async def probe(self, endpoint: str, *, now: datetime) -> Breaker | None:
        if self.is_away:
            raise StoreUnavailable
        return await super().probe(endpoint, now=now)

    async def note(self, endpoint: str, failure: str | None, *, probe: bool, now: datetime) -> Breaker:
        if self.is_away:
            raise StoreUnavailable
        return await super().note(endpoint, failure, probe=probe, now=now)


async def test_without_the_database_a_process_still_stops_calling_what_fails() -> None:
    world = World(rows=Away(is_away=True))
    endpoints = world.process()

    await break_down(endpoints, SMALL)

    assert listed(endpoints) == (LARGE,)


async def test_without_the_database_nobody_probes_and_no_event_pays_for_it() -> None:
    rows = Away()
    world = World(rows=rows)
    endpoints = world.process()
    await break_down(endpoints, SMALL, LARGE)
    world.clock.now += MIN_PAUSE
    rows.is_away = True

    assert not await endpoints.admit(SMALL)
    assert not await endpoints.admit(LARGE)

    assert endpoints.room("fast") is None
    rows.is_away = False
    world.clock.now += MIN_PAUSE
    assert await endpoints.admit(SMALL)


# --- the minute ---


@dataclass
class Minute(Unshared):
    """Rows that say what the test wants, and keep what they are asked."""

    left: int = 2
    asked: list[tuple[int, tuple[Return, ...]]] = field(default_factory=list)

    async def draw(self, draws: Sequence[Draw], returns: Sequence[Return]) -> list[str | None]:
        self.asked += [(one.tokens, tuple(returns)) for one in draws]
        self.left -= len(draws)
        return ["12:00" if self.left >= number else None for number in reversed(range(len(draws)))]


LIMITED = EndpointSettings(
    base_url="https://small.example/v1", model="m", requests_per_minute=2, tokens_per_minute=500
)


def limited() -> World:
    return World({"fast": ModelSettings(endpoints=(LIMITED,))}, rows=Minute())


async def test_a_minute_that_is_used_up_closes_the_endpoint_until_the_next() -> None:
    world = limited()
    endpoints = world.process()

    tickets = [await endpoints.admit(SMALL, 100) for _ in range(3)]

    assert tickets == [Ticket(SMALL, minute="12:00", tokens=100)] * 2 + [None]
    assert endpoints.room("fast") is None
    assert endpoints.rungs(["fast"]) == (Rung("fast", (), "minute_full"),)
    world.clock.now += timedelta(minutes=1)
    assert endpoints.room("fast") == LIMITED.slots


async def test_what_a_call_did_not_need_is_given_back_with_the_next_draw() -> None:
    world = limited()
    endpoints = world.process()

    ticket = await endpoints.admit(SMALL, 100)
    assert ticket is not None
    await endpoints.ended(ticket, None, tokens=30)
    await endpoints.admit(SMALL, 10_000)

    assert isinstance(world.rows, Minute)
    assert world.rows.asked == [(100, ()), (500, (Return(SMALL, "12:00", 100, 30),))]


async def test_without_the_database_no_limited_endpoint_is_called() -> None:
    class Away(Minute):
        async def draw(self, draws: Sequence[Draw], returns: Sequence[Return]) -> list[str | None]:
            raise StoreUnavailable()

    world = World({"fast": ModelSettings(endpoints=(LIMITED,))}, rows=Away())
    endpoints = world.process()

    assert await endpoints.admit(SMALL, 1) is None
    assert listed(endpoints) == ()
    world.clock.now += timedelta(seconds=5)
    assert listed(endpoints) == (SMALL,)
