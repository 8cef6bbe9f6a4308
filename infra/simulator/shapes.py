"""JSON Schema without a text: references resolved, alternatives listed, the smallest valid value.

A schema is a plain mapping here because that is what arrives; only the keywords that structured outputs know
are looked at.
"""

import importlib
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import date, datetime
from typing import Any, Final

Schema = Mapping[str, Any]

_DEEPEST: Final = 12
_FORMATS: Final = {
    "date": "1970-01-01", "date-time": "1970-01-01T00:00:00Z", "time": "00:00:00Z", "duration": "P0D",
    "email": "nobody@example.com", "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}  # fmt: skip


def resolve(schema: Schema, root: Schema) -> Schema:
    """The schema with its `$ref` followed and its `allOf` merged; keywords beside them win."""
    for _ in range(_DEEPEST):
        own = {key: value for key, value in schema.items() if key not in ("$ref", "allOf")}
        if "$ref" in schema:
            schema = {**_target(schema["$ref"], root), **own}
        elif "allOf" in schema:
            parts = [*(resolve(part, root) for part in schema["allOf"]), own]
            properties = {name: one for part in parts for name, one in part.get("properties", {}).items()}
            required = [name for part in parts for name in part.get("required", [])]
            schema = {key: value for part in parts for key, value in part.items()}
            schema |= {"properties": properties, "required": required} if properties else {}
        else:
            break
    return schema


def _target(reference: str, root: Schema) -> Schema:
    target: Any = root
    for step in filter(None, reference.removeprefix("#").split("/")):
        target = target.get(step.replace("~1", "/").replace("~0", "~"), {})
    return dict(target)


def options(schema: Schema, root: Schema) -> list[Schema]:
    """The alternatives of a schema, `null` among them, each with one type."""
    schema = resolve(schema, root)
    several = schema.get("anyOf") or schema.get("oneOf")
    if several:
        outer = {key: schema[key] for key in ("title", "description") if key in schema}
        return [{**inner, **outer} for one in several for inner in options(one, root)]
    if isinstance(schema.get("type"), list):
        return [{**schema, "type": kind} for kind in schema["type"]]
    return [schema]


def is_null(schema: Schema) -> bool:
    return schema.get("type") == "null" or ("const" in schema and schema["const"] is None)


def kind(schema: Schema) -> str:
    if "type" in schema:
        return str(schema["type"])
    return "object" if "properties" in schema else "array" if "items" in schema else "string"


def fits(value: str, schema: Schema) -> bool:
    """Whether a string keeps to its pattern, format and lengths."""
    if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
        return False
    with suppress(re.error):
        if "pattern" in schema and not re.search(schema["pattern"], value):
            return False
    form = schema.get("format")
    with suppress(ValueError):
        if form == "date":
            return len(value) == 10 and bool(date.fromisoformat(value))
        if form == "date-time":
            return "T" in value and bool(datetime.fromisoformat(value))
        return form not in _FORMATS or bool(re.fullmatch(_LOOKS[form], value))
    return False


_LOOKS: Final = {
    "time": r"\d\d:\d\d:\d\d.*", "duration": r"P\w+", "email": r"[^@\s]+@[^@\s]+\.\w+", "uri": r"\w+:\S+",
    "uuid": r"[\da-fA-F]{8}(?:-[\da-fA-F]{4}){3}-[\da-fA-F]{12}",
}  # fmt: skip


def in_range(value: float, schema: Schema) -> bool:
    step = schema.get("multipleOf")
    return (
        schema.get("minimum", value) <= value <= schema.get("maximum", value)
        and schema.get("exclusiveMinimum", value - 1) < value < schema.get("exclusiveMaximum", value + 1)
        and (not step or abs(value / step - round(value / step)) < 1e-9)
    )


def smallest(schema: Schema, root: Schema, depth: int = 0) -> Any:
    """A value that validates: null where it may be null, else as empty as the schema allows."""
    choices = options(schema, root)
    if any(is_null(choice) for choice in choices):
        return None
    one = choices[0]
    if "const" in one or "enum" in one:
        return one.get("const", one.get("enum", [None])[0])
    match kind(one):
        case "object":
            wanted = one.get("properties", {}) if depth < _DEEPEST else {}
            names = one.get("required", []) if depth else list(wanted)
            return {name: smallest(wanted.get(name, {}), root, depth + 1) for name in wanted if name in names}
        case "array":
            return [smallest(one.get("items", {}), root, depth + 1)] * one.get("minItems", 0)
        case "integer" | "number":
            return _smallest_number(one)
        case "boolean":
            return False
    return _smallest_string(one)


def _smallest_number(schema: Schema) -> float:
    step = schema.get("multipleOf", 1)
    low, high = (
        schema.get(f"{end}imum", schema.get(f"exclusive{end.title()}imum", 0)) for end in ("min", "max")
    )
    guesses: list[float] = [
        0,
        low,
        high,
        *(low // step * step + n * step for n in range(3)),
        (low + high) / 2,
    ]
    return next((guess for guess in guesses if in_range(guess, schema)), low)


def _smallest_string(schema: Schema) -> str:
    guesses = [_FORMATS.get(schema.get("format", ""), ""), "unknown", "0", "0.00", "1970-01-01", "XXX"]
    if "pattern" in schema:
        with suppress(re.error, ValueError):
            guesses.append(_from_pattern(schema["pattern"]))
    padded = [
        guess.ljust(schema.get("minLength", 0), "x")[: schema.get("maxLength", 1_000_000)]
        for guess in guesses
    ]
    return next((guess for guess in padded if fits(guess, schema)), padded[0])


def _from_pattern(pattern: str) -> str:
    """The shortest string that a pattern without look-around describes, read off its parse tree."""
    parse = importlib.import_module("re._parser").parse  # no typed door to the parse tree
    return _from_nodes(parse(pattern))


def _from_nodes(nodes: Any) -> str:
    return "".join(_from_node(str(code), argument) for code, argument in nodes)


def _from_node(code: str, argument: Any) -> str:
    match code:
        case "LITERAL":
            return chr(argument)
        case "MAX_REPEAT" | "MIN_REPEAT":
            return _from_nodes(argument[2]) * int(argument[0])
        case "SUBPATTERN":
            return _from_nodes(argument[-1])
        case "BRANCH":
            return _from_nodes(argument[1][0])
        case "IN":
            return _from_node(str(argument[0][0]), argument[0][1])
        case "RANGE":
            return chr(argument[0])
        case "CATEGORY":
            return {"CATEGORY_DIGIT": "0", "CATEGORY_SPACE": " "}.get(str(argument), "x")
    return "" if code == "AT" else "x"
