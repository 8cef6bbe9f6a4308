"""A Pydantic model in, the places where it has no bound out: what is unbounded can be abused."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

_BOUNDED_FORMATS = frozenset({"date", "date-time", "time", "duration", "uuid", "ipv4", "ipv6"})


def unbounded(model: type[BaseModel]) -> Iterator[tuple[str, str, str]]:
    """Each (field path, problem, cure) of `model`, read from its JSON Schema."""
    schema = model.model_json_schema()
    yield from _walk(schema, schema.get("$defs", {}), "", seen=())


def _walk(
    node: dict[str, Any], defs: dict[str, Any], path: str, *, seen: tuple[str, ...]
) -> Iterator[tuple[str, str, str]]:
    if "$ref" in node:
        name = node["$ref"].rsplit("/", 1)[-1]
        if name in seen:
            yield path, "refers to itself", "Nest to a fixed depth instead."
        else:
            yield from _walk(defs[name], defs, path, seen=(*seen, name))
        return
    for choice in (*node.get("anyOf", ()), *node.get("oneOf", ()), *node.get("allOf", ())):
        yield from _walk(choice, defs, path, seen=seen)
    for name, field in node.get("properties", {}).items():
        yield from _walk(field, defs, f"{path}.{name}" if path else name, seen=seen)
    for item in (node.get("items"), *node.get("prefixItems", ())):
        if isinstance(item, dict):
            yield from _walk(item, defs, f"{path}[]", seen=seen)
    yield from _leaf(node, path)


def _leaf(node: dict[str, Any], path: str) -> Iterator[tuple[str, str, str]]:
    kind = node.get("type")
    if kind == "string" and not _is_bounded_string(node):
        yield path, "is a string without a length", "Write Annotated[str, Text(200)], or Money for an amount."
    if kind == "array" and "maxItems" not in node:
        yield path, "is a list without a length", "Write Annotated[list[...], Field(max_length=20)]."
    if kind == "object" and node.get("additionalProperties") not in (None, False):
        yield path, "is an open mapping", "Name its fields in a model, or use a list of pairs."
    if kind is None and not {"$ref", "anyOf", "oneOf", "allOf", "enum", "const"} & node.keys():
        yield path, "takes any value", "Give it a type."


def _is_bounded_string(node: dict[str, Any]) -> bool:
    bounded = {"maxLength", "enum", "const"} & node.keys()
    return bool(bounded) or node.get("format") in _BOUNDED_FORMATS
