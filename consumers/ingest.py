"""Kafka records in, event and work rows out: `penstock serve ingest`.

Offsets are committed after the rows are. Bytes that are no valid event become dead letters, and the
partition goes on.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from infra.kafka import Reader
from infra.logs import logger
from infra.settings import IngestSettings
from infra.store import SqlStore
from pipeline.catalogue import Catalogue
from pipeline.errors import IdReused, InvalidEvent, PermanentError, StoreUnavailable
from pipeline.ports import Admission
from pipeline.receive import Record, Stamp, from_kafka, received, unreadable
from pipeline.record import dead_at_the_door
from schemas.changeset import Changeset, Scribe
from schemas.event import Identity, Origin, Received

log = logger()

#: How often the depth of due work is looked at.
_DEPTH_SECONDS: Final = 1.0


@dataclass
class Ingest:
    """One member of the consumer group."""

    reader: Reader
    store: SqlStore
    catalogue: Catalogue
    scribe: Scribe
    secret: bytes
    settings: IngestSettings
    clock: Callable[[], datetime]
    ring: Callable[[str], None]
    _paused: bool = False

    async def run(self, stop: asyncio.Event) -> None:
        """Read and accept until `stop`; a record that cannot be stored now is tried again, never passed."""
        await self.reader.open()
        gauge = asyncio.create_task(self._watch_depth())
        try:
            while not stop.is_set():
                if records := await self.reader.read():
                    if not await self._stored(records, stop):
                        return
                    await self.reader.commit(records)
        finally:
            gauge.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await gauge
            await self.reader.close()

    async def _stored(self, records: Sequence[Record], stop: asyncio.Event) -> bool:
        """Accept until the database takes it; False when the process stops before that."""
        while not stop.is_set():
            try:
                await self.accept(records)
            except StoreUnavailable as error:
                log.warning("store.unavailable", error=error)
                await asyncio.sleep(1)
            else:
                return True
        return False

    async def accept(self, records: Sequence[Record]) -> None:
        """Rows for all records: events in one transaction, dead ones in another. May be called twice."""
        good: list[tuple[Record, Received]] = []
        dead: list[Changeset] = []
        for record in records:
            stamp = Stamp(self.secret, secrets.token_bytes(16))
            try:
                good.append((record, self._received(record, stamp)))
            except InvalidEvent as error:
                dead.append(self._dead(record, error, stamp))
        admissions = await self.store.accept([event for _, event in good]) if good else []
        for (record, event), admission in zip(good, admissions, strict=True):
            if admission is Admission.ID_REUSED:
                reused = IdReused(
                    f"{event.identity.id!r} of {event.identity.source!r} exists with other data"
                )
                dead.append(self._dead(record, reused, Stamp(self.secret, secrets.token_bytes(16))))
        if dead:
            await self.store.commit(dead)
        for lane in {event.workflow for _, event in good}:
            self.ring(lane)
        log.info("event.accepted", records=len(records), dead=len(dead))

    def _received(self, record: Record, stamp: Stamp) -> Received:
        entry = self.catalogue.consuming(record.topic)
        envelope = from_kafka(record, stamp)
        origin = Origin(record.partition, record.offset)
        return received(envelope, entry, stamp=stamp, key=record.key, origin=origin)

    def _dead(self, record: Record, error: PermanentError, stamp: Stamp) -> Changeset:
        entry = self.catalogue.consuming(record.topic)
        body = record.value or b""
        identity = Identity(record.topic, record.source, record.id(stamp.fingerprint(body)))
        origin = Origin(record.partition, record.offset)
        event = unreadable(body, identity, entry, stamp=stamp, origin=origin, key=record.key)
        log.warning("event.invalid", reason=error.reason, partition=record.partition, offset=record.offset)
        return dead_at_the_door(event, entry, error, now=self.clock(), scribe=self.scribe)

    async def _watch_depth(self) -> None:
        """Stop fetching while too much is due; polling goes on, so the group keeps its member."""
        while True:
            with contextlib.suppress(StoreUnavailable):
                depth = await self.store.depth(at_most=self.settings.pause_above + 1)
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
