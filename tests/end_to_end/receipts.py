"""420 receipts and the right answers to them: the public labelled set where it is there, else our own."""

import itertools
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from infra import samples
from infra.simulator.script import text_hash
from pipeline.ground import ground, ungrounded
from pipeline.screen import screen
from pipeline.wire import unwrap, wire_model
from pipeline.workflows.receipts import Receipt
from tests.injection.right import right

NUMBER: Final = 420
#: Beside the checkout, unless the variable names another folder.
_BESIDE: Final = Path(__file__).resolve().parents[3] / "shared"
_PATH: Final = Path(os.environ.get("PENSTOCK_SHARED", _BESIDE)) / "data" / "receipts.jsonl"


@dataclass(frozen=True, slots=True)
class LabelledReceipt:
    """A receipt's text and what a careful reader finds in it."""

    id: str
    text: str
    answer: Mapping[str, Any]
    wire: Mapping[str, Any]

    @property
    def data(self) -> dict[str, Any]:
        return {"text": self.text}

    @property
    def rule(self) -> dict[str, Any]:
        """Has the simulator give the right answer."""
        return {"sha256": text_hash(self.text), "answer": self.wire}


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
    return _repeated([(row["id"], row["text"], answers[row["text"]]) for row in rows])


def _answer(expected: Mapping[str, str | None]) -> dict[str, str | None]:
    """The labels as our schema spells them. Dates, which the set spells in many ways, are left out."""
    amount = re.search(r"\d+[.]\d+|\d+", (expected["total"] or "").replace(",", ""))
    folded = {name: value and " ".join(value.split()) for name, value in expected.items()}
    return {**folded, "date": None, "total": amount and amount.group()}


def _own() -> tuple[LabelledReceipt, ...]:
    return _repeated(
        [(sample.id, sample.data["text"], _strings(sample.expected)) for sample in samples.read("receipts")]
    )


def _strings(expected: samples.Labels) -> dict[str, str | None]:
    return {name: value if value is None else str(value) for name, value in expected.items()}


def _repeated(rows: list[tuple[str, str, dict[str, str | None]]]) -> tuple[LabelledReceipt, ...]:
    """The receipts whose label stands in their text, with new ids until there are NUMBER."""
    fit = [receipt for row in rows if (receipt := _grounded(*row)) is not None]
    return tuple(
        replace(receipt, id=receipt.id if turn < len(fit) else f"{receipt.id}-{turn}")
        for turn, receipt in zip(range(NUMBER), itertools.cycle(fit), strict=False)
    )


def _grounded(id: str, text: str, answer: dict[str, str | None]) -> LabelledReceipt | None:
    """The receipt with the answer that comes out; None where a person would be asked."""
    if not answer["company"] or not answer["total"] or answer["total"].startswith("-"):
        return None
    wire = right(Receipt, answer, text)
    value, quotes = unwrap(Receipt, wire_model(Receipt).model_validate(wire))
    value, evidence = ground(value, quotes, text=text)
    if ungrounded(Receipt, evidence) or screen(text, max_tokens=32_000, fields=Receipt.model_fields).flags:
        return None
    return LabelledReceipt(id, text, value.model_dump(mode="json"), wire)
