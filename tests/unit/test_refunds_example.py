"""The workflow that the documentation shows is a workflow, and does what is said of it."""

from decimal import Decimal

import pytest

from pipeline.catalogue import load
from schemas import Decision, accept, review
from tests.builders import answer_of
from tests.unit.refunds_example import Reason, RefundClaim, SupportMessage, policy


def test_the_example_loads_as_a_catalogue_of_one() -> None:
    catalogue = load(["tests.unit.refunds_example"])

    assert list(catalogue.by_topic) == ["support.messages.v1"]
    assert catalogue.named("refunds").instructions.startswith("Extract the refund")


@pytest.mark.parametrize(
    ("amount", "decision"),
    [
        ("50", accept()),
        ("50.01", review("large amount")),
        (None, review("the amount is not in the message")),
    ],
)
def test_small_claims_are_paid_and_a_human_is_asked_about_the_rest(
    amount: str | None, decision: Decision
) -> None:
    claim = RefundClaim(amount=Decimal(amount) if amount else None, reason=Reason.LATE)

    assert policy(SupportMessage(body="..."), answer_of(claim)) == decision
