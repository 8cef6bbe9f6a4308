"""What holds for any bytes, headers and JSON values at the door."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid5

from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.errors import InvalidEvent
from pipeline.receive import Record, Stamp, canonical, from_http, from_kafka, parse, received
from schemas.event import Envelope, Identity, named_id
from schemas.text import is_clean
from tests.builders import STAMP, entry

ANY_TEXT = st.text(st.characters(codec=None), max_size=20)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(ANY_TEXT, inner), max_leaves=8)
FINITE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | ANY_TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(ANY_TEXT, inner),
    max_leaves=8,
)
NAMES = st.sampled_from(
    [
        "specversion",
        "id",
        "source",
        "type",
        "subject",
        "time",
        "partitionkey",
        "traceparent",
        "datacontenttype",
        "dataschema",
        "data",
        "data_base64",
        "extra",
        "Wrong-Name",
    ]
)
VALUES = st.sampled_from(["1.0", "note-1", "2024-05-17T12:30:00Z", "2024-05-17", "e30=", "24:00"]) | ANY_TEXT
VALID = {"specversion": "1.0", "id": "1", "source": "/desk", "type": "t", "data": {"text": "Oban"}}
ENVELOPES = st.dictionaries(NAMES, VALUES | JSON).map(lambda changes: {**VALID, **changes})
BODIES = st.one_of(
    st.binary(),
    JSON.map(lambda value: json.dumps(value).encode()),
    ENVELOPES.map(lambda value: json.dumps(value).encode()),
    st.just(b'{"text": "Oban"}'),
)
CONTENT_TYPE = st.sampled_from(["application/json", "application/cloudevents+json", "text/plain"])
ATTRIBUTES = {name: value for name, value in VALID.items() if isinstance(value, str)}
ATTRIBUTE_HEADERS = st.none() | st.dictionaries(NAMES, VALUES).map(lambda changes: {**ATTRIBUTES, **changes})
KAFKA_HEADERS = st.lists(st.tuples(ANY_TEXT, st.binary(max_size=9)), max_size=3)


def check(door: Callable[[], Envelope]) -> None:
    """An event can be stored, signed and read again; a complaint can be shown."""
    event, complaint = None, ""
    try:
        envelope = door()
        event = received(envelope, entry(), stamp=STAMP)
    except InvalidEvent as error:
        complaint = str(error)

    assert is_clean(complaint)
    if event:
        assert parse(event.content) == envelope.data
        assert all(is_clean(text) for text in (event.identity.id, event.identity.source, event.type))
        assert event.traceparent is None or event.traceparent.isascii()
        assert envelope.time is None or envelope.time.utcoffset() == timedelta(0)


@given(BODIES, KAFKA_HEADERS, ATTRIBUTE_HEADERS)
def test_any_kafka_record_is_an_event_or_invalid(
    body: bytes, headers: list[tuple[str, bytes]], attributes: dict[str, str] | None
) -> None:
    own = [(f"ce_{name}", value.encode("utf-8", "replace")) for name, value in (attributes or {}).items()]
    record = Record("c1", "notes.written.v1", 0, 0, None, body, (*headers, *own))

    check(lambda: from_kafka(record, STAMP))


@given(BODIES, CONTENT_TYPE, ATTRIBUTE_HEADERS)
def test_any_http_request_is_an_event_or_invalid(
    body: bytes, content_type: str, attributes: dict[str, str] | None
) -> None:
    headers = {f"ce-{name}": value for name, value in (attributes or {}).items()}
    headers["content-type"] = content_type

    check(lambda: from_http(headers, body, source="http:shop", id="key-1", type="notes.written.v1"))


@given(FINITE)
def test_a_value_has_one_spelling_whatever_the_senders_serialiser(value: Any) -> None:
    spellings = [
        json.dumps(value),
        json.dumps(value, indent=2, sort_keys=True),
        json.dumps(_turned(value), separators=(" ,\n", "\t: ")),
    ]

    assert {canonical(parse(spelling.encode())) for spelling in spellings} == {canonical(value)}


@given(FINITE)
def test_the_spelling_is_json_of_the_same_value(value: Any) -> None:
    assert parse(canonical(value)) == value


@given(st.binary(), st.binary())
def test_only_the_same_content_has_the_same_fingerprint(one: bytes, other: bytes) -> None:
    stamp = Stamp(b"secret", b"salt")

    assert (stamp.fingerprint(one) == stamp.fingerprint(other)) == (one == other)


PARTS = st.text("a:1", max_size=4)


@given(st.tuples(PARTS, PARTS, PARTS), st.tuples(PARTS, PARTS, PARTS))
@example(("a", "aa", "a"), ("aa", "a", "a"))
@example(("a", "1:a", "a"), ("a1", ":a", "a"))
def test_only_the_same_identity_has_the_same_event_id(
    one: tuple[str, str, str], other: tuple[str, str, str]
) -> None:
    assert (Identity(*one).event_id == Identity(*other).event_id) == (one == other)


def _turned(value: Any) -> Any:
    """The same value with the keys of every object the other way round."""
    if isinstance(value, dict):
        return {name: _turned(item) for name, item in reversed(value.items())}
    return [_turned(item) for item in value] if isinstance(value, list) else value


@given(st.uuids(), st.text())
def test_an_id_of_a_name_is_its_uuid5(namespace: UUID, name: str) -> None:
    assert named_id(namespace, name) == uuid5(namespace, name)
