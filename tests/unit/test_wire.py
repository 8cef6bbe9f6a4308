"""What a model is asked for is derived from an extraction and taken apart into it again."""

import datetime
import json
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Annotated, Any, Literal

import jsonschema
import pytest
from openai.lib._pydantic import to_strict_json_schema
from pydantic import AfterValidator, BaseModel, Field, ValidationError, create_model, model_validator

from infra.simulator.answers import answer as simulated
from pipeline.ground import ground
from pipeline.marks import flaws
from pipeline.wire import unwrap, wire_model, wrap
from schemas import Extraction, Money, Text
from schemas.evidence import Evidence


class Reason(StrEnum):
    DAMAGED = "damaged"
    LATE = "late"


class Line(BaseModel):
    name: Annotated[str, Text(40)]


class Claim(Extraction):
    """What the customer claims."""

    amount: Annotated[Money, Evidence()] | None = Field(description="Amount; null if none is written.")
    date: Annotated[datetime.date | None, Evidence(otherwise="null")] = Field(
        description="datetime.date of the invoice."
    )
    parties: Annotated[list[Annotated[str, Text(80)]], Field(max_length=3), Evidence()]
    reason: Annotated[Reason, Evidence()]
    lines: Annotated[list[Line], Field(max_length=2)]
    discount: Money | None

    @model_validator(mode="after")
    def _amount_is_not_negative(self) -> "Claim":
        if self.amount is not None and self.amount < 0:
            raise ValueError("the amount is negative")
        return self


WIRE: dict[str, Any] = {
    "amount": {"quote": "EUR 12.50", "value": "12.50"},
    "date": None,
    "parties": [{"quote": "by Acme Ltd", "value": "Acme Ltd"}, {"quote": "Baker", "value": "Baker"}],
    "reason": {"quote": "arrived late", "value": "late"},
    "lines": [{"name": "pen"}],
    "discount": "1.00",
}
CLAIM = {
    "amount": "12.50",
    "date": None,
    "parties": ["Acme Ltd", "Baker"],
    "reason": "late",
    "lines": [{"name": "pen"}],
    "discount": "1.00",
}


def test_a_wire_answer_is_an_extraction_and_its_quotes() -> None:
    wire = wire_model(Claim).model_validate_json(json.dumps(WIRE))

    claim, quotes = unwrap(Claim, wire)

    assert claim == Claim.model_validate(CLAIM)
    assert claim.amount == Decimal("12.50")
    assert quotes == {
        "amount": "EUR 12.50",
        "parties[0]": "by Acme Ltd",
        "parties[1]": "Baker",
        "reason": "arrived late",
    }


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("amount", "12.50"),
        ("amount", {"value": "12.50"}),
        ("amount", {"quote": "x", "value": None}),
        ("amount", {"quote": "x", "value": 12.5}),
        ("amount", {"quote": "x", "value": "12.50", "sure": True}),
        ("amount", {"quote": "x" * 401, "value": "12.50"}),
        ("amount", {"quote": "x\0", "value": "12.50"}),
        ("amount", {"quote": "\ud800", "value": "12.50"}),
        ("parties", [{"quote": "x", "value": "x"}] * 4),
        ("parties", [{"quote": "x", "value": "x" * 81}]),
        ("parties", None),
        ("reason", {"quote": "x", "value": "lost"}),
        ("reason", None),
        ("discount", 1.0),
        ("more", 1),
    ],
)
def test_the_wire_is_as_strict_as_an_extraction(field: str, value: object) -> None:
    body = json.dumps({**WIRE, field: value})

    with pytest.raises(ValidationError):
        wire_model(Claim).model_validate_json(body)


def test_an_extraction_and_its_quotes_are_put_together_again() -> None:
    answered = wire_model(Claim).model_validate(WIRE)
    value, quotes = unwrap(Claim, answered)

    assert wrap(Claim, value.model_dump(mode="json"), quotes) == answered
    with pytest.raises(KeyError):
        wrap(Claim, value.model_dump(mode="json"), {"reason": quotes["reason"]})


