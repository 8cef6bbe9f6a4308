"""JSON Schema, as far as structured outputs know it: alternatives, checks, and the smallest valid value."""

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import date
from typing import Any, Final

Schema = Mapping[str, Any]

_DEEPEST: Final = 12
_SAMPLES: Final = {
    "date": "1970-01-01", "date-time": "1970-01-01T00:00:00Z", "time": "00:00:00Z", "duration": "P0D",
    "email": "nobody@example.com", "uri": "https://example.com/", "hostname": "example.com",
    "ipv4": "192.0.2.1", "ipv6": "2001:db8::1", "uuid": "00000000-0000-4000-8000-000000000000",
}  # fmt: skip


def options(schema: Schema, root: Schema, depth: int = 0) -> list[Schema]:
    """The alternatives of a schema, `null` among them, each with one type."""
    own = {key: value for key, value in schema.items() if key not in ("$ref", "anyOf")}
    target: Any = root
    for step in schema.get("$ref", "#").split("/")[1:]:
        target = target.get(step, {})
    several = [target] if "$ref" in schema else schema.get("anyOf", [])
    if several and depth < _DEEPEST:
        return [{**inner, **own} for one in several for inner in options(one, root, depth + 1)]
    kinds = own.get("type")
    return [{**own, "type": one} for one in kinds] if isinstance(kinds, list) else [own]


def kind(schema: Schema) -> str:
    """The type; `enum` where the values are listed."""
    if "const" in schema or "enum" in schema:
        return "enum"
    return str(schema.get("type") or ("object" if "properties" in schema else "string"))


def fits(value: str, schema: Schema) -> bool:
    """Whether a string keeps to its pattern, format and lengths; of a rare format only the sample does."""
    form = schema.get("format", "")
    right = value == _SAMPLES.get(form, value) or (form == "email" and "@" in value)
    with suppress(ValueError):
        right = right or (form == "date" and date.fromisoformat(value).isoformat() == value)
    with suppress(re.error):
        right = right and re.search(schema.get("pattern", ""), value) is not None
    return right and schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value))


def in_range(value: float, schema: Schema) -> bool:
    step = schema.get("multipleOf", 1 if schema.get("type") == "integer" else 0)
    inside = schema.get("minimum", value) <= value <= schema.get("maximum", value)
    between = schema.get("exclusiveMinimum", value - 1) < value < schema.get("exclusiveMaximum", value + 1)
    return inside and between and (not step or abs(value / step - round(value / step)) < 1e-9)


def smallest(schema: Schema, root: Schema, depth: int = 0) -> Any:
    """A value that validates: null where it may be null, else as empty as the schema allows."""
    every = options(schema, root)
    one = every[0]
    if depth > _DEEPEST or any(kind(other) == "null" for other in every):
        return None
    match kind(one):
        case "enum":
            return one.get("enum", [one.get("const")])[0]
        case "object":
            inner = one.get("properties", {})
            return {name: smallest(inner.get(name, {}), root, depth + 1) for name in one.get("required", ())}
        case "array":
            return [smallest(one.get("items", {}), root, depth + 1)] * one.get("minItems", 0)
        case "integer" | "number":
            step = one.get("multipleOf", 1)
            low, high = (one.get(f"{m}imum", one.get(f"exclusive{m.title()}imum", 0)) for m in ("min", "max"))
            guesses = [0, low, high, *(low // step * step + n * step for n in range(3)), (low + high) / 2]
            return next((guess for guess in guesses if in_range(guess, one)), low)
    return _smallest_string(one) if kind(one) == "string" else False


def _smallest_string(schema: Schema) -> str:
    guesses = [_SAMPLES.get(schema.get("format", ""), ""), "unknown", "0", "0.00", "1970-01-01", "XXX"]
    guesses.append(_matching(schema.get("pattern", "")))
    padded = [guess.ljust(schema.get("minLength", 0), "x")[: schema.get("maxLength")] for guess in guesses]
    return next((guess for guess in padded if fits(guess, schema)), padded[0])


def _matching(pattern: str) -> str:
    """A character for each part of a simple pattern: no groups in groups, no look-around."""
    pattern = re.sub(r"\([^()]*\)[?*]", "", pattern)
    pattern = re.sub(r"\((?:\?:)?([^()|]*)[^()]*\)", r"\1", pattern)
    made = ""
    for atom, repeat in re.findall(r"(\[[^\]]+\]|\\.|[^^$])(\{\d+|[?*+])?(?:,?\d*\})?", pattern):
        plain = atom.strip("[]") if len(atom) > 2 else atom
        letter = {"\\d": "0", "\\w": "x", "\\s": " ", ".": "x"}.get(plain[:2]) or plain.lstrip("\\")[:1]
        made += letter * (int(repeat[1:]) if repeat[:1] == "{" else repeat in ("", "+"))
    return made
