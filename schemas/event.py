"""What comes in: the sender's data as an `Event`, and the `Envelope` that says which event it is."""

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    StringConstraints,
)

from schemas.text import refuse_unclean

#: Every identity of Penstock is a UUIDv5 under this namespace (a random UUID, chosen once).
NAMESPACE: Final = UUID("8f2c0a6e-5d0b-4c8e-9a4f-3b1e7c9d2f60")

#: Longest identity attribute accepted; CloudEvents sets no limit, an index needs one.
MAX_ATTRIBUTE_LENGTH: Final = 512

Attribute = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_ATTRIBUTE_LENGTH),
    AfterValidator(refuse_unclean),
]

_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


def _trace_or_none(value: Any) -> str | None:
    """W3C Trace Context section 3.2: what cannot be parsed is ignored, never a reason to refuse."""
    return value if isinstance(value, str) and _TRACEPARENT.fullmatch(value) else None


def _as_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("is before the year 1 or after 9999 in UTC") from error


def Text(max_length: int) -> StringConstraints:  # noqa: N802 - reads as a type: Annotated[str, Text(20_000)]
    """A bounded text: `body: Annotated[str, Text(20_000)]` is at most 20,000 characters."""
    return StringConstraints(max_length=max_length)


class Event(BaseModel):
    """The data of one event, as its sender writes it: the base of every workflow's input schema.

    Unknown fields are ignored, so that a sender may add one without breaking its receivers.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Envelope(BaseModel):
    """CloudEvents 1.0 attributes and the data, not yet checked against a topic's schema.

    `data` is any JSON value; `time` is None when the sender gave none; `partitionkey` orders
    events (CloudEvents partitioning extension); `traceparent` is W3C trace context, None if malformed.
    """

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    id: Attribute
    source: Attribute
    type: Attribute
    subject: Attribute | None = None
    time: Annotated[AwareDatetime, AfterValidator(_as_utc)] | None = None
    partitionkey: Attribute | None = None
    traceparent: Annotated[str | None, BeforeValidator(_trace_or_none)] = None
    data: Any


@dataclass(frozen=True, slots=True)
class Identity:
    """What makes an event the same event: (topic, source, id)."""

    topic: str
    source: str
    id: str

    @property
    def event_id(self) -> UUID:
        """Our own id; lengths keep ("a", "bc") and ("ab", "c") apart."""
        return named_id(
            NAMESPACE, "".join(f"{len(part)}:{part}" for part in (self.topic, self.source, self.id))
        )


@dataclass(frozen=True, slots=True)
class Origin:
    """Where on Kafka a record was read."""

    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Received:
    """An event at the door, named and measured: what the `event` row holds.

    `content` is the canonical data (the raw bytes where nothing parses); `fingerprint` is its
    HMAC-SHA256 under the deployment's secret; `key` is the outgoing message key; `origin` is None
    for what did not come by Kafka. `salt` (16 random bytes) goes before every hash that the audit
    trail keeps of this event's texts, so that a guessable text cannot be confirmed from its hash.
    `subject_hash` says whose event it is, None where its workflow names no subject.
    """

    event_id: UUID
    identity: Identity
    workflow: str
    type: str
    key: bytes
    content: bytes
    salt: bytes
    fingerprint: bytes
    subject: str | None = None
    time: datetime | None = None
    origin: Origin | None = None
    traceparent: str | None = None
    subject_hash: bytes | None = None

    @property
    def is_erased(self) -> bool:
        """Are its texts gone, erased or no longer kept? The salt goes with them."""
        return not self.salt

    def salted(self, content: bytes) -> bytes:
        """SHA-256(salt || bytes): how the audit trail refers to a text of this event."""
        return hashlib.sha256(self.salt + content).digest()


def derived_id(event_id: UUID, revision: int, kind: str, index: int = 0) -> UUID:
    """The id of a thing that an event gave rise to: the same on every run, so a repeat collides."""
    return named_id(event_id, f"{revision}/{kind}/{index}")


def named_id(namespace: UUID, name: str) -> UUID:
    """`uuid.uuid5` without its import statement, which costs as much as the hash, seven times per event."""
    digest = hashlib.sha1(namespace.bytes + name.encode(), usedforsecurity=False).digest()
    return UUID(bytes=digest[:16], version=5)
