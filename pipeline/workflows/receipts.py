"""Receipts: read the text of a scanned receipt, publish who was paid, when, where and how much."""

import datetime
from typing import Annotated

from pydantic import Field

from pipeline import PromptFile, Workflow
from schemas import Answer, Decision, Event, Evidence, Extraction, Money, Text, accept, reject, review


class ScannedReceipt(Event):
    text: Annotated[str, Text(20_000)]


class Receipt(Extraction):
    """Every field may be null: paper tears, and a guess costs more than a gap."""

    company: Annotated[Annotated[str, Text(200)] | None, Evidence()] = Field(
        description="Name of the shop or company that issued the receipt, as printed; null if not given."
    )
    date: Annotated[datetime.date | None, Evidence()] = Field(
        description="Date of the purchase as YYYY-MM-DD, not a due or expiry date; null if not given."
    )
    address: Annotated[Annotated[str, Text(400)] | None, Evidence(otherwise="null")] = Field(
        description="Postal address of the company on one line, as printed; null if not given."
    )
    total: Annotated[Money | None, Evidence()] = Field(
        description="Grand total to pay, tax and rounding included, such as 12.50; null if not given."
    )


def not_in_the_future(receipt: ScannedReceipt, found: Receipt, received_at: datetime.datetime) -> str | None:
    """A day of grace: the shop may be east of us."""
    latest = received_at.date() + datetime.timedelta(days=1)
    return "date: it is in the future" if found.date and found.date > latest else None


def policy(receipt: ScannedReceipt, answer: Answer[Receipt]) -> Decision:
    """Bookkeeping needs a company and a total; the rest may be missing."""
    found = answer.value
    if not (found.company or found.date or found.address or found.total):
        return reject("nothing of a receipt was found in the text")
    doubts = []
    if not found.company:
        doubts.append("the company is missing")
    if found.total is None:
        doubts.append("the total is missing")
    elif found.total < 0:
        doubts.append("the total is negative: is it a credit note?")
    return review(*doubts) if doubts else accept()


workflow = Workflow(
    name="receipts",
    consumes="receipts.scanned.v1",
    produces="receipts.extracted.v1",
    event=ScannedReceipt,
    extraction=Receipt,
    text=lambda receipt: receipt.text,
    prompt=PromptFile("receipts.md"),
    models=("fast", "strong"),
    policy=policy,
    checks=(not_in_the_future,),
)
