"""Outbox rows in, messages on topics out: `penstock serve relay`. One active relay per database."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from infra.lock import SingleRole
from infra.logs import logger
from infra.metrics import Metrics
from infra.store import SqlStore
from pipeline.errors import StoreUnavailable
from pipeline.ports import Placed, Publisher
from schemas.changeset import OutboxMessage

log = logger()

_BATCH: Final = 500
_IDLE_SECONDS: Final = 0.1
_FAILED_SECONDS: Final = 1.0
_LONGEST_REST_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class _Rest:
    until: float
    seconds: float


@dataclass
class Relay:
    """Publishes in outbox order; a row is marked after its own acknowledgement, never before.

    A crash between the two publishes a message twice, under the same id.
    """

    store: SqlStore
    publisher: Publisher
    role: SingleRole
    metrics: Metrics
    _resting: dict[str, _Rest] = field(default_factory=dict)

    async def run(self, stop: asyncio.Event) -> None:
        """Publish until `stop`, while this process holds the role; else stand by."""
        try:
            while not stop.is_set():
                try:
                    pause = await self._turn()
                except StoreUnavailable as error:
                    log.warning("store.unavailable", error=error)
                    pause = _FAILED_SECONDS
                if pause:
                    await asyncio.sleep(pause)
        finally:
            await self.role.release()

    async def _turn(self) -> float:
        """Publish one batch; returns how long to wait before the next."""
        if not await self.role.acquire():
            return _FAILED_SECONDS
        now = time.monotonic()
        resting = [topic for topic, rest in self._resting.items() if rest.until > now]
        messages = await self.store.unpublished(limit=_BATCH, without=resting)
        if not messages:
            return _IDLE_SECONDS
        placed = await self.publisher.publish(messages)
        await self.store.published(placed)
        self._count(messages, placed)
        self._rest(messages, placed)
        log.debug("outbox.published", messages=len(placed))
        return 0.0 if placed else _IDLE_SECONDS

    def _rest(self, messages: Sequence[OutboxMessage], placed: Sequence[Placed]) -> None:
        """A topic that takes nothing rests for a while, so that it does not hold the others up."""
        acknowledged = {row.id for row in placed}
        taking = {message.topic for message in messages if message.id in acknowledged}
        for topic in {message.topic for message in messages}:
            if topic in taking:
                self._resting.pop(topic, None)
            else:
                seconds = min(
                    _LONGEST_REST_SECONDS, 2 * self._resting[topic].seconds if topic in self._resting else 1
                )
                self._resting[topic] = _Rest(time.monotonic() + seconds, seconds)

    def _count(self, messages: Sequence[OutboxMessage], placed: Sequence[Placed]) -> None:
        acknowledged = {row.id for row in placed}
        for message in messages:
            if message.id in acknowledged:
                self.metrics.published(message.topic)
