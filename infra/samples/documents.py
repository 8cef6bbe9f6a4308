"""Reads the samples that ship in this folder: a workflow's name in, documents with their labels out.

All of them were written for Penstock; companies, people and numbers are invented. README.md says
by which rules they are labelled.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final, Literal

#: The labelled sets, each named like the example workflow that reads it.
Name = Literal["receipts", "support", "contracts"]

#: Right answers by field; a missing thing is None (parties: an empty list), money has two decimals.
Labels = Mapping[str, str | list[str] | None]

#: Stands in a malformed body for a filling that would only bloat the file.
_LONG: Final = b"@@LONG@@"


@dataclass(frozen=True, slots=True)
class Sample:
    """One document: `data` is what its sender emits, `expected` what a careful reader extracts."""

    id: str
    data: Mapping[str, str]
    expected: Labels


@dataclass(frozen=True, slots=True)
class Malformed:
    """Bytes that are no valid event of `topic`, and why."""

    id: str
    topic: str
    why: str
    body: bytes


def read(name: Name) -> tuple[Sample, ...]:
    """All samples of one workflow, in the order of the file."""
    return tuple(Sample(id=row["id"], data=row["data"], expected=row["expected"]) for row in _rows(name))


def malformed() -> tuple[Malformed, ...]:
    """Events that must end `dead` at the door, over all topics."""
    return tuple(
        Malformed(id=row["id"], topic=row["topic"], why=row["why"], body=_body(row))
        for row in _rows("malformed")
    )


def _rows(name: str) -> Iterator[dict[str, Any]]:
    text = files("infra.samples").joinpath(f"{name}.jsonl").read_text(encoding="utf-8")
    # Not splitlines(): it would also cut at form feeds and U+2028, which scanned text may hold.
    return (json.loads(line) for line in text.split("\n") if line)


def _body(row: dict[str, Any]) -> bytes:
    return base64.b64decode(row["base64"]).replace(_LONG, b"x" * row.get("long", 0))
