"""The text of a file of labelled cases in, the cases out: one JSON object per line.

`{"id": "receipt-1", "data": {...}, "expected": {...}}`: `data` is what a sender would emit, `expected`
what a careful reader would extract, null where the text does not say. Blank lines are skipped.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

_KEYS: Final = ("id", "data", "expected")


class InvalidCasesError(Exception):
    """A file of cases cannot be read; `line` counts from 1, 0 for the file as a whole."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(f"line {line}: {problem}" if line else problem)
        self.line = line


@dataclass(frozen=True, slots=True)
class Case:
    """One document with its labels."""

    id: str
    data: Mapping[str, Any]
    expected: Mapping[str, Any]


def parse(text: str) -> tuple[Case, ...]:
    """All cases in the order of the file; raises InvalidCasesError, which names the line."""
    found: dict[str, int] = {}
    cases = []
    # Not splitlines: JSON strings may hold U+2028 and the like as they are.
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        if not line.strip():
            continue
        case = _case(number, line)
        if case.id in found:
            raise InvalidCasesError(number, f"the id {case.id!r} is that of line {found[case.id]}, too")
        found[case.id] = number
        cases.append(case)
    if not cases:
        raise InvalidCasesError(0, "there is no case in the file")
    return tuple(cases)


def _case(number: int, line: str) -> Case:
    row = _row(number, line)
    for key in _KEYS:
        if key not in row:
            raise InvalidCasesError(number, f"{key!r} is missing: write {{{_shape()}}}")
    for key in row:
        if key not in _KEYS:
            raise InvalidCasesError(number, f"{key!r} is not known: write {{{_shape()}}}")
    if not isinstance(row["id"], str) or not row["id"].strip():
        raise InvalidCasesError(number, "'id' is no text")
    for key in ("data", "expected"):
        if not isinstance(row[key], dict):
            raise InvalidCasesError(number, f"{key!r} is no object")
    return Case(row["id"], row["data"], row["expected"])


def _row(number: int, line: str) -> dict[str, Any]:
    def refuse(constant: str) -> NoReturn:
        raise InvalidCasesError(number, f"{constant} is no JSON")

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        row = dict(pairs)
        if len(row) < len(pairs):
            raise InvalidCasesError(number, "an object names a field twice")
        return row

    try:
        row = json.loads(line, parse_constant=refuse, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        raise InvalidCasesError(number, f"is no JSON: {error.msg} at column {error.colno}") from error
    except RecursionError as error:
        raise InvalidCasesError(number, "is nested too deeply") from error
    if not isinstance(row, dict):
        raise InvalidCasesError(number, "is no JSON object")
    return row


def _shape() -> str:
    return ", ".join(f'"{key}": ...' for key in _KEYS)
