"""An audit record in, what is told of it out: a row of a table, a line of an export, or all of it."""

import csv
import io
import json
from collections.abc import Sequence
from typing import Any, Final

from infra.store.search import Found
from pipeline.copies import told

COLUMNS: Final = (
    "id", "kind", "occurred_at", "actor", "event_id", "revision", "workflow", "version", "outcome", "code",
    "model", "cost_micros", "took_ms", "leaf",
)  # fmt: skip
#: A spreadsheet takes a cell that begins so for a formula.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def summary(found: Found) -> dict[str, Any]:
    """The columns, ready for JSON."""
    columns = {
        **{name: getattr(found, name) for name in COLUMNS if name not in ("actor", "leaf")},
        "id": str(found.id),
        "occurred_at": found.occurred_at.isoformat(),
        "actor": found.actor_name,
        "event_id": None if found.event_id is None else str(found.event_id),
        "leaf": found.leaf.hex(),
    }
    return {name: columns[name] for name in COLUMNS}


def whole(found: Found) -> dict[str, Any]:
    """The columns, and the record: read, and as the text whose UTF-8 bytes its leaf is the hash of."""
    record = told(found.id, found.canonical)
    return {**summary(found), "record": record, "canonical": found.canonical.decode()}


def jsonl(rows: Sequence[Found]) -> str:
    """A line of JSON for each: its columns, and the text that its leaf is the hash of."""
    # Bytes that somebody changed so that they are no text do not end an export: what verifies it finds them.
    lines = ({**summary(row), "canonical": row.canonical.decode(errors="replace")} for row in rows)
    return "".join(json.dumps(line) + "\n" for line in lines)


def csv_head() -> str:
    return _csv([COLUMNS])


def csv_lines(rows: Sequence[Found]) -> str:
    return _csv([[_cell(value) for value in summary(row).values()] for row in rows])


def _cell(value: Any) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _csv(rows: Sequence[Sequence[str]]) -> str:
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows(rows)
    return written.getvalue()