def test_validators_of_the_author_run_when_the_answer_is_unwrapped() -> None:
    wire = wire_model(Claim).model_validate({**WIRE, "amount": {"quote": "-1", "value": "-1.00"}})

    with pytest.raises(ValidationError, match="the amount is negative"):
        unwrap(Claim, wire)


def test_name_and_descriptions_are_kept_and_the_quote_comes_first() -> None:
    schema = wire_model(Claim).model_json_schema()

    assert schema["title"] == "Claim"
    assert schema["description"].startswith("What the customer claims.\n\nWhere a value comes with a quote")
    assert schema["properties"]["amount"]["description"] == "Amount; null if none is written."
    assert list(schema["$defs"]["AmountEvidence"]["properties"]) == ["quote", "value"]
    assert schema["$defs"]["AmountEvidence"]["properties"]["quote"]["maxLength"] == 400
    assert schema["properties"]["parties"]["maxItems"] == 3
    assert "description" not in schema["$defs"]["AmountEvidence"]


def test_the_schema_is_a_strict_one() -> None:
    schema = to_strict_json_schema(wire_model(Claim))

    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(WIRE, schema)
    assert schema["required"] == list(Claim.model_fields)
    assert all(
        one["additionalProperties"] is False for one in schema["$defs"].values() if "properties" in one
    )


def test_what_the_simulator_answers_is_taken_and_never_contradicted() -> None:
    text = "Invoice of 12 March 2018 by Acme Ltd and Baker Inc.\nIt arrived late.\nAmount: EUR 12.50\n"
    answered = simulated(to_strict_json_schema(wire_model(Claim)), text)

    claim, quotes = unwrap(Claim, wire_model(Claim).model_validate(answered))
    evidence = ground(claim, quotes, text=text)[1]

    assert claim.reason is Reason.LATE
    assert all(evidence[path].found for path in ("amount", "date") if getattr(claim, path) is not None)


def test_an_extraction_without_marks_is_its_own_wire_model() -> None:
    class Plain(Extraction):
        city: Annotated[str, Text(20)]

    plain = Plain(city="Oban")

    assert wire_model(Plain) is Plain
    assert unwrap(Plain, plain) == (plain, {})


def test_a_wire_model_is_made_once() -> None:
    assert wire_model(Claim) is wire_model(Claim)


def test_a_field_may_have_null_for_its_default() -> None:
    class Optional(Extraction):
        amount: Annotated[Money | None, Evidence()] = None

    wire = wire_model(Optional)
    given = wire.model_validate({"amount": {"quote": "1.00", "value": "1.00"}})

    assert unwrap(Optional, given)[0].amount == 1
    assert unwrap(Optional, given)[1] == {"amount": "1.00"}
    assert unwrap(Optional, wire.model_validate({}))[0].amount is None


def test_validators_of_a_list_see_its_values_not_its_quotes() -> None:
    def sorted_only(values: list[str]) -> list[str]:
        if values != sorted(values):
            raise ValueError("not sorted")
        return values

    class Sorted(Extraction):
        names: Annotated[
            list[Annotated[str, Text(9)]], Field(max_length=2), AfterValidator(sorted_only), Evidence()
        ]

    wire = wire_model(Sorted).model_validate(
        {"names": [{"quote": "b", "value": "b"}, {"quote": "a", "value": "a"}]}
    )

    with pytest.raises(ValidationError, match="not sorted"):
        unwrap(Sorted, wire)


class Colour(Enum):
    RED = "red"


class Grade(IntEnum):
    GOOD = 1


class Marked(BaseModel):
    inner: Annotated[str, Text(9), Evidence()]


def mark(**arguments: Any) -> Evidence:
    """As an author writes it whose editor does not check types."""
    return Evidence(**arguments)


