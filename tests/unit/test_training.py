"""A golden case teaches what is sent today and what would be accepted today, or it is left out."""

import json
from dataclasses import replace
from typing import Annotated, Any

import pytest
from pydantic import Field

from pipeline import training
from pipeline.assemble import instructions
from pipeline.fence import unfence
from pipeline.trail import evidence_of
from pipeline.training import NO_EVIDENCE, NO_FIT, NOT_SENT, Unfit
from schemas import Answer, Decision, Evidence, Extraction, Money, Text, accept
from schemas.changeset import Result
from schemas.evidence import EvidenceMap, Grounding, Verdict
from tests.builders import GUARD, NOW, Note, entry, received, workflow

TEXT = "12.50 for the ferry to Oban, and 3 for tea"
GROUNDS = EvidenceMap([Grounding("amount", Verdict.EXACT, 0, 5, 100)])


class Fare(Extraction):
    city: Annotated[str, Text(100)] | None = Field(description="The city; null if none is named.")
    amount: Annotated[Money, Evidence()] | None = Field(description="What it cost.")


def policy(note: Note, answer: Answer[Fare]) -> Decision:
    return accept()


FARES = entry(workflow(extraction=Fare, policy=policy))


def golden(data: dict[str, Any], evidence: EvidenceMap = GROUNDS) -> Result:
    event = received({"text": TEXT})
    return Result(
        id=event.event_id,
        event_id=event.event_id,
        revision=2,
        workflow="notes",
        version=FARES.version,
        state="approved",
        reasons=(),
        decided_at=NOW,
        data=data,
        evidence=evidence_of(evidence),
    )


def line(result: Result, text: str = TEXT) -> dict[str, Any]:
    made = training.openai(FARES, received({"text": text}), result, key=GUARD.key)
    assert "\n" not in made
    told: dict[str, Any] = json.loads(made)
    return told


def test_a_line_is_the_first_call_s_messages_and_the_right_answer_with_its_quotes() -> None:
    system, user, assistant = line(golden({"city": "Oban", "amount": "12.50"}))["messages"]

    assert system == {"role": "system", "content": instructions(FARES, key=GUARD.key)}
    assert (user["role"], unfence(user["content"])) == ("user", TEXT)
    assert assistant["role"] == "assistant"
    assert json.loads(assistant["content"]) == {
        "city": "Oban",
        "amount": {"quote": "12.50", "value": "12.50"},
    }


def test_a_null_needs_no_quote() -> None:
    *_, assistant = line(golden({"city": None, "amount": None}, EvidenceMap()))["messages"]

    assert json.loads(assistant["content"]) == {"city": None, "amount": None}


def test_a_value_that_a_person_wrote_is_quoted_where_the_text_spells_it() -> None:
    *_, assistant = line(golden({"city": None, "amount": "3"}, EvidenceMap()))["messages"]

    assert json.loads(assistant["content"])["amount"] == {"quote": "3", "value": "3"}


@pytest.mark.parametrize(
    ("result", "text", "why"),
    [
        (golden({"city": None, "amount": "14.00"}, EvidenceMap()), TEXT, NO_EVIDENCE),
        (golden({"city": None, "amount": "13.00"}), TEXT, NO_EVIDENCE),
        (golden({"city": None, "amount": "12.50"}), f"A note: {TEXT}", NO_EVIDENCE),
        (
            golden(
                {"city": None, "amount": "14.00"},
                EvidenceMap([Grounding("amount", Verdict.CONTRADICTED, 0, 5, 100)]),
            ),
            TEXT,
            NO_EVIDENCE,
        ),
        (golden({"city": None}), TEXT, NO_FIT),
        (golden({"city": 5, "amount": "12.50"}), TEXT, NO_FIT),
        (golden({"city": None, "amount": "12.50"}), " ", NOT_SENT),
    ],
)
def test_a_case_that_would_teach_something_else_is_left_out(result: Result, text: str, why: str) -> None:
    with pytest.raises(Unfit) as raised:
        line(result, text)

    assert raised.value.why == why


def test_an_event_that_does_not_fit_its_schema_any_more_is_left_out() -> None:
    event = replace(received(), content=b'{"body":"12.50"}')

    with pytest.raises(Unfit, match=NO_FIT):
        training.openai(FARES, event, golden({"city": None, "amount": "12.50"}), key=GUARD.key)
