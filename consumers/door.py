"""Records of any log in, accepted events and dead letters out: what ingest does with what it read."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from infra.logs import logger
from infra.store import SqlStore
from pipeline.catalogue import Catalogue
from pipeline.errors import IdReused, InvalidEvent, PermanentError
from pipeline.ports import Admission
from pipeline.receive import Record, Stamp, from_kafka, received, unreadable
from pipeline.record import dead_at_the_door
from schemas.changeset import Changeset, Scribe
from schemas.event import Identity, Origin, Received

log = logger()


@dataclass(frozen=True)
class Door:
    """Accepts events in batches; `ring` is called for each lane that has something new."""

    store: SqlStore
    catalogue: Catalogue
    scribe: Scribe
    secret: bytes
    clock: Callable[[], datetime]
    ring: Callable[[str], None]

    async def accept(self, records: Sequence[Record]) -> None:
        """Rows for all records: events in one transaction, dead ones in another. May be called twice."""
        good: list[tuple[Record, Received]] = []
        dead: list[Changeset] = []
        for record in records:
            try:
                good.append((record, self._received(record)))
            except InvalidEvent as error:
                dead.append(self._dead(record, error))
        admissions = await self.store.accept([event for _, event in good]) if good else []
        for (record, event), admission in zip(good, admissions, strict=True):
            if admission is Admission.ID_REUSED:
                identity = f"{event.identity.id!r} of {event.identity.source!r}"
                reused = IdReused(f"{identity} exists with other data")
                dead.append(self._dead(record, reused, subject_hash=event.subject_hash))
        if dead:
            await self.store.commit(dead)
        for lane in {event.workflow for _, event in good}:
            self.ring(lane)
        log.info("event.accepted", records=len(records), dead=len(dead))

    def _stamp(self) -> Stamp:
        return Stamp(self.secret, secrets.token_bytes(16))

    def _received(self, record: Record) -> Received:
        entry = self.catalogue.consuming(record.topic)
        stamp = self._stamp()
        envelope = from_kafka(record, stamp)
        origin = Origin(record.partition, record.offset)
        return received(envelope, entry, stamp=stamp, key=record.key, origin=origin)

    def _dead(self, record: Record, error: PermanentError, *, subject_hash: bytes | None = None) -> Changeset:
        entry = self.catalogue.consuming(record.topic)
        stamp = self._stamp()
        body = record.value or b""
        identity = Identity(record.topic, record.source, record.id(stamp.fingerprint(body)))
        origin = Origin(record.partition, record.offset)
        event = unreadable(body, identity, entry, stamp=stamp, origin=origin, key=record.key)
        event = replace(event, subject_hash=subject_hash)
        log.warning("event.invalid", reason=error.reason, partition=record.partition, offset=record.offset)
        return dead_at_the_door(event, entry, error, now=self.clock(), scribe=self.scribe)
