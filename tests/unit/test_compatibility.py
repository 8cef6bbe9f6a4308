"""The receivers' view of a changed schema: what is minor and what is major, and the shape of the rule."""

from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from pipeline.catalogue import load
from pipeline.compatibility import Change, Reason, compare
from pipeline.contracts import contracts

Schema = dict[str, Any]

TEXT: Schema = {"type": "string", "maxLength": 40}
WORD: Schema = {"enum": ["red", "green"], "type": "string"}
OR_NULL: Schema = {"anyOf": [TEXT, {"type": "null"}]}


def _one(field: Schema, *, required: bool = True, **more: Schema) -> Schema:
    names = [*(["field"] if required else []), *more]
    return {"type": "object", "properties": {"field": field, **more}, "required": names}


def _reasons(old: Schema, new: Schema) -> list[tuple[str, str, str]]:
    return [(reason.level, reason.path, reason.what) for reason in compare(old, new).reasons]


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ({"type": "string"}, {"type": "integer"}, "was a string, is now an integer"),
        ({"type": "integer"}, {"type": "number"}, "was an integer, is now a number"),
        (TEXT, {"anyOf": [TEXT, {"type": "integer"}]}, "may now be an integer"),
        (TEXT, {}, "was a string, is now any value"),
        (TEXT, OR_NULL, "may now be null"),
        (TEXT, {"type": ["string", "null"], "maxLength": 40}, "may now be null"),
        (WORD, {"enum": ["red", "green", None]}, "may now be null"),
        (WORD, {"enum": ["red", "green", "blue"], "type": "string"}, 'may now be "blue"'),
        ({"const": "red", "type": "string"}, WORD, 'may now be "green"'),
        (WORD, {"type": "string"}, 'is no longer one of "red", "green"'),
        ({"enum": [1]}, {"enum": [True]}, "was an integer, is now a boolean"),
        ({**TEXT, "format": "date"}, TEXT, "format was date, is now not set"),
        ({**TEXT, "format": "date"}, {**TEXT, "format": "time"}, "format was date, is now time"),
        ({**TEXT, "pattern": "^a"}, {**TEXT, "pattern": "^b"}, "pattern was ^a, is now ^b"),
        ({**TEXT, "minLength": 1}, TEXT, "was minLength 1, is now unbounded"),
        (
            {"type": "integer", "minimum": 1},
            {"type": "integer", "minimum": 0},
            "was minimum 1, is now minimum 0",
        ),
        (
            {"type": "number", "exclusiveMaximum": 9},
            {"type": "number", "maximum": 9},
            "was exclusiveMaximum 9, is now maximum 9",
        ),
        (
            {"type": "integer", "multipleOf": 4},
            {"type": "integer", "multipleOf": 6},
            "multipleOf was 4, is now 6",
        ),
        ({"type": "array", "uniqueItems": True}, {"type": "array"}, "items may now repeat"),
        ({"type": "string"}, {"type": "string", "not": {"const": ""}}, "not changed"),
        (
            {"type": "array", "prefixItems": [TEXT]},
            {"type": "array", "prefixItems": [TEXT, TEXT]},
            "another number of places in the list",
        ),
    ],
)
def test_a_value_that_could_not_come_before_is_a_major_change(old: Schema, new: Schema, what: str) -> None:
    change = compare(_one(old), _one(new))

    assert change.level == "major"
    path = "field[]" if "places" in what else "field"
    assert Reason(path, what, "major") in change.reasons


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ({"type": "number"}, {"type": "integer"}, "was a number, is now always an integer"),
        ({}, {"type": "integer"}, "was any value, is now always an integer"),
        (OR_NULL, TEXT, "is no longer null"),
        ({"enum": ["red", "green", "blue"], "type": "string"}, WORD, 'is no longer "blue"'),
        (TEXT, WORD, 'is now one of "red", "green"'),
        ({**TEXT, "pattern": "^[a-z]+$", "minLength": 1}, WORD, 'is now one of "red", "green"'),
        ({"type": "integer", "minimum": 0}, {"enum": [1, 2]}, "is now one of 1, 2"),
        (TEXT, {**TEXT, "format": "date"}, "format is now date"),
        (TEXT, {**TEXT, "maxLength": 80}, "was maxLength 40, is now maxLength 80"),
        (TEXT, {**TEXT, "maxLength": 20}, "was maxLength 40, is now maxLength 20"),
        (TEXT, {"type": "string"}, "was maxLength 40, is now unbounded"),
        (
            {"type": "number", "minimum": 0},
            {"type": "number", "minimum": 1},
            "was minimum 0, is now minimum 1",
        ),
        (
            {"type": "integer", "multipleOf": 2},
            {"type": "integer", "multipleOf": 6},
            "multipleOf was 2, is now 6",
        ),
        (TEXT, {**TEXT, "description": "A name."}, "description changed"),
        (TEXT, {**TEXT, "default": "red"}, "default changed"),
    ],
)
def test_what_takes_no_promise_back_is_a_minor_change(old: Schema, new: Schema, what: str) -> None:
    change = compare(_one(old), _one(new))

    assert change.level == "minor"
    assert Reason("field", what, "minor") in change.reasons


