"""Doorbells: few rings out of many, the last one always, and never a word about a broken one."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from infra.bell import Bell


@dataclass
class Wire:
    """Where the rings go; it may be slow, and it may be cut."""

    takes_seconds: float = 0.0
    is_cut: bool = False
    rung: list[str] = field(default_factory=list)
    successes: int = 0
    failures: int = 0
    threads: set[str] = field(default_factory=set)

    def send(self, lane: str) -> None:
        self.threads.add(threading.current_thread().name)
        time.sleep(self.takes_seconds)
        if self.is_cut:
            raise ConnectionError("no Redis")
        self.rung.append(lane)

    def heard(self) -> None:
        self.successes += 1

    def failed(self) -> None:
        self.failures += 1


@asynccontextmanager
async def bell(wire: Wire) -> AsyncIterator[Bell]:
    bell = Bell(wire.send, rung=wire.heard, failed=wire.failed)
    yield bell
    await bell.close()


async def quiet() -> None:
    """Longer than two quiet times, so that nothing is left to ring."""
    await asyncio.sleep(0.2)


async def until(told: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not told():  # noqa: ASYNC110 - the wire is no coroutine that could set an event
            await asyncio.sleep(0.005)


async def test_a_bell_rings_at_once() -> None:
    wire = Wire()
    async with bell(wire) as door:
        door.ring("notes")

        await until(lambda: wire.rung == ["notes"])
    assert threading.current_thread().name not in wire.threads


async def test_many_rings_are_two_the_first_and_one_after_the_last() -> None:
    wire = Wire()
    async with bell(wire) as door:
        for _ in range(100):
            door.ring("notes")
        await quiet()

        assert wire.rung == ["notes", "notes"]


async def test_a_ring_that_comes_while_one_is_sent_is_not_lost() -> None:
    wire = Wire(takes_seconds=0.2)
    async with bell(wire) as door:
        door.ring("notes")
        await until(lambda: bool(wire.threads))
        door.ring("notes")
        assert wire.rung == []

        await until(lambda: wire.rung == ["notes", "notes"])


async def test_after_the_quiet_time_a_bell_rings_at_once_again() -> None:
    wire = Wire()
    async with bell(wire) as door:
        for _ in range(3):
            door.ring("notes")
            await until(lambda: wire.rung == ["notes"])
            await quiet()
            wire.rung.clear()


async def test_lanes_ring_apart() -> None:
    wire = Wire()
    async with bell(wire) as door:
        for lane in ("notes", "letters", "notes"):
            door.ring(lane)
        await until(lambda: len(wire.rung) == 3)

        assert sorted(wire.rung) == ["letters", "notes", "notes"]


async def test_a_cut_wire_is_told_and_never_raises() -> None:
    wire = Wire(is_cut=True)
    async with bell(wire) as door:
        door.ring("notes")
        door.ring("notes")
        await until(lambda: wire.failures == 2)
        assert (wire.rung, wire.successes) == ([], 0)

        wire.is_cut = False
        await quiet()
        door.ring("notes")
        await until(lambda: wire.successes == 1)

        assert (wire.rung, wire.failures) == (["notes"], 2)


async def test_a_slow_wire_blocks_nobody_who_rings() -> None:
    wire = Wire(takes_seconds=1.0)
    async with bell(wire) as door:
        started = time.monotonic()
        for _ in range(50):
            door.ring("notes")
            await asyncio.sleep(0)

        assert time.monotonic() - started < 0.9


async def test_closing_does_not_wait_for_what_is_not_sent_yet() -> None:
    wire = Wire(takes_seconds=0.5)
    door = Bell(wire.send, rung=wire.heard, failed=wire.failed)
    for lane in ("notes", "letters", "orders"):
        door.ring(lane)
    await until(lambda: bool(wire.threads))

    await door.close()

    assert wire.rung == []
    await until(lambda: wire.rung == ["notes"])
    await quiet()
    assert wire.rung == ["notes"]


async def test_a_bell_that_is_closed_is_silent() -> None:
    wire = Wire()
    door = Bell(wire.send, rung=wire.heard, failed=wire.failed)
    await door.close()

    door.ring("notes")
    await quiet()

    assert (wire.rung, wire.failures) == ([], 1)
    await door.close()


async def test_closing_before_a_ring_was_sent_is_possible() -> None:
    wire = Wire()
    door = Bell(wire.send, rung=wire.heard, failed=wire.failed)
    door.ring("notes")

    await door.close()

    assert wire.rung == []
