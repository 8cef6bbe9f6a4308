"""A decision as a changeset: what is written and what leaves, by outcome; and that it is always the same."""

import base64
import hashlib
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from cloudevents.core.bindings import kafka
from cloudevents.core.formats.json import JSONFormat
from pydantic import TypeAdapter

from pipeline.errors import InvalidEvent, MessageTooLarge, ModelTimeout, Unstorable
from pipeline.extract import GiveUp
from pipeline.publish import AUDIT_TOPIC, content_id
from pipeline.record import bury, dead_at_the_door, decided, degraded, given_up
from pipeline.storable import flaw
from schemas import Decision, accept, reject, review
from schemas.changeset import Asked, Changeset, ClaimToken, NewEvent
from schemas.decision import Outcome
from schemas.event import Origin
from schemas.extraction import Charge
from schemas.messages import DeadLetter, ResultMessage, WithdrawnMessage, published
from tests.builders import NOW, SCRIBE, TOKEN, Facts, answer_of, attempt, claimed, entry, received

DONE = NOW + timedelta(seconds=3)
FACTS = Facts.model_validate({"city": "Oban", "amount": "12.50"})
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def changeset(decision: Decision, **event: Any) -> Changeset:
    return decided(claimed(received(**event)), entry(), decision, answer_of(FACTS), now=DONE, scribe=SCRIBE)


def gave_up(*, dead: bool, reason: str = "model_timeout") -> Changeset:
    return given_up(claimed(), entry(), GiveUp(reason, dead), (attempt(reason),) * 2, now=DONE, scribe=SCRIBE)


def by_rules(*, revision: int = 1) -> Changeset:
    return degraded(
        claimed(revision=revision),
        entry(),
        FACTS,
        (attempt("model_timeout"),) * 2,
        reason="model_timeout",
        now=DONE,
        scribe=SCRIBE,
        flags=("talks to the model",),
    )


def topics(changeset: Changeset) -> list[str]:
    return [message.topic for message in changeset.outbox]


def body(changeset: Changeset, topic: str) -> Any:
    (message,) = [message for message in changeset.outbox if message.topic == topic]
    return json.loads(message.value)


@pytest.mark.parametrize(
    ("written", "outcome", "left", "reviewed"),
    [
        (changeset(accept()), Outcome.SUCCEEDED, ["notes.facts.v1"], False),
        (changeset(review("large")), Outcome.NEEDS_REVIEW, [], True),
        (changeset(reject("no city")), Outcome.REJECTED, ["notes.written.v1.dead"], False),
        (gave_up(dead=False), Outcome.NEEDS_REVIEW, [], True),
        (gave_up(dead=True), Outcome.DEAD, ["notes.written.v1.dead"], False),
        (by_rules(), Outcome.DEGRADED, ["notes.facts.v1"], False),
    ],
    ids=["accepted", "to review", "rejected", "given up to review", "given up dead", "degraded"],
)
def test_each_outcome_leaves_by_its_own_topic(
    written: Changeset,
    outcome: Outcome,
    left: list[str],
    reviewed: bool,  # noqa: FBT001
) -> None:
    assert written.result.outcome is outcome
    assert topics(written) == [*left, AUDIT_TOPIC]
    assert (written.review is not None) == reviewed
    assert written.guard == ClaimToken(TOKEN)
    assert written.reopen is False


def test_a_result_carries_what_may_be_acted_on() -> None:
    written = changeset(accept(), source="/desk", id="n-7")

    message: ResultMessage[Facts] | WithdrawnMessage = TypeAdapter(published(Facts)).validate_python(
        body(written, "notes.facts.v1")
    )

    assert isinstance(message, ResultMessage)
    assert message.data == FACTS
    assert (message.source, message.id, message.revision) == ("/desk", "n-7", 1)
    assert (message.outcome, message.supersedes) == ("succeeded", None)
    assert (message.accepted_at, message.decided_at) == (NOW, DONE)
    assert message.model == "fast-1-2024"


def test_a_degraded_result_names_no_model_and_says_why() -> None:
    written = by_rules(revision=2)

    message = body(written, "notes.facts.v1")
    assert (message["outcome"], message["model"], message["supersedes"]) == ("degraded", None, 1)
    assert message["data"] == {"city": "Oban", "amount": "12.50"}
    assert message["reasons"] == [
        str(ModelTimeout()),
        "the answer is by the workflow's own rules, not by a model",
    ]
    assert TypeAdapter(published(Facts)).validate_python(message).outcome == "degraded"


