"""Contracts: read a non-disclosure agreement, publish who is bound, under which law, since when, how long."""

import datetime
from typing import Annotated

from pydantic import Field

from pipeline import PromptFile, Workflow
from schemas import Answer, Decision, Event, Evidence, Extraction, Text, accept, review


class ReceivedContract(Event):
    text: Annotated[str, Text(200_000)]


class Terms(Extraction):
    """What a contract register lists of an agreement."""

    parties: Annotated[list[Annotated[str, Text(200)]], Field(max_length=20), Evidence()] = Field(
        description="Full names of all parties that the agreement binds, as written, each once; else empty."
    )
    jurisdiction: Annotated[str, Text(100)] | None = Field(
        description="State or country whose law governs the agreement, such as Delaware; null if not given."
    )
    effective_date: Annotated[datetime.date | None, Evidence()] = Field(
        description="Date from which the agreement is effective, as YYYY-MM-DD; null if not given."
    )
    term: Annotated[str, Text(60)] | None = Field(
        description="How long the agreement lasts, number and unit, such as 2 years; null if not given."
    )


def policy(contract: ReceivedContract, answer: Answer[Terms]) -> Decision:
    """An agreement binds at least two; law, date and term may be left open, and often are."""
    parties = {" ".join(party.split()).casefold() for party in answer.value.parties} - {""}
    if len(parties) < 2:
        return review(f"an agreement has two parties or more, found: {len(parties)}")
    return accept()


workflow = Workflow(
    name="contracts",
    consumes="contracts.received.v1",
    produces="contracts.terms.v1",
    event=ReceivedContract,
    extraction=Terms,
    text=lambda contract: contract.text,
    prompt=PromptFile("contracts.md"),
    models=("fast", "strong"),
    policy=policy,
)
