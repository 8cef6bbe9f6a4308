"""What an audit record is found by: its text in, its folded words out; and the values of indexed fields.

Folded once, here, when it is written: no two databases agree on what the small form of a letter is.
"""

import json
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from schemas.extraction import Extraction

#: Begins each line of `words` that is a reason; reasons come last, so that they can be searched alone.
REASON: Final = "reason: "
#: A longer value is a text, not something to look an event up by; an index takes no more, either.
MAX_INDEXED_LENGTH: Final = 200

_NAMING: Final = ("id", "event_id", "source", "source_id", "workflow", "code", "model", "name", "process")


def folded(text: str) -> str:
    """One spelling of what people take for the same: NFC, no case, single blanks."""
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    return " ".join(text.casefold().split())


def words(told: Mapping[str, Any]) -> str:
    """Ids, names, flags and reasons of a record, a line each: nothing that its bytes do not say."""
    named = [told.get(name) for name in _NAMING]
    lines = [*named, told["actor"]["name"], *told.get("flags", ())]
    reasons = [told.get("reason"), *told.get("reasons", ())]
    return "\n".join([*_lines(lines), *(REASON + line for line in _lines(reasons))])


def took_ms(told: Mapping[str, Any]) -> int | None:
    """How long the calls of a decision took together; None where none was made."""
    attempts = told.get("attempts")
    return sum(one["latency_ms"] for one in attempts) if attempts else None


def _lines(values: Sequence[Any]) -> list[str]:
    return [folded(value) for value in values if isinstance(value, str) and value]


def indexed(data: Mapping[str, Any] | None, names: Collection[str]) -> dict[str, str]:
    """The values to find a result by, folded: of its fields in `names`, those that are not null."""
    found = {name: value for name, value in (data or {}).items() if name in names}
    return {name: _value(value) for name, value in found.items() if value is not None}


def _value(value: Any) -> str:
    return folded(value if isinstance(value, str) else json.dumps(value))


def not_indexable(extraction: type[Extraction], names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each (problem, cure) of the fields that a workflow wants to find results by."""
    schema = extraction.model_json_schema(mode="serialization")
    fields, defs = schema.get("properties", {}), schema.get("$defs", {})
    for name in names:
        if name not in fields:
            yield f"names {name!r}, which is no field", f"Name some of: {', '.join(fields)}."
        elif not all(_is_scalar(kind) for kind in _kinds(fields[name], defs)):
            cure = f"Name fields that hold one number, date, word or text of up to {MAX_INDEXED_LENGTH}."
            yield f"names {name!r}, which is no short value", cure


def _kinds(node: Mapping[str, Any], defs: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """What a field may hold, as schemas without references and choices; null aside."""
    if "$ref" in node:
        yield from _kinds(defs[node["$ref"].rsplit("/", 1)[-1]], defs)
        return
    choices = [*node.get("anyOf", ()), *node.get("oneOf", ())]
    for choice in choices:
        yield from _kinds(choice, defs)
    if not choices and node.get("type") != "null":
        yield node


def _is_scalar(node: Mapping[str, Any]) -> bool:
    if "enum" in node or "const" in node:
        return True
    if node.get("type") == "string":
        return "format" in node or node.get("maxLength", MAX_INDEXED_LENGTH + 1) <= MAX_INDEXED_LENGTH
    return node.get("type") in ("integer", "number", "boolean")
