"""Contracts: what goes out is what the schema of its topic says, and the schema does not bend."""

import json
from dataclasses import replace
from typing import Any

import jsonschema
import pytest

from pipeline import record
from pipeline.catalogue import Catalogue, load
from pipeline.contracts import contracts, topics, written
from pipeline.errors import InvalidEvent
from schemas import Decision, accept, reject, review
from schemas.changeset import OutboxMessage
from schemas.messages import WithdrawnMessage
from tests import builders
from tests.builders import NOW, SCRIBE, Facts

CATALOGUE = Catalogue((builders.entry(),))
ANSWER = builders.answer_of(Facts.model_validate({"city": "Oban", "amount": "12.50"}))


def check(topic: str, value: bytes | str) -> None:
    validator = jsonschema.Draft202012Validator(
        contracts(CATALOGUE)[topic], format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )
    validator.validate(json.loads(value))


def sent(decision: Decision, **changes: Any) -> tuple[OutboxMessage, ...]:
    claimed = builders.claimed(**changes)
    return record.decided(claimed, builders.entry(), decision, ANSWER, now=NOW, scribe=SCRIBE).outbox


@pytest.mark.parametrize(
    ("decision", "expected"),
    [
        (accept(), ["notes.facts.v1", "audit.records.v1"]),
        (reject("no"), ["notes.written.v1.dead", "audit.records.v1"]),
        (review("look"), ["audit.records.v1"]),
    ],
)
def test_what_a_decision_sends_fits_its_contract(decision: Decision, expected: list[str]) -> None:
    messages = sent(decision)

    assert [message.topic for message in messages] == expected
    for message in messages:
        check(message.topic, message.value)


def test_what_a_degraded_result_sends_fits_its_contract() -> None:
    written = record.degraded(
        builders.claimed(), builders.entry(), ANSWER.value, (), reason="deadline", now=NOW, scribe=SCRIBE
    )

    assert [message.topic for message in written.outbox] == ["notes.facts.v1", "audit.records.v1"]
    for message in written.outbox:
        check(message.topic, message.value)


def test_a_later_revision_fits_too() -> None:
    for message in sent(accept(), revision=3):
        check(message.topic, message.value)


@pytest.mark.parametrize("limit", [1_000_000, 1_000])
def test_a_dead_letter_fits_with_its_bytes_and_with_a_reference_to_them(limit: int) -> None:
    event = builders.received(content=b"\xff not JSON")
    scribe = replace(SCRIBE, max_message_bytes=limit)

    changeset = record.dead_at_the_door(event, builders.entry(), InvalidEvent(), now=NOW, scribe=scribe)

    for message in changeset.outbox:
        check(message.topic, message.value)


def test_a_withdrawal_fits_the_topic_that_the_result_went_to() -> None:
    event = builders.received()
    message = WithdrawnMessage(
        event_id=event.event_id,
        workflow="notes",
        version="5" * 64,
        revision=2,
        source="tests",
        id="note-1",
        supersedes=1,
        reasons=["a mistake"],
        decided_at=NOW,
    )

    check("notes.facts.v1", message.model_dump_json())


@pytest.mark.parametrize("field", ["kind", "data", "supersedes", "decided_at", "version"])
def test_a_message_without_one_of_its_fields_does_not_fit(field: str) -> None:
    message = json.loads(sent(accept())[0].value)

    del message[field]

    with pytest.raises(jsonschema.ValidationError):
        check("notes.facts.v1", json.dumps(message))


def test_a_field_that_is_added_later_does_not_break_a_receiver() -> None:
    message = json.loads(sent(accept())[0].value)

    check("notes.facts.v1", json.dumps({**message, "added_later": 1}))


def test_a_field_that_a_later_version_adds_to_the_data_does_not_break_a_receiver() -> None:
    message = json.loads(sent(accept())[0].value)

    check("notes.facts.v1", json.dumps({**message, "data": {**message["data"], "country": "Scotland"}}))


def test_amounts_are_strings_in_the_contract_as_on_the_wire() -> None:
    message = json.loads(sent(accept())[0].value)
    message["data"]["amount"] = 12.5

    with pytest.raises(jsonschema.ValidationError):
        check("notes.facts.v1", json.dumps(message))


def test_two_workflows_that_share_a_topic_share_its_contract() -> None:
    other = builders.entry(builders.workflow(name="more", consumes="more.written.v1"))

    shared = contracts(Catalogue((builders.entry(), other)))["notes.facts.v1"]

    assert "notes and more" in shared["description"]


def test_every_contract_is_a_schema_named_after_its_topic() -> None:
    for topic, contract in contracts(load()).items():
        jsonschema.Draft202012Validator.check_schema(contract)
        assert contract["$id"] == f"penstock:contracts/{topic}.json"
        assert contract["title"] == topic
        assert contract["description"].endswith(".")


def test_the_same_catalogue_gives_the_same_text() -> None:
    first, second = contracts(load()), contracts(load())

    assert [written(one) for one in first.values()] == [written(one) for one in second.values()]


def test_topics_are_all_that_is_read_or_written_to() -> None:
    assert topics(CATALOGUE) == [
        "audit.checkpoints.v1",
        "audit.records.v1",
        "notes.facts.v1",
        "notes.written.v1",
        "notes.written.v1.dead",
    ]
