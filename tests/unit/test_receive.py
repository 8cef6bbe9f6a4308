"""Every content mode of CloudEvents, and JSON without an envelope, becomes the same kind of event."""

import base64
import hashlib
from dataclasses import replace
from typing import Any

import pytest

from pipeline.errors import InvalidEvent
from pipeline.receive import (
    canonical,
    received,
    stored,
    unreadable,
)
from schemas.event import Envelope, Identity, Origin
from tests.builders import STAMP, Note, entry
from tests.unit.envelopes import (
    ATTRIBUTES,
    DATA,
    EXPECTED,
    STRUCTURED,
    TRACE,
    by_http,
    by_kafka,
    encoded,
    http_headers,
    kafka_headers,
    without,
)


@pytest.mark.parametrize(
    "envelope",
    [
        by_kafka(encoded({**ATTRIBUTES, "data": DATA}), STRUCTURED),
        by_kafka(encoded({**ATTRIBUTES, "data": DATA})),
        by_kafka(encoded({**ATTRIBUTES, "data_base64": base64.b64encode(encoded(DATA)).decode()})),
        by_kafka(encoded(DATA), *kafka_headers(ATTRIBUTES)),
        by_kafka(encoded(DATA), ("CE_traceparent", TRACE.encode()), *kafka_headers(without("traceparent"))),
        by_http(encoded({**ATTRIBUTES, "data": DATA}), {"content-type": "Application/CloudEvents+JSON"}),
        by_http(encoded({**ATTRIBUTES, "data": DATA}), {"content-type": "application/json"}),
        by_http(encoded(DATA), http_headers(ATTRIBUTES)),
        by_http(encoded(DATA), {**http_headers(without("traceparent")), "traceparent": TRACE}),
        by_http(encoded(DATA), http_headers({**ATTRIBUTES, "source": "%2Fdesk"})),
    ],
    ids=[
        "Kafka structured",
        "Kafka structured without its content type",
        "Kafka structured with base64",
        "Kafka binary",
        "Kafka binary in capitals",
        "HTTP structured",
        "HTTP structured without its content type",
        "HTTP binary",
        "HTTP binary with a trace of its own",
        "HTTP binary with per cent signs",
    ],
)
def test_every_content_mode_gives_the_same_envelope(envelope: Envelope) -> None:
    assert envelope == EXPECTED


@pytest.mark.parametrize(
    "envelope",
    [
        by_kafka(encoded({**without("time"), "data": DATA})),
        by_kafka(encoded({**ATTRIBUTES, "time": None, "data": DATA})),
        by_kafka(encoded(DATA), *kafka_headers(without("time"))),
        by_http(encoded(DATA), http_headers(without("time"))),
    ],
)
def test_a_time_that_the_sender_did_not_give_is_not_invented(envelope: Envelope) -> None:
    assert envelope == EXPECTED.model_copy(update={"time": None})


@pytest.mark.parametrize("name", ["id", "source", "type", "specversion"])
def test_an_identity_that_the_sender_did_not_give_is_not_invented(name: str) -> None:
    expected = f"the CloudEvents attribute '{name}' is missing"

    with pytest.raises(InvalidEvent, match=expected):
        by_kafka(encoded({**without(name), "data": DATA}), STRUCTURED)
    with pytest.raises(InvalidEvent, match=expected):
        by_kafka(encoded(DATA), *kafka_headers(without(name)))
    with pytest.raises(InvalidEvent, match=expected):
        by_http(encoded(DATA), http_headers(without(name)))


def test_json_without_an_envelope_is_named_by_its_place_on_kafka() -> None:
    fingerprint = STAMP.fingerprint(canonical(DATA)).hex()

    envelope = by_kafka(encoded(DATA), ("traceparent", TRACE.encode()))

    assert envelope == Envelope(
        id=f"3/42/{fingerprint[:16]}",
        source="kafka:c1/notes.written.v1",
        type="notes.written.v1",
        traceparent=TRACE,
        data=DATA,
    )


