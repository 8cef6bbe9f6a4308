"""The story of one event, with a model and a journal made for the test."""

from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any

import pytest

from pipeline.claim import Claimed, Release
from pipeline.errors import Crashed, Faulty, InvalidEvent
from pipeline.process import after_fault, process
from pipeline.retry import MAX_CRASHES, MAX_FAULTS, MAX_TRIES, WAIT_DELAY
from schemas import Event, Text
from schemas.changeset import Changeset
from schemas.decision import Outcome
from tests.builders import FakeJournal, FakeModel, attempt, claimed, entry, received, workflow, world

GOOD = {"city": "Oban", "amount": "12.50"}


async def outcome_of(claim: Claimed, model: FakeModel, journal: FakeJournal | None = None) -> Changeset:
    end = await process(claim, entry(), world(model, journal))
    assert isinstance(end, Changeset)
    return end


@pytest.mark.parametrize(
    ("answer", "outcome", "reasons"),
    [
        (GOOD, Outcome.SUCCEEDED, ()),
        ({**GOOD, "amount": "100.01"}, Outcome.NEEDS_REVIEW, ("the amount is large or missing",)),
        ({**GOOD, "city": None}, Outcome.REJECTED, ("no city",)),
    ],
)
async def test_the_policy_decides_on_the_answer(
    answer: dict[str, Any], outcome: Outcome, reasons: tuple[str, ...]
) -> None:
    journal = FakeJournal()

    end = await outcome_of(claimed(), FakeModel(answer), journal)

    assert end.result.outcome is outcome
    assert end.result.reasons == reasons
    assert end.result.data == answer
    assert [attempt.failure for attempt in journal.attempts] == [None]


async def test_the_model_reads_the_events_text_and_no_instructions_in_it() -> None:
    model = FakeModel(GOOD)

    await outcome_of(claimed(), model)

    (call,) = model.calls
    assert (call.alias, call.step, call.feedback) == ("fast", 0, "")
    assert call.text == "12.50 for the ferry to Oban"
    assert call.entry.instructions == "Find the city and the amount."


async def test_an_answer_that_does_not_fit_is_asked_again_with_complaints_then_elsewhere() -> None:
    model, journal = FakeModel("unusable_output", "unusable_output", GOOD), FakeJournal()

    end = await outcome_of(claimed(), model, journal)

    assert end.result.outcome is Outcome.SUCCEEDED
    assert [(call.alias, call.step) for call in model.calls] == [("fast", 0), ("fast", 1), ("strong", 2)]
    assert "- amount: not a string" in model.calls[1].feedback
    assert model.calls[2].feedback == ""
    assert [made.failure for made in journal.attempts] == ["unusable_output", "unusable_output", None]
    assert end.result.cost_micros == 30


async def test_a_complaint_list_does_not_grow_with_the_answer() -> None:
    complaints = tuple(f"items.{number}: too long" for number in range(500))
    failed = attempt("unusable_output", complaints=complaints)
    model = FakeModel(GOOD)

    await outcome_of(claimed(attempts=(failed,)), model)

    assert model.calls[0].feedback.count("\n- ") == 8


@pytest.mark.parametrize("reason", ["model_refused", "model_filtered"])
async def test_a_refusal_goes_to_a_person(reason: str) -> None:
    end = await outcome_of(claimed(), FakeModel(reason))

    assert end.result.outcome is Outcome.NEEDS_REVIEW
    assert end.review is not None
    assert end.result.data is None


async def test_a_journalled_answer_is_used_without_a_call() -> None:
    model, journal = FakeModel(), FakeJournal()

    end = await outcome_of(claimed(attempts=(attempt(answer=GOOD),)), model, journal)

    assert end.result.outcome is Outcome.SUCCEEDED
    assert model.calls == []
    assert journal.attempts == []


async def test_an_answer_to_another_version_of_the_workflow_is_not_used() -> None:
    model = FakeModel(GOOD)

    end = await outcome_of(claimed(attempts=(attempt(version="4" * 64),)), model)

    assert end.result.outcome is Outcome.SUCCEEDED
    assert [call.step for call in model.calls] == [1]