def test_a_list_of_words_that_breaks_the_old_bounds_is_major() -> None:
    change = compare(_one({"type": "string", "minLength": 4}), _one(WORD))

    assert change.level == "major"


def test_a_removed_field_is_major_and_an_added_one_minor() -> None:
    assert _reasons(_one(TEXT, other=WORD), _one(TEXT)) == [("major", "other", "removed")]
    assert _reasons(_one(TEXT), _one(TEXT, other=WORD)) == [("minor", "other", "added")]


def test_a_rename_is_named() -> None:
    old = _one(TEXT, seller={**TEXT, "description": "Who sold."})
    new = _one(TEXT, company={**TEXT, "description": "The company."})

    assert _reasons(old, new) == [
        ("major", "seller", "removed, or renamed to 'company'"),
        ("minor", "company", "added"),
    ]


def test_a_field_that_may_be_absent_is_major_and_one_that_no_longer_may_minor() -> None:
    always, maybe = _one(TEXT), _one(TEXT, required=False)

    assert _reasons(always, maybe) == [("major", "field", "may now be absent")]
    assert _reasons(maybe, always) == [("minor", "field", "is now always there")]


def test_paths_lead_through_references_lists_and_objects() -> None:
    def schema(word: Schema) -> Schema:
        line = {"type": "object", "properties": {"colour": {"$ref": "#/$defs/Word"}}}
        lines = {"anyOf": [{"type": "array", "items": {"$ref": "#/$defs/Line"}}, {"type": "null"}]}
        return {**_one(lines), "$defs": {"Word": word, "Line": line}}

    found = compare(schema(WORD), schema({**WORD, "enum": ["red", "green", "blue"]}))

    assert found == Change((Reason("field[].colour", 'may now be "blue"', "major"),))
    assert str(found.reasons[0]) == 'major: field[].colour: may now be "blue"'


def test_how_the_same_is_written_does_not_matter() -> None:
    inline = _one(OR_NULL)
    elsewhere = {
        **_one({"anyOf": [{"type": "null"}, {"allOf": [{"$ref": "#/$defs/Text"}], "title": "Name"}]}),
        "$defs": {"Text": TEXT},
    }

    assert compare(inline, elsewhere) == compare(elsewhere, inline) == Change()


def test_members_of_a_union_are_told_apart_by_their_constants() -> None:
    def member(kind: str, **fields: Schema) -> Schema:
        return {"type": "object", "properties": {"kind": {"const": kind, "type": "string"}, **fields}}

    old = {"anyOf": [member("result", total=TEXT), member("withdrawn")]}
    new = {"anyOf": [member("withdrawn", why=TEXT), member("result", total=TEXT)]}

    assert _reasons(old, new) == [("minor", "why", "added")]


def test_open_mappings_are_compared_by_what_they_hold() -> None:
    numbers: Schema = {"type": "object", "additionalProperties": {"type": "integer"}}
    texts: Schema = {"type": "object", "additionalProperties": TEXT}

    assert _reasons(numbers, texts) == [("major", "*", "was an integer, is now a string")]
    assert compare(numbers, {"type": "object"}).level == "major"
    assert compare({"type": "object"}, {"type": "object", "additionalProperties": False}).level == "minor"


def test_schemas_that_refer_to_themselves_end() -> None:
    def tree(leaf: Schema) -> Schema:
        node = {"type": "object", "properties": {"leaf": leaf, "parts": {"items": {"$ref": "#/$defs/Node"}}}}
        return {"$ref": "#/$defs/Node", "$defs": {"Node": node, "Loop": {"$ref": "#/$defs/Loop"}}}

    def renamed(name: str) -> Schema:
        return {"type": "object", "properties": {name: {"$ref": "#"}}}

    loop: Schema = {
        "anyOf": [{"$ref": "#/$defs/L"}, TEXT],
        "$defs": {"L": {"anyOf": [{"$ref": "#/$defs/L"}, WORD]}},
    }

    assert _reasons(tree(TEXT), tree(OR_NULL)) == [
        ("major", "leaf", "may now be null"),
        ("major", "parts[].leaf", "may now be null"),
    ]
    assert compare(renamed("old"), renamed("new")).level == "major"
    assert compare(loop, loop).level == "none"


def test_a_reference_that_leads_nowhere_is_an_error() -> None:
    broken = _one({"$ref": "#/$defs/Gone"})

    with pytest.raises(ValueError, match="'#/\\$defs/Gone', which is not in it"):
        compare(broken, broken)


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


