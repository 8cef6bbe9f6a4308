"""What a model may not say never gets past an Extraction."""

import json
from datetime import date
from decimal import Decimal
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from schemas import Extraction, Money, Text
from schemas.extraction import Request, Usage
from tests.builders import answer_of, attempt


class Item(BaseModel):
    name: Annotated[str, Text(20)]


class Order(Extraction):
    number: Annotated[str, Text(20)]
    day: date | None
    weight: float
    total: Money
    items: Annotated[list[Item], Field(max_length=3)]


GOOD = {"number": "A-1", "day": "2024-05-17", "weight": 1.5, "total": "12.50", "items": [{"name": "pen"}]}


def both_ways(change: dict[str, Any]) -> list[Order]:
    """From parsed JSON and from its bytes: instructor takes either way, by mode."""
    body = json.dumps({**GOOD, **change})
    return [Order.model_validate(json.loads(body)), Order.model_validate_json(body)]


def test_a_good_answer_is_taken() -> None:
    first, second = both_ways({})

    assert first == second
    assert first.total == Decimal("12.50")
    assert first.model_dump(mode="json") == GOOD


@pytest.mark.parametrize(
    "change",
    [
        {"extra": 1},
        {"weight": float("nan")},
        {"weight": float("inf")},
        {"number": "A\0"},
        {"number": "A\x1b[31m"},
        {"number": "A\x85"},
        {"number": "\ud800"},
        {"number": "x" * 21},
        {"number": None},
        {"items": [{"name": "p\0n"}]},
        {"items": [{"name": "pen"}] * 4},
        {"items": [{"name": "pen", "b\0": 1}]},
        {"day": "17.05.2024"},
        {"total": 12.5},
        {"total": 12},
        {"total": True},
        {"total": "NaN"},
        {"total": "Infinity"},
        {"total": "1E+5"},
        {"total": "1_000"},
        {"total": "1,000.00"},
        {"total": " 12.50"},
        {"total": "12.50\n"},
        {"total": "\u0661\u0662"},
        {"total": "1234567890123"},
        {"total": "0.12345"},
        {"total": "12.50 EUR"},
        {"total": ""},
    ],
    ids=repr,
)
def test_a_bad_answer_is_refused_whichever_way_it_is_read(change: dict[str, Any]) -> None:
    body = json.dumps({**GOOD, **change})

    with pytest.raises(ValidationError):
        Order.model_validate(json.loads(body))
    with pytest.raises(ValidationError):
        Order.model_validate_json(body)


def test_tabs_and_line_ends_are_text() -> None:
    assert both_ways({"number": "A\t1\r\n"})[0].number == "A\t1\r\n"


def test_a_complaint_does_not_quote_the_answer() -> None:
    with pytest.raises(ValidationError) as raised:
        Order.model_validate({**GOOD, "number": ["secret"], "total": 4711.0})

    assert "secret" not in str(raised.value)
    assert "4711" not in str(raised.value)


MONEY: TypeAdapter[Decimal] = TypeAdapter(Money)
AMOUNTS = st.decimals(-999_999_999_999, 999_999_999_999, places=4, allow_nan=False)


@given(AMOUNTS)
def test_money_keeps_every_digit_on_its_way_out_and_back(amount: Decimal) -> None:
    wire = MONEY.dump_python(MONEY.validate_python(amount), mode="json")

    assert MONEY.validate_json(json.dumps(wire)) == amount


@given(AMOUNTS.map(Decimal.normalize))
def test_money_never_leaves_in_exponents(amount: Decimal) -> None:
    assert "E" not in MONEY.dump_python(MONEY.validate_python(amount), mode="json")


def test_an_answer_counts_the_usage_of_failed_attempts_too() -> None:
    attempts = (attempt("unusable_output"), attempt(step=1, alias="strong"))

    answer = answer_of(Order.model_validate(GOOD), attempts)

    assert answer.usage == Usage(200, 40, 0)
    assert answer.model == "strong-1-2024"


def test_a_request_is_its_skeleton_with_the_texts_put_in() -> None:
    request = Request(b'["\0","fixed","\0"]', (b"one", b"two"))

    assert request.body == b'["one","fixed","two"]'
