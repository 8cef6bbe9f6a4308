"""A person puts a dead event back to work; nothing else can be put back."""

from dataclasses import replace

import pytest

from pipeline.errors import Conflict, InvalidEvent
from pipeline.record import dead_at_the_door
from pipeline.resolve import reopen
from schemas.changeset import Actor, Changeset, ExpectedRevision
from schemas.decision import Outcome
from tests.builders import NOW, SCRIBE, entry, received

EVENT = received()
DEAD = dead_at_the_door(EVENT, entry(), InvalidEvent("no text"), now=NOW, scribe=SCRIBE).result
PERSON = Actor("token", "rosa")


def reopened() -> Changeset:
    return reopen(EVENT, DEAD, version="6" * 64, actor=PERSON, release="0.0.0", now=NOW)


def test_a_reopened_event_has_a_new_revision_that_is_no_outcome() -> None:
    result = reopened().result

    assert result.outcome is None
    assert (result.revision, result.supersedes, result.version) == (2, 1, "6" * 64)
    assert result.reasons == ("replayed by rosa",)
    assert result.id != DEAD.id


def test_reopening_goes_back_to_work_and_publishes_nothing() -> None:
    changeset = reopened()

    assert changeset.reopen
    assert changeset.guard == ExpectedRevision(1)
    assert [message.topic for message in changeset.outbox if message.topic != "audit.records.v1"] == []


def test_the_audit_record_names_the_person() -> None:
    (record,) = reopened().audit

    assert (record.kind, record.actor, record.outcome) == ("replay", PERSON, "reopened")


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.DEAD])
def test_only_a_dead_event_is_reopened(outcome: Outcome) -> None:
    newest = replace(DEAD, state=outcome)

    with pytest.raises(Conflict, match=f"is {outcome}, not dead"):
        reopen(EVENT, newest, version="6" * 64, actor=PERSON, release="0.0.0", now=NOW)
