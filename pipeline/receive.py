"""Bytes from a door in, an `Envelope` and then a `Received` event out; raises InvalidEvent.

CloudEvents 1.0 comes in structured JSON or in the Kafka or HTTP binary binding; a JSON value
without an envelope is taken too, and named by its door.
"""

import hashlib
import hmac
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.bindings import http, kafka
from cloudevents.core.exceptions import CloudEventValidationError
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from pydantic import ValidationError

from pipeline.catalogue import Entry
from pipeline.errors import InvalidEvent
from pipeline.subject import subject_of
from schemas.event import Envelope, Event, Identity, Origin, Received

#: Deeper nesting is no business event; it only costs the parsers that come after ours.
MAX_DEPTH: Final = 64
MAX_KEY_BYTES: Final = 2_048
#: The type of an event whose bytes could not be read at the door.
UNREADABLE: Final = "unreadable"
STRUCTURED: Final = "application/cloudevents+json"
_REQUIRED: Final = ("specversion", "id", "source", "type")
_KAFKA_PREFIX: Final = "ce_"
_HTTP_PREFIX: Final = "ce-"


@dataclass(frozen=True, slots=True)
class Record:
    """A Kafka record as it was read, of the cluster with this id."""

    cluster: str
    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]

    @property
    def source(self) -> str:
        """The CloudEvents source of a record without an envelope."""
        return f"kafka:{self.cluster}/{self.topic}"

    def id(self, fingerprint: bytes) -> str:
        """The CloudEvents id of a record without an envelope."""
        return f"{self.partition}/{self.offset}/{fingerprint.hex()[:16]}"


@dataclass(frozen=True, slots=True)
class Stamp:
    """What the door adds to an event: the deployment's secret and 16 random bytes."""

    secret: bytes
    salt: bytes

    def fingerprint(self, content: bytes) -> bytes:
        """HMAC-SHA256: a guessable text cannot be confirmed from it without the secret."""
        return hmac.digest(self.secret, content, hashlib.sha256)


def parse(body: bytes) -> Any:
    """The JSON value in `body`: UTF-8, no NaN or infinity, at most MAX_DEPTH deep."""
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant, parse_float=_finite)
    except UnicodeDecodeError as error:
        raise InvalidEvent(f"the bytes are not UTF-8 (at byte {error.start}); send JSON as UTF-8") from error
    except json.JSONDecodeError as error:
        raise InvalidEvent(f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from error
    except RecursionError as error:
        raise InvalidEvent(f"nested more than {MAX_DEPTH} deep") from error
    except ValueError as error:  # NaN, or a number of thousands of digits
        raise InvalidEvent(f"not JSON: {error}") from error
    _check_depth(value)
    return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON value")


def _finite(digits: str) -> float:
    """A number such as 1e999 would become an infinity, which no JSON can spell again."""
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError("a number is out of range")
    return value


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            item
            for node in level
            if isinstance(node, dict | list)
            for item in (node.values() if isinstance(node, dict) else node)
        ]
        if not level:
            return
    raise InvalidEvent(f"nested more than {MAX_DEPTH} deep")


def from_kafka(record: Record, stamp: Stamp) -> Envelope:
    """The envelope of a Kafka record, whatever its content mode."""
    try:
        headers = {name.lower(): (value or b"").decode("utf-8") for name, value in record.headers}
    except UnicodeDecodeError as error:
        raise InvalidEvent("a header is not UTF-8") from error
    body = record.value or b""
    if _has_envelope(headers, _KAFKA_PREFIX):
        raw = {name: value.encode() for name, value in headers.items() if name.startswith(_KAFKA_PREFIX)}
        message = kafka.KafkaMessage(raw, None, b"")
        data = parse(body)
        return _envelope(_built(lambda: kafka.from_binary(message, _JSON, _event)), data, headers=headers)
    value = parse(body)
    if _is_structured(headers, value):
        return _structured(value, headers)
    fingerprint = stamp.fingerprint(canonical(value))
    trace = headers.get("traceparent")
    return plain(value, source=record.source, id=record.id(fingerprint), type=record.topic, traceparent=trace)


def from_http(headers: Mapping[str, str], body: bytes, *, source: str, id: str, type: str) -> Envelope:
    """The envelope of an HTTP request; `source`, `id` and `type` name a body that has none.

    `headers` have lower-case names.
    """
    if _has_envelope(headers, _HTTP_PREFIX):
        own = {name: value for name, value in headers.items() if name.startswith(_HTTP_PREFIX)}
        message = http.HTTPMessage(own, b"")
        data = parse(body)
        return _envelope(_built(lambda: http.from_binary(message, _JSON, _event)), data, headers=headers)
    value = parse(body)
    if _is_structured(headers, value):
        return _structured(value, headers)
    return plain(value, source=source, id=id, type=type, traceparent=headers.get("traceparent"))


def plain(data: Any, *, source: str, id: str, type: str, traceparent: str | None = None) -> Envelope:
    """The envelope of a JSON value that came without one."""
    return _validated(source=source, id=id, type=type, data=data, traceparent=traceparent)