def test_json_without_an_envelope_is_named_by_its_http_sender() -> None:
    assert by_http(encoded(DATA)) == Envelope(
        id="key-1", source="http:shop", type="notes.written.v1", data=DATA
    )


def test_business_data_with_an_id_and_a_type_is_no_envelope() -> None:
    data = {"id": "1", "type": "invoice", "source": "scan", "text": "x"}

    assert by_kafka(encoded(data)).data == data


@pytest.mark.parametrize("trace", ["", "x" * 200, "00-0af7-b7ad-01", TRACE.upper(), "00\0", 5, None])
def test_a_malformed_trace_is_dropped_and_the_event_taken(trace: Any) -> None:
    envelope = by_kafka(encoded({**ATTRIBUTES, "traceparent": trace, "data": DATA}))

    assert envelope == EXPECTED.model_copy(update={"traceparent": None})


def test_data_that_does_not_fit_is_told_which_fields_and_not_which_values() -> None:
    envelope = EXPECTED.model_copy(update={"data": {"text": ["secret"]}})

    with pytest.raises(InvalidEvent) as raised:
        received(envelope, entry(), stamp=STAMP)

    assert str(raised.value) == "does not fit notes.written.v1: text: Input should be a valid string"


@pytest.mark.parametrize("data", [None, 5, [], "text", {}, {"text": "x" * 1_001}, {"text": "\ud800"}])
def test_data_that_is_not_the_workflows_event_is_refused(data: Any) -> None:
    with pytest.raises(InvalidEvent, match=r"does not fit notes\.written\.v1: "):
        received(EXPECTED.model_copy(update={"data": data}), entry(), stamp=STAMP)


def test_an_event_keeps_fields_that_its_schema_does_not_know() -> None:
    envelope = EXPECTED.model_copy(update={"data": {"z": 1, "text": "Oban"}})

    event = received(envelope, entry(), stamp=STAMP)

    assert event.content == b'{"text":"Oban","z":1}'
    assert stored(entry(), event) == Note(text="Oban")


@pytest.mark.parametrize(
    ("incoming", "change", "outgoing"),
    [
        (b"own", {}, b"own"),
        (None, {}, b"desk"),
        (b"", {"partitionkey": None}, b"desk 4"),
        (None, {"partitionkey": None, "subject": None}, None),
    ],
)
def test_the_outgoing_key_is_the_first_there_is(
    incoming: bytes | None, change: dict[str, Any], outgoing: bytes | None
) -> None:
    envelope = EXPECTED.model_copy(update=change)

    event = received(envelope, entry(), stamp=STAMP, key=incoming)

    assert event.key == (outgoing or str(event.event_id).encode())


def test_the_fingerprint_cannot_be_made_without_the_secret() -> None:
    mine = received(EXPECTED, entry(), stamp=STAMP)
    theirs = received(EXPECTED, entry(), stamp=replace(STAMP, secret=b"a guess"))

    assert mine.event_id == theirs.event_id
    assert mine.fingerprint != theirs.fingerprint


def test_unreadable_bytes_are_kept_as_they_came() -> None:
    identity = Identity("notes.written.v1", "kafka:c1/notes.written.v1", "3/42/0")

    event = unreadable(b"\xff\0", identity, entry(), stamp=STAMP, origin=Origin(3, 42), key=None)

    assert event.content == b"\xff\0"
    assert event.key == str(identity.event_id).encode()
    assert event.fingerprint == STAMP.fingerprint(b"\xff\0")


def test_a_key_that_is_too_long_for_every_message_is_replaced_by_its_digest() -> None:
    key = b"k" * 1_000_000

    event = received(EXPECTED, entry(), stamp=STAMP, key=key)

    assert event.key == hashlib.sha256(key).hexdigest().encode()
