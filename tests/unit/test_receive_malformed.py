"""What is no event is an InvalidEvent that says what to mend, and never another exception."""

from typing import Any

import pytest

from infra.samples import Malformed, malformed
from pipeline.catalogue import load
from pipeline.errors import InvalidEvent
from pipeline.receive import MAX_DEPTH, canonical, parse, received
from schemas.text import is_clean
from tests.builders import STAMP
from tests.unit.envelopes import (
    ATTRIBUTES,
    DATA,
    STRUCTURED,
    by_http,
    by_kafka,
    encoded,
    http_headers,
    kafka_headers,
)

DEEP = b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1)

NOT_JSON = [
    (b"", "not JSON: Expecting value at line 1, column 1"),
    (b"TOTAL 12.40", "not JSON: Expecting value at line 1, column 1"),
    (b'{"text":', "not JSON: Expecting value at line 1, column 9"),
    (b"caf\xe9", "not UTF-8 (at byte 3); send JSON as UTF-8"),
    (b"\xff\xfe{\0}\0", "not UTF-8 (at byte 0)"),
    (b"\xef\xbb\xbf{}", "not JSON: Unexpected UTF-8 BOM"),
    (b'{"text": NaN}', "not JSON: NaN is no JSON value"),
    (b"[-Infinity]", "not JSON: -Infinity is no JSON value"),
    (b"[1e999]", "not JSON: a number is out of range"),
    (b"9" * 5_000, "not JSON: Exceeds the limit"),
    (DEEP, "nested more than 64 deep"),
    (b"[" * 100_000, "nested more than 64 deep"),
    (b'{"a":' * 100_000, "nested more than 64 deep"),
]


@pytest.mark.parametrize(("body", "problem"), NOT_JSON)
@pytest.mark.parametrize("attributes", [{}, ATTRIBUTES], ids=["plain", "binary"])
def test_what_is_no_json_is_told_where_it_breaks(
    body: bytes, problem: str, attributes: dict[str, str]
) -> None:
    with pytest.raises(InvalidEvent) as by_topic:
        by_kafka(body, *kafka_headers(attributes))
    with pytest.raises(InvalidEvent) as by_request:
        by_http(body, http_headers(attributes))

    assert problem in str(by_topic.value)
    assert problem in str(by_request.value)


def test_nesting_up_to_the_limit_is_taken() -> None:
    assert canonical(parse(DEEP[1:-1])) == DEEP[1:-1]


NOT_CLOUDEVENTS: list[tuple[Any, str]] = [
    (None, "no JSON object"),
    ([], "no JSON object"),
    ("text", "no JSON object"),
    ({}, "'specversion' is missing"),
    ({**ATTRIBUTES, "id": None}, "'id' is missing"),
    ({**ATTRIBUTES, "id": ""}, "'id' is missing"),
    ({**ATTRIBUTES, "id": 5}, "'id' must be a"),
    ({**ATTRIBUTES, "id": "x" * 513}, "'id' is wrong: String should have at most 512"),
    ({**ATTRIBUTES, "id": "a\0b"}, "'id' is wrong: Value error, holds a control character"),
    ({**ATTRIBUTES, "id": "\ud800"}, "'id' is wrong"),
    ({**ATTRIBUTES, "source": ["/desk"]}, "'source' must be a"),
    ({**ATTRIBUTES, "specversion": "0.3"}, "'specversion' must be '1.0'"),
    ({**ATTRIBUTES, "specversion": 1.0}, "'specversion' must be"),
    ({**ATTRIBUTES, "subject": ""}, "'subject' must not be empty"),
    ({**ATTRIBUTES, "subject": 5}, "'subject' must be a"),
    ({**ATTRIBUTES, "time": "yesterday"}, "'time' or 'data_base64' is malformed"),
    ({**ATTRIBUTES, "time": 5}, "'time' or 'data_base64' is malformed"),
    ({**ATTRIBUTES, "time": "2024-05-17T14:30:00"}, "'time' must be timezone aware"),
    ({**ATTRIBUTES, "time": "9999-12-31T24:00Z"}, "'time' or 'data_base64' is malformed"),
    ({**ATTRIBUTES, "time": "0001-01-01T00:00:00+14:00"}, "'time' is wrong: Value error, is before"),
    ({**ATTRIBUTES, "partitionkey": 5}, "'partitionkey' is wrong"),
    ({**ATTRIBUTES, "data_base64": 5}, "'time' or 'data_base64' is malformed"),
    ({**ATTRIBUTES, "data_base64": "e30"}, "'time' or 'data_base64' is malformed"),
    ({**ATTRIBUTES, "data_base64": "AAAA"}, "not JSON"),
    ({**ATTRIBUTES, "data": {}, "data_base64": "e30="}, "both 'data' and 'data_base64'"),
    ({**ATTRIBUTES, "Not-A-Name": "x"}, "'Not-A-Name' should only contain lowercase"),
    ({**ATTRIBUTES, "\ud800\0": "x"}, "'\ufffd\ufffd' should only contain lowercase"),
]


@pytest.mark.parametrize(("value", "problem"), NOT_CLOUDEVENTS)
def test_what_calls_itself_a_cloudevent_and_is_none_is_told_why(value: Any, problem: str) -> None:
    with pytest.raises(InvalidEvent) as by_topic:
        by_kafka(encoded(value), STRUCTURED)
    with pytest.raises(InvalidEvent) as by_request:
        by_http(encoded(value), {"content-type": STRUCTURED[1].decode()})

    assert problem in str(by_topic.value)
    assert str(by_request.value) == str(by_topic.value)
    assert is_clean(str(by_topic.value))


def test_a_kafka_header_that_is_no_text_is_refused() -> None:
    with pytest.raises(InvalidEvent, match="a header is not UTF-8"):
        by_kafka(encoded(DATA), ("ce_id", b"\xff"))


@pytest.mark.parametrize("sample", malformed(), ids=lambda sample: sample.id)
def test_every_malformed_sample_is_refused(sample: Malformed) -> None:
    topic = load().consuming(sample.topic)

    with pytest.raises(InvalidEvent):
        received(by_http(sample.body), topic, stamp=STAMP)
