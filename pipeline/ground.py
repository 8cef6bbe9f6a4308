"""An extraction, its quotes and the text it was read from in, what each of its values rests on out."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeVar

from pipeline.locate import Located, locate
from pipeline.marks import Kind, Marked, marked
from pipeline.normalise import Normalised, normalise
from pipeline.numerals import whole
from pipeline.support import says
from schemas.evidence import EvidenceMap, Grounding, Verdict
from schemas.extraction import Extraction

X = TypeVar("X", bound=Extraction)

#: A quote may end in the midst of a word or a number; the value is read from all of it, up to this length.
_MAX_WIDENING: Final = 40
_INSIDE_NUMBERS: Final = frozenset(".,'\u2019-\u2010\u2011\u2012\u2013\u2212")

_NUMERIC: Final = frozenset((Kind.AMOUNT, Kind.NUMBER))


def ground(value: X, quotes: Mapping[str, str], *, text: str) -> tuple[X, EvidenceMap]:
    """Check every marked field of `value` against `text`; `quotes` are those of `wire.unwrap`.

    A field declared `otherwise="null"` that is not grounded is null in the value that comes back (a
    list as a whole); its grounding still says why. Never raises, whatever the quotes and the text.
    """
    marks = marked(type(value))
    if not marks:
        return value, EvidenceMap()
    source = normalise(text)
    evidence = EvidenceMap(
        grounding
        for name, mark in marks.items()
        for grounding in _field(name, getattr(value, name), mark, quotes, source)
    )
    nulled = {
        name: None
        for name, mark in marks.items()
        if mark.evidence.otherwise == "null" and not evidence[name].found
    }
    return value.model_copy(update=nulled) if nulled else value, evidence


def ungrounded(extraction: type[Extraction], evidence: EvidenceMap) -> tuple[Grounding, ...]:
    """The values that may not be passed on as they are: neither grounded, nor absent, nor made null."""
    marks = marked(extraction)
    return tuple(
        evidence[path]
        for path in evidence
        if marks[path.partition("[")[0]].evidence.otherwise == "review"
        and not evidence[path].found
        and evidence[path].verdict is not Verdict.ABSENT
    )


def _field(
    name: str, value: Any, mark: Marked, quotes: Mapping[str, str], source: Normalised
) -> Iterator[Grounding]:
    values = (
        {f"{name}[{place}]": one for place, one in enumerate(value or ())} if mark.many else {name: value}
    )
    if not values:
        yield Grounding(name, Verdict.ABSENT)
    for path, one in values.items():
        if one is None:
            yield Grounding(path, Verdict.ABSENT)
        else:
            yield _judge(path, one, mark, locate(quotes.get(path, ""), source), source.source)


def _judge(path: str, value: Any, mark: Marked, located: Located | None, text: str) -> Grounding:
    """The verdict on one value: the first place of its quote that says it, else a contradiction."""
    if located is None:
        return Grounding(path, Verdict.NOT_FOUND)
    for start, end in located.spans:
        begin, stop = _widened(start, end, text)
        if mark.kind in _NUMERIC:
            begin, stop = _widened(*whole(text, begin, stop), text)
        if says(text[begin:stop], value, mark.kind, mark.words):
            return Grounding(path, located.verdict, start, end, located.score)
    return Grounding(path, Verdict.CONTRADICTED, *located.spans[0], located.score)


def _widened(start: int, end: int, text: str) -> tuple[int, int]:
    """The span with the whole of the words and numbers at its ends: "12.50" in "112.50" is no 12.50."""
    floor, ceiling = max(0, start - _MAX_WIDENING), min(len(text), end + _MAX_WIDENING)
    while start > floor and _belongs(text[start - 1]):
        start -= 1
    while end < ceiling and _belongs(text[end]):
        end += 1
    return start, end


def _belongs(character: str) -> bool:
    return character.isalnum() or character in _INSIDE_NUMBERS
