"""Find things in a text by simple rules: a text and a kind of thing in, candidates or the nearest one out."""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

_MARKS: Final = {"$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY", "RM": "MYR"}
_MARK: Final = r"[$€£¥]|\bRM|\b(?:USD|EUR|GBP|JPY|INR|MYR|SGD|AUD|CAD|CHF|CNY|SEK|NOK|DKK|PLN)\b"
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH: Final = rf"\b((?:{'|'.join(_MONTHS)})[a-z]{{0,6}})\.?"
_CAPITAL: Final = r"[A-Z][\w.&'-]{0,30}"
_NAME: Final = rf"({_CAPITAL}(?: (?:& |of )?{_CAPITAL}){{0,6}}(?:,? (?:Inc|LLC|Ltd|Corp)\b\.?)?)"
# Every repetition is bounded, so that the time is proportional to the length of the text, whatever it says.
_SOURCES: Final = {
    "ymd": r"(?<![\d/.-])(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?!\d)",
    "dmy": r"(?<![\d/.-])(\d{1,2})[-/.](\d{1,2})[-/.](\d{4}|\d\d)(?!\d)",
    "dMy": rf"(?i)\b(\d{{1,2}})(?:st|nd|rd|th)?[. /-]?(?:day )?(?:of )?{_MONTH}[ ,/-]{{1,2}}(\d{{4}}|\d\d)\b",
    "Mdy": rf"(?i){_MONTH} (\d{{1,2}})(?:st|nd|rd|th)?,? (\d{{4}})",
    "money": rf"(?:({_MARK})\s?|(?<![\w.,/:-]))"
    rf"(\d{{1,3}}(?:[,.]\d{{3}}){{1,4}}(?:[,.]\d\d)?|\d{{1,12}}(?:[,.]\d\d)?)(?![\d%]|[.,/:-]\d|\s?%)(?:\s?({_MARK}))?",
    "number": r"(?<![\w.,/-])\d{1,12}(?:\.\d{1,4})?(?![\w/%]|[.,-]\d)",
    "currency": _MARK,
    "email": r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64}){1,4}",
    "id": r"(?<![\w/.-])(?=[A-Za-z/-]{0,20}\d)[A-Za-z0-9][\w/-]{0,40}(?![\w%]|[.,]\d)",
    "duration": r"(?i)\b(?:\w{2,9} \(\d{1,3}\)|\d{1,3}|one|two|three|five) (?:year|month|week|day)s?\b",
    "place": r"\b[Ll]aws? of (?:the )?(?:(?:State|Commonwealth) of )?([A-Z]\w{1,20}(?: [A-Z]\w{1,20})?)",
    "text": r"\S(?:[^.!?]|\.(?=\d)){4,400}[.!?]?",
    "line": r"[^\W_][^\n(]{3,80}",
    "address": r"(?im)^.{0,60}\b(?:street|st|road|rd|ave|avenue|lane|jalan|jln|rue)\b.{0,60}(?:\n.{0,60})?$",
    "parties": rf"\b(?i:between)[^A-Z]{{0,12}}{_NAME}[^;]{{0,400}}?\b(?i:and)[^A-Z]{{0,12}}{_NAME}",
}  # fmt: skip
_PATTERNS: Final = {kind: re.compile(pattern) for kind, pattern in _SOURCES.items()}


@dataclass(frozen=True, slots=True)
class Found:
    """A value as the text means it and the span where it stands."""

    value: Any
    start: int = 0
    end: int = 0


def stems(text: str) -> list[str]:
    """The words in lower case without their commonest English endings."""
    words = re.findall(r"[^\W\d_]+", text.lower())
    return [re.sub(r"(?<=...)(?:ies|ing|ed|es|s|y|e)$", "", word) for word in words]


_WORDS: Final = {
    "date": "date day deadline", "currency": "currency", "email": "email mail", "address": "address",
    "duration": "term duration period", "place": "jurisdiction law", "id": "number id reference code",
    "name": "company party vendor seller merchant store shop supplier customer buyer person name",
    "money": "amount total price cost sum fee balance refund payment",
}  # fmt: skip
_KINDS: Final = {stem: kind for kind, words in _WORDS.items() for stem in stems(words)}
_GENERIC: Final = frozenset(stems("date day number id reference code amount currency effective issue value"))
_RIVALS: Final = frozenset(stems("sub subtotal excluding tax gst vat change cash discount rounding qty item"))


def kind_of(names: tuple[str, ...]) -> str:
    """What kind of thing a property is, by its name and then by those around it."""
    return next((_KINDS[stem] for name in names for stem in reversed(stems(name)) if stem in _KINDS), "text")


def candidates(text: str, kind: str) -> list[Found]:
    """Every value of a kind, in the order of the text."""
    if kind == "date":
        return sorted(_dates(text), key=lambda found: found.start)
    if kind == "money":
        return list(_amounts(text))
    if kind == "name":
        return candidates(text, "parties")[:2] or candidates(text, "line")[:1]
    every = _PATTERNS[kind].finditer(text) if kind in _PATTERNS else ()
    spans = [(m, group) for m in every for group in range(min(1, m.re.groups), m.re.groups + 1)]
    return [Found(_MARKS.get(m[group], m[group]), *m.span(group)) for m, group in spans]


def nearest(text: str, kind: str, found: list[Found], names: tuple[str, ...], *, eager: bool) -> Found | None:
    """The one with most of the names' words before it on its line; `eager` takes any, not none."""
    words = set(stems(" ".join(names)))
    loose = kind in ("currency", "email", "place") or (kind == "date" and words <= _GENERIC)
    ranked: list[tuple[int, Found]] = []
    for one in found:
        before = set(stems(text[max(0, one.start - 90) : one.start].rpartition("\n")[2]))
        if eager or loose or (not words.isdisjoint(before) and words - before <= _GENERIC):
            ranked.append((len(words & before) - len(before & _RIVALS - words), one))
    return max(ranked, key=lambda pair: pair[0])[1] if ranked else None


def _dates(text: str) -> Iterator[Found]:
    for order in ("ymd", "dmy", "dMy", "Mdy"):
        for match in _PATTERNS[order].finditer(text):
            part = dict(zip(order.lower(), match.groups(), strict=True))
            month = int(part["m"]) if part["m"].isdecimal() else _MONTHS.index(part["m"][:3].lower()) + 1
            with suppress(ValueError):
                year = int(part["y"]) + (2000 if len(part["y"]) == 2 else 0)
                yield Found(date(year, month, int(part["d"])).isoformat(), *match.span())


def _amounts(text: str) -> Iterator[Found]:
    for match in _PATTERNS["money"].finditer(text):
        number = match[2]
        cents = f".{number[-2:]}" if number[-3:-2] in (".", ",") else ""
        if match[1] or match[3] or cents:
            yield Found(re.sub("[.,]", "", number[:-3] if cents else number) + cents, *match.span())
