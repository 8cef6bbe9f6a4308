"""Outbox rows in, messages on topics out: `penstock serve relay`. One active relay per database."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass
class Relay:
    """Publishes in outbox order; a row is marked after its own acknowledgement, never before.

    A crash between the two publishes a message twice, under the same id.
    """

    store: SqlStore
    publisher: Publisher
    role: SingleRole
    metrics: Metrics

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
        messages = await self.store.unpublished(limit=_BATCH)
        if not messages:
            return _IDLE_SECONDS
        placed = await self.publisher.publish(messages)
        await self.store.published(placed)
        self._count(messages, placed)
        if len(placed) < len(messages):
            log.warning("outbox.waiting", messages=len(messages) - len(placed))
            return _FAILED_SECONDS
        log.debug("outbox.published", messages=len(placed))
        return 0.0

    def _count(self, messages: Sequence[OutboxMessage], placed: Sequence[Placed]) -> None:
        acknowledged = {row.id for row in placed}
        for message in messages:
            if message.id in acknowledged:
                self.metrics.published(message.topic)
