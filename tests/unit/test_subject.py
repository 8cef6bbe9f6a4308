"""Whose an event is: what the workflow says, as a keyed hash; and what is said of such an event where."""

import json
from dataclasses import replace
from typing import Any

import pytest

from pipeline.errors import InvalidEvent, InvalidWorkflowError, SubjectUnknown
from pipeline.receive import from_http
from pipeline.receive import received as at_the_door
from pipeline.record import dead_at_the_door, decided
from pipeline.subject import subject_hash
from schemas import review
from schemas.changeset import Changeset
from tests.builders import NOW, SCRIBE, STAMP, Facts, Note, answer_of, claimed, entry, received, workflow

WHOSE = subject_hash(STAMP.secret, "anna")
DECLARED = entry(workflow(subject=lambda note: note.text.split()[0], indexed=("city",)))


def came(text: str, subject: Any) -> bytes | None:
    body = json.dumps({"text": text}).encode()
    envelope = from_http({}, body, source="tests", id="note-1", type="note")
    return at_the_door(envelope, entry(workflow(subject=subject)), stamp=STAMP).subject_hash


def end(subject: bytes | None) -> Changeset:
    event = replace(received(), subject_hash=subject)
    answer = answer_of(Facts.model_validate({"city": "Oban", "amount": None}))
    return decided(claimed(event), DECLARED, review("anna again"), answer, now=NOW, scribe=SCRIBE)


def test_a_subject_is_known_by_its_hash_under_the_secret_and_its_spelling() -> None:
    assert came("anna", lambda note: note.text) == WHOSE
    assert WHOSE not in (subject_hash(b"another", "anna"), subject_hash(STAMP.secret, "Anna"))
    assert STAMP.fingerprint(b"anna") != WHOSE


@pytest.mark.parametrize("found", [None, ""])
def test_an_event_may_be_nobodys(found: str | None) -> None:
    assert came("anna", lambda note: found) is None
    assert came("anna", None) is None


@pytest.mark.parametrize("bug", [lambda note: note.name, lambda note: 17, lambda note: 1 / 0])
def test_where_the_workflow_fails_nobody_knows_whose_it_is(bug: Any) -> None:
    with pytest.raises(SubjectUnknown, match=r"subject of 'notes' failed: [A-Za-z]+Error$") as told:
        came("anna", bug)

    assert isinstance(told.value, InvalidEvent)


def reads_facts(facts: Facts) -> str | None:
    return facts.city


def gives_a_number(note: Note) -> int:
    return 1


@pytest.mark.parametrize("wrong", [reads_facts, gives_a_number, "customer", lambda: "anna"])
def test_a_subject_is_a_function_of_the_event(wrong: Any) -> None:
    with pytest.raises(InvalidWorkflowError, match="subject"):
        workflow(subject=wrong)


def test_the_audit_trail_keeps_no_words_about_a_subject() -> None:
    changeset = end(WHOSE)
    record = json.loads(changeset.audit[0].canonical)

    assert b"anna" not in changeset.audit[0].canonical
    assert record["reasons"] == []
    assert record["reasons_kept"]["sha256"] == changeset.event.salted(b'["anna again"]').hex()
    assert changeset.indexed == ("city",)


def test_without_a_subject_the_trail_says_why() -> None:
    record = json.loads(end(None).audit[0].canonical)

    assert record["reasons"] == ["anna again"]
    assert "reasons_kept" not in record


def test_a_dead_letter_of_an_erased_event_holds_no_bytes() -> None:
    erased = replace(received(content=b""), salt=b"")

    changeset = dead_at_the_door(erased, entry(), InvalidEvent(), now=NOW, scribe=SCRIBE)
    letter = json.loads(changeset.outbox[0].value)

    assert (letter["original_base64"], letter["original"]) == (None, None)
    assert json.loads(changeset.audit[0].canonical)["input"]["sha256"] is None
