"""The contents of two versions of a workflow in, what differs and what it means to receivers out.

A content is the canonical text that a version is the hash of (`pipeline.catalogue.Entry.content`).
Models, rules and the policy are code: their changes are those of the files.
"""

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pipeline.compatibility import Change, compare

_KNOWN: Final = ("files", "instructions", "event", "extraction")


@dataclass(frozen=True, slots=True)
class Part:
    """A text that differs: a file by its name inside the package, with the lines of a unified diff."""

    name: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """What changed from one version to another; what did not is empty.

    `prompt`, `event` and `extraction` are lines of unified diffs, of the schemas as indented JSON;
    `others` are parts of the content that this release does not know. `output` says what receivers
    of the results must expect.
    """

    prompt: tuple[str, ...]
    files: tuple[Part, ...]
    event: tuple[str, ...]
    extraction: tuple[str, ...]
    others: tuple[Part, ...]
    output: Change

    @property
    def parts(self) -> tuple[Part, ...]:
        """All that differs, in the order in which one wants to read it."""
        named = (
            ("prompt", self.prompt),
            ("event schema", self.event),
            ("extraction schema", self.extraction),
        )
        texts = (Part(name, lines) for name, lines in named if lines)
        files = (Part(f"file {part.name}", part.lines) for part in self.files)
        return (*texts, *files, *self.others)


def difference(a: str, b: str) -> Difference:
    """What it takes from the content `a` to the content `b`; raises ValueError for what is no content."""
    before, after = _read(a), _read(b)
    return Difference(
        prompt=_lines(before.get("instructions"), after.get("instructions")),
        files=tuple(_parts(before.get("files", {}), after.get("files", {}))),
        event=_lines(before.get("event"), after.get("event")),
        extraction=_lines(before.get("extraction"), after.get("extraction")),
        others=tuple(_parts(_unknown(before), _unknown(after))),
        output=_output_change(before, after),
    )


def output_change(a: str, b: str) -> Change:
    """What receivers of results of the content `a` must expect of those of `b`."""
    return _output_change(_read(a), _read(b))


def render(found: Difference, *, old: str = "A", new: str = "B") -> tuple[str, ...]:
    """`found` as lines for a terminal, `old` and `new` being what the reader calls the versions."""
    if not found.parts:
        return (f"{old} and {new} are the same",)
    lines = []
    for part in found.parts:
        removed = sum(line.startswith("-") for line in part.lines)
        added = sum(line.startswith("+") for line in part.lines)
        lines += [f"{part.name}: {removed} lines removed, {added} added"]
        lines += [f"    {line}" for line in part.lines]
        lines += [""]
    return (*lines, *_verdict(found.output, old, new))


def _verdict(output: Change, old: str, new: str) -> Iterator[str]:
    match output.level:
        case "none":
            yield f"output: receivers of {old} see no difference in {new}"
        case "minor":
            yield f"output: minor change, receivers of {old} can read {new}"
        case "major":
            yield f"output: major change, receivers of {old} may fail on {new}: it needs a new topic version"
    yield from (f"    {reason}" for reason in output.reasons)


def _read(content: str) -> Mapping[str, Any]:
    found = json.loads(content)
    if not isinstance(found, dict) or not isinstance(found.get("extraction"), dict):
        raise ValueError("this is not the content of a workflow's version")
    return found


def _unknown(content: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in content.items() if key not in _KNOWN}


def _parts(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Part]:
    for name in sorted({*before, *after}):
        lines = _lines(before.get(name), after.get(name))
        if lines:
            # A file is named relative to its package (".receipts"), the package's own is "".
            yield Part(name.removeprefix(".") or "(package)", lines)


def _lines(before: object, after: object) -> tuple[str, ...]:
    diff = difflib.unified_diff(_text(before), _text(after), lineterm="")
    return tuple(diff)[2:]  # without the names of two files


def _text(value: object) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, str):
        value = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)
    # Not splitlines: a version differs by its last line end, too, and that has to show.
    return str(value).split("\n")


def _output_change(before: Mapping[str, Any], after: Mapping[str, Any]) -> Change:
    return compare(_published(before["extraction"]), _published(after["extraction"]))


def _published(node: Any) -> Any:
    """A schema as results are written: every field is there, so a default changes nothing for receivers."""
    if isinstance(node, list):
        return [_published(item) for item in node]
    if not isinstance(node, dict):
        return node
    found: dict[str, Any] = {}
    for key, value in node.items():
        if key in ("properties", "$defs") and isinstance(value, dict):
            found[key] = {name: _published(field) for name, field in value.items()}
        elif key != "default":
            found[key] = _published(value)
    if "properties" in found:
        found["required"] = list(found["properties"])
    return found
