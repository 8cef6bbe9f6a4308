"""What people decide: approve, correct, reject, send back; what is published of it and what is on record."""

import json
from dataclasses import replace
from typing import Any

import pytest

from pipeline.correction import edited
from pipeline.errors import Conflict, InvalidCorrection
from pipeline.receive import canonical
from pipeline.resolve import Subject, Verdict, approve, correct, reject, send_back, standing
from schemas.changeset import Actor, Changeset, ExpectedRevision, Result
from schemas.decision import REOPENED, Outcome
from tests.builders import NOW, SCRIBE, entry, received

ADA = Actor("person", "os:ada@desk")
EVENT, ENTRY = received(), entry(version="6" * 64)
DATA = {"city": "Oban", "amount": "12.50"}
EVIDENCE = {name: {"verdict": "exact", "start": 0, "end": 5, "score": 100} for name in DATA}
DOUBTED = Result(
    id=EVENT.event_id,
    event_id=EVENT.event_id,
    revision=1,
    workflow="notes",
    version="5" * 64,
    state=Outcome.NEEDS_REVIEW,
    reasons=("large amount",),
    decided_at=NOW,
    data=DATA,
    evidence=EVIDENCE,
    model="fast-1",
    cost_micros=10,
)
VERDICT = Verdict(replace(SCRIBE, actor=ADA), NOW, "it says so in the letter")


def subject(state: str = Outcome.NEEDS_REVIEW, *, published: int | None = None, **changes: Any) -> Subject:
    return Subject(EVENT, NOW, replace(DOUBTED, state=state, **changes), published)


def sent(changeset: Changeset, topic: str) -> list[dict[str, Any]]:
    return [json.loads(message.value) for message in changeset.outbox if message.topic == topic]


def record_of(changeset: Changeset) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(changeset.audit[0].canonical)
    return found


def test_a_correction_supersedes_and_is_published_with_the_link() -> None:
    changeset = correct(subject(), ENTRY, {**DATA, "amount": "13.00"}, VERDICT)

    result = changeset.result
    assert changeset.guard == ExpectedRevision(1)
    assert (result.revision, result.supersedes, result.state) == (2, 1, "corrected")
    assert (result.version, result.reasons) == (ENTRY.version, ("it says so in the letter",))
    assert result.cost_micros is None
    (message,) = sent(changeset, "notes.facts.v1")
    assert (message["kind"], message["outcome"], message["supersedes"]) == ("result", "corrected", 1)
    assert message["data"] == {"city": "Oban", "amount": "13.00"}


def test_evidence_is_kept_for_the_values_that_have_not_changed() -> None:
    changeset = correct(subject(), ENTRY, {**DATA, "amount": "13.00"}, VERDICT)

    assert changeset.result.evidence == {"city": EVIDENCE["city"]}


def test_the_comment_on_an_event_with_a_subject_is_told_by_its_hash() -> None:
    seen = replace(subject(), event=replace(EVENT, subject_hash=b"ada"))

    record = record_of(correct(seen, ENTRY, {**DATA, "amount": "13.00"}, VERDICT))

    assert record["reasons"] == []
    assert record["reasons_kept"]["sha256"] == EVENT.salted(canonical([VERDICT.comment])).hex()


def test_of_an_event_whose_text_is_gone_nothing_is_left_but_to_reject_it() -> None:
    gone = replace(subject(), event=replace(EVENT, content=b"", salt=b""))

    for decide in (approve, send_back):
        with pytest.raises(Conflict, match="erased or pruned"):
            decide(gone, ENTRY, VERDICT)
    record = record_of(reject(gone, ENTRY, VERDICT))
    assert (record["outcome"], record["before"]["sha256"]) == ("rejected", None)


def test_the_record_has_paths_and_salted_hashes_and_no_value() -> None:
    changeset = correct(subject(), ENTRY, {"city": "Mallaig", "amount": None}, VERDICT)

    record = record_of(changeset)
    assert (record["kind"], record["outcome"], record["actor"]["name"]) == ("review", "corrected", ADA.name)
    assert record["patch"] == [
        {"op": "replace", "path": "/amount", "sha256": EVENT.salted(b"null").hex()},
        {"op": "replace", "path": "/city", "sha256": EVENT.salted(b'"Mallaig"').hex()},
    ]
    assert record["before"] == {"outcome": "needs_review", "sha256": EVENT.salted(canonical(DATA)).hex()}
    assert record["reasons"] == [VERDICT.comment]
    for secret in (b"Mallaig", b"Oban"):
        assert secret not in changeset.audit[0].canonical
    assert len(sent(changeset, "audit.records.v1")) == 1


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"city": "Oban"}, "amount: Field required"),
        ({**DATA, "amount": 12.5}, "amount: .*write the amount as a string"),
        ({**DATA, "amount": "12,50"}, "amount: "),
        ({**DATA, "city": 7}, "city: "),
        ({**DATA, "ctiy": "Oban"}, "ctiy: Extra inputs"),
        ({**DATA, "city": "O\0ban"}, "the result: .*control character"),
        ({**DATA, "city": float("nan")}, "the result: no JSON"),
        (["Oban"], "the result: "),
    ],
)
def test_a_correction_that_does_not_fit_names_the_field(data: Any, told: str) -> None:
    with pytest.raises(InvalidCorrection, match=f"does not fit notes: {told}"):
        correct(subject(), ENTRY, data, VERDICT)


