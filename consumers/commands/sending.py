"""Events from files in, what became of each at the door out: embedded into the database, else to Kafka."""

import asyncio
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid4

from consumers.commands.reading import Line
from pipeline import receive
from pipeline.catalogue import Entry
from pipeline.errors import InvalidEvent, NotFound
from pipeline.ports import Placed
from pipeline.receive import Stamp
from schemas.changeset import OutboxMessage
from schemas.event import Envelope, Received

if TYPE_CHECKING:
    from consumers.wiring import Deployment
    from infra.settings import Settings

SOURCE: Final = "emit"
_BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class Parcel:
    """An event that is ready to go."""

    envelope: Envelope
    event: Received


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one event: accepted, duplicate or id_reused; from Kafka sent or unacknowledged."""

    status: str
    event_id: UUID
    source: str
    id: str
    partition: int | None = None
    offset: int | None = None


def prepare(lines: Sequence[Line], entry: Entry, *, id: str | None, secret: bytes) -> list[Parcel]:
    """Every line as an event that fits the topic's schema; raises InvalidEvent at the first that does not.

    Plain data gets the source `emit`, and `id` or a new UUID as its id.
    """
    if id is not None and len(lines) > 1:
        raise InvalidEvent(f"--id names one event, but there are {len(lines)}")
    return [_parcel(line, entry, id=id, secret=secret) for line in lines]


def _parcel(line: Line, entry: Entry, *, id: str | None, secret: bytes) -> Parcel:
    given = id or str(uuid4())
    topic = entry.workflow.consumes
    stamp = Stamp(secret=secret, salt=secrets.token_bytes(16))
    try:
        envelope = receive.from_http({}, line.body, source=SOURCE, id=given, type=topic)
        event = receive.received(envelope, entry, stamp=stamp)
    except InvalidEvent as error:
        raise line.refused(error) from error
    if id is not None and envelope.id != id:
        raise line.refused(InvalidEvent(f"the event names itself {envelope.id!r}; leave --id out"))
    return Parcel(envelope, event)


async def accept(deployment: "Deployment", parcels: Sequence[Parcel]) -> list[Receipt]:
    """Embedded: into the database, in batches; a batch is accepted whole."""
    receipts = []
    for start in range(0, len(parcels), _BATCH):
        batch = [parcel.event for parcel in parcels[start : start + _BATCH]]
        admissions = await deployment.store.accept(batch)
        receipts += [
            Receipt(admission.value, event.event_id, event.identity.source, event.identity.id)
            for event, admission in zip(batch, admissions, strict=True)
        ]
    return receipts


async def produce(settings: "Settings", parcels: Sequence[Parcel]) -> list[Receipt]:
    """Distributed: to the topic; each waits for its own acknowledgement."""
    from infra import probes
    from infra.kafka import KafkaPublisher

    messages = [as_message(parcel) for parcel in parcels]
    limit = settings.kafka.max_message_bytes
    for number, message in enumerate(messages, 1):
        if message.size > limit:
            raise InvalidEvent(f"event {number} is larger than {limit} bytes; nothing was sent")
    _, missing = await asyncio.to_thread(probes.cluster, settings.kafka, {one.topic for one in messages})
    if missing:
        raise NotFound(f"Kafka has no topic {', '.join(missing)}; run: penstock topics create")
    publisher = KafkaPublisher(settings.kafka)
    try:
        placed = {one.id: one for one in await publisher.publish(messages)}
    finally:
        await publisher.close()
    return [_receipt(parcel, placed.get(one.id)) for parcel, one in zip(parcels, messages, strict=True)]


def _receipt(parcel: Parcel, place: Placed | None) -> Receipt:
    event = parcel.event
    named = (event.event_id, event.identity.source, event.identity.id)
    if place is None:
        return Receipt("unacknowledged", *named)
    return Receipt("sent", *named, place.partition, place.offset)


def as_message(parcel: Parcel) -> OutboxMessage:
    """A CloudEvent in structured JSON: with an identity of its own, a second sending is a duplicate."""
    attributes = parcel.envelope.model_dump(mode="json", exclude_none=True, exclude={"data"})
    value = {"specversion": "1.0", **attributes, "data": parcel.envelope.data}
    return OutboxMessage(
        id=uuid4(),
        topic=parcel.event.identity.topic,
        key=parcel.event.key,
        value=json.dumps(value).encode(),
        headers={"content-type": f"{receive.STRUCTURED}; charset=utf-8"},
    )
