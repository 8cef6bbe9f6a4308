"""What a person types or writes: taken as the schema has it, kind by kind, or refused by field."""

import datetime
from typing import Annotated, Any

import pytest
from pydantic import Field

from pipeline.correction import checked, edited, still_true
from pipeline.errors import InvalidCorrection
from schemas import Answer, Decision, Extraction, Money, Text, accept
from tests.builders import Note, entry, workflow


class Order(Extraction):
    pieces: Annotated[int, Field(ge=1, le=99)]
    weight: Annotated[float, Field(ge=0, le=10)]
    urgent: bool
    due: datetime.date | None
    parties: Annotated[list[Annotated[str, Text(20)]], Field(max_length=3)]
    note: Annotated[str, Text(20)] = ""
    price: Money | None = None


def policy(note: Note, answer: Answer[Order]) -> Decision:
    return accept()


ORDERS = entry(workflow(extraction=Order, policy=policy))
ORDER = {
    "pieces": 2,
    "weight": 1,
    "urgent": False,
    "due": "2024-05-17",
    "parties": ["a"],
    "note": "",
    "price": None,
}


def test_what_is_checked_comes_back_as_it_is_stored() -> None:
    without_note = {name: value for name, value in ORDER.items() if name != "note"}

    assert checked(ORDERS, without_note) == {**ORDER, "weight": 1.0}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"pieces": "2"}, "pieces: write it as 2"),
        ({"pieces": 0}, "pieces: "),
        ({"pieces": 2.0}, None),
        ({"pieces": True}, "pieces: "),
        ({"weight": "1.5"}, r"weight: write it as 1\.5"),
        ({"urgent": "yes"}, "urgent: write it as true"),
        ({"urgent": 1}, "urgent: write it as true"),
        ({"due": 0}, "due: "),
        ({"due": "17 May"}, "due: "),
        ({"parties": ["a", 7]}, r"parties\.1: "),
        ({"parties": "a"}, "parties: write a list as JSON, such as"),
        ({"price": "1,50"}, "price: write the amount in plain digits"),
    ],
)
def test_a_value_of_another_kind_is_refused_by_its_field(changed: dict[str, Any], told: str | None) -> None:
    if told is None:
        assert checked(ORDERS, {**ORDER, **changed})["pieces"] == 2
        return
    with pytest.raises(InvalidCorrection, match=f"does not fit notes: {told}"):
        checked(ORDERS, {**ORDER, **changed})


@pytest.mark.parametrize(
    ("field", "typed", "value"),
    [
        ("pieces", "7", 7),
        ("weight", "1.5", 1.5),
        ("urgent", "true", True),
        ("due", "2024-06-01", "2024-06-01"),
        ("due", "null", None),
        ("parties", '["a", "b"]', ["a", "b"]),
        ("note", "7", "7"),
        ("note", "null", "null"),
        ("note", " seven ", " seven "),
        ("due", " 2024-06-01\t", "2024-06-01"),
        ("price", " 1.50 ", "1.50"),
        ("pieces", "many", "many"),
        ("parties", '["a", 7]', ["a", 7]),
        ("parties", '["a", ', '["a", '),
    ],
)
def test_what_is_typed_is_a_text_where_the_field_takes_one_else_json(
    field: str, typed: str, value: Any
) -> None:
    assert edited(ORDERS, ORDER, {field: typed}) == {**ORDER, field: value}


def test_an_event_without_a_result_starts_from_nulls() -> None:
    assert edited(ORDERS, None, {"pieces": "7"}) == dict.fromkeys(ORDER) | {"pieces": 7}


def test_evidence_stays_where_the_value_at_its_path_is_the_same() -> None:
    evidence = {"pieces": 1, "parties[0]": 2, "parties[1]": 3, "due": 4}
    before = {**ORDER, "parties": ["a", "b"]}

    assert still_true(evidence, before, {**before, "parties": ["b"], "due": None}) == {"pieces": 1}
    assert still_true(evidence, before, {**before, "pieces": 3}) == {
        "parties[0]": 2,
        "parties[1]": 3,
        "due": 4,
    }
