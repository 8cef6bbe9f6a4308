"""A text and the places that values rest on in, the pieces to show out: plain ones, and marked ones."""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

#: Signs that turn the reading direction, and so what a person believes to read.
_TURNS: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_PICTURES: Final = 0x2400
_KEPT: Final = frozenset("\n\t")


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of the text; `fields` are the paths of the values that rest on it, often none."""

    text: str
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Span:
    """Where a value was found: the path of its field, and the characters from `start` on, before `end`."""

    path: str
    start: int
    end: int


def spans(evidence: Mapping[str, Any] | None) -> list[Span]:
    """The places in the evidence of a result, in order of the text."""
    found = [
        Span(path, one["start"], one["end"])
        for path, one in (evidence or {}).items()
        if one["start"] is not None
    ]
    return sorted(found, key=lambda span: (span.start, span.end, span.path))


def pieces(text: str, marks: Sequence[Span]) -> list[Piece]:
    """The whole text in order; where places overlap, a piece of its own names them all."""
    inside = [mark for mark in marks if 0 <= mark.start < mark.end <= len(text)]
    edges = sorted({0, len(text), *(edge for mark in inside for edge in (mark.start, mark.end))})
    return [
        Piece(
            visible(text[start:end]),
            tuple(mark.path for mark in inside if mark.start <= start and end <= mark.end),
        )
        for start, end in pairwise(edges)
    ]


def visible(text: str) -> str:
    """The text with a picture for each sign that a browser drops or obeys."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(text))


def _shown(text: str) -> Iterator[str]:
    for sign in text.replace("\r\n", "\n"):
        if sign in _KEPT or sign.isprintable():
            yield sign
        elif ord(sign) < 0x20:
            yield chr(_PICTURES + ord(sign))
        elif sign in _TURNS or unicodedata.category(sign) in ("Cc", "Cs", "Co", "Cn"):
            yield f"[U+{ord(sign):04X}]"
        else:
            yield sign
