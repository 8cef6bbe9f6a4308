"""The simulated model's rules: labelled texts, and that every answer validates, whatever schema and text."""

import json
import time
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.simulator.answers import answer
from infra.simulator.faults import ANSWER, spoil_answer
from infra.simulator.labels import label

Schema = dict[str, Any]

MONEY: Schema = {"type": "string", "pattern": r"^-?\d{1,12}(\.\d{1,4})?$"}
CODE: Schema = {"type": "string", "pattern": "^[A-Z]{3}$"}
DATE: Schema = {"type": "string", "format": "date"}


def nullable(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def an_object(**properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def checked(schema: Schema, text: str) -> Any:
    value = answer(schema, text)
    jsonschema.validate(value, schema, format_checker=jsonschema.FormatChecker())
    return value


RECEIPT = an_object(
    company=nullable({"type": "string", "maxLength": 200}),
    date={**nullable(DATE), "description": "Date of the receipt."},
    address=nullable({"type": "string", "maxLength": 300}),
    total={**nullable(MONEY), "description": "Total paid, tax included."},
    currency=nullable(CODE),
)

RECEIPTS = [
    (
        "HARBOUR HARDWARE LTD (20418-K)\nNO 12, QUAY STREET,\n20113 PORT ELLERY\nTEL: 04-5512 9931\n"
        "DATE: 07/03/2021  14:02\nHINGE 40MM  2 X 3.10  6.20\nSUBTOTAL  6.20\nTAX 6%  0.37\n"
        "TOTAL: RM 6.57\nCASH  10.00\nCHANGE  3.43\n",
        ("HARBOUR HARDWARE LTD", "2021-03-07", "NO 12, QUAY STREET, 20113 PORT ELLERY", "6.57", "MYR"),
    ),
    (
        "Backhaus Krume GmbH\nLindenstraße 4\n50674 Köln\nRechnung vom 3. März 2022\n"
        "Brot  4,20 €\nKaffee  2,80 €\nTotal  7,00 €\n",
        ("Backhaus Krume GmbH", "2022-03-03", "Lindenstraße 4 50674 Köln", "7.00", "EUR"),
    ),
    (
        "*** WELCOME ***\nCorner Books\n88 Mill Road\nCambridge CB1 2AS\n"
        "Paperback  £8.99\nTotal  £8.99\n21 Nov 2019\n",
        ("Corner Books", "2019-11-21", "88 Mill Road Cambridge CB1 2AS", "8.99", "GBP"),
    ),
]


@pytest.mark.parametrize(("text", "expected"), RECEIPTS)
def test_a_receipt_is_read(text: str, expected: tuple[str, ...]) -> None:
    assert tuple(checked(RECEIPT, text).values()) == expected


def test_what_the_text_does_not_say_is_null() -> None:
    value = checked(RECEIPT, "thank you, come again")

    assert value == {"company": None, "date": None, "address": None, "total": None, "currency": None}


CATEGORIES = {
    "enum": ["billing", "delivery", "product_fault", "other"],
    "description": "billing: charges and invoices; delivery: parcels; product_fault: something broke.",
}
TICKET = an_object(
    category=CATEGORIES,
    priority={"enum": ["low", "normal", "high"]},
    product=nullable({"type": "string", "maxLength": 80}),
    order_number=nullable({"type": "string", "maxLength": 40}),
    asked={"type": "string", "maxLength": 60, "description": "What the customer asks for."},
    sentiment={"enum": ["positive", "neutral", "negative"]},
    refund_amount=nullable(an_object(amount=MONEY, currency=CODE)),
)

TICKETS = [
    (
        "Hello,\nmy BlendMaster 500 broke after two days. Order number: PX-20391. I am very disappointed.\n"
        "Please refund the 89,90 EUR I paid. This is urgent!\n\nKind regards,\nAnna Novak",
        {
            "category": "product_fault",
            "priority": "high",
            "product": "BlendMaster 500",
            "order_number": "PX-20391",
            "asked": "Please refund the 89,90 EUR I paid.",
            "sentiment": "negative",
            "refund_amount": {"amount": "89.90", "currency": "EUR"},
        },
    ),
    (
        "Where is my parcel? The courier said Monday. Order #44871-B.",
        {
            "category": "delivery",
            "priority": "normal",
            "order_number": "44871-B",
            "asked": "Where is my parcel?",
            "sentiment": "neutral",
            "refund_amount": None,
        },
    ),
    (
        "I was charged twice on the same invoice: $20.00 and again $20.00. A wonderful shop otherwise.",
        {"category": "billing", "order_number": None, "sentiment": "positive", "refund_amount": None},
    ),
]


@pytest.mark.parametrize(("text", "expected"), TICKETS)
def test_an_email_is_read(text: str, expected: Schema) -> None:
    value = checked(TICKET, text)

    assert {name: value[name] for name in expected} == expected


TERMS = an_object(
    parties={"type": "array", "items": {"type": "string", "maxLength": 100}, "maxItems": 10},
    jurisdiction=nullable({"type": "string"}),
    effective_date=nullable(DATE),
    term={**nullable({"type": "string"}), "description": "How long confidentiality lasts."},
)

CONTRACTS = [
    (
        "MUTUAL NON-DISCLOSURE AGREEMENT\nThis Agreement is made as of June 4, 2015 "
        "(the \u201cEffective Date\u201d) by and between Orrery Instruments, Inc., a Delaware corporation "
        "(\u201cOrrery\u201d), and Jane B. Holloway (the \u201cConsultant\u201d).\n"
        "1. Purpose. Either party gives thirty (30) days notice.\n"
        "2. Term. The obligations of confidentiality last for a period of three (3) years.\n"
        "3. This Agreement is governed by the laws of the State of New York.\n",
        (
            ["Orrery Instruments, Inc.", "Jane B. Holloway"],
            "New York",
            "2015-06-04",
            "three (3) years",
        ),
    ),
    (
        "CONFIDENTIALITY AGREEMENT, dated this 11th day of January, 2012, between Tallow & Wick Ltd and\n"
        "Brightwater LLC (together the \u201cParties\u201d). The laws of Ontario apply. No end is agreed.\n",
        (["Tallow & Wick Ltd", "Brightwater LLC"], "Ontario", "2012-01-11", None),
    ),
]


@pytest.mark.parametrize(("text", "expected"), CONTRACTS)
def test_a_contract_is_read(text: str, expected: tuple[Any, ...]) -> None:
    assert tuple(checked(TERMS, text).values()) == expected


DATES = [
    ("Date: 2023-04-05", "2023-04-05"),
    ("Date: 5.4.23", "2023-04-05"),
    ("Date: 24-MAR-2018", "2018-03-24"),
    ("Date: 12 de marzo de 2024", "2024-03-12"),
    ("Date: 04/05/2023\nPrinted 04/25/2023", "2023-04-05"),
    ("Date: 31/02/2023", None),
    ("Phone 12-34-5678-90", None),
]


@pytest.mark.parametrize(("text", "expected"), DATES)
def test_a_date_is_recognised_in_its_spellings(text: str, expected: str | None) -> None:
    assert checked(an_object(date=nullable(DATE)), text) == {"date": expected}


AMOUNTS = [
    ("Total: 1,234.50", "1234.50"),
    ("Total: 1.234,50 EUR", "1234.50"),
    ("Total: ¥1,200", "1200"),
    ("Total 3 items\nTotal: 12.00", "12.00"),
    ("Subtotal 10.00\nTotal 10.60\nCash 20.00", "10.60"),
    ("Total: 12.06.2018", None),
    ("Total 6.00%", None),
]


@pytest.mark.parametrize(("text", "expected"), AMOUNTS)
def test_an_amount_is_recognised_near_its_label(text: str, expected: str | None) -> None:
    assert checked(an_object(total=nullable(MONEY)), text) == {"total": expected}


def test_money_is_spelled_as_the_pattern_wants() -> None:
    schema = an_object(total={"type": "string", "pattern": r"^[A-Z]{3} \d+\.\d{2}$"})

    assert checked(schema, "Total: $1,200.50") == {"total": "USD 1200.50"}


def test_an_evidence_field_quotes_the_line_where_the_value_stands() -> None:
    quoted = an_object(value=MONEY, quote={"type": "string", "maxLength": 40})
    schema = an_object(
        total=nullable(quoted), delivery_date=nullable(an_object(value=DATE, quote={"type": "string"}))
    )

    value = checked(schema, "Acme\nTOTAL  RM 12.50\nThank you")

    assert value == {"total": {"value": "12.50", "quote": "TOTAL  RM 12.50"}, "delivery_date": None}


def test_references_numbers_booleans_and_line_items_are_read() -> None:
    schema = an_object(
        items={"type": "array", "items": {"$ref": "#/$defs/Item"}},
        paid={"type": "boolean"},
        contact={"allOf": [{"$ref": "#/$defs/Contact"}], "description": "Whom to write to."},
    ) | {
        "$defs": {
            "Item": an_object(quantity={"type": "integer"}, price={"type": "number"}),
            "Contact": an_object(email=nullable({"type": "string", "format": "email"})),
        }
    }

    value = checked(
        schema, "Quantity 2 price 4.50\nQuantity 1 price 3.00\nThe bill is not paid.\nask@acme.example\n"
    )

    assert value == {
        "items": [{"quantity": 2, "price": 4.5}, {"quantity": 1, "price": 3.0}],
        "paid": False,
        "contact": {"email": "ask@acme.example"},
    }


def test_a_recursive_schema_ends() -> None:
    node = an_object(
        name=nullable({"type": "string"}), parts={"type": "array", "items": {"$ref": "#/$defs/Node"}}
    )
    schema: Schema = {"$ref": "#/$defs/Node", "$defs": {"Node": node}}

    checked(schema, "Name: A\nName: B\n")


STRINGS = st.sampled_from(
    [
        {"type": "string"},
        {"type": "string", "maxLength": 3},
        {"type": "string", "minLength": 30},
        {"type": "string", "pattern": r"^(?:ab|c)[x-z]{2}\d?-\w$"},
        DATE,
        {"type": "string", "format": "date-time"},
        {"type": "string", "format": "uuid"},
        MONEY,
        CODE,
        {"const": "fixed"},
        {"enum": ["red", "green", None]},
        {"type": ["string", "null"], "minLength": 2},
    ]
)
LEAVES = st.one_of(
    STRINGS,
    st.sampled_from(
        [
            {"type": "integer", "minimum": 7},
            {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
            {"type": "integer", "multipleOf": 5, "minimum": 11},
            {"type": "number", "maximum": -3},
            {"type": "boolean"},
        ]
    ),
)
NAMES = st.sampled_from(
    ["total", "date", "company", "order_number", "address", "note", "value", "quote", "term", "x"]
)


def _grown(inner: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
    return st.one_of(
        st.dictionaries(NAMES, inner, max_size=4).map(lambda properties: an_object(**properties)),
        inner.map(nullable),
        st.builds(
            lambda items, least: {"type": "array", "items": items, "minItems": least},
            inner,
            st.integers(0, 2),
        ),
    )


SCHEMAS = st.recursive(LEAVES, _grown, max_leaves=8)
SCRAPS = [text for text, *_ in [*RECEIPTS, *TICKETS, *CONTRACTS]]


@settings(max_examples=150, deadline=None)
@given(schema=SCHEMAS, text=st.one_of(st.text(max_size=80), st.sampled_from(SCRAPS)))
def test_every_answer_validates_and_is_always_the_same(schema: Schema, text: str) -> None:
    value = checked(schema, text)

    assert answer(schema, text) == value


@settings(max_examples=100, deadline=None)
@given(schema=SCHEMAS, text=st.sampled_from(SCRAPS), fault=st.sampled_from(sorted(ANSWER - {"huge"})))
def test_any_answer_can_be_spoilt(schema: Schema, text: str, fault: str) -> None:
    json.dumps(spoil_answer(fault, answer(schema, text), schema, text=text))


@pytest.mark.parametrize(
    "scrap", ["a", ".", " ", "(", "A ", "1 ", "a-", "a@b.", "5 May ", "A:", "between A and B "]
)
def test_a_hostile_text_costs_no_more_than_its_length(scrap: str) -> None:
    began = time.monotonic()

    checked(
        an_object(**RECEIPT["properties"], **TICKET["properties"], **TERMS["properties"]),
        scrap * (20_000 // len(scrap)),
    )

    assert time.monotonic() - began < 5


KINDS = [
    ("effective_date", "date"),
    ("orderNumber", "id"),
    ("company_address", "address"),
    ("refund_amount", "money"),
    ("vendor", "name"),
    ("governing_law", "place"),
    ("colour", "other"),
]


@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_a_name_says_what_kind_of_value_is_meant(name: str, kind: str) -> None:
    assert label((name,), "").kind == kind
