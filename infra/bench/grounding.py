"""What grounding finds and catches on labelled receipts and agreements: `python -m infra.bench.grounding`.

The public sets are read from `$PENSTOCK_SHARED/data` (default: a folder `shared` beside the checkout), else
Penstock's own samples. Every figure is repeatable. Exit code 1 when one misses its target.
"""

import os
import random
import string
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Annotated, Final

from infra.bench.labelled import Document, Label, labelled
from pipeline.ground import ground
from pipeline.locate import Located, locate
from pipeline.marks import marked
from pipeline.normalise import Normalised, normalise
from pipeline.support import says
from schemas import Extraction, Money, Text
from schemas.evidence import Evidence

SEED: Final = 20_261_120
SPANS: Final = 1_000
FOREIGN: Final = 4_000
#: Spans are cut from documents of at least this many characters.
SHORTEST: Final = 300
_BESIDE: Final = Path(__file__).resolve().parents[3] / "shared"


@dataclass(frozen=True, slots=True)
class Figure:
    """A share in percent, what it has to be, and of how many."""

    name: str
    hits: int
    of: int
    at_least: float | None = None
    at_most: float | None = None

    @property
    def percent(self) -> float:
        return 100 * self.hits / max(1, self.of)

    @property
    def met(self) -> bool:
        low, high = self.at_least, self.at_most
        return (low is None or self.percent >= low) and (high is None or self.percent <= high)

    def __str__(self) -> str:
        target = f">= {self.at_least} %" if self.at_least is not None else ""
        target += f"<= {self.at_most} %" if self.at_most is not None else ""
        missed = "" if self.met else "  MISSED"
        return f"{self.name:62} {self.percent:6.2f} %  {self.hits:>5}/{self.of:<5} {target}{missed}"


def main() -> int:
    """Print every figure; 1 when one misses its target."""
    folder = Path(os.environ.get("PENSTOCK_SHARED", _BESIDE)) / "data"
    documents, origin = labelled(folder)
    long = [document for document in documents if len(document.normalised.text) >= SHORTEST]
    _say(f"grounding on {origin}: {len(documents)} documents, seed {SEED}\n")
    figures = [*_located(long), *_foreign(long), *_altered(documents)]
    _say("")
    slow = _timed(documents)
    return 1 if slow or not all(figure.met for figure in figures) else 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _shown(figure: Figure) -> Figure:
    _say(str(figure))
    return figure


def _located(documents: Sequence[Document]) -> Iterator[Figure]:
    """Spans of the texts, spoilt by noise: how many are found where they were cut out."""
    for length, percent, spoil, target in (
        (20, 0, _edits, 95.0),
        (40, 0, _edits, 95.0),
        (40, 3, _edits, 95.0),
        (40, 10, _edits, 95.0),
        (120, 3, _edits, 95.0),
        (120, 10, _edits, 95.0),
        (40, 10, _each, None),
        (120, 10, _each, None),
    ):
        chance = random.Random(f"{SEED} {length} {percent} {spoil.__name__}")  # noqa: S311 - repeatable, not secret
        hits = 0
        for _ in range(SPANS):
            document = chance.choice(documents)
            start, end = _cut(document.text, length, chance)
            quote = " ".join(document.text[start:end].split())
            found = locate(spoil(quote, percent / 100, chance), document.normalised)
            hits += _is_there(found, document.normalised, start, end)
        how = "" if spoil is _edits else ", each character alone"
        name = f"located: {length} characters, {percent} % noise{how}"
        yield _shown(Figure(name, hits, SPANS, at_least=target))


def _cut(text: str, length: int, chance: random.Random) -> tuple[int, int]:
    """A span of `length` characters, a run of blanks counted as one; none at its ends."""
    while True:
        start = end = chance.randrange(len(text))
        visible = 0
        while end < len(text) and visible < length:
            visible += not (text[end].isspace() and text[end - 1 : end].isspace())
            end += 1
        if visible == length and not text[start].isspace() and not text[end - 1].isspace():
            return start, end


def _is_there(found: Located | None, text: Normalised, start: int, end: int) -> bool:
    """Does a span cover most of the place, or say the same elsewhere?"""
    if found is None:
        return False
    same = normalise(text.source[start:end]).text
    return any(
        min(end, stop) - max(start, begin) >= (end - start) / 2
        or normalise(text.source[begin:stop]).text == same
        for begin, stop in found.spans
    )


def _edits(quote: str, rate: float, chance: random.Random) -> str:
    """`quote` with that share of its characters replaced, left out or doubled by another."""
    places = chance.sample(range(len(quote)), round(rate * len(quote)))
    return _spoilt(quote, frozenset(places), chance)


def _each(quote: str, rate: float, chance: random.Random) -> str:
    """`quote` with each character spoilt with that probability: some have twice as many as others."""
    return _spoilt(quote, frozenset(i for i in range(len(quote)) if chance.random() < rate), chance)


def _spoilt(quote: str, places: frozenset[int], chance: random.Random) -> str:
    letters = string.ascii_letters + string.digits
    return "".join(
        chance.choice((chance.choice(letters), "", character + chance.choice(letters)))
        if place in places
        else character
        for place, character in enumerate(quote)
    )