class _Line(BaseModel):
    what: Annotated[str, Field(max_length=80)]
    price: Decimal


class _Order(BaseModel):
    kind: Literal["order"] = "order"
    lines: list[_Line]
    colour: Colour | None
    day: date


class _LaterLine(_Line):
    colour: Colour


class _Later(BaseModel):
    kind: Literal["order"] = "order"
    lines: list[_LaterLine]
    colour: Colour | None
    day: date | None


def test_what_pydantic_writes_is_understood() -> None:
    assert _reasons(_Order.model_json_schema(), _Later.model_json_schema()) == [
        ("minor", "lines[].colour", "added"),
        ("major", "day", "may now be null"),
    ]


def test_our_own_contracts_are_compatible_with_themselves_only() -> None:
    found = contracts(load())
    results = [found[name] for name in ("receipts.extracted.v1", "contracts.terms.v1", "support.tickets.v1")]

    levels = [[compare(old, new).level for new in results] for old in results]

    assert levels == [["none" if row == column else "major" for column in range(3)] for row in range(3)]


LEAVES: st.SearchStrategy[Schema] = st.sampled_from(
    [
        *({"type": kind} for kind in ("string", "integer", "number", "boolean", "null")),
        {},
        {"type": "string", "maxLength": 1},
        {"type": "string", "minLength": 1},
        {"type": "string", "pattern": "^a"},
        {"type": "integer", "minimum": 1},
        {"type": "number", "exclusiveMinimum": 1},
        {"type": "integer", "multipleOf": 2},
        {"enum": ["a", "b"]},
        {"enum": ["a", None, 2]},
        {"const": "a"},
        {"type": ["string", "null"]},
        {"$ref": "#/$defs/Shared"},
    ]
)


Pair = tuple[Schema, Schema]


def _grown(inner: st.SearchStrategy[Pair]) -> st.SearchStrategy[Pair]:
    """Pairs with the same skeleton: unrelated schemas would nearly always be incompatible."""
    fields = st.dictionaries(st.sampled_from("xyz"), inner, max_size=3)
    names = st.sets(st.sampled_from("xyz"))
    objects = st.builds(
        lambda fields, dropped, old, new: (
            _object({name: pair[0] for name, pair in fields.items() if name not in dropped}, old),
            _object({name: pair[1] for name, pair in fields.items()}, new),
        ),
        *(fields, st.just(set()) | names, names, names),
    )
    sizes: st.SearchStrategy[Schema] = st.sampled_from([{}, {"maxItems": 1}, {"minItems": 1}])
    lists = st.builds(
        lambda items, old, new: ({"type": "array", "items": items[0], **old}, {"items": items[1], **new}),
        *(inner, sizes, sizes),
    )
    unions = st.lists(inner, min_size=1, max_size=3).map(
        lambda pairs: ({"anyOf": [old for old, _ in pairs]}, {"anyOf": [new for _, new in reversed(pairs)]})
    )
    return objects | lists | unions


def _object(fields: dict[str, Schema], required: set[str]) -> Schema:
    return {"type": "object", "properties": fields, "required": sorted(required & fields.keys())}


ALIKE = LEAVES.map(lambda leaf: (leaf, leaf))
SHARED = LEAVES.filter(lambda leaf: "$ref" not in leaf)
PAIRS: st.SearchStrategy[Pair] = st.builds(
    lambda pair, old, new: (
        {**pair[0], "$defs": {"Shared": old}},
        {**pair[1], "$defs": {"Shared": new}},
    ),
    st.recursive(st.tuples(LEAVES, LEAVES) | ALIKE, _grown, max_leaves=4),
    SHARED,
    SHARED,
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from(["", "a", "b", "ab", 0, 1, 2, 3, 1.5, True, None]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("xyz"), inner, max_size=3),
    max_leaves=4,
)


def _without_upper_sizes(node: Any) -> Any:
    if isinstance(node, dict):
        return {
            key: _without_upper_sizes(v) for key, v in node.items() if key not in ("maxLength", "maxItems")
        }
    return [_without_upper_sizes(item) for item in node] if isinstance(node, list) else node


@given(PAIRS)
def test_a_schema_is_compatible_with_itself(pair: Pair) -> None:
    assert [compare(schema, schema) for schema in pair] == [Change(), Change()]


@given(PAIRS, st.lists(VALUES, max_size=30))
def test_a_minor_change_lets_no_value_come_that_was_excluded(pair: Pair, values: list[Any]) -> None:
    old, new = pair
    if compare(old, new).level == "major":
        return
    promised = jsonschema.Draft202012Validator(_without_upper_sizes(old))
    sent = jsonschema.Draft202012Validator(new)

    assert [value for value in values if sent.is_valid(value) and not promised.is_valid(value)] == []
