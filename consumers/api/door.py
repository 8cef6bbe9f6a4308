"""An event at the door in, the answer to its sender out: given after the commit, whatever it is."""

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

import structlog
from fastapi import Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from consumers.api.context import ApiContext
from consumers.api.problems import Problem, unavailable
from infra.batch import Batcher
from infra.store import accept
from pipeline.catalogue import Entry
from pipeline.errors import IdReused, InvalidEvent, PermanentError
from pipeline.ports import Admission, Written
from pipeline.receive import Stamp, canonical, received, unreadable
from pipeline.record import dead_at_the_door
from schemas.changeset import Changeset
from schemas.event import Envelope, Identity, Received

log = structlog.get_logger()

T = TypeVar("T")

_LIMIT: Final = 64
_LINGER_SECONDS: Final = 0.005
#: Slack gives up after 3 s. A commit that comes later still counts: the repeat is a duplicate.
_ANSWER_SECONDS: Final = 2.5
#: How long one look at the depth of due work is good for.
_DEPTH_SECONDS: Final = 1.0


class Receipt(BaseModel):
    """An event that is stored."""

    status: str = Field(description="accepted, or duplicate: the same event was stored before.")
    event_id: str = Field(description="Penstock's id of the event, for GET /events/{event_id}.")


@dataclass(frozen=True, slots=True)
class Arrival:
    """An event as it came: `envelope` names it and holds its data, `body` is every byte that was sent.

    `named_by_us` when its sender gave it no id, so that nothing tells a repeat but its bytes.
    """

    entry: Entry
    envelope: Envelope
    body: bytes
    named_by_us: bool = False


@dataclass
class Door:
    """The one way in over HTTP: in micro-batches, answering each request after its own commit."""

    context: ApiContext
    _is_full: bool = False
    _look_at: float = 0.0
    _accepting: Batcher[Received, Admission] = field(init=False)
    _burying: Batcher[Changeset, Written] = field(init=False)

    def __post_init__(self) -> None:
        store = self.context.store
        self._accepting = Batcher(store.accept, limit=_LIMIT, linger_seconds=_LINGER_SECONDS)
        self._burying = Batcher(store.commit, limit=_LIMIT, linger_seconds=_LINGER_SECONDS)

    async def admit(self, arrival: Arrival) -> Response:
        """202 or 200 when the event is stored; raises Problem 409, 422 or 503."""
        await self._check_depth()
        stamp = self.context.stamp()
        try:
            event = received(arrival.envelope, arrival.entry, stamp=stamp)
        except InvalidEvent as error:
            raise await self._dead(arrival, error, stamp) from error
        admission = await _in_time(self._accepting.submit(event))
        log.info("event.received", event_id=str(event.event_id), admission=admission.value)
        if admission is Admission.ID_REUSED:
            raise _id_reused(event)
        if admission is Admission.ACCEPTED:
            self.context.ring(event.workflow)
        return _stored(event, admission)

    async def bury(self, arrival: Arrival, error: PermanentError) -> Problem:
        """Store what can never be worked on, once, as dead; returns the 422 (or 409, 503) to raise."""
        await self._check_depth()
        return await self._dead(arrival, error, self.context.stamp())

    async def _dead(self, arrival: Arrival, error: PermanentError, stamp: Stamp) -> Problem:
        event = _as_dead(arrival, stamp)
        changeset = dead_at_the_door(
            event, arrival.entry, error, now=self.context.clock(), scribe=self.context.scribe
        )
        written = await _in_time(self._burying.submit(changeset))
        event_id = str(event.event_id)
        if written is Written.FENCED:
            known = await accept.fingerprint(self.context.store.database, event.event_id)
            if known and known != event.fingerprint:
                return _id_reused(event)
        log.info("event.dead", event_id=event_id, reason=error.reason, written=written.value)
        detail = f"{error}; kept as a dead letter: correct it and send it with a new id"
        return Problem(422, error.reason, detail, event_id=event_id)

    async def _check_depth(self) -> None:
        limit = self.context.settings.api.max_due
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + _DEPTH_SECONDS  # first: one request looks, the others go by the last look
            self._is_full = await self.context.store.depth(at_most=limit + 1) > limit
        if self._is_full:
            raise unavailable("too_deep", f"more than {limit} events are due (PENSTOCK_API__MAX_DUE)")


async def _in_time(write: Awaitable[T]) -> T:
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            return await write
    except TimeoutError as error:
        raise unavailable("store_slow", "the database takes too long") from error


def _as_dead(arrival: Arrival, stamp: Stamp) -> Received:
    """Every byte is kept; the fingerprint is of the data, so that a repeat in other spelling is a repeat."""
    envelope, topic = arrival.envelope, arrival.entry.workflow.consumes
    fingerprint = stamp.fingerprint(canonical(envelope.data))
    own_id = f"unreadable/{fingerprint.hex()[:32]}" if arrival.named_by_us else envelope.id
    identity = Identity(topic, envelope.source, own_id)
    event = unreadable(arrival.body, identity, arrival.entry, stamp=stamp, origin=None, key=None)
    return replace(event, fingerprint=fingerprint, traceparent=envelope.traceparent)


def _id_reused(event: Received) -> Problem:
    detail = f"{IdReused()} Give each event an id of its own."
    return Problem(409, IdReused.reason, detail, event_id=str(event.event_id))


def _stored(event: Received, admission: Admission) -> Response:
    status = 202 if admission is Admission.ACCEPTED else 200
    receipt = Receipt(status=admission.value, event_id=str(event.event_id))
    return JSONResponse(receipt.model_dump(), status, {"Location": f"/events/{event.event_id}"})