def test_a_correction_that_changes_nothing_is_an_approval() -> None:
    with pytest.raises(InvalidCorrection, match="approve it instead"):
        correct(subject(), ENTRY, DATA, VERDICT)


def test_what_the_machine_found_nothing_in_can_be_corrected_and_not_approved() -> None:
    nothing = subject(data=None, evidence=None, model=None)

    assert correct(nothing, ENTRY, DATA, VERDICT).result.data == DATA
    with pytest.raises(Conflict, match="has no result to approve"):
        approve(nothing, ENTRY, VERDICT)


def test_an_approval_is_published_and_keeps_data_and_evidence() -> None:
    changeset = approve(subject(), ENTRY, replace(VERDICT, comment=""))

    assert (changeset.result.data, changeset.result.evidence) == (DATA, EVIDENCE)
    (message,) = sent(changeset, "notes.facts.v1")
    assert (message["outcome"], message["reasons"]) == ("approved", ["a person approved it"])
    assert record_of(changeset)["patch"] == []


def test_an_approval_of_what_today_s_schema_does_not_take_is_refused() -> None:
    with pytest.raises(InvalidCorrection, match="old: Extra inputs"):
        approve(subject(data={**DATA, "old": 1}), ENTRY, VERDICT)


@pytest.mark.parametrize(
    ("state", "messages"), [("succeeded", 0), ("corrected", 0), ("approved", 0), ("degraded", 1)]
)
def test_an_approval_publishes_nothing_that_receivers_have_already(state: str, messages: int) -> None:
    changeset = approve(subject(state, published=1), ENTRY, VERDICT)

    assert len(sent(changeset, "notes.facts.v1")) == messages


def test_a_rejection_goes_to_the_dead_topic_with_its_reason() -> None:
    changeset = reject(subject(), ENTRY, VERDICT)

    (letter,) = sent(changeset, "notes.written.v1.dead")
    assert (letter["outcome"], letter["reason"]) == ("rejected", "review")
    assert letter["reasons"] == ["it says so in the letter"]
    assert sent(changeset, "notes.facts.v1") == []


def test_rejecting_what_was_published_withdraws_it() -> None:
    changeset = reject(subject("approved", published=1, revision=2), ENTRY, VERDICT)

    (message,) = sent(changeset, "notes.facts.v1")
    assert (message["kind"], message["supersedes"], message["revision"]) == ("withdrawn", 1, 3)
    assert len({message.id for message in changeset.outbox}) == 3


def test_a_rejection_is_undone_by_an_approval_and_not_done_twice() -> None:
    rejected = replace(subject(), newest=reject(subject(), ENTRY, VERDICT).result)

    with pytest.raises(Conflict, match="is rejected already"):
        reject(rejected, ENTRY, VERDICT)
    undone = approve(rejected, ENTRY, VERDICT)
    assert (undone.result.revision, undone.result.data) == (3, DATA)
    assert sent(undone, "notes.facts.v1")[0]["supersedes"] == 2


def test_a_correction_of_what_receivers_have_names_that_revision() -> None:
    approved = subject("approved", published=1, revision=2)

    changeset = correct(approved, ENTRY, {**DATA, "city": None}, VERDICT)

    assert changeset.result.supersedes == 2
    assert sent(changeset, "notes.facts.v1")[0]["supersedes"] == 1


def test_sending_back_puts_it_to_work_under_today_s_version() -> None:
    changeset = send_back(subject(), ENTRY, replace(VERDICT, comment=""))

    result = changeset.result
    assert (changeset.reopen, result.state, result.version) == (True, REOPENED, ENTRY.version)
    assert (result.data, result.evidence, result.model) == (None, None, None)
    assert result.reasons == ("sent back by os:ada@desk",)
    assert [message.topic for message in changeset.outbox] == ["audit.records.v1"]


def test_what_is_published_is_not_sent_back() -> None:
    with pytest.raises(Conflict, match="is succeeded and published; reject it first"):
        send_back(subject("succeeded", published=1), ENTRY, VERDICT)


def test_nothing_is_decided_on_an_event_in_flight() -> None:
    for decide in (approve, reject, send_back):
        with pytest.raises(Conflict, match="in flight"):
            decide(subject(REOPENED), ENTRY, VERDICT)


@pytest.mark.parametrize(
    ("states", "revision"),
    [
        ("", None),
        ("needs_review", None),
        ("succeeded", 1),
        ("succeeded approved", 1),
        ("needs_review approved approved", 2),
        ("degraded approved", 2),
        ("succeeded approved corrected approved", 3),
        ("succeeded rejected", None),
        ("succeeded rejected approved", 3),
        ("dead reopened succeeded", 3),
        ("succeeded rejected reopened", None),
    ],
)
def test_the_standing_revision_is_the_last_one_published(states: str, revision: int | None) -> None:
    assert standing(enumerate(states.split(), 1)) == revision


@pytest.mark.parametrize(("typed", "value"), [("13.00", "13.00"), ("null", None), ('"x"', '"x"'), ("", "")])
def test_what_a_person_types_is_a_text_where_the_field_takes_one(typed: str, value: Any) -> None:
    field = "amount" if typed == "13.00" else "city"

    assert edited(ENTRY, DATA, {field: typed}) == {**DATA, field: value}


def test_a_field_that_there_is_not_is_named_with_those_that_there_are() -> None:
    with pytest.raises(InvalidCorrection, match="no field 'town'; fields: city, amount"):
        edited(ENTRY, DATA, {"town": "Oban"})