GOOD: list[Any] = [
    Annotated[Money, Evidence()],
    Annotated[Money, Evidence()] | None,
    Annotated[Money | None, Evidence(otherwise="null")],
    Annotated[int, Evidence()],
    Annotated[float, Field(ge=0), Evidence()],
    Annotated[datetime.date, Evidence()],
    Annotated[Literal["a", "b"], Evidence()],
    Annotated[Colour, Evidence(words={"red": ("rouge",)})],
    Annotated[list[Annotated[str, Text(9)]] | None, Field(max_length=2), Evidence(otherwise="null")],
    Annotated[list[Reason], Field(max_length=2), Evidence()],
]
BAD: list[tuple[Any, str, str]] = [
    (Annotated[bool, Evidence()], "by its type", "Mark a Money"),
    (Annotated[Line, Evidence()], "by its type", "Mark a Money"),
    (Annotated[dict[str, str], Evidence()], "by its type", "Mark a Money"),
    (Annotated[datetime.datetime, Evidence()], "by its type", "Mark a Money"),
    (Annotated[Grade, Evidence()], "by its type", "Mark a Money"),
    (Annotated[int | str, Evidence()], "by its type", "Mark a Money"),
    (Annotated[list[Line], Evidence()], "by its type", "Mark a Money"),
    (Annotated[list[list[str]], Evidence()], "by its type", "Mark a Money"),
    (Annotated[list[str | None], Evidence()], "by its type", "Mark a Money"),
    (list[Annotated[str, Evidence()]], "inside", "at the top"),
    (Marked, "inside", "at the top"),
    (list[Marked] | None, "inside", "at the top"),
    (Annotated[Money, Evidence(otherwise="null")], "may not be null", '"| None"'),
    (Annotated[list[str], Evidence(otherwise="null")], "may not be null", '"| None"'),
    (Annotated[Reason, Evidence(words={"lost": ("gone",)})], "'lost'", "own values"),
    (Annotated[Money, Evidence(words={"1": ("one",)})], "not a word", "Leave the words away"),
    (Annotated[Money, Evidence], "the class itself", "Write Evidence()"),
    (Annotated[Money | None, mark(otherwise="nul")], "otherwise='nul'", '"review" or "null"'),
    (Annotated[Reason, mark(words=None)], "no tuples of words", "Write words="),
    (Annotated[Reason, mark(words={"late": "too late"})], "no tuples of words", "Write words="),
    (Annotated[Reason, mark(words={"late": ("late", " ")})], "no tuples of words", "Write words="),
]


@pytest.mark.parametrize("annotation", GOOD, ids=str)
def test_a_good_mark_has_no_flaw_and_a_wire_model(annotation: Any) -> None:
    extraction = create_model("Asked", __base__=Extraction, found=(annotation, ...))

    assert list(flaws(extraction)) == []
    to_strict_json_schema(wire_model(extraction))


@pytest.mark.parametrize(("annotation", "problem", "cure"), BAD, ids=str)
def test_a_flaw_is_named_with_its_cure(annotation: Any, problem: str, cure: str) -> None:
    extraction = create_model("Asked", __base__=Extraction, found=(annotation, ...))

    named = list(flaws(extraction))

    assert [(field, problem in said, cure in how) for field, said, how in named] == [("found", True, True)]


def test_a_default_is_a_flaw_because_no_quote_proves_it() -> None:
    extraction = create_model("Asked", __base__=Extraction, found=(Annotated[int, Evidence()], 3))

    assert [problem for _, problem, _ in flaws(extraction)] == ["has a default, which no quote proves"]


def test_a_model_that_holds_itself_is_looked_through_once() -> None:
    class Tree(BaseModel):
        below: "Tree | None"

    extraction = create_model("Asked", __base__=Extraction, found=(Tree, ...))

    assert list(flaws(extraction)) == []
