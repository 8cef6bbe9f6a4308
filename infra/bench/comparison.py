"""When is an answer right? A label and an answer in, a verdict out; and their sums as a `Score`.

Both are spelled alike before they are compared, each kind of field in its own way:

- `text` (address, jurisdiction): letter case and accents of compatibility (NFKC) do not count, nor do
  punctuation and the amount of white space: "NO 290. Jalan  Air" is "no 290, jalan air". Of a jurisdiction
  "the", "State of" and "Commonwealth of" in front do not count either.
- `name` (company, parties): as text, but full stops and apostrophes vanish instead of parting words, so that
  "Orrery Instruments, Inc." is "ORRERY INSTRUMENTS INC" and "L.P." is "LP". Parties are a set.
- `date`: to ISO 8601. Of 12/02/2018 the first is the day, unless the second cannot be a month; a year of
  two digits is in this century. What is no date is compared as text.
- `amount`: digits with two decimals; currency marks and separators of thousands do not count: "RM 1,234.5"
  is "1234.50". What is no amount is compared as text.
- `term`: "three (3) years", "three years" and "3-year" are "3 year"; units are not converted.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Final

#: One field of a label or an answer; None and the empty list say that the document does not tell.
Value = str | Sequence[str] | None

_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DATES: Final = (
    ("ymd", re.compile(r"(\d{4})[-/. ](\d{1,2})[-/. ](\d{1,2})")),
    ("dmy", re.compile(r"(\d{1,2})[-/. ](\d{1,2})[-/. ](\d{4}|\d\d)")),
    ("dmy", re.compile(r"(\d\d)(\d\d)(\d{4})")),
    ("dmy", re.compile(r"(\d{1,2})(?:st|nd|rd|th)?[-/. ]*([a-z]{3,9})[-/., ]*(\d{4}|\d\d)")),
    ("mdy", re.compile(r"([a-z]{3,9})\.? *(\d{1,2})(?:st|nd|rd|th)?,? *(\d{4})")),
)
_NUMBERS: Final = {
    word: str(number)
    for number, word in enumerate(
        ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"), 1
    )
} | {"eighteen": "18", "twenty four": "24", "thirty": "30", "thirty six": "36"}
_TERM: Final = re.compile(r"(?:([a-z]+(?: [a-z]+)?) )?(\d+)? ?(year|month|week|day)s?")
_GOVERNMENT: Final = re.compile(r"^(?:the )?(?:state of |commonwealth of )?")


class Verdict(Enum):
    """How an answer stands to its label; it is `RIGHT` too to say nothing where there is nothing."""

    RIGHT = "right"
    WRONG = "wrong"
    OMITTED = "omitted"
    INVENTED = "invented"


@dataclass(frozen=True, slots=True)
class Score:
    """The verdicts on one field over many documents."""

    verdicts: Counter[Verdict] = field(default_factory=Counter)

    @property
    def documents(self) -> int:
        return self.verdicts.total()

    @property
    def exact_percent(self) -> float:
        return 100 * self.verdicts[Verdict.RIGHT] / self.documents if self.documents else 0.0


def judge(spell: Callable[[str], str], expected: Value, answered: Value) -> Verdict:
    """Compare one field after `spell`, the spelling of its kind."""
    wanted, given = _spelled(spell, expected), _spelled(spell, answered)
    if wanted == given:
        return Verdict.RIGHT
    if not given:
        return Verdict.OMITTED
    return Verdict.WRONG if wanted else Verdict.INVENTED


def score(
    spellings: Mapping[str, Callable[[str], str]],
    documents: Sequence[tuple[Mapping[str, Value], Mapping[str, Value]]],
) -> dict[str, Score]:
    """By field, over (label, answer) of every document; a field that is missing in either is None."""
    return {
        name: Score(Counter(judge(spell, label.get(name), answer.get(name)) for label, answer in documents))
        for name, spell in spellings.items()
    }


def _spelled(spell: Callable[[str], str], value: Value) -> frozenset[str]:
    several = [value] if isinstance(value, str) else value or ()
    return frozenset(spell(one) for one in several) - {""}


def text(value: str) -> str:
    """Lower case, words parted by one space, nothing else."""
    folded = unicodedata.normalize("NFKC", value).casefold()
    return " ".join(re.findall(r"[^\W_]+", folded))


def name(value: str) -> str:
    """The words of a name; "Inc." is "inc", "L.P." is "lp", "Macy's" is "macys"."""
    return text(re.sub(r"[.'\u2019]", "", value))


def jurisdiction(value: str) -> str:
    """The name of the state or country alone."""
    return _GOVERNMENT.sub("", text(value))


def iso_date(value: str) -> str:
    """2018-02-12 for 12/02/2018, 12 FEB 18 and their like."""
    spelled = value.strip().casefold()
    for order, pattern in _DATES:
        if match := pattern.fullmatch(spelled):
            part = dict(zip(order, match.groups(), strict=True))
            with suppress(ValueError):
                return _date(part["y"], part["m"], part["d"])
    return text(value)


def _date(year: str, month: str, day: str) -> str:
    """Raises ValueError when there is no such day."""
    first, second = int(day), int(month) if month.isdecimal() else _MONTHS.index(month[:3]) + 1
    if second > 12:
        first, second = second, first
    return date(int(year) + (2000 if len(year) == 2 else 0), second, first).isoformat()


def amount(value: str) -> str:
    """1234.50 for RM1,234.5 and 1.234,50 EUR."""
    match = re.fullmatch(r"[^\d.,-]*(-?)[^\d.,-]*([\d.,]*\d)[^\d]*", value.strip())
    if not match:
        return text(value)
    sign, digits = match.groups()
    cents = re.search(r"[.,](\d{1,2})$", digits)
    whole = re.sub(r"[.,]", "", digits[: cents.start()] if cents else digits) or "0"
    return f"{Decimal(f'{sign}{whole}.{cents[1] if cents else 0}'):.2f}"


def term(value: str) -> str:
    """A number and a unit: "3 year"."""
    match = _TERM.fullmatch(text(value))
    if not match:
        return text(value)
    word, digits, unit = match.groups()
    number = digits or _NUMBERS.get(word or "")
    return f"{number} {unit}" if number else text(value)
