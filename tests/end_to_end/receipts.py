"""420 receipts and the right answers to them: the public labelled set where it is there, else our own."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from infra import samples
from infra.simulator.script import text_hash

NUMBER: Final = 420
_SHARED: Final = "PENSTOCK_SHARED"
_BESIDE: Final = Path(__file__).resolve().parents[2].parent / "shared"


@dataclass(frozen=True, slots=True)
class LabelledReceipt:
    """A receipt's text and what a careful reader finds in it."""

    id: str
    text: str
    answer: Mapping[str, str | None]

    @property
    def data(self) -> dict[str, Any]:
        return {"text": self.text}

    @property
    def rule(self) -> dict[str, Any]:
        """Has the simulator give the right answer."""
        return {"sha256": text_hash(self.text), "answer": self.answer}


def labelled() -> tuple[LabelledReceipt, ...]:
    """NUMBER receipts with different ids; says on stdout which set they are of."""
    path = Path(os.environ.get(_SHARED, _BESIDE)) / "data" / "receipts.jsonl"
    found = _public(path) if path.is_file() else _own()
    origin = str(path) if path.is_file() else f"infra/samples, repeated: there is no {path}"
    print(f"{len(found)} receipts of {origin}")  # noqa: T201 - part of the test's report
    assert len(found) == len({receipt.id for receipt in found}) == NUMBER
    return found


def _public(path: Path) -> tuple[LabelledReceipt, ...]:
    rows = [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]
    # One text stands in the set twice: the simulator can give it one answer only.
    answers = {row["text"]: _answer(row["expected"]) for row in reversed(rows)}
    return tuple(LabelledReceipt(row["id"], row["text"], answers[row["text"]]) for row in rows[:NUMBER])


def _answer(expected: Mapping[str, str | None]) -> dict[str, str | None]:
    """The labels as our schema spells them, so that the policy accepts each: a missing total is 0.00.

    Dates, which the set spells in many ways, are left out.
    """
    amount = re.search(r"\d+[.]\d+|\d+", (expected["total"] or "").replace(",", ""))
    folded = {name: value and " ".join(value.split()) for name, value in expected.items()}
    return {**folded, "date": None, "total": amount.group() if amount else "0.00"}


def _own() -> tuple[LabelledReceipt, ...]:
    complete = [one for one in samples.read("receipts") if one.expected["company"] and one.expected["total"]]
    fit = [one for one in complete if not str(one.expected["total"]).startswith("-")]
    return tuple(
        LabelledReceipt(
            f"{fit[number % len(fit)].id}-{number // len(fit)}",
            fit[number % len(fit)].data["text"],
            {name: None if value is None else str(value) for name, value in fit[number % len(fit)].expected.items()},
        )
        for number in range(NUMBER)
    )
