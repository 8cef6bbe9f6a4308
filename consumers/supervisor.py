"""`penstock serve worker`: starts the worker and, when needed, the suspects' process; restarts what fails.

An event that ended its process twice is a suspect: it runs alone, in a child of its own, so that it
takes nobody with it.
"""

import asyncio
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from consumers.wiring import Deployment
from infra.logs import logger
from pipeline.errors import StoreUnavailable

log = logger()

_MIN_BACKOFF_SECONDS: Final = 0.5
_MAX_BACKOFF_SECONDS: Final = 30.0
#: A child that lived this long was healthy: its next failure starts from the shortest back-off.
_HEALTHY_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 1.0


def command(*arguments: str) -> list[str]:
    """How to run `penstock ...` as a child: -P keeps the current folder out of the import path."""
    start = "from consumers.cli import main; raise SystemExit(main())"
    return [sys.executable, "-P", "-c", start, *arguments]


@dataclass
class Child:
    """One process and its back-off."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    process: asyncio.subprocess.Process | None = None
    _backoff: float = _MIN_BACKOFF_SECONDS
    _started: float = 0.0
    _not_before: float = 0.0

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.returncode is None

    async def ensure(self) -> None:
        """Start it unless it runs; after a failure only when the back-off is over."""
        if self.is_running:
            return
        self._note_end()
        if time.monotonic() < self._not_before:
            return
        self._started = time.monotonic()
        self.process = await asyncio.create_subprocess_exec(
            *command(*self.arguments), env={**os.environ, **self.environment}
        )

    def _note_end(self) -> None:
        process, self.process = self.process, None
        if process is None or not process.returncode:
            return
        if time.monotonic() - self._started > _HEALTHY_SECONDS:
            self._backoff = _MIN_BACKOFF_SECONDS
        log.error("child.failed", child=" ".join(self.arguments), code=process.returncode)
        self._not_before = time.monotonic() + self._backoff
        self._backoff = min(self._backoff * 2, _MAX_BACKOFF_SECONDS)

    async def stop(self, timeout_seconds: float) -> None:
        """SIGTERM, and SIGKILL after `timeout_seconds`."""
        if self.process is None or self.process.returncode is not None:
            return
        self.process.terminate()
        try:
            async with asyncio.timeout(timeout_seconds):
                await self.process.wait()
        except TimeoutError:
            self.process.kill()
            await self.process.wait()


@dataclass
class Supervisor:
    """`main` is always kept running (None: only suspects are watched over, as in `dev`)."""

    deployment: Deployment
    main: Child | None
    suspects: Child = field(default_factory=lambda: Child(("serve", "suspects")))

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            if self.main is not None:
                await self.main.ensure()
            if await self._has_suspects():
                await self.suspects.ensure()
            try:
                async with asyncio.timeout(_LOOK_SECONDS):
                    await stop.wait()
            except TimeoutError:
                continue
        grace = self.deployment.settings.worker.grace_seconds + 10
        children = [child for child in (self.main, self.suspects) if child]
        await asyncio.gather(*(child.stop(grace) for child in children))

    async def _has_suspects(self) -> bool:
        if self.suspects.is_running:
            return True
        lanes = sorted(self.deployment.catalogue.by_name)
        try:
            return bool(await self.deployment.store.due_lanes(lanes, suspects=True))
        except StoreUnavailable:
            return False
