"""The ledger: entries of one account are worked on one at a time, in the order they came."""

from typing import Annotated

from pydantic import Field

from pipeline import Workflow
from schemas import Answer, Decision, Event, Extraction, Money, Text, accept


class LedgerEntry(Event):
    text: Annotated[str, Text(1_000)]


class Posting(Extraction):
    amount: Money | None = Field(description="Amount posted, such as 12.50; null if the text has none.")


def policy(entry: LedgerEntry, answer: Answer[Posting]) -> Decision:
    return accept()


workflow = Workflow(
    name="ledger",
    consumes="acme.ledger.v1",
    produces="acme.ledger.posted.v1",
    event=LedgerEntry,
    extraction=Posting,
    text=lambda entry: entry.text,
    prompt="Find the amount that is posted.",
    models=("fast",),
    policy=policy,
    ordered=True,
)
