"""Kafka records in, event and work rows out: `penstock serve ingest`.

Offsets are committed after the rows are. Bytes that are no valid event become dead letters, and the
partition goes on.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from consumers.door import Door
from infra.kafka import Reader
from infra.logs import logger
from infra.settings import IngestSettings
from pipeline.errors import StoreUnavailable
from pipeline.receive import Record

log = logger()

#: How often the depth of due work is looked at.
_DEPTH_SECONDS: Final = 1.0


@dataclass
class Ingest:
    """One member of the consumer group."""

    reader: Reader
    door: Door
    settings: IngestSettings
    _paused: bool = False

    async def run(self, stop: asyncio.Event) -> None:
        """Read and accept until `stop`; a record that cannot be stored now is tried again, never passed."""
        await self.reader.open()
        try:
            async with asyncio.TaskGroup() as group:
                depth = group.create_task(self._watch_depth())
                await self._read(stop)
                depth.cancel()
        finally:
            await self.reader.close()

    async def _read(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            records = await self.reader.read()
            if records and await self._stored(records, stop):
                await self.reader.commit(records)

    async def _stored(self, records: Sequence[Record], stop: asyncio.Event) -> bool:
        """Accept until the database takes it; False when the process stops before that."""
        while not stop.is_set():
            try:
                await self.door.accept(records)
            except StoreUnavailable as error:
                log.warning("store.unavailable", error=error)
                await asyncio.sleep(1)
            else:
                return True
        return False

    async def _watch_depth(self) -> None:
        """Stop fetching while too much is due; polling goes on, so the group keeps its member."""
        while True:
            with contextlib.suppress(StoreUnavailable):
                depth = await self.door.store.depth(at_most=self.settings.pause_above + 1)
                if depth > self.settings.pause_above:
                    # Again each time: a rebalance may have brought partitions that are not paused.
                    await self.reader.pause()
                    self._note(paused=True, depth=depth)
                elif self._paused and depth <= self.settings.resume_below:
                    await self.reader.resume()
                    self._note(paused=False, depth=depth)
            await asyncio.sleep(_DEPTH_SECONDS)

    def _note(self, *, paused: bool, depth: int) -> None:
        if paused != self._paused:
            log.warning("partitions.paused" if paused else "partitions.resumed", due=depth)
            self._paused = paused
