"""The simulated model's rules: a few texts, and that every answer validates, whatever schema and text."""

import json
import time
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.simulator.answers import answer
from infra.simulator.faults import ANSWER, spoil_answer

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
    date=nullable(DATE),
    address=nullable({"type": "string", "maxLength": 300}),
    total=nullable(MONEY),
    currency=nullable(CODE),
)
TICKET = an_object(
    category={"enum": ["billing", "delivery", "other"]},
    sentiment={"enum": ["positive", "neutral", "negative"]},
    order_number=nullable({"type": "string", "maxLength": 40}),
    asks={"type": "string", "maxLength": 60},
    refund=nullable(an_object(amount=MONEY, currency=CODE)),
)
TERMS = an_object(
    parties={"type": "array", "items": {"type": "string", "maxLength": 100}, "maxItems": 10},
    jurisdiction=nullable({"type": "string"}),
    effective_date=nullable(DATE),
    term=nullable({"type": "string"}),
)
READ: list[tuple[Schema, str, list[Any]]] = [
    (
        RECEIPT,
        "HARBOUR HARDWARE LTD\nNO 12, QUAY STREET,\n20113 PORT ELLERY\nDATE: 07/03/2021  14:02\n"
        "HINGE  2 X 3.10  6.20\nSUBTOTAL  6.20\nTOTAL: RM 6.57\nCASH  10.00\n",
        ["HARBOUR HARDWARE LTD", "2021-03-07", "NO 12, QUAY STREET, 20113 PORT ELLERY", "6.57", "MYR"],
    ),
    (RECEIPT, "  ", [None] * 5),
    (
        TICKET,
        "My parcel is late and I am disappointed. Order number: PX-20391.\nPlease refund the 89,90 EUR. Anna",
        [
            "delivery",
            "negative",
            "PX-20391",
            "Please refund the 89,90 EUR.",
            {"amount": "89.90", "currency": "EUR"},
        ],
    ),
    (TICKET, "A question about seeds", ["other", "neutral", None, "A question about seeds", None]),
    (
        TERMS,
        "This Agreement is made as of June 4, 2015 by and between Orrery Instruments, Inc., a Delaware "
        "corporation, and Jane B. Holloway (the Consultant). Either party gives thirty (30) days notice.\n"
        "2. The term is three (3) years. The laws of the State of New York apply.\n",
        [["Orrery Instruments, Inc.", "Jane B. Holloway"], "New York", "2015-06-04", "three (3) years"],
    ),
]


@pytest.mark.parametrize(("schema", "text", "expected"), READ)
def test_a_text_is_read(schema: Schema, text: str, expected: list[Any]) -> None:
    assert list(checked(schema, text).values()) == expected


SPELLINGS = [
    (DATE, "date", "2023-04-05", "2023-04-05"),
    (DATE, "date", "5.4.23", "2023-04-05"),
    (DATE, "date", "24-MAR-2018", "2018-03-24"),
    (DATE, "date", "the 11th day of January, 2012", "2012-01-11"),
    (DATE, "date", "31/02/2023", None),
    (DATE, "date", "12-34-5678-90", None),
    (MONEY, "total", "1,234.50", "1234.50"),
    (MONEY, "total", "1.234,50 EUR", "1234.50"),
    (MONEY, "total", "¥1,200", "1200"),
    (MONEY, "total", "6.00%", None),
    (MONEY, "total", "12.06.2018", None),
    ({"type": "integer", "maximum": 9}, "count", "12 or 7", 7),
    ({"type": "string", "format": "email"}, "contact", "ask@acme.example", "ask@acme.example"),
]


@pytest.mark.parametrize(("schema", "name", "text", "expected"), SPELLINGS)
def test_a_value_is_recognised_in_its_spellings(
    schema: Schema, name: str, text: str, expected: object
) -> None:
    assert checked(an_object(**{name: nullable(schema)}), f"{name}: {text}") == {name: expected}


def test_an_evidence_field_quotes_the_value_as_it_stands() -> None:
    evidence = an_object(value=MONEY, quote={"type": "string", "maxLength": 40})
    schema = an_object(total=nullable(evidence), fees=nullable(evidence))

    value = checked(schema, "Acme\nTOTAL  RM 1,012.50\nThank you")

    assert value == {"total": {"value": "1012.50", "quote": "RM 1,012.50"}, "fees": None}


