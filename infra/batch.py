"""Single items in, micro-batches out: many small writes become few larger ones."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pipeline.errors import StoreUnavailable

T = TypeVar("T")
R = TypeVar("R")


@dataclass
class Batcher(Generic[T, R]):
    """Collects items for `linger_seconds` or until there are `limit`, then writes them at once.

    `write` gets the items in the order they came and returns one result for each; `submit` returns
    its own item's result, or raises what the whole write raised. One write runs at a time, and
    while it runs the next batch gathers.
    """

    write: Callable[[Sequence[T]], Awaitable[Sequence[R]]]
    limit: int
    linger_seconds: float
    _waiting: list[tuple[T, asyncio.Future[R]]] = field(default_factory=list)
    _writer: asyncio.Task[None] | None = None
    _full: asyncio.Event = field(default_factory=asyncio.Event)

    async def submit(self, item: T) -> R:
        """Wait until the batch with `item` is written. Cancelling the wait does not undo the write."""
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if len(self._waiting) >= self.limit:
            self._full.set()
        if self._writer is None:
            self._writer = asyncio.create_task(self._run())
        return await future

    async def _run(self) -> None:
        try:
            while self._waiting:
                await self._gather()
                batch, self._waiting = self._waiting[: self.limit], self._waiting[self.limit :]
                await self._write(batch)
        finally:
            self._writer = None
            self._abandon(self._waiting)
            self._waiting = []

    async def _gather(self) -> None:
        self._full.clear()
        if len(self._waiting) >= self.limit:
            return
        try:
            async with asyncio.timeout(self.linger_seconds):
                await self._full.wait()
        except TimeoutError:
            pass

    async def _write(self, batch: Sequence[tuple[T, asyncio.Future[R]]]) -> None:
        try:
            results = await self.write([item for item, _ in batch])
            for (_, future), result in list(zip(batch, results, strict=True)):
                if not future.done():
                    future.set_result(result)
        except Exception as error:  # noqa: BLE001 - handed to every waiter
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
        except BaseException:
            self._abandon(batch)
            raise

    def _abandon(self, batch: Sequence[tuple[T, asyncio.Future[R]]]) -> None:
        """The writer was cancelled: nobody may wait for it any longer."""
        for _, future in batch:
            future.cancel()


async def until_stored(write: Callable[[], Awaitable[R]], *, pause_seconds: float = 0.5) -> R:
    """Try `write` until the database takes it: what is held in memory must not be lost to an outage.

    Ends by cancellation only; whoever holds a lease is cancelled when the lease is lost.
    """
    while True:
        try:
            return await write()
        except StoreUnavailable:
            await asyncio.sleep(pause_seconds)
