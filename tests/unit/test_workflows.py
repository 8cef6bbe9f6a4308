"""The example workflows: what their policies decide, and that their schemas take their labels."""

import datetime
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from infra.samples import Name, read
from pipeline import IGNORED
from pipeline.catalogue import load
from pipeline.workflows import contracts, helpdesk, receipts, support
from schemas import Decision, accept, reject, review
from tests.builders import answer_of

RECEIPT = receipts.Receipt(
    company="The Harbour Lantern Cafe",
    date=datetime.date(2023, 6, 14),
    address="7 Quayside Row",
    total=Decimal("11.95"),
)
TERMS = contracts.Terms(
    parties=["Corvane Optics, Inc.", "Talus Mapping LLC"],
    jurisdiction="Delaware",
    effective_date=datetime.date(2019, 3, 4),
    term="2 years",
)
TICKET = support.Ticket(
    category=support.Category.REFUND,
    priority=support.Priority.NORMAL,
    product="BrewMaster 300",
    order_number="A-20417",
    asks="Refund the leaking kettle.",
    sentiment=support.Sentiment.NEGATIVE,
    refund_amount=Decimal("49.90"),
    refund_currency="EUR",
)
NO_RECEIPT = reject("nothing of a receipt was found in the text")


@pytest.mark.parametrize(
    ("change", "decision"),
    [
        ({}, accept()),
        ({"date": None, "address": None}, accept()),
        ({"company": None}, review("the company is missing")),
        ({"company": ""}, review("the company is missing")),
        ({"total": None}, review("the total is missing")),
        ({"company": None, "total": None}, review("the company is missing", "the total is missing")),
        ({"total": Decimal("-1")}, review("the total is negative: is it a credit note?")),
        ({"company": None, "date": None, "address": None, "total": None}, NO_RECEIPT),
        ({"company": "", "date": None, "address": "", "total": None}, NO_RECEIPT),
    ],
)
def test_a_receipt_needs_a_company_and_a_total(change: dict[str, Any], decision: Decision) -> None:
    receipt = RECEIPT.model_copy(update=change)

    assert receipts.policy(receipts.ScannedReceipt(text="..."), answer_of(receipt)) == decision


@pytest.mark.parametrize(
    ("parties", "found"),
    [
        ([], 0),
        (["Corvane Optics, Inc."], 1),
        (["Corvane Optics, Inc.", "CORVANE  OPTICS, INC."], 1),
        (["Corvane Optics, Inc.", " "], 1),
    ],
)
def test_an_agreement_with_fewer_than_two_parties_goes_to_a_person(parties: list[str], found: int) -> None:
    terms = TERMS.model_copy(update={"parties": parties})

    decision = contracts.policy(contracts.ReceivedContract(text="..."), answer_of(terms))

    assert decision == review(f"an agreement has two parties or more, found: {found}")


def test_an_agreement_may_leave_law_date_and_term_open() -> None:
    terms = TERMS.model_copy(update={"jurisdiction": None, "effective_date": None, "term": None})

    assert contracts.policy(contracts.ReceivedContract(text="..."), answer_of(terms)) == accept()


@pytest.mark.parametrize(
    ("amount", "currency", "decision"),
    [
        (None, None, accept()),
        (None, "EUR", accept()),
        ("49.90", "EUR", accept()),
        ("100", "USD", accept()),
        ("100.01", "USD", review("a refund of 100.01 USD is above 100")),
        ("6800", "JPY", review("no refund limit is set for currency JPY")),
        ("49.90", None, review("no refund limit is set for currency unknown")),
        ("0", "EUR", review("a refund of 0 makes no sense")),
        ("-5", "EUR", review("a refund of -5 makes no sense")),
    ],
)
def test_a_large_or_unclear_refund_goes_to_a_person(
    amount: str | None, currency: str | None, decision: Decision
) -> None:
    change = {"refund_amount": amount and Decimal(amount), "refund_currency": currency}
    message = support.SupportMessage(sender="a@b.example", subject="...", body="...")

    assert support.policy(message, answer_of(TICKET.model_copy(update=change))) == decision


@pytest.mark.parametrize("name", ["receipts", "contracts", "support"])
def test_the_schemas_take_every_labelled_sample(name: Name) -> None:
    workflow = load().named(name).workflow

    for sample in read(name):
        event = workflow.event.model_validate(sample.data)
        label = workflow.extraction.model_validate(sample.expected)

        assert workflow.text(event)
        assert label.model_dump(mode="json") == sample.expected


@pytest.mark.parametrize("name", ["receipts", "contracts", "support"])
def test_every_field_is_described_and_must_be_answered(name: str) -> None:
    schema = load().named(name).workflow.extraction.model_json_schema()

    assert schema["required"] == list(schema["properties"])
    assert all(field["description"].endswith(".") for field in schema["properties"].values())


def test_a_reported_message_becomes_a_support_event() -> None:
    message = {"from": {"email": "dan@post.example"}, "subject": "parcel?", "text": "Where is it?"}

    data = helpdesk.adapt({"type": "message.created", "data": message})

    assert data == {"sender": "dan@post.example", "subject": "parcel?", "body": "Where is it?"}
    support.SupportMessage.model_validate(data)


@pytest.mark.parametrize("body", [{}, {"type": "ping"}, {"type": None, "data": {}}])
def test_other_webhooks_of_the_help_desk_are_ignored(body: Mapping[str, Any]) -> None:
    assert helpdesk.adapt(body) is IGNORED


@pytest.mark.parametrize("data", [None, [], {}, {"from": "dan"}, {"from": {"email": "d"}, "subject": "s"}])
def test_a_reported_message_that_lacks_a_part_is_left_to_the_schema_to_refuse(data: Any) -> None:
    assert helpdesk.adapt({"type": "message.created", "data": data}) == {}