def test_the_audit_record_of_a_degraded_result_says_what_failed_and_that_no_model_answered() -> None:
    written = by_rules()

    record = json.loads(written.audit[0].canonical)
    assert (record["outcome"], record["code"], record["model"]) == ("degraded", "model_timeout", None)
    assert (record["evidence"], record["cost_micros"]) == (None, 20)
    assert record["flags"] == ["talks to the model"]
    assert record["output"]["sha256"] == written.event.salted(b'{"amount":"12.50","city":"Oban"}').hex()
    assert [one["failure"] for one in record["attempts"]] == ["model_timeout"] * 2


def test_money_leaves_as_a_string() -> None:
    assert body(changeset(accept()), "notes.facts.v1")["data"] == {"city": "Oban", "amount": "12.50"}


def test_a_message_is_a_cloudevent_with_the_incoming_key_and_trace() -> None:
    written = changeset(accept(), key=b"own key", traceparent=TRACE)
    message = written.outbox[0]

    assert message.key == b"own key"
    assert message.headers["ce_id"] == message.headers["id"] == str(message.id)
    assert message.headers["ce_type"] == message.headers["type"] == "penstock.result"
    assert message.headers["ce_subject"] == str(written.event.event_id)
    assert message.headers["ce_specversion"] == "1.0"
    assert message.headers["ce_time"] == "2024-05-17T12:30:03Z"
    assert message.headers["content-type"] == "application/json"
    assert message.headers["schema"] == "penstock:contracts/notes.facts.v1.json"
    assert message.headers["audit_leaf"] == written.audit[0].leaf.hex()
    assert message.headers["traceparent"] == TRACE


@pytest.mark.parametrize("written", [changeset(accept()), changeset(reject("Straße")), by_rules()])
def test_the_cloudevents_library_reads_every_message_and_would_write_the_same_headers(
    written: Changeset,
) -> None:
    for message in written.outbox:
        wire = {name: value.encode() for name, value in message.headers.items()}

        event = kafka.from_binary(kafka.KafkaMessage(wire, None, message.value), JSONFormat())
        again = kafka.to_binary(event, JSONFormat())

        own = {name for name in wire if name.startswith("ce_") or name == "content-type"}
        assert again.headers == {name: wire[name] for name in own}
        assert json.loads(again.value) == json.loads(message.value)


def test_the_size_of_a_message_counts_key_value_and_headers() -> None:
    message = changeset(accept()).outbox[0]

    headers = sum(len(name) + len(value) for name, value in message.headers.items())
    assert message.size > len(message.key) + len(message.value) + headers


def test_a_later_revision_supersedes_the_one_before() -> None:
    written = decided(claimed(revision=3), entry(), accept(), answer_of(FACTS), now=DONE, scribe=SCRIBE)

    assert (written.result.revision, written.result.supersedes) == (3, 2)
    assert body(written, "notes.facts.v1")["supersedes"] == 2


def test_the_cost_is_that_of_all_attempts() -> None:
    answer = answer_of(FACTS, (attempt("unusable_output", cost_micros=5), attempt(cost_micros=7)))

    written = decided(claimed(), entry(), accept(), answer, now=DONE, scribe=SCRIBE)

    assert written.result.cost_micros == 12
    assert gave_up(dead=True).result.cost_micros == 20


def test_without_prices_there_is_no_cost() -> None:
    answer = answer_of(FACTS, (attempt(cost_micros=None),))

    written = decided(claimed(), entry(), accept(), answer, now=DONE, scribe=SCRIBE)

    assert written.result.cost_micros is None


# Dead letters.


def test_a_dead_letter_says_what_happened_and_holds_the_bytes_as_they_came() -> None:
    event = received(content=b"\xff\0", origin=Origin(3, 42))
    error = InvalidEvent("the bytes are not UTF-8")

    written = dead_at_the_door(event, entry(), error, now=DONE, scribe=SCRIBE)
    letter = DeadLetter.model_validate(body(written, "notes.written.v1.dead"))

    assert written.guard == NewEvent()
    assert (letter.outcome, letter.reason, letter.reasons) == (
        "dead",
        "invalid_event",
        ["the bytes are not UTF-8"],
    )
    assert (letter.topic, letter.partition, letter.offset) == ("notes.written.v1", 3, 42)
    assert base64.b64decode(letter.original_base64 or "") == b"\xff\0"
    assert letter.original is None


