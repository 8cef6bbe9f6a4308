"""Refund requests: read the customer's message, pay small claims, ask a human about the rest."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from pipeline import Workflow
from schemas import Answer, Decision, Event, Extraction, Money, Text, accept, review


class SupportMessage(Event):
    body: Annotated[str, Text(20_000)]


class Reason(StrEnum):
    DAMAGED = "damaged"
    LATE = "late"
    UNWANTED = "unwanted"
    OTHER = "other"


class RefundClaim(Extraction):
    amount: Money | None = Field(description="Amount the customer asks for; null if none is written.")
    reason: Reason = Field(description="Why, in one of the allowed words.")


def policy(message: SupportMessage, answer: Answer[RefundClaim]) -> Decision:
    if answer.value.amount is None:
        return review("the amount is not in the message")
    if answer.value.amount > 50:
        return review("large amount")
    return accept()


workflow = Workflow(
    name="refunds",
    consumes="support.messages.v1",
    produces="refunds.decided.v1",
    event=SupportMessage,
    extraction=RefundClaim,
    text=lambda message: message.body,
    prompt="Extract the refund the customer asks for. Never infer an amount that is not written.",
    models=("fast", "strong"),
    policy=policy,
)

WORKFLOWS = (workflow,)
