"""A workflow's schema and a result in, the fields of its form out; and what a person has changed in them."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from infra.simulator.shapes import Schema, kind, options
from pipeline.catalogue import Entry

Widget = Literal["text", "long", "date", "number", "choice", "json"]

#: Longer texts get more than one line.
_LONG: Final = 60
_LONGEST_LINE: Final = 500
_PREFIX: Final = "v."
#: Texts that are short by their kind, such as times and decimals.
_SHAPED: Final = frozenset({"format", "pattern"})


@dataclass(frozen=True, slots=True)
class Blank:
    """One field of the form. `typed` is what stands in it, `was` what the machine found, both as text.

    Their line ends are those that a form can send back.
    """

    name: str
    widget: Widget
    options: tuple[str, ...]
    was: str
    typed: str
    description: str
    may_be_null: bool
    places: tuple[Mapping[str, Any], ...]

    @property
    def is_changed(self) -> bool:
        return self.typed != self.was


def blanks(
    entry: Entry,
    data: Mapping[str, Any] | None,
    evidence: Mapping[str, Any] | None,
    typed: Mapping[str, str] | None = None,
) -> list[Blank]:
    """A form for every field at the top of the result, with what was typed before, if anything was."""
    schema = entry.workflow.extraction.model_json_schema(mode="serialization")
    return [
        _blank(name, found, schema, (data or {}).get(name), evidence or {}, typed or {})
        for name, found in schema.get("properties", {}).items()
    ]


def changed(blanks: list[Blank]) -> dict[str, str]:
    """What is not as the machine found it; `null` where a field was emptied that may be."""
    return {
        one.name: "null" if not one.typed and one.may_be_null else one.typed
        for one in blanks
        if one.is_changed
    }


def typed(form: Mapping[str, str]) -> dict[str, str]:
    """The values in a form that was sent; browsers end lines with two signs."""
    return {
        name.removeprefix(_PREFIX): text.replace("\r\n", "\n")
        for name, text in form.items()
        if name.startswith(_PREFIX)
    }


def _blank(
    name: str,
    schema: Schema,
    root: Schema,
    value: Any,
    evidence: Mapping[str, Any],
    typed: Mapping[str, str],
) -> Blank:
    every = options(schema, root)
    kinds = [one for one in every if kind(one) != "null"]
    was = _spelt(value).replace("\r\n", "\n").replace("\r", "\n")
    return Blank(
        name=name,
        widget=_widget(kinds, was),
        options=tuple(_choices(kinds)),
        was=was,
        typed=typed.get(name, was),
        description=str(schema.get("description", "")),
        may_be_null=len(kinds) < len(every),
        places=tuple({"path": path, **found} for path, found in evidence.items() if _is_of(path, name)),
    )


def _widget(kinds: list[Schema], was: str) -> Widget:
    if len(kinds) != 1 or kind(kinds[0]) in ("object", "array"):
        return "json"
    (one,) = kinds
    match kind(one):
        case "enum" | "boolean":
            return "choice"
        case "string" if one.get("format") == "date":
            return "date"
        case "string" if "\n" in was or (not _SHAPED & one.keys() and _is_long(one, was)):
            return "long"
        case "string":
            return "text"
        case "integer" | "number":
            return "number"
    return "json"


def _is_long(schema: Schema, was: str) -> bool:
    return len(was) > _LONG or schema.get("maxLength", _LONGEST_LINE + 1) > _LONGEST_LINE


def _choices(kinds: list[Schema]) -> Iterator[str]:
    for one in kinds:
        if kind(one) == "boolean":
            yield from ("true", "false")
        elif kind(one) == "enum":
            yield from map(_spelt, one.get("enum", [one.get("const")]))


def _spelt(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _is_of(path: str, name: str) -> bool:
    return path == name or path.startswith((f"{name}.", f"{name}["))
