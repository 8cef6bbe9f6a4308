"""Micro-batches: every waiter gets its own result, whatever becomes of the others."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from infra.batch import Batcher, until_stored
from pipeline.errors import StoreUnavailable


@dataclass
class Writer:
    """Doubles numbers; fails on a batch that holds an exception's number."""

    failures: dict[int, BaseException] = field(default_factory=dict)
    takes_seconds: float = 0.0
    batches: list[list[int]] = field(default_factory=list)
    at_once: int = 0

    async def __call__(self, items: Sequence[int]) -> list[int]:
        self.at_once += 1
        assert self.at_once == 1
        self.batches.append(list(items))
        try:
            await asyncio.sleep(self.takes_seconds)
            for item in items:
                if item in self.failures:
                    raise self.failures[item]
            return [item * 2 for item in items]
        finally:
            self.at_once -= 1


def batcher(writer: Writer, *, limit: int = 4, linger_seconds: float = 0.01) -> Batcher[int, int]:
    return Batcher(writer, limit=limit, linger_seconds=linger_seconds)


async def test_each_waiter_gets_its_own_result() -> None:
    writer = Writer()

    results = await asyncio.gather(*map(batcher(writer).submit, range(10)))

    assert results == [number * 2 for number in range(10)]
    assert writer.batches == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


async def test_a_full_batch_does_not_linger() -> None:
    full = batcher(Writer(), linger_seconds=60)

    async with asyncio.timeout(5):
        assert await asyncio.gather(*map(full.submit, range(8))) == [0, 2, 4, 6, 8, 10, 12, 14]


async def test_a_single_item_waits_no_longer_than_the_linger() -> None:
    writer = Writer()

    async with asyncio.timeout(5):
        assert await batcher(writer).submit(1) == 2

    assert writer.batches == [[1]]


async def test_items_that_come_while_others_linger_go_with_them() -> None:
    writer = Writer()
    slow = batcher(writer, linger_seconds=0.5)

    first = asyncio.create_task(slow.submit(1))
    await asyncio.sleep(0.02)
    await asyncio.gather(first, slow.submit(2))

    assert writer.batches == [[1, 2]]


async def test_the_next_batch_gathers_while_one_is_written() -> None:
    writer = Writer(takes_seconds=0.05)
    slow = batcher(writer)

    first = asyncio.create_task(slow.submit(1))
    await asyncio.sleep(0.03)
    await asyncio.gather(first, *map(slow.submit, (2, 3, 4)))

    assert writer.batches == [[1], [2, 3, 4]]


async def test_an_error_goes_to_all_of_its_batch_and_to_no_other() -> None:
    writer = Writer(failures={1: StoreUnavailable()})
    failing = batcher(writer, limit=3)

    results = await asyncio.gather(*map(failing.submit, range(6)), return_exceptions=True)

    assert [type(result) for result in results] == [StoreUnavailable] * 3 + [int] * 3
    assert await failing.submit(9) == 18


async def test_a_waiter_that_gives_up_does_not_disturb_the_others() -> None:
    writer = Writer(takes_seconds=0.02)
    shared = batcher(writer)
    waiting = [asyncio.create_task(shared.submit(number)) for number in range(4)]
    await asyncio.sleep(0.01)

    waiting[1].cancel()

    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(results[1], asyncio.CancelledError)
    assert [results[0], results[2], results[3]] == [0, 4, 6]
    assert writer.batches == [[0, 1, 2, 3]]


async def test_a_write_that_answers_for_too_few_is_an_error_for_all() -> None:
    async def write(items: Sequence[int]) -> list[int]:
        return [1] * (len(items) - 1)

    short: Batcher[int, int] = Batcher(write, limit=2, linger_seconds=0.01)

    async with asyncio.timeout(5):
        results = await asyncio.gather(short.submit(1), short.submit(2), return_exceptions=True)
    assert [type(result) for result in results] == [ValueError, ValueError]


async def test_a_write_that_is_cancelled_leaves_nobody_waiting() -> None:
    writer = Writer(failures={1: asyncio.CancelledError()})
    cancelled = batcher(writer, limit=2)

    async with asyncio.timeout(5):
        results = await asyncio.gather(*map(cancelled.submit, (0, 1, 2)), return_exceptions=True)
    assert [type(result) for result in results] == [asyncio.CancelledError] * 3
    assert await cancelled.submit(4) == 8


async def test_it_is_tried_until_the_database_takes_it() -> None:
    tries = 0

    async def write() -> str:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise StoreUnavailable
        return "stored"

    assert await until_stored(write, pause_seconds=0.001) == "stored"
    assert tries == 3


async def test_another_error_is_not_tried_again() -> None:
    tries = 0

    async def write() -> None:
        nonlocal tries
        tries += 1
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await until_stored(write, pause_seconds=0.001)
    assert tries == 1


async def test_only_a_cancellation_ends_the_trying() -> None:
    async def write() -> None:
        raise StoreUnavailable

    trying = asyncio.create_task(until_stored(write, pause_seconds=0.001))
    await asyncio.sleep(0.02)
    assert not trying.done()

    trying.cancel()

    with pytest.raises(asyncio.CancelledError):
        await trying
