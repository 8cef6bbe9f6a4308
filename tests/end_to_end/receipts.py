"""420 receipts and the right answers to them: the public labelled set where it is there, else our own."""

import itertools
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
#: Beside the checkout, unless the variable names another folder.
_BESIDE: Final = Path(__file__).resolve().parents[3] / "shared"
_PATH: Final = Path(os.environ.get("PENSTOCK_SHARED", _BESIDE)) / "data" / "receipts.jsonl"


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


def origin() -> str:
    """Where the receipts come from."""
    if _PATH.is_file():
        return str(_PATH)
    return f"infra/samples, repeated with new ids: {_PATH} is not there"


def labelled() -> tuple[LabelledReceipt, ...]:
    """NUMBER receipts with different ids, each of which the policy accepts when it is read right."""
    found = _public() if _PATH.is_file() else _own()
    assert len({receipt.id for receipt in found}) == NUMBER
    return found


def _public() -> tuple[LabelledReceipt, ...]:
    rows = [json.loads(line) for line in _PATH.read_text("utf-8").split("\n") if line]
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
    fit = [
        sample
        for sample in samples.read("receipts")
        if sample.expected["company"] and str(sample.expected["total"])[0].isdigit()
    ]
    return tuple(
        LabelledReceipt(f"{sample.id}-{number}", sample.data["text"], _strings(sample.expected))
        for number, sample in zip(range(NUMBER), itertools.cycle(fit), strict=False)
    )


def _strings(expected: samples.Labels) -> dict[str, str | None]:
    return {name: value if value is None else str(value) for name, value in expected.items()}
