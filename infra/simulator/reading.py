"""Find things in a text: a text and a label in, the best span and the value that it means out."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Final

from infra.simulator.labels import Label, stem, stems

_MARKS: Final = {
    "US$": "USD", "S$": "SGD", "A$": "AUD", "C$": "CAD", "HK$": "HKD", "R$": "BRL", "$": "USD", "€": "EUR",
    "£": "GBP", "¥": "JPY", "₹": "INR", "RM": "MYR", "zł": "PLN", "Kč": "CZK", "euro": "EUR", "euros": "EUR",
    "dollars": "USD", "pounds": "GBP",
}  # fmt: skip
_CODES: Final = "USD|EUR|GBP|MYR|SGD|AUD|CAD|CHF|JPY|INR|CNY|SEK|NOK|DKK|PLN|CZK|BRL|MXN|NZD|HKD|THB|IDR|ZAR"
_SIGN: Final = "|".join(re.escape(mark) for mark in _MARKS if not mark.islower())
_MARK: Final = rf"(?:{_SIGN}|\b(?:{_CODES}))"
_AMOUNT: Final = re.compile(
    rf"(?:(?P<before>{_MARK})[ \t]?|(?<![\w.,/:-]))"
    r"(?P<number>-?(?:\d{1,3}(?:[,.'\u00a0]\d{3})+(?:[.,]\d\d)?|\d+[.,]\d\d|[.,]\d\d|\d+))"
    r"(?![\d%]|[.,/:-]\d|[ \t]%)"
    rf"(?:[ \t]?(?P<after>{_MARK}|(?:euros?|dollars|pounds)\b))?"
)
_RIVALS: Final = frozenset(
    stems("sub subtotal excluding excl excluded tax gst vat change cash tendered discount rounding"
          " qty quantity items points saved net round")
)  # fmt: skip

_MONTHS: Final = {
    name: number
    for number, names in enumerate(
        ("jan ene gen", "feb fév fev", "mar mär mrz", "apr avr abr", "may mai mag", "jun juin giu",
         "jul juil lug", "aug aoû ago", "sep set", "oct okt ott", "nov", "dec dez déc dic"), start=1)
    for name in names.split()
}  # fmt: skip
_MONTH: Final = rf"(?:{'|'.join(sorted(_MONTHS, key=len, reverse=True))})[^\W\d_]*\.?"
_DATE: Final = re.compile(
    r"(?<![\d/.-])(?:(?P<y1>\d{4})[-/.](?P<m1>\d{1,2})[-/.](?P<d1>\d{1,2})"
    r"|(?P<d2>\d{1,2})[-/.](?P<m2>\d{1,2})[-/.](?P<y2>\d{4}|\d\d)"
    rf"|(?P<d3>\d{{1,2}})(?:st|nd|rd|th|\.)?(?:\s+day)?(?:\s+(?:of|de))?[\s,/-]*(?P<m3>{_MONTH})"
    r"(?:\s+de)?[\s,/'-]*(?P<y3>\d{4}|\d\d)"
    rf"|(?P<m4>\b{_MONTH})\s+(?P<d4>\d{{1,2}})(?:st|nd|rd|th)?,?\s+(?P<y4>\d{{4}}))(?!\d)",
    re.IGNORECASE,
)
_DURATION: Final = re.compile(
    r"\b(?:\w+\s+\(\d+\)|\d+|one|two|three|four|five|six|seven|ten|twelve|eighteen)[\s-]+(?:calendar\s+|business\s+)?"
    r"(?:years?|months?|weeks?|days?)\b",
    re.IGNORECASE,
)
_PLACE: Final = re.compile(
    r"\blaws?\s+of\s+(?:the\s+)?(?:(?:[Ss]tate|Commonwealth)\s+of\s+)?(?P<value>[A-Z]\w+(?: [A-Z]\w+)*)",
)
_PATTERNS: Final = {
    "email": re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+"),
    "phone": re.compile(r"\+?\(?\d[\d ()/-]{6,}\d"),
    "id": re.compile(r"(?<![\w/.-])#?(?P<value>(?=[\w/-]*\d)[A-Za-z0-9][\w/-]*)(?![\w]|[.,]\d|%)"),
    "duration": _DURATION,
    "place": _PLACE,
}


@dataclass(frozen=True, slots=True)
class Found:
    """`value` as the text means it, other spellings of it, and the span where it stands."""

    value: str
    start: int
    end: int
    others: tuple[str, ...] = ()
    score: float = 0.0


@dataclass(frozen=True)
class Text:
    raw: str

    @cached_property
    def lines(self) -> list[tuple[int, int]]:
        return [match.span() for match in re.finditer(r"[^\n]+", self.raw)]

    @cached_property
    def dates(self) -> list[Found]:
        matches = list(_DATE.finditer(self.raw))
        numeric = [(int(m["d2"]), int(m["m2"])) for m in matches if m["d2"]]
        american = any(second > 12 for _, second in numeric) and not any(first > 12 for first, _ in numeric)
        return [found for match in matches if (found := _dated(match, american=american))]

    @cached_property
    def amounts(self) -> list[Found]:
        taken = {position for found in self.dates for position in range(found.start, found.end)}
        matches = (match for match in _AMOUNT.finditer(self.raw) if match.start("number") not in taken)
        return [
            _priced(match)
            for match in matches
            if match["before"] or match["after"] or "." in match["number"] or "," in match["number"]
        ]

    @cached_property
    def currencies(self) -> list[Found]:
        marks = re.finditer(rf"{_MARK}(?![A-Za-z])|\b(?:euros?|dollars|pounds)\b", self.raw)
        return [Found(_MARKS.get(m.group(), m.group()), *m.span()) for m in marks]

    @cached_property
    def stems(self) -> list[tuple[str, int, int]]:
        return [(stem(match.group()), *match.span()) for match in re.finditer(r"[^\W\d_]+", self.raw)]

    def found(self, kind: str) -> Iterable[Found]:
        """Every candidate of a kind, in the order of the text."""
        own = {"date": "dates", "money": "amounts", "currency": "currencies"}
        if kind in own:
            candidates: list[Found] = getattr(self, own[kind])
            return candidates
        if kind not in _PATTERNS:
            return []
        return [
            Found(match.group("value" if "value" in match.re.groupindex else 0), *match.span())
            for match in _PATTERNS[kind].finditer(self.raw)
        ]

    def score(self, found: Found, label: Label) -> tuple[float, bool]:
        """How well the words around a span fit a label, and whether one of the needed words is among them."""
        start = self.raw.rfind("\n", 0, found.start) + 1
        end = self.raw.find("\n", found.end)
        after = self.raw[found.end : min(len(self.raw) if end < 0 else end, found.end + 40)]
        near = stems(self.raw[max(start, found.start - 90) : found.start])
        above = self.raw[max(0, start - 90) : max(0, start - 1)].rpartition("\n")[2]
        around = [] if re.search(r"\d", above) and len(near) > 0 else stems(above)
        weigh = label.weights.get
        total = sum(2 * weigh(word, 0) for word in set(near)) + sum(
            weigh(word, 0) for word in {*around, *stems(after)}
        )
        if label.kind == "money":
            total -= sum(2 for word in set(near) if word in _RIVALS and not weigh(word))
        if near and weigh(near[-1]):
            total += 1
        return total, bool(label.needed.intersection([*near, *around, *stems(after)]))


def best(text: Text, label: Label, *, eager: bool) -> Found | None:
    """The candidate of the label's kind that stands nearest to its words; `eager` takes any, not none."""
    scored = [(found, *text.score(found, label)) for found in text.found(label.kind)]
    if label.kind in ("place", "email", "phone", "currency", "date") and (eager or not label.needed):
        accepted = scored
    else:
        accepted = [one for one in scored if one[1] > 0 and (one[2] or not label.needed)] or (
            scored if eager else []
        )
    if not accepted:
        return None
    top = max(score for _, score, _ in accepted)
    finalists = [found for found, score, _ in accepted if score == top]
    return max(finalists, key=lambda found: float(found.value)) if label.kind == "money" else finalists[0]


