"""Labelled documents for measuring: a folder with the public sets in, else nothing; documents out.

A label knows how its field is asked for and how its value can be made wrong.
"""

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Final

from infra import samples
from pipeline.dates import dates
from pipeline.marks import Kind
from pipeline.normalise import Normalised, normalise
from schemas import Extraction, Money, Text
from schemas.evidence import Evidence


class _Amount(Extraction):
    amount: Annotated[Money, Evidence()]


class _Date(Extraction):
    date: Annotated[date, Evidence()]


class _Name(Extraction):
    name: Annotated[str, Text(400), Evidence()]


_ASKED: Final[Mapping[Kind, type[Extraction]]] = {Kind.AMOUNT: _Amount, Kind.DATE: _Date, Kind.NAME: _Name}
_KINDS: Final[Mapping[str, Kind]] = {
    "total": Kind.AMOUNT,
    "date": Kind.DATE,
    "effective_date": Kind.DATE,
    "company": Kind.NAME,
    "address": Kind.NAME,
    "party": Kind.NAME,
    "parties": Kind.NAME,
    "jurisdiction": Kind.NAME,
    "term": Kind.NAME,
}


@dataclass(frozen=True)
class Document:
    """One text and what a careful reader finds in it; `set` is receipts or agreements."""

    set: str
    text: str
    labels: tuple["Label", ...]

    @cached_property
    def normalised(self) -> Normalised:
        return normalise(self.text)


@dataclass(frozen=True, slots=True)
class Label:
    """The right value of one field; `asked` is an extraction with that field alone."""

    field: str
    value: Any

    @property
    def kind(self) -> Kind:
        return _KINDS[self.field]

    @property
    def asked(self) -> type[Extraction]:
        return _ASKED[self.kind]

    def alterations(
        self, others: Sequence[tuple[Document, "Label"]], chance: random.Random
    ) -> Iterator[tuple[str, Any]]:
        """Wrong values, each with how it was made."""
        if self.kind is Kind.DATE:
            yield "another date", self.value + timedelta(days=chance.choice((-1, 1)) * chance.randint(1, 400))
            return
        if any(character.isdigit() for character in str(self.value)):
            yield "one digit", type(self.value)(_other_digit(str(self.value), chance))
        if self.kind is Kind.NAME:
            yield "another name", _another(self, others, chance)
            words = self.value.split()
            if len(words) > 1:
                yield "a word more", " ".join((*words[:-1], "Holdings", words[-1]))


def labelled(folder: Path) -> tuple[list[Document], str]:
    """The public sets in `folder`, else our own samples; and which of them it is."""
    if (folder / "receipts.jsonl").exists() and (folder / "ndas.jsonl").exists():
        public = [
            Document(name, row["text"], tuple(_labels(row["expected"])))
            for name in ("receipts", "ndas")
            for row in _rows(folder / f"{name}.jsonl")
        ]
        return public, "the public sets"
    names: tuple[samples.Name, ...] = ("receipts", "contracts")
    own = [
        Document(name, sample.data["text"], tuple(_labels(sample.expected)))
        for name in names
        for sample in samples.read(name)
    ]
    return own, "Penstock's own samples (the public sets are not there)"


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    return (json.loads(line) for line in path.read_text("utf-8").split("\n") if line)


def _labels(expected: Mapping[str, Any]) -> Iterator[Label]:
    for field, answers in expected.items():
        for answer in answers if isinstance(answers, list) else [answers]:
            value = _value(field, answer)
            if value is not None:
                yield Label("party" if field == "parties" else field, value)


def _value(field: str, answer: str | None) -> Any:
    """The label as a value: some are spelled as on the paper, and a few say nothing that can be read."""
    if not answer:
        return None
    match _KINDS[field]:
        case Kind.AMOUNT:
            digits = "".join(one for one in answer if one.isdigit() or one == ".")
            return Decimal(digits) if digits.strip(".") else None
        case Kind.DATE:
            return min((day for day in dates(answer) if day.year >= 1970), default=None)
    return answer


def _other_digit(text: str, chance: random.Random) -> str:
    place = chance.choice([index for index, character in enumerate(text) if character.isdigit()])
    digit = chance.choice([one for one in "123456789" if one != text[place]])
    return text[:place] + digit + text[place + 1 :]


def _another(label: Label, others: Sequence[tuple[Document, Label]], chance: random.Random) -> str:
    """The value that another document has in the same field."""
    own = normalise(str(label.value)).text
    names = [one.value for _, one in others if one.field == label.field]
    return str(chance.choice([name for name in names if normalise(name).text != own]))
