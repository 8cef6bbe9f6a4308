"""A result as a form: which control a field has, and what counts as a change."""

import datetime
import enum
from typing import Annotated, Any, Final

import pytest
from pydantic import Field

from consumers.web.blank import blanks, changed
from schemas import Answer, Decision, Extraction, Money, Text, accept
from tests.builders import Note, entry, workflow


class Size(enum.IntEnum):
    SMALL = 1
    LARGE = 2


class Parcel(Extraction):
    urgent: bool
    insured: bool | None
    size: Size
    due: datetime.date | None
    at: datetime.time
    price: Money | None
    place: Annotated[str, Text(50)]
    letter: Annotated[str, Text(5_000)]
    parties: Annotated[list[Annotated[str, Text(50)]], Field(max_length=3)]


def policy(note: Note, answer: Answer[Parcel]) -> Decision:
    return accept()


PARCELS: Final = entry(workflow(extraction=Parcel, policy=policy))
PARCEL: Final[dict[str, Any]] = {
    "urgent": False,
    "insured": None,
    "size": 1,
    "due": "2024-05-17",
    "at": "09:30:00",
    "price": "12.50",
    "place": "Oban",
    "letter": "Dear Ann,\r\nyours\rBo",
    "parties": ["a"],
}


def test_each_kind_of_value_has_its_control() -> None:
    found = {one.name: (one.widget, one.options) for one in blanks(PARCELS, PARCEL, None) if one.options}
    widgets = {one.name: one.widget for one in blanks(PARCELS, PARCEL, None)}

    assert found["urgent"] == found["insured"] == ("choice", ("true", "false"))
    assert found["size"] == ("choice", ("1", "2"))
    assert widgets["due"] == "date"
    assert widgets["at"] == widgets["price"] == widgets["place"] == "text"
    assert widgets["letter"] == "long"
    assert widgets["parties"] == "json"


@pytest.mark.parametrize(
    ("typed", "made"),
    [
        ({"letter": "Dear Ann,\nyours\nBo"}, {}),  # as browsers send it back
        ({"letter": "Dear Ann"}, {"letter": "Dear Ann"}),
        ({"due": ""}, {"due": "null"}),
        ({"place": ""}, {"place": ""}),
        ({"urgent": "true", "size": "1"}, {"urgent": "true"}),
    ],
)
def test_what_is_not_as_it_was_is_a_change(typed: dict[str, str], made: dict[str, str]) -> None:
    assert changed(blanks(PARCELS, PARCEL, None, typed)) == made
