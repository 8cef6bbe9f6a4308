"""A stretch of the source and a value in, whether the stretch says the value out: by the kind of the value.

The stretch is the source's own, never the model's quote: a quote with one digit changed is still found.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Any, Final

from rapidfuzz import fuzz

from pipeline.dates import dates
from pipeline.marks import Kind
from pipeline.numerals import NUMBER_WORDS, UNIT_WORDS, numbers

#: A name may differ from the text by what a scanner misreads or an author mends, no more.
MIN_NAME_SCORE: Final = 90
#: And none of its words by more than this, or "North Carolina" would pass for "South Carolina".
MIN_WORD_SCORE: Final = 80
#: Shorter words have to be equal: Ltd and LLC, Jon and Jan.
_MIN_FUZZY_WORD: Final = 4

#: Scripts without blanks between words: each character counts as one.
_UNSPACED: Final = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff"
_TOKEN: Final = re.compile(f"[{_UNSPACED}]|[^\\W_{_UNSPACED}]+")
_SAID: Final[Mapping[str, str]] = {**NUMBER_WORDS, **UNIT_WORDS}
_MARKS: Final = re.compile("[\u0300-\u036f]")
_ENDINGS: Final = re.compile(r"(?<=...)(?:ies|ied|ing|ed|es|s|y|e)$")


def says(stretch: str, value: Any, kind: Kind, words: Mapping[str, tuple[str, ...]]) -> bool:
    """Does `stretch` say `value`? `words` are the spellings that its author allows beside the value's own."""
    return _CHECKS[kind](stretch, value, words)


_Words = Mapping[str, tuple[str, ...]]


def _amount(stretch: str, value: Decimal, _: _Words) -> bool:
    return value in numbers(stretch, money=True)


def _number(stretch: str, value: float | Decimal, _: _Words) -> bool:
    return Decimal(str(value)) in numbers(stretch)


def _date(stretch: str, value: date, _: _Words) -> bool:
    return value in dates(stretch)


def _word(stretch: str, value: Any, words: _Words) -> bool:
    """Is one of the value's words there, in any of its forms?"""
    own = str(value.value if isinstance(value, Enum) else value)
    spellings = words.get(own)
    if spellings is None:
        spellings = tuple(_tokens(own)) or (own,)
    return not spellings or any(_mentions(stretch, spelling) for spelling in spellings)


def _name(stretch: str, value: str, words: _Words) -> bool:
    if stretch == value:  # as most are: there is nothing to take apart
        return bool(value.strip())
    if any(_mentions(stretch, spelling) for spelling in words.get(value, ())):
        return True
    wanted, there = _tokens(value), _tokens(stretch)
    if not wanted:
        return bool(value.strip()) and value.strip() in stretch
    return _together(wanted, there) or any(
        _alike(wanted, there[start : start + len(wanted)]) for start in range(len(there) - len(wanted) + 1)
    )


_CHECKS: Final[Mapping[Kind, Callable[[str, Any, _Words], bool]]] = {
    Kind.AMOUNT: _amount,
    Kind.NUMBER: _number,
    Kind.DATE: _date,
    Kind.WORD: _word,
    Kind.NAME: _name,
}


def _mentions(stretch: str, spelling: str) -> bool:
    """Are the words of `spelling` there, one after the other, whatever their endings?"""
    wanted = [_stem(token) for token in _tokens(spelling)]
    if not wanted:
        return spelling in stretch  # a sign, such as "€"
    there = [_stem(token) for token in _tokens(stretch)]
    return any(there[start : start + len(wanted)] == wanted for start in range(len(there)))


def _together(wanted: Sequence[str], there: Sequence[str]) -> bool:
    """Are the same characters there, from one word's begin to another's end: "S.p.A." for "SpA"?"""
    whole = "".join(wanted)
    borders = [0]
    for token in there:
        borders.append(borders[-1] + len(token))
    running, ends = "".join(there), frozenset(borders)
    return any(running.startswith(whole, start) and start + len(whole) in ends for start in borders[:-1])


def _alike(wanted: Sequence[str], window: Sequence[str]) -> bool:
    """Same words in the same order, but for slips of the pen; digits have to be equal."""
    return (
        all(_same_word(one, other) for one, other in zip(wanted, window, strict=True))
        and fuzz.ratio(" ".join(wanted), " ".join(window)) >= MIN_NAME_SCORE
    )


def _same_word(one: str, other: str) -> bool:
    if one == other:
        return True
    if min(len(one), len(other)) < _MIN_FUZZY_WORD or not (one.isalpha() and other.isalpha()):
        return False
    return fuzz.ratio(one, other) >= MIN_WORD_SCORE


def _tokens(text: str) -> tuple[str, ...]:
    """The words of `text` without case and accents; small numbers as digits, units of time in English."""
    folded = unicodedata.normalize("NFKD", text.replace("&", " and ")).casefold()
    folded = folded.replace("\u00ad", "")
    if not folded.isascii():
        folded = unicodedata.normalize("NFC", _MARKS.sub("", folded))
    return tuple(_SAID.get(token, token) for token in _TOKEN.findall(folded))


def _stem(word: str) -> str:
    """`word` without its ending, as far as "refunded", "refunds" and "refund" have to be one."""
    return _ENDINGS.sub("", word)
