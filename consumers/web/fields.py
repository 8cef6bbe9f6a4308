"""The schema of an event or an extraction in, its fields in words out; and an event to begin with."""

import json
import typing
from dataclasses import dataclass
from typing import Any

from infra import samples
from infra.simulator.shapes import Schema, kind, options, smallest
from pipeline.catalogue import Entry


@dataclass(frozen=True, slots=True)
class FieldRow:
    """One field as a reader of the page sees it; `limits` such as `at most 20,000 characters`."""

    name: str
    kind: str
    required: bool
    limits: str
    description: str


def rows(schema: Schema) -> list[FieldRow]:
    """The fields at the top of a schema."""
    required = schema.get("required", ())
    return [
        _row(name, found, schema, required=name in required)
        for name, found in schema.get("properties", {}).items()
    ]


def example(entry: Entry) -> str:
    """A sample where we ship some, else the smallest event that fits."""
    name = entry.workflow.name
    for known in typing.get_args(samples.Name):
        if known == name:
            return _pretty(dict(samples.read(known)[0].data))
    schema = entry.workflow.event.model_json_schema()
    return _pretty(smallest(schema, schema))


def _row(name: str, schema: Schema, root: Schema, *, required: bool) -> FieldRow:
    every = [one for one in options(schema, root) if kind(one) != "null"]
    kinds = [_kind(one, root) for one in every]
    may_be_null = len(every) < len(options(schema, root))
    limits = dict.fromkeys(limit for one in every for limit in _limits(one))
    return FieldRow(
        name=name,
        kind=" or ".join(dict.fromkeys([*kinds, *(["null"] if may_be_null else [])])),
        required=required,
        limits="; ".join(limits),
        description=str(schema.get("description", "")),
    )


def _kind(schema: Schema, root: Schema) -> str:
    match kind(schema):
        case "enum":
            return "one of " + ", ".join(map(str, schema.get("enum", [schema.get("const")])))
        case "array":
            return "list of " + " or ".join(
                dict.fromkeys(_kind(one, root) for one in options(schema.get("items", {}), root))
            )
        case found:
            return str(schema.get("format", found))


def _limits(schema: Schema) -> list[str]:
    found = []
    for key, words in (
        ("maxLength", "at most {:,} characters"),
        ("minLength", "at least {:,} characters"),
        ("maxItems", "at most {:,} items"),
        ("minimum", "{} or more"),
        ("maximum", "{} or less"),
    ):
        if schema.get(key):
            found.append(words.format(schema[key]))
    return found


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
