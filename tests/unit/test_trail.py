"""An audit record is canonical bytes with their leaf; it holds hashes and references, no payload."""

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline import audit
from pipeline.extract import GiveUp
from pipeline.publish import AUDIT_TOPIC
from pipeline.record import decided, given_up
from pipeline.trail import noted
from schemas import accept, review
from schemas.changeset import Changeset
from schemas.messages import AuditMessage
from tests.builders import NOW, SCRIBE, Facts, answer_of, attempt, claimed, entry

ANSWER = answer_of(Facts.model_validate({"city": "Oban", "amount": "12.50"}))
ACCEPTED = decided(claimed(), entry(), accept(), ANSWER, now=NOW, scribe=SCRIBE)
REVIEWED = decided(claimed(), entry(), review("large"), ANSWER, now=NOW, scribe=SCRIBE)
DEAD = given_up(
    claimed(),
    entry(),
    GiveUp("model_timeout", dead=True),
    (attempt("model_timeout"),),
    now=NOW,
    scribe=SCRIBE,
)


@pytest.mark.parametrize("written", [ACCEPTED, REVIEWED, DEAD])
def test_the_audit_record_is_canonical_bytes_with_their_leaf(written: Changeset) -> None:
    (record,) = written.audit

    assert record.canonical == rfc8785.dumps(json.loads(record.canonical))
    assert record.leaf == hashlib.sha256(b"\x00" + record.canonical).digest()


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["[1.5]", ":30.1,"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(st.dictionaries(st.text(st.characters(max_codepoint=127)), JSON))
@example({"\ue000": 1, "\U00010000": 2})
@example({"a": 2**53, "b": [-(10**15)]})
@example({"a": 1e16})
@example({"a": float("nan")})
@example({"a": "\ud800"})
@example({"a": '\x7f\x1f"\\'})
def test_the_canonical_bytes_are_those_of_the_reference_library(record: dict[str, Any]) -> None:
    try:
        expected = rfc8785.dumps(record)
    except ValueError as error:
        with pytest.raises(type(error)):
            audit.canonical(record)
    else:
        assert audit.canonical(record) == expected


def test_the_canonical_bytes_are_those_of_rfc_8785() -> None:
    assert (
        audit.canonical({"b": [1, True, None], "a": "\u20ac\n"}) == '{"a":"€\\n","b":[1,true,null]}'.encode()
    )


def test_the_leaf_is_that_of_rfc_6962() -> None:
    # The first leaf of the test vectors of Certificate Transparency: the empty string.
    expected = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"

    assert audit.leaf(b"").hex() == expected


def test_the_columns_of_an_audit_record_are_copies_of_its_text() -> None:
    (record,) = ACCEPTED.audit
    text = json.loads(record.canonical)

    assert text["id"] == str(record.id)
    assert text["kind"] == record.kind == "decision"
    assert text["event_id"] == str(record.event_id)
    assert text["revision"] == record.revision == 1
    assert (text["workflow"], text["version"]) == (record.workflow, record.version)
    assert text["outcome"] == record.outcome == "succeeded"
    assert text["occurred_at"] == record.occurred_at.isoformat()
    assert text["actor"] == {"kind": "service", "name": "worker"}


def test_the_audit_record_holds_salted_hashes_and_no_text() -> None:
    written = ACCEPTED
    (record,) = written.audit
    text = json.loads(record.canonical)

    assert b"Oban" not in record.canonical
    assert b"12.50" not in record.canonical
    assert text["input"]["sha256"] == hashlib.sha256(written.event.salt + written.event.content).hexdigest()
    assert text["output"]["sha256"] == written.event.salted(b'{"amount":"12.50","city":"Oban"}').hex()
    assert text["attempts"][0]["response_sha256"] == written.event.salted(attempt().response).hex()


def test_the_audit_record_says_which_endpoint_was_called_and_what_is_not_known_of_its_charge() -> None:
    lost = replace(attempt("model_timeout", endpoint="m@models.example/v1"), is_unknown=True)
    dead = GiveUp("model_timeout", dead=True)

    written = given_up(claimed(), entry(), dead, (lost,), now=NOW, scribe=SCRIBE)

    (called,) = json.loads(written.audit[0].canonical)["attempts"]
    assert (called["alias"], called["endpoint"]) == ("fast", "m@models.example/v1")
    assert (called["is_unknown"], called["cost_micros"]) == (True, 10)


def test_the_audit_topic_carries_the_record_and_its_leaf() -> None:
    written = ACCEPTED

    assert written.outbox[-1].topic == AUDIT_TOPIC
    message = AuditMessage.model_validate_json(written.outbox[-1].value)

    assert message.record.encode() == written.audit[0].canonical
    assert message.leaf == written.audit[0].leaf.hex()


def test_what_is_about_no_event_is_recorded_the_same_way() -> None:
    record = noted("workflow_paused", {"reason": "holidays"}, scribe=SCRIBE, now=NOW, workflow="notes")

    text = json.loads(record.canonical)
    assert record.canonical == rfc8785.dumps(text)
    assert record.leaf == audit.leaf(record.canonical)
    assert text["id"] == str(record.id)
    assert (text["kind"], text["workflow"], text["reason"]) == ("workflow_paused", "notes", "holidays")
    assert record.event_id is None


def test_the_same_fact_at_the_same_moment_is_one_record_unless_told_apart() -> None:
    def pause(nonce: str = "") -> str:
        return str(noted("workflow_paused", {}, scribe=SCRIBE, now=NOW, workflow="notes", nonce=nonce).id)

    assert pause() == pause()
    assert pause("1") != pause("2")
