"""A node of a JSON Schema in, the plain kinds of value that it allows out.

`$ref`, `anyOf`, `oneOf`, `allOf`, a list of types and null inside an enumeration are ways to write the
same thing; `alternatives` reads them all as one flat list, so that `pipeline.compatibility` compares
what is meant and not how it is written.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

Schema = Mapping[str, Any]

#: What a node may hold besides its choices without narrowing them.
ANNOTATIONS: Final = ("description", "default", "examples", "deprecated")


def resolved(node: Schema, root: Schema) -> Schema:
    """`node` with its reference followed; what stands beside a `$ref` goes before what it refers to.

    A reference that leads only to itself allows nothing that could be named, and is left out.
    """
    followed: set[str] = set()
    while "$ref" in node and node["$ref"] not in followed:
        followed.add(node["$ref"])
        beside = {key: value for key, value in node.items() if key != "$ref"}
        node = {**_target(node["$ref"], root), **beside}
    return {key: value for key, value in node.items() if key != "$ref"}


def alternatives(node: Schema, root: Schema, *, seen: frozenset[str] = frozenset()) -> Iterator[Schema]:
    """Each alternative of `node` with exactly one `type`: one of JSON's, "integer", "null" or "any"."""
    if "$ref" in node:
        if node["$ref"] in seen:
            return  # it adds nothing to what it is a part of
        seen |= {node["$ref"]}
        beside = {key: value for key, value in node.items() if key != "$ref"}
        yield from alternatives({**_target(node["$ref"], root), **beside}, root, seen=seen)
    elif "allOf" in node:
        yield from alternatives(_joined(node, root), root, seen=seen)
    elif choices := (*node.get("anyOf", ()), *node.get("oneOf", ())):
        # A title or a description beside the choices is about all of them, not about each.
        skipped = ("anyOf", "oneOf", "title", "discriminator", *ANNOTATIONS)
        beside = {key: value for key, value in node.items() if key not in skipped}
        for choice in choices:
            yield from alternatives({**beside, **choice}, root, seen=seen)
    else:
        yield from _by_type(node)


def allowed(node: Schema) -> list[Any] | None:
    """The values that `node` enumerates; None if it does not."""
    if "const" in node:
        return [node["const"]]
    values = node.get("enum")
    return list(values) if values is not None else None


def written(value: object) -> str:
    """A value of JSON as its text: unlike Python's equality it tells 1 from true and from 1.0."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _target(reference: str, root: Schema) -> Schema:
    node: Any = root
    for part in reference.removeprefix("#").split("/")[1:]:
        node = node.get(part.replace("~1", "/").replace("~0", "~"))
        if not isinstance(node, Mapping):
            raise ValueError(f"the schema refers to {reference!r}, which is not in it")
    return dict(node)


def _joined(node: Schema, root: Schema) -> Schema:
    """`allOf` as one node: enough for a reference with something beside it, which is how it is used."""
    joined: dict[str, Any] = {}
    own = {key: value for key, value in node.items() if key != "allOf"}
    for part in (*(resolved(part, root) for part in node["allOf"]), own):
        properties = {**joined.get("properties", {}), **part.get("properties", {})}
        required = [*joined.get("required", ()), *part.get("required", ())]
        joined |= part
        if properties:
            joined |= {"properties": properties, "required": required}
    return joined


def _by_type(node: Schema) -> Iterator[Schema]:
    values = allowed(node)
    kinds = _types(node, values)
    for kind in kinds:
        if values is None or kind == "null":
            yield {**node, "type": kind}
            continue
        fitting = [value for value in values if _fits(value, kind, kinds)]
        if fitting:
            yield {
                **{key: value for key, value in node.items() if key != "const"},
                "type": kind,
                "enum": fitting,
            }


def _types(node: Schema, values: list[Any] | None) -> tuple[str, ...]:
    if "type" in node:
        kinds = (node["type"],) if isinstance(node["type"], str) else tuple(node["type"])
        return kinds if values is None or None in values else tuple(kind for kind in kinds if kind != "null")
    if values is not None:
        return tuple(dict.fromkeys(_type_of(value) for value in values))
    return ("any",)


def _fits(value: object, kind: str, kinds: tuple[str, ...]) -> bool:
    found = _type_of(value)
    return found == kind or (found == "integer" and kind == "number" and "integer" not in kinds)


def _type_of(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
    return "array" if isinstance(value, list) else "object"