def _foreign(documents: Sequence[Document]) -> Iterator[Figure]:
    """Quotes from another document of the same set that are not in this one: how many are accepted."""
    for length in (20, 25, 40, 120):
        chance = random.Random(f"{SEED} foreign {length}")  # noqa: S311 - repeatable, not secret
        accepted = tried = 0
        while tried < FOREIGN:
            here, there = chance.choice(documents), chance.choice(documents)
            start, end = _cut(there.text, length, chance)
            quote = there.text[start:end]
            if here is there or here.set != there.set or normalise(quote).text in here.normalised.text:
                continue
            tried += 1
            accepted += locate(quote, here.normalised) is not None
        yield _shown(
            Figure(f"accepted: {length} characters of another document", accepted, tried, at_most=1.0)
        )


def _altered(documents: Sequence[Document]) -> Iterator[Figure]:
    """Labelled values that ground in the clean text, then altered: how many are caught."""
    chance = random.Random(f"{SEED} altered")  # noqa: S311 - repeatable, not secret
    labels = [(document, label) for document in documents for label in document.labels]
    grounded = [(d, one, quote) for d, one in labels if (quote := _quote(d, one)) is not None]
    caught: dict[str, list[bool]] = {}
    for document, label, quote in grounded:
        for how, other in label.alterations(labels, chance):
            caught.setdefault(f"{label.kind}: {how}", []).append(not _grounds(document, label, other, quote))
    for field in dict.fromkeys(label.field for _, label in labels):
        here = sum(label.field == field for _, label, _ in grounded)
        every = sum(label.field == field for _, label in labels)
        yield _shown(Figure(f"coverage: labelled {field} that ground in the clean text", here, every))
    for name, results in caught.items():
        yield _shown(Figure(f"caught: altered {name}", sum(results), len(results), at_least=99.0))
    every_one = [one for results in caught.values() for one in results]
    yield _shown(Figure("caught: altered, all", sum(every_one), len(every_one), at_least=99.0))


def _quote(document: Document, label: Label) -> str | None:
    """The first line, or few lines, that say the label's value: what a model would quote."""
    lines = document.text.split("\n")
    for height in (1, 2, 3, 4):
        for place in range(len(lines) - height + 1):
            quote = "\n".join(lines[place : place + height]).strip()
            if says(quote, label.value, label.kind, {}) and _grounds(document, label, label.value, quote):
                return quote
    return None


def _grounds(document: Document, label: Label, value: object, quote: str) -> bool:
    field = next(iter(marked(label.asked)))
    answer = label.asked.model_validate({field: value})
    return ground(answer, {field: quote}, text=document.text)[1][field].found


class _Handful(Extraction):
    first: Annotated[str, Text(400), Evidence()]
    second: Annotated[str, Text(400), Evidence()]
    third: Annotated[Money, Evidence()]
    fourth: Annotated[str, Text(400), Evidence()]
    fifth: Annotated[str, Text(400), Evidence()]


def _timed(documents: Sequence[Document]) -> bool:
    """CPU time of one event with five marked fields; is a long text slower than it may be?"""
    joined = "\n".join(document.text for document in documents) * 5
    slow = False
    for size, hard, limit in (
        (2_000, False, None),
        (2_000, True, None),
        (100_000, False, 50),
        (100_000, True, 50),
    ):
        text = joined[-size:]
        answer, quotes = _five(text, hard=hard)
        spent = _milliseconds(partial(ground, answer, quotes, text=text))
        missed = limit is not None and spent > limit
        slow = slow or missed
        name = f"CPU per event: {size // 1000} kB, five {'spoilt and foreign' if hard else 'verbatim'} quotes"
        _say(f"{name:62} {spent:6.2f} ms{f'  < {limit} ms' if limit else ''}{'  MISSED' if missed else ''}")
    return slow


def _five(text: str, *, hard: bool) -> tuple[_Handful, dict[str, str]]:
    """An answer with its quotes, as found in `text`, or spoilt by noise, too long and made up."""
    chance = random.Random(f"{SEED} five")  # noqa: S311 - repeatable, not secret
    places = [len(text) * eighth // 8 for eighth in (1, 3, 5, 7)]
    spans = [text[place : place + 80].strip() for place in places]
    spoilt = [_edits(span * 3, 0.05, chance) for span in spans]
    made_up = "".join(chance.choice(string.ascii_lowercase + " ") for _ in range(400))
    first, second, third, fourth = spoilt if hard else spans
    quotes = {"first": first, "second": second, "third": third, "fourth": fourth}
    quotes["fifth"] = made_up if hard else spans[0]
    answer = _Handful(
        first=spans[0], second=spans[1], third=Decimal("12.50"), fourth=spans[3], fifth=spans[0]
    )
    return answer, quotes


def _milliseconds(run: Callable[[], object]) -> float:
    """CPU time of one run, the median of fifteen."""
    times = []
    for _ in range(15):
        started = time.process_time_ns()
        run()
        times.append(time.process_time_ns() - started)
    return sorted(times)[len(times) // 2] / 1e6


if __name__ == "__main__":
    sys.exit(main())
