"""What the scores are measured on: a labelled set's file in, documents with their labels out.

The public sets, 420 receipts and 50 agreements, are no part of the repository: they are looked for in the
folder `shared` beside it, or where PENSTOCK_SHARED points; without them the scores are those of our own
samples, and say so.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from infra import samples
from infra.bench.comparison import Value

Workflow = Literal["receipts", "contracts"]

_FILES: Final = {"receipts": "receipts.jsonl", "contracts": "ndas.jsonl"}
_SHARED: Final = "PENSTOCK_SHARED"
_BESIDE: Final = Path(__file__).resolve().parents[2].parent / "shared"


@dataclass(frozen=True, slots=True)
class Document:
    """A text and what a careful reader finds in it."""

    id: str
    text: str
    expected: Mapping[str, Value]


def documents(workflow: Workflow, file: Path | None) -> tuple[str, tuple[Document, ...]]:
    """Where they are from, in words, and all of them; raises OSError or ValueError on a bad `file`."""
    path = file or Path(os.environ.get(_SHARED, _BESIDE)) / "data" / _FILES[workflow]
    if file or path.is_file():
        return str(path), _labelled(path)
    own = tuple(Document(one.id, one.data["text"], one.expected) for one in samples.read(workflow))
    return f"infra/samples, because there is no {path}", own


def _labelled(path: Path) -> tuple[Document, ...]:
    found = []
    for number, line in enumerate(path.read_text("utf-8").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            expected = {_field(name): _value(name, value) for name, value in row["expected"].items()}
            found.append(Document(str(row["id"]), str(row["text"]), expected))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f'{path}, line {number}: expected {{"id", "text", "expected"}}') from error
    return tuple(found)


def _field(name: str) -> str:
    return "parties" if name == "party" else name


def _value(name: str, value: Any) -> Value:
    """Labels of the agreements are lists; only of parties there may be more than one."""
    if isinstance(value, list) and _field(name) != "parties":
        return value[0] if value else None
    return value or None
