"""Support: read a customer's e-mail, open a ticket, ask a human before a large refund is promised."""

from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from pipeline import ByMeaning, PromptFile, Workflow
from schemas import Answer, Decision, Event, Evidence, Extraction, Money, Text, accept, review

#: Refunds up to these amounts need no second pair of eyes; other currencies always do.
REFUND_LIMITS = {"EUR": Decimal(100), "GBP": Decimal(100), "USD": Decimal(100)}


class SupportMessage(Event):
    sender: Annotated[str, Text(320)]
    subject: Annotated[str, Text(1_000)]
    body: Annotated[str, Text(20_000)]


class Category(StrEnum):
    ORDER = "order"
    DELIVERY = "delivery"
    BILLING = "billing"
    REFUND = "refund"
    TECHNICAL = "technical"
    ACCOUNT = "account"
    COMPLAINT = "complaint"
    OTHER = "other"


class Priority(StrEnum):
    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"
    URGENT = "urgent"


class Sentiment(StrEnum):
    POSITIVE = "positive"
    NEUTRAL = "neutral"
    NEGATIVE = "negative"


class Ticket(Extraction):
    category: Category = Field(description="What the message is mainly about.")
    priority: Priority = Field(description="How soon it needs an answer; normal without a reason.")
    product: Annotated[str, Text(200)] | None = Field(
        description="Product or service that the message is about, as written; null if none is named."
    )
    order_number: Annotated[Annotated[str, Text(60)] | None, Evidence(otherwise="null")] = Field(
        description="Order, invoice or booking number, as written; null if none is given."
    )
    asks: Annotated[str, Text(300), ByMeaning()] = Field(
        description="What the customer asks us to do, in one short English sentence."
    )
    sentiment: Sentiment = Field(description="The customer's mood towards us.")
    refund_amount: Annotated[Money | None, Evidence()] = Field(
        description="Amount of money that the customer asks back, such as 49.90; null if none is written."
    )
    refund_currency: Annotated[str, StringConstraints(pattern="^[A-Z]{3}$", max_length=3)] | None = Field(
        description="ISO 4217 code of the refund's currency, such as EUR; null if there is no refund amount."
    )


def policy(message: SupportMessage, answer: Answer[Ticket]) -> Decision:
    """Open the ticket; a person confirms a refund that is large or not clear."""
    amount, currency = answer.value.refund_amount, answer.value.refund_currency
    if amount is None:
        return accept()
    if amount <= 0:
        return review(f"a refund of {amount} makes no sense")
    limit = REFUND_LIMITS.get(currency or "")
    if limit is None:
        return review(f"no refund limit is set for currency {currency or 'unknown'}")
    return review(f"a refund of {amount} {currency} is above {limit}") if amount > limit else accept()


workflow = Workflow(
    name="support",
    consumes="support.messages.v1",
    produces="support.tickets.v1",
    event=SupportMessage,
    extraction=Ticket,
    text=lambda message: f"Subject: {message.subject}\n\n{message.body}",
    prompt=PromptFile("support.md"),
    models=("fast", "strong"),
    policy=policy,
)
