"""A provider that is down for ten minutes with a thousand events waiting: almost no call, and no harm.

The breakers' clock runs sixty times as fast as ours: their pauses, from five seconds to a minute, are as
they always are, and ten minutes pass in ten seconds. All else is real: the calls over HTTP, the database,
the drain, and its waits, which are not compressed.
"""

import asyncio
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import aiohttp

from infra import tables as t
from pipeline.breaker import MAX_FAILURES, MAX_PAUSE, MIN_PAUSE
from pipeline.retry import MAX_TRIES
from tests.integration.recorded import Recorder, recording
from tests.integration.working import Working, working

EVENTS: Final = 1_000
SPEED: Final = 60
OUTAGE: Final = timedelta(minutes=10)
#: For what is under way when the breaker opens, and for the work that the machine does besides.
GRACE: Final = timedelta(seconds=30)


class FastClock:
    """SPEED seconds for each of ours."""

    def __init__(self) -> None:
        self.began, self.origin = datetime.now(UTC), time.monotonic()

    def __call__(self) -> datetime:
        return self.began + timedelta(seconds=SPEED * (time.monotonic() - self.origin))

    async def wait(self, span: timedelta) -> None:
        await asyncio.sleep(span.total_seconds() / SPEED)


async def script(server: Recorder, *rules: dict[str, str]) -> None:
    async with aiohttp.ClientSession() as client:
        (await client.delete(f"{server.url}/script")).raise_for_status()
        (await client.post(f"{server.url}/script", json={"rules": rules})).raise_for_status()


async def opened(running: Working) -> None:
    async with asyncio.timeout(10):
        while all(row.is_closed for row in await running.deployment.store.breakers()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_provider_that_is_down_is_hardly_called_and_costs_no_event_anything(tmp_path: Path) -> None:
    clock = FastClock()
    url = f"sqlite:///{tmp_path}/penstock.db"
    async with recording() as server, working(url, server.url, clock=clock) as running:
        slots = running.deployment.settings.worker.lane_slots
        await script(server, {"sha256": "*", "fault": "503"})
        await running.send(EVENTS)
        await opened(running)
        await clock.wait(GRACE)
        at_opening = len(server.bodies)

        await clock.wait(OUTAGE)

        calls = len(server.bodies) - at_opening
        waiting = await running.rows(t.work)
        assert MAX_FAILURES <= at_opening <= slots
        assert 0 < calls < OUTAGE.total_seconds()  # under one a second
        assert calls <= 4 + (OUTAGE - 15 * MIN_PAUSE) / MAX_PAUSE + 1  # after 5, 10, 20, 40 s, then every 60
        assert len(waiting) == EVENTS
        assert sum(row.crashes + row.faults for row in waiting) <= 1  # the one that probes just now

        failed = len(server.bodies)
        await script(server)
        await running.until_done(seconds=40)

        attempts, results = await running.rows(t.attempt), await running.rows(t.result)
        assert [row.state for row in results] == ["succeeded"] * EVENTS
        assert len(attempts) == len(server.bodies) == failed + EVENTS
        tries = Counter(row.event_id for row in attempts if row.failure == "model_unavailable")
        assert tries.total() == failed
        assert max(tries.values()) < MAX_TRIES / 4  # of those that failed by themselves or probed
        assert all(row.is_closed for row in await running.deployment.store.breakers())
