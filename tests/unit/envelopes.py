"""One event as every door may get it, for the tests of `receive`."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pipeline.receive import Record, from_http, from_kafka
from schemas.event import Envelope
from tests.builders import STAMP

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
DATA = {"text": "12.50 for the ferry to Oban"}
ATTRIBUTES = {
    "specversion": "1.0",
    "id": "note-1",
    "source": "/desk",
    "type": "note.written",
    "subject": "desk 4",
    "time": "2024-05-17T14:30:00+02:00",
    "partitionkey": "desk",
    "traceparent": TRACE,
}
EXPECTED = Envelope(
    id="note-1",
    source="/desk",
    type="note.written",
    subject="desk 4",
    time=datetime(2024, 5, 17, 12, 30, tzinfo=UTC),
    partitionkey="desk",
    traceparent=TRACE,
    data=DATA,
)
STRUCTURED = ("content-type", b"application/cloudevents+json; charset=utf-8")


def record(value: bytes | None, *headers: tuple[str, bytes]) -> Record:
    return Record(
        cluster="c1",
        topic="notes.written.v1",
        partition=3,
        offset=42,
        key=None,
        value=value,
        headers=headers,
    )


def by_kafka(value: bytes | None, *headers: tuple[str, bytes]) -> Envelope:
    return from_kafka(record(value, *headers), STAMP)


def by_http(body: bytes, headers: Mapping[str, str] | None = None) -> Envelope:
    return from_http(headers or {}, body, source="http:shop", id="key-1", type="notes.written.v1")


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


def without(*names: str) -> dict[str, str]:
    return {name: value for name, value in ATTRIBUTES.items() if name not in names}


def kafka_headers(attributes: Mapping[str, str]) -> list[tuple[str, bytes]]:
    return [(f"ce_{name}", value.encode()) for name, value in attributes.items()]


def http_headers(attributes: Mapping[str, str]) -> dict[str, str]:
    return {f"ce-{name}": value for name, value in attributes.items()}
