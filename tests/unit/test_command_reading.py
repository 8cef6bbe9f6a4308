"""What `penstock emit` takes from files, and how it tells what it does not take."""

import io
import json
import sys
from pathlib import Path

import pytest

from consumers.commands import reading, sending
from pipeline import receive
from pipeline.errors import InvalidEvent, NotFound
from pipeline.receive import Record
from tests import builders
from tests.builders import STAMP

NOTE = '{"text": "a"}'
ENVELOPE = '{"specversion":"1.0","id":"n-1","source":"shop","type":"t","subject":"s","data":{"text":"é"}}'


def lines(tmp_path: Path, content: str | bytes) -> list[reading.Line]:
    path = tmp_path / "notes"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return reading.read([str(path)])


@pytest.mark.parametrize(
    ("content", "places"),
    [
        (NOTE, [""]),
        ('{\n "text":\n "a"\n}\n', [""]),
        (f"\ufeff{NOTE}", [""]),
        (f"{NOTE}\n{NOTE}\n", [", line 1", ", line 2"]),
        (f"{NOTE}\r\n\r\n{NOTE}", [", line 1", ", line 3"]),
        (f"[{NOTE}, {NOTE}]", [", element 1", ", element 2"]),
        ("[]", []),
        (f"[{NOTE}]\n[{NOTE}]", [", line 1", ", line 2"]),
    ],
)
def test_a_file_is_one_value_an_array_or_a_value_per_line(
    tmp_path: Path, content: str, places: list[str]
) -> None:
    found = lines(tmp_path, content)

    assert [line.place.removeprefix(str(tmp_path / "notes")) for line in found] == places


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        (
            f"{NOTE}\n{{oops}}\n",
            "notes, line 2: not JSON: Expecting property name",
        ),
        ('{\n "text": oops\n}', "notes: not JSON: Expecting value at line 2, column 10"),
        (f"{NOTE}\n\n".encode() + b"\xff\n", "notes, line 3: the bytes are not UTF-8"),
        (f"{NOTE}\n[NaN]", "notes, line 2: not JSON: NaN is no JSON value"),
        ("[" * 80 + "]" * 80, "nested more than 64 deep"),
    ],
)
def test_the_first_line_that_is_no_json_is_named(tmp_path: Path, content: str | bytes, told: str) -> None:
    with pytest.raises(InvalidEvent) as refused:
        lines(tmp_path, content)

    assert told in str(refused.value)


def test_a_file_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="No such file"):
        reading.read([str(tmp_path / "nothing")])


def test_a_dash_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(NOTE.encode())))

    assert [line.place for line in reading.read(["-"])] == ["standard input"]


def test_plain_data_gets_the_source_emit_and_an_id_an_envelope_keeps_its_own(tmp_path: Path) -> None:
    parcels = sending.prepare(
        lines(tmp_path, f"{NOTE}\n{ENVELOPE}"), builders.entry(), id=None, secret=b"secret"
    )

    plain, enveloped = (parcel.event.identity for parcel in parcels)

    assert plain.source == "emit"
    assert len(plain.id) == 36
    assert (enveloped.source, enveloped.id) == ("shop", "n-1")


def test_an_id_names_one_event_that_has_none_of_its_own(tmp_path: Path) -> None:
    entry = builders.entry()
    (named,) = sending.prepare(lines(tmp_path, NOTE), entry, id="mine", secret=b"")

    assert named.event.identity.id == "mine"
    with pytest.raises(InvalidEvent, match="leave --id out"):
        sending.prepare(lines(tmp_path, ENVELOPE), entry, id="mine", secret=b"")
    with pytest.raises(InvalidEvent, match="--id names one event, but there are 2"):
        sending.prepare(lines(tmp_path, f"{NOTE}\n{NOTE}"), entry, id="mine", secret=b"")


def test_an_event_that_does_not_fit_the_topic_is_named_with_its_field(tmp_path: Path) -> None:
    with pytest.raises(InvalidEvent, match=r"element 2: does not fit .*: text: Field required"):
        sending.prepare(lines(tmp_path, f'[{NOTE}, {{"x": 1}}]'), builders.entry(), id=None, secret=b"")


@pytest.mark.parametrize("content", [NOTE, ENVELOPE, '{"text": "é", "more": "\\ud800"}'])
def test_by_kafka_an_event_arrives_as_the_one_that_was_told(tmp_path: Path, content: str) -> None:
    entry = builders.entry()
    (parcel,) = sending.prepare(lines(tmp_path, content), entry, id=None, secret=STAMP.secret)

    message = sending.as_message(parcel)
    headers = tuple((name, value.encode()) for name, value in message.headers.items())
    record = Record("cluster", message.topic, 0, 0, message.key, message.value, headers)
    arrived = receive.received(receive.from_kafka(record, STAMP), entry, stamp=STAMP, key=record.key)

    assert arrived.event_id == parcel.event.event_id
    assert arrived.fingerprint == parcel.event.fingerprint
    assert arrived.key == parcel.event.key
    assert json.loads(arrived.content)["text"]
