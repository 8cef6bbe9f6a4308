"""A text in, the same text out as it is compared, with the way back to every character it came from.

Compared are NFKC and case folding, with one kind of dash and quotation mark, one space for any white
space, and without soft hyphens and other characters that cannot be seen.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate, cycle
from typing import Final

_DASHES: Final = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2043\ufe58\ufe63\uff0d"
_SINGLE: Final = "\u2018\u2019\u201a\u201b\u2039\u203a\u2032\u00b4\u02bc\uff07"
_DOUBLE: Final = "\u201c\u201d\u201e\u201f\u00ab\u00bb\u2033\u301d\u301e\uff02"
_UNSEEN: Final = "\u00ad\u200b\u200c\u200d\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff"

#: One character for one character.
_UNIFIED: Final = {
    ord(spelling): unified
    for unified, spellings in (("-", _DASHES), ("'", _SINGLE), ('"', _DOUBLE))
    for spelling in spellings
}
_DROPPED: Final = re.compile(f"[{_UNSEEN}]")
_ANY_UNIFIED: Final = re.compile(f"[{_DASHES}{_SINGLE}{_DOUBLE}]")
_ODD: Final = re.compile(f"[{_UNSEEN}]|[^\\S ]")
#: What is not copied as it stands: more than one blank, and what is not ASCII.
_SPECIAL: Final = re.compile(r"  +|[^\x00-\x7f]+(?: [^\x00-\x7f]+)*")
_BLANKS: Final = "\t\n\v\f\r\x1c\x1d\x1e\x1f"
#: What ASCII becomes, for bytes, of which a table translates four times as many as of a text's characters.
_ASCII: Final = bytes.maketrans(_BLANKS.encode(), b" " * len(_BLANKS)).lower()
_SEVERAL_BLANKS: Final = re.compile("(  +)")
#: Hangul vowels and finals compose with what precedes them, although they are no marks.
_CONJOINING: Final = re.compile("[\u1160-\u11ff\ud7b0-\ud7ff]")


@dataclass(frozen=True)
class Normalised:
    """`text` and the source it came from, piece by piece: where each begins there and here, and how long.

    A piece of equal lengths that is `straight` maps character by character; any other one as a whole.
    """

    source: str
    text: str = ""
    _starts: list[int] = field(default_factory=list, repr=False)
    _sources: list[tuple[int, int, bool]] = field(default_factory=list, repr=False)

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Where `text[start:end]`, which is not empty, stands in the source."""
        return self._place(start)[0], self._place(end - 1)[1]

    def _place(self, index: int) -> tuple[int, int]:
        piece = bisect_right(self._starts, index) - 1
        begin, end, straight = self._sources[piece]
        if not straight:
            return begin, end
        begin += index - self._starts[piece]
        return begin, begin + 1


def normalise(source: str) -> Normalised:
    """One pass over `source`: about 1 ms per 100 kB of ASCII, 30 of another script."""
    if source.isascii():
        return _ascii(source)
    parts: list[str] = []
    starts: list[int] = []
    sources: list[tuple[int, int, bool]] = []
    length, after_space = 0, False
    for piece, begin, end, straight in _pieces(source):
        if after_space and piece.startswith(" "):
            piece, begin = piece[1:], begin + straight
        if piece:
            parts.append(piece)
            starts.append(length)
            sources.append((begin, end, straight))
            length += len(piece)
            after_space = piece.endswith(" ")
    return Normalised(source, "".join(parts), starts, sources)


def normal_text(source: str) -> str:
    """The text alone, where nobody asks for the way back."""
    if source.isascii():
        return _SEVERAL_BLANKS.sub(" ", _plain(source))
    return normalise(source).text


def _ascii(source: str) -> Normalised:
    """The same for ASCII alone, where only several blanks change the length."""
    pieces = _SEVERAL_BLANKS.split(_plain(source))  # text, blanks, text, ..., text
    lengths = list(map(len, pieces))
    ends = list(accumulate(lengths))
    sources = list(zip((0, *ends), ends, cycle((True, False))))
    lengths[1::2] = [1] * (len(lengths) // 2)
    return Normalised(source, " ".join(pieces[::2]), list(accumulate(lengths, initial=0)), sources)


def _plain(source: str) -> str:
    """ASCII as it is compared, before several blanks become one."""
    return source.encode().translate(_ASCII).decode()


def _pieces(source: str) -> Iterator[tuple[str, int, int, bool]]:
    """(normalised piece, start, end, maps character by character); blanks are not yet joined."""
    last = 0
    for blank in _BLANKS:
        source = source.replace(blank, " ")
    for match in _SPECIAL.finditer(source):
        begin, end = match.span()
        is_blank = source[begin] == " "
        if begin > last and not is_blank and _joins(source[begin]):
            begin -= 1
        if begin > last:
            yield source[last:begin].lower(), last, begin, True
        if is_blank:
            yield " ", begin, end, False
        else:
            yield from _run(source[begin:end], begin)
        last = end
    if last < len(source):
        yield source[last:].lower(), last, len(source), True


def _run(run: str, offset: int) -> Iterator[tuple[str, int, int, bool]]:
    unified = run.translate(_UNIFIED) if _ANY_UNIFIED.search(run) else run
    if unified.isspace():
        yield " ", offset, offset + len(run), False
        return
    if not _ODD.search(unified) and unicodedata.is_normalized("NFKC", unified):
        folded = unified.casefold()
        if len(folded) == len(unified):  # folding never shortens a character: none grew
            yield folded, offset, offset + len(run), True
            return
    for begin, end in _clusters(unified):
        yield _folded(unified[begin:end]), offset + begin, offset + end, False


def _clusters(run: str) -> Iterator[tuple[int, int]]:
    """The stretches of `run` that normalise on their own: no character composes across their borders."""
    begin = 0
    for index in range(1, len(run)):
        if not _joins(run[index]):
            yield begin, index
            begin = index
    yield begin, len(run)


@lru_cache(maxsize=4096)
def _joins(character: str) -> bool:
    """May `character` compose or change places with the one before it?"""
    if _DROPPED.match(character):
        return True
    first = unicodedata.normalize("NFKD", character)[0]
    return unicodedata.category(first)[0] == "M" or _CONJOINING.match(first) is not None


@lru_cache(maxsize=16384)
def _folded(cluster: str) -> str:
    folded = unicodedata.normalize("NFKC", _DROPPED.sub("", cluster)).casefold()
    return re.sub(r"\s+", " ", folded)
