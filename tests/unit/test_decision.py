"""A decision is a route with reasons that can be stored and shown, and each outcome leaves by one door."""

import pytest

from schemas import accept, reject, review
from schemas.decision import MAX_REASON_LENGTH, Decision, Outcome


@pytest.mark.parametrize(
    ("decision", "outcome", "reasons"),
    [
        (accept(), Outcome.SUCCEEDED, ()),
        (review("a", "b"), Outcome.NEEDS_REVIEW, ("a", "b")),
        (reject("a"), Outcome.REJECTED, ("a",)),
    ],
)
def test_a_decision_has_an_outcome_and_reasons(
    decision: Decision, outcome: Outcome, reasons: tuple[str, ...]
) -> None:
    assert decision.outcome is outcome
    assert decision.reasons == reasons


def test_a_reason_that_quotes_the_event_is_cleaned_and_cut() -> None:
    (reason,) = review("city \0\ud800" + "x" * 1_000).reasons

    assert reason.startswith("city \ufffd\ufffdxxx")
    assert len(reason) == MAX_REASON_LENGTH


@pytest.mark.parametrize("outcome", Outcome)
def test_an_outcome_is_published_or_a_dead_letter_or_waits_for_a_person(outcome: Outcome) -> None:
    waits = outcome is Outcome.NEEDS_REVIEW

    assert [outcome.may_be_acted_on, outcome.is_dead_letter, waits].count(True) == 1
