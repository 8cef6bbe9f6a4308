"""Doorbells: a lane's name in, a Celery message out, best effort. Losing one costs latency only."""

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

#: Bells for one lane within this time are one bell; the last one is always rung.
_QUIET_SECONDS: Final = 0.05


@dataclass
class Bell:
    """Rings lanes off the request path: `ring` never blocks and never raises.

    `send` may block for a second (a frozen Redis) and may fail; one thread takes the wait.
    """

    send: Callable[[str], None]
    rung: Callable[[], None] = lambda: None
    failed: Callable[[], None] = lambda: None
    _waiting: dict[str, bool] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "bell"))

    def ring(self, lane: str) -> None:
        """Ring at once, and once more after the quiet time when others rang meanwhile."""
        if lane in self._waiting:
            self._waiting[lane] = True
            return
        self._waiting[lane] = False
        task = asyncio.get_running_loop().create_task(self._ring(lane))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ring(self, lane: str) -> None:
        try:
            await self._send(lane)
            await asyncio.sleep(_QUIET_SECONDS)
            while self._waiting[lane]:
                self._waiting[lane] = False
                await self._send(lane)
                await asyncio.sleep(_QUIET_SECONDS)
        finally:
            del self._waiting[lane]

    async def _send(self, lane: str) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._thread, self.send, lane)
        except Exception:  # noqa: BLE001 - whatever Redis, kombu or the network raise, sweep rings again
            self.failed()
        else:
            self.rung()

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._thread.shutdown(wait=False, cancel_futures=True)