def test_a_schema_that_contains_itself_ends() -> None:
    node = an_object(
        name=nullable({"type": "string"}),
        parts={"type": "array", "items": {"$ref": "#/$defs/Node"}},
        next=nullable({"$ref": "#/$defs/Node"}),
    )

    checked({"$ref": "#/$defs/Node", "$defs": {"Node": node}}, "Name: A\nName: B\n")


LEAVES = st.sampled_from(
    [
        {"type": "string"},
        {"type": "string", "maxLength": 3},
        {"type": "string", "minLength": 30},
        {"type": "string", "pattern": r"^(?:ab|c)[x-z]{2}\d?-\w$"},
        {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{4,6}$"},
        {"type": "string", "format": "uuid"},
        DATE,
        MONEY,
        CODE,
        {"const": "fixed"},
        {"enum": ["red", "green", None]},
        {"type": ["string", "null"], "minLength": 2},
        {"type": "integer", "minimum": 7},
        {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
        {"type": "integer", "multipleOf": 5, "minimum": 11},
        {"type": "number", "maximum": -3},
        {"type": "boolean"},
    ]
)
NAMES = st.sampled_from(["total", "date", "company", "order_number", "address", "value", "quote", "term"])


def _grown(inner: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
    def listed(items: Schema, least: int) -> Schema:
        return {"type": "array", "items": items, "minItems": least, "maxItems": 4}

    return st.one_of(
        st.dictionaries(NAMES, inner, max_size=4).map(lambda properties: an_object(**properties)),
        inner.map(nullable),
        st.builds(listed, inner, st.integers(0, 2)),
    )


SCHEMAS = st.recursive(LEAVES, _grown, max_leaves=8)
TEXTS = st.one_of(st.text(max_size=80), st.sampled_from([text for _, text, _ in READ]))


@settings(max_examples=150, deadline=None)
@given(schema=SCHEMAS, text=TEXTS)
def test_every_answer_validates_and_is_always_the_same(schema: Schema, text: str) -> None:
    assert checked(schema, text) == answer(schema, text)


@pytest.mark.parametrize("wanted", [DATE, MONEY, CODE, {"type": "string"}])
def test_a_value_that_is_not_in_the_text_validates(wanted: Schema) -> None:
    evidence = nullable(an_object(value=wanted, quote={"type": "string", "maxLength": 40}))
    schema = an_object(kind={"enum": ["a"]}, bare=nullable(wanted), evidence=evidence)
    text = "Total 5.00 EUR on 2023-04-05"

    spoilt = spoil_answer("not_in_text", {"kind": "a", "bare": None, "evidence": None}, schema, text)
    deeper = an_object(evidence=evidence)
    quoted = spoil_answer("not_in_text", {"evidence": None}, deeper, text)

    jsonschema.validate(spoilt, schema, format_checker=jsonschema.FormatChecker())
    jsonschema.validate(quoted, deeper, format_checker=jsonschema.FormatChecker())
    assert spoilt["bare"] == quoted["evidence"]["quote"] == quoted["evidence"]["value"]
    assert spoilt["bare"] not in text


@settings(max_examples=50, deadline=None)
@given(schema=SCHEMAS, text=TEXTS, fault=st.sampled_from(sorted(ANSWER - {"huge"})))
def test_any_answer_can_be_spoilt(schema: Schema, text: str, fault: str) -> None:
    json.dumps(spoil_answer(fault, answer(schema, text), schema, text))


@pytest.mark.parametrize(
    "scrap", ["a", ".", " ", "\n", "A ", "1 ", "a-", "1,", "a@b.", "5 May ", "A\n", "between A and B "]
)
def test_a_hostile_text_costs_no_more_than_its_length(scrap: str) -> None:
    schema = an_object(**RECEIPT["properties"], **TICKET["properties"], **TERMS["properties"])
    text = scrap * (200_000 // len(scrap))
    began = time.monotonic()

    checked(schema, text)

    assert time.monotonic() - began < 10