def received(
    envelope: Envelope, entry: Entry, *, stamp: Stamp, key: bytes | None = None, origin: Origin | None = None
) -> Received:
    """The event in `envelope`, checked against the topic's schema and measured."""
    event = read(entry, envelope.data)
    identity = Identity(entry.workflow.consumes, envelope.source, envelope.id)
    content = canonical(envelope.data)
    named = envelope.partitionkey or envelope.subject or str(identity.event_id)
    return Received(
        event_id=identity.event_id,
        identity=identity,
        workflow=entry.workflow.name,
        type=envelope.type,
        subject=envelope.subject,
        time=envelope.time,
        key=_bounded(key or named.encode()),
        content=content,
        salt=stamp.salt,
        fingerprint=stamp.fingerprint(content),
        origin=origin,
        traceparent=envelope.traceparent,
        subject_hash=subject_of(entry, event, secret=stamp.secret),
    )


def unreadable(
    body: bytes, identity: Identity, entry: Entry, *, stamp: Stamp, origin: Origin | None, key: bytes | None
) -> Received:
    """Bytes that are no valid event, as an event that is dead at the door."""
    return Received(
        event_id=identity.event_id,
        identity=identity,
        workflow=entry.workflow.name,
        type=UNREADABLE,
        key=_bounded(key or str(identity.event_id).encode()),
        content=body,
        salt=stamp.salt,
        fingerprint=stamp.fingerprint(body),
        origin=origin,
    )


def _bounded(key: bytes) -> bytes:
    """A key goes into every message of its event; one that is too long is replaced by its SHA-256."""
    return key if len(key) <= MAX_KEY_BYTES else hashlib.sha256(key).hexdigest().encode()


def read(entry: Entry, data: Any) -> Event:
    """`data` as the workflow's own event; raises InvalidEvent, which names the fields, not their values."""
    try:
        event: Event = entry.workflow.event.model_validate(data)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, detail['loc'])) or 'data'}: {detail['msg']}" for detail in error.errors()[:5]
        )
        raise InvalidEvent(f"does not fit {entry.workflow.consumes}: {problems}") from error
    return event


def stored(entry: Entry, event: Received) -> Event:
    """The workflow's own event in what was stored; raises InvalidEvent.

    What was dead at the door holds the bytes as they came: its envelope is looked through, so that it
    can be replayed once the workflow takes it.
    """
    value = parse(event.content)
    if event.type == UNREADABLE and _is_structured({}, value):
        value = value.get("data")
    return read(entry, value)


def canonical(data: Any) -> bytes:
    """One spelling per JSON value: two senders' serialisers must not make two events of one.

    Not RFC 8785, which refuses integers over 2^53; ASCII, so that lone surrogates survive.
    """
    return json.dumps(data, sort_keys=True, separators=(",", ":")).encode("ascii")


_JSON: Final = JSONFormat()


def _event(attributes: dict[str, Any], data: Any) -> BaseCloudEvent:
    """CloudEvent itself invents a missing id and time; ours has none."""
    for name in _REQUIRED:
        if not attributes.get(name):
            raise InvalidEvent(f"the CloudEvents attribute {name!r} is missing")
    had_time = "time" in attributes
    event = CloudEvent(attributes, data)
    if not had_time:
        event.get_attributes().pop("time", None)
    return event


def _has_envelope(headers: Mapping[str, str], prefix: str) -> bool:
    return any(name.startswith(prefix) for name in headers)


def _is_structured(headers: Mapping[str, str], value: Any) -> bool:
    if headers.get("content-type", "").lower().startswith(STRUCTURED):
        return True
    return isinstance(value, dict) and all(name in value for name in _REQUIRED)


def _structured(value: Any, headers: Mapping[str, str]) -> Envelope:
    if not isinstance(value, dict):
        raise InvalidEvent("not a CloudEvent: the body is no JSON object")
    # In the JSON format null is the same as absent (CloudEvents JSON format 1.0.2); not to the library.
    present = canonical({name: item for name, item in value.items() if item is not None and name != "data"})
    event = _built(lambda: _JSON.read(_event, present))
    data, content = value.get("data"), event.get_data()
    if isinstance(content, bytes):
        if data is not None:
            raise InvalidEvent("not a CloudEvent: it has both 'data' and 'data_base64'")
        data = parse(content)
    return _envelope(event, data, headers=headers)


def _built(build: Callable[[], BaseCloudEvent]) -> BaseCloudEvent:
    try:
        return build()
    except CloudEventValidationError as error:
        problems = "; ".join(str(one) for several in error.errors.values() for one in several)
        raise InvalidEvent(f"not a CloudEvent: {problems}") from error
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        # The library lets dateutil's and binascii's errors through.
        raise InvalidEvent("not a CloudEvent: 'time' or 'data_base64' is malformed") from error


def _envelope(event: BaseCloudEvent, data: Any, *, headers: Mapping[str, str]) -> Envelope:
    attributes = event.get_attributes()
    known = {name: attributes.get(name) for name in ("id", "source", "type", "subject", "time")}
    extra = {name: attributes.get(name) for name in ("partitionkey", "traceparent")}
    extra["traceparent"] = extra["traceparent"] or headers.get("traceparent")
    return _validated(**known, **extra, data=data)


def _validated(**attributes: Any) -> Envelope:
    try:
        return Envelope(**attributes)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise InvalidEvent(f"the CloudEvents attribute {place!r} is wrong: {first['msg']}") from error