def test_the_reason_of_a_dead_letter_is_a_code_and_a_sentence() -> None:
    letter = body(gave_up(dead=True), "notes.written.v1.dead")

    assert letter["reason"] == "model_timeout"
    assert letter["reasons"] == ["The model did not finish its answer within the deadline of one call."]
    assert body(changeset(reject("no city")), "notes.written.v1.dead")["reason"] == "policy"


def test_bytes_over_the_message_limit_go_out_as_a_reference() -> None:
    event = received(content=b"x" * 2_000_000)

    written = dead_at_the_door(event, entry(), InvalidEvent("too long"), now=DONE, scribe=SCRIBE)
    letter = DeadLetter.model_validate(body(written, "notes.written.v1.dead"))

    assert letter.original_base64 is None
    assert letter.original is not None
    assert letter.original.id == content_id(event.event_id)
    assert letter.original.sha256 == hashlib.sha256(event.salt + event.content).hexdigest()
    assert letter.original.bytes == 2_000_000


@pytest.mark.parametrize("length", [700_000, 725_000, 737_000, 750_000, 1_000_000])
def test_a_dead_letter_always_fits_however_long_its_names_are(length: int) -> None:
    wide = "\U0001f680" * 512
    event = received(content=b"x" * length, id=wide, source=wide, key=wide.encode())

    written = dead_at_the_door(event, entry(), InvalidEvent(wide), now=DONE, scribe=SCRIBE)

    assert flaw(written, max_message_bytes=SCRIBE.max_message_bytes) is None


# What cannot be written.


def test_a_message_over_the_limit_is_found_before_it_is_written() -> None:
    written = changeset(accept())

    assert flaw(written, max_message_bytes=1_000_000) is None
    assert isinstance(flaw(written, max_message_bytes=500), MessageTooLarge)


@pytest.mark.parametrize("data", [{"city": "O\0"}, {"c\0": 1}, {"a": [{"b": ("x", "\0")}]}])
def test_a_nul_is_found_wherever_it_is(data: dict[str, Any]) -> None:
    written = changeset(accept())
    broken = replace(written, result=replace(written.result, data=data))

    assert isinstance(flaw(broken, max_message_bytes=1_000_000), Unstorable)


def test_a_buried_event_is_dead_under_the_same_guard_and_tells_why() -> None:
    asked = Asked("m-1", NOW, answered=True, answered_by_first=True)
    written = replace(changeset(review("large")), asked=asked, charge=Charge(10))

    buried = bury(written, MessageTooLarge(), scribe=SCRIBE)

    assert buried.result.outcome is Outcome.DEAD
    assert buried.result.data is None
    assert buried.result.id == written.result.id
    assert (buried.guard, buried.asked, buried.charge) == (written.guard, asked, Charge(10))
    assert buried.review is None
    assert topics(buried) == ["notes.written.v1.dead", AUDIT_TOPIC]
    assert body(buried, "notes.written.v1.dead")["reason"] == "message_too_large"
    assert json.loads(buried.audit[0].canonical)["code"] == "message_too_large"


# Identity.


@pytest.mark.parametrize("decision", [accept(), review("large"), reject("no city")])
def test_the_same_decision_is_the_same_changeset(decision: Decision) -> None:
    assert changeset(decision) == changeset(decision)


def test_no_two_things_of_an_event_share_an_id() -> None:
    def ids(written: Changeset) -> list[UUID]:
        review_ids = [written.review.id] if written.review else []
        outbox = [message.id for message in written.outbox]
        return [written.result.id, *(record.id for record in written.audit), *outbox, *review_ids]

    first, other = ids(changeset(accept())), ids(changeset(accept(), id="note-2"))
    later = ids(decided(claimed(revision=2), entry(), review("x"), answer_of(FACTS), now=DONE, scribe=SCRIBE))

    everything = [*first, *other, *later]
    assert len(set(everything)) == len(everything)
