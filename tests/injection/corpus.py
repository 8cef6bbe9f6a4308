"""Reads the corpus in this folder: payloads and their benign twins. README.md says what the fields mean."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from pipeline.workflow import AnyWorkflow
from pipeline.workflows import WORKFLOWS

HERE: Final = Path(__file__).parent

#: Stands in an `attacker` answer for the instructions, in `must_not_appear` for the canary in them.
LEAK: Final = "<leak>"
CANARY: Final = "<canary>"
#: JSON has no NaN; a payload that wants one writes this in `attacker`.
NAN: Final = "<nan>"

_WORKFLOWS: Final = {workflow.name: workflow for workflow in WORKFLOWS}


@dataclass(frozen=True, slots=True)
class Twin:
    """A document as honest senders write it; `near_miss`: in words that attackers use too."""

    id: str
    workflow: AnyWorkflow
    near_miss: bool
    data: Mapping[str, str]
    expected: Mapping[str, Any]

    @property
    def text(self) -> str:
        return _text(self.workflow, self.data)


@dataclass(frozen=True, slots=True)
class Payload:
    """A twin's document with an attack in it, and what the attacker wants of it."""

    id: str
    family: str
    workflow: AnyWorkflow
    twin: str
    data: Mapping[str, str]
    attacker: Mapping[str, Any]
    allowed_outcomes: tuple[str, ...]
    must_not_appear: tuple[str, ...]
    value_in_text: bool

    @property
    def text(self) -> str:
        return _text(self.workflow, self.data)


@cache
def payloads() -> tuple[Payload, ...]:
    """All payloads, family by family."""
    files = sorted((HERE / "payloads").glob("*.jsonl"))
    return tuple(_payload(row) for file in files for row in _rows(file))


@cache
def twins() -> Mapping[str, Twin]:
    """The benign documents by id."""
    return {row["id"]: _twin(row) for row in _rows(HERE / "benign.jsonl")}


def _payload(row: dict[str, Any]) -> Payload:
    row["workflow"] = _WORKFLOWS[row["workflow"]]
    row["allowed_outcomes"] = tuple(row["allowed_outcomes"])
    row["must_not_appear"] = tuple(row["must_not_appear"])
    return Payload(**row)


def _twin(row: dict[str, Any]) -> Twin:
    return Twin(**{**row, "workflow": _WORKFLOWS[row["workflow"]]})


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    # Not splitlines(): it would also cut at U+2028.
    return (json.loads(line) for line in file.read_text("utf-8").split("\n") if line)


def _text(workflow: AnyWorkflow, data: Mapping[str, str]) -> str:
    text: str = workflow.text(workflow.event.model_validate(data))
    return text