@pytest.mark.parametrize(
    ("reason", "delay"),
    [
        ("model_unavailable", timedelta(seconds=1)),
        ("quota_exhausted", WAIT_DELAY),
        ("cancelled", timedelta(0)),
    ],
)
async def test_an_event_that_has_to_wait_is_given_back(reason: str, delay: timedelta) -> None:
    claim, journal = claimed(), FakeJournal()

    end = await process(claim, entry(), world(FakeModel(reason), journal))

    assert end == Release(claim, delay, reason)
    assert [attempt.failure for attempt in journal.attempts] == [reason]


async def test_a_claim_after_the_wait_asks_again_and_numbers_on() -> None:
    model = FakeModel(GOOD)

    await outcome_of(claimed(attempts=(attempt("model_timeout"), attempt("cancelled", step=1))), model)

    assert [call.step for call in model.calls] == [2]


async def test_after_the_last_try_an_event_is_dead() -> None:
    tries = tuple(attempt("model_timeout", step=step) for step in range(MAX_TRIES - 1))

    end = await outcome_of(claimed(attempts=tries), FakeModel("model_timeout"))

    assert end.result.outcome is Outcome.DEAD
    assert end.result.reasons == ("The model did not finish its answer within the deadline of one call.",)


async def test_an_event_that_ended_its_process_five_times_is_dead_without_being_run() -> None:
    model = FakeModel()

    end = await outcome_of(claimed(crashes=MAX_CRASHES + 1), model)

    assert end.result.outcome is Outcome.DEAD
    assert end.result.reasons == (str(Crashed()),)
    assert model.calls == []


async def test_an_event_at_the_crash_limit_is_run_once_more() -> None:
    end = await outcome_of(claimed(crashes=MAX_CRASHES), FakeModel(GOOD))

    assert end.result.outcome is Outcome.SUCCEEDED


class ShortNote(Event):
    text: Annotated[str, Text(5)]


async def test_an_event_that_a_stricter_schema_no_longer_takes_is_dead() -> None:
    stricter = replace(entry(), workflow=workflow(event=ShortNote, policy=lambda event, answer: None))

    end = await process(claimed(), stricter, world(FakeModel()))

    assert isinstance(end, Changeset)
    assert end.result.outcome is Outcome.DEAD
    assert "text: String should have at most 5 characters" in end.result.reasons[0]
    assert f'"code":"{InvalidEvent.reason}"'.encode() in end.audit[0].canonical


async def test_a_lone_surrogate_in_the_text_reaches_the_model_as_a_question_mark() -> None:
    model = FakeModel(GOOD)
    surrogate = entry(workflow(text=lambda note: f"{note.text}\ud800"))

    await process(claimed(received({"text": "Oban"})), surrogate, world(model))

    assert model.calls[0].text == "Oban?"


async def test_a_policy_that_returns_no_decision_is_a_bug() -> None:
    forgetful = entry(workflow(policy=lambda note, answer: None))

    with pytest.raises(TypeError, match="the policy of 'notes' returned NoneType"):
        await process(claimed(), forgetful, world(FakeModel(GOOD)))


@pytest.mark.parametrize("faults", range(MAX_FAULTS - 1))
def test_a_bug_is_tried_again_later_and_counted(faults: int) -> None:
    end = after_fault(claimed(faults=faults), entry(), ValueError("secret"), world(FakeModel()))

    assert isinstance(end, Release)
    assert end.fault
    assert end.delay > timedelta(0)
    assert end.reason == Faulty.reason


def test_a_bug_that_stays_makes_the_event_dead_and_is_not_quoted() -> None:
    end = after_fault(claimed(faults=MAX_FAULTS - 1), entry(), ValueError("secret"), world(FakeModel()))

    assert isinstance(end, Changeset)
    assert end.result.outcome is Outcome.DEAD
    assert end.result.reasons == ("ValueError in the workflow's or Penstock's code, 3 times",)
