"""A quote and a text in, where in the text the quote stands out."""

from dataclasses import dataclass
from typing import Final

from rapidfuzz import fuzz
from rapidfuzz.distance import Levenshtein

from pipeline.normalise import Normalised, normal_text
from schemas.evidence import Verdict

#: Shorter quotes are found only as they are: at 15 characters 3 of 120 foreign ones would pass.
MIN_FUZZY_LENGTH: Final = 25
#: A quote of 400 characters that is longer than this once normalised (400 of U+FDFA are 7,200) would take
#: minutes, in which its process does nothing else.
MAX_FUZZY_LENGTH: Final = 500
#: A passage that scores this is the one meant: on scanned receipts, where many share their small print, 90
#: takes 1 % of foreign quotes for found. `python -m infra.bench.grounding` measures this and what follows.
MIN_SCORE: Final = 91
#: Shorter quotes than this get a second look from a lower score on: noise of 10 % takes one in three of 40
#: characters below 91. A replaced character counts two in the score, one in edits; one in nine may be edited.
SECOND_LOOK_LENGTH: Final = 64
SECOND_LOOK_SCORE: Final = 75
MAX_EDITS: Final = 0.11
_SLACK: Final = 5
#: More occurrences of one quote than this are not looked at: the quote says nothing.
MAX_OCCURRENCES: Final = 50


@dataclass(frozen=True, slots=True)
class Located:
    """The spans of the source that the quote may stand for, the best first, and how close it is."""

    spans: tuple[tuple[int, int], ...]
    verdict: Verdict
    score: int


def locate(quote: str, text: Normalised) -> Located | None:
    """Find `quote` in `text`: as it is, else, when it is long enough, the passage closest to it."""
    wanted = normal_text(quote).strip()
    if not wanted:
        return None
    spans = _occurrences(wanted, text)
    if not spans:
        return _closest(wanted, text)
    if len(spans) > 1:
        return Located(spans, Verdict.AMBIGUOUS, 100)
    start, end = spans[0]
    exact = text.source[start:end] == quote.strip()
    return Located(spans, Verdict.EXACT if exact else Verdict.NORMALISED, 100)


def _occurrences(wanted: str, text: Normalised) -> tuple[tuple[int, int], ...]:
    """Where `wanted` stands; in the midst of longer words only if it stands nowhere else."""
    places: list[int] = []
    place = text.text.find(wanted)
    while place >= 0 and len(places) < MAX_OCCURRENCES:
        places.append(place)
        place = text.text.find(wanted, place + 1)
    ends = [(place, place + len(wanted)) for place in places]
    whole = [(start, end) for start, end in ends if not _cut(text.text, start) and not _cut(text.text, end)]
    return tuple(text.span(start, end) for start, end in whole or ends)


def _cut(text: str, place: int) -> bool:
    """Does a border at `place` cut a word or a number in two?"""
    return 0 < place < len(text) and text[place - 1].isalnum() and text[place].isalnum()


def _closest(wanted: str, text: Normalised) -> Located | None:
    if not MIN_FUZZY_LENGTH <= len(wanted) <= min(MAX_FUZZY_LENGTH, len(text.text)):
        return None
    twice = len(wanted) <= SECOND_LOOK_LENGTH
    found = fuzz.partial_ratio_alignment(
        wanted, text.text, score_cutoff=SECOND_LOOK_SCORE if twice else MIN_SCORE
    )
    if found is None or found.dest_end <= found.dest_start:
        return None
    start, end, score = found.dest_start, found.dest_end, found.score
    if score < MIN_SCORE:
        edits, start, end = _fewest_edits(wanted, text.text, start, end)
        if edits > MAX_EDITS * len(wanted):
            return None
    return Located((text.span(start, end),), Verdict.FUZZY, int(score))


def _fewest_edits(wanted: str, text: str, start: int, end: int) -> tuple[int, int, int]:
    """(edits, start, end) of the passage near `start` and `end` that is closest to `wanted`."""
    return min(
        (Levenshtein.distance(wanted, text[begin:stop]), begin, stop)
        for begin in range(max(0, start - _SLACK), start + _SLACK + 1)
        for stop in range(end - _SLACK, min(len(text), end + _SLACK) + 1)
    )