def _dated(match: re.Match[str], *, american: bool) -> Found | None:
    day, month, year = next(
        (match[f"d{form}"], match[f"m{form}"], match[f"y{form}"]) for form in "1234" if match[f"y{form}"]
    )
    if match["d2"] and american:
        day, month = month, day
    number = (
        int(month)
        if month.isdigit()
        else next(n for name, n in _MONTHS.items() if month.lower().startswith(name))
    )
    century = 0 if len(year) == 4 else 1900 if int(year) >= 70 else 2000
    try:
        value = date(century + int(year), number, int(day)).isoformat()
    except ValueError:
        return None
    return Found(value, *match.span(), others=(f"{value}T00:00:00Z", match.group()))


def _priced(match: re.Match[str]) -> Found:
    number = match["number"]
    whole, cents = (number[:-3], number[-2:]) if len(number) > 2 and number[-3] in ".," else (number, "")
    whole = re.sub(r"[^\d-]", "", whole)
    value = f"{whole if whole not in ('', '-') else whole + '0'}{'.' + cents if cents else ''}"
    mark = match["before"] or match["after"] or ""
    code = _MARKS.get(mark, mark)
    full = value if cents else f"{value}.00"
    marked = (
        (f"{code} {value}", f"{value} {code}", f"{code} {full}", f"{full} {code}", f"{code}{value}")
        if code
        else ()
    )
    return Found(value, *match.span(), others=(full, *marked, match.group().strip()))


def sentences(text: Text) -> Iterator[Found]:
    for match in re.finditer(r"[^\s.!?][^.!?\n]*(?:[.!?](?=\S)[^.!?\n]*|\n(?!\n)[^.!?\n]*)*[.!?]?", text.raw):
        value = match.group().strip()
        if len(value.split()) >= 3:
            yield Found(value, match.start(), match.start() + len(match.group().rstrip()))
