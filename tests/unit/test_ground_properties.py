"""Whatever the text and the quote: the way back leads to what was compared, and nothing raises."""

import re
import sys
import unicodedata
from datetime import date
from decimal import Decimal
from typing import Annotated

from hypothesis import given
from hypothesis import strategies as st

from pipeline.dates import dates
from pipeline.ground import ground
from pipeline.locate import locate
from pipeline.marks import Kind
from pipeline.normalise import normal_text, normalise
from pipeline.numerals import numbers
from pipeline.support import says
from schemas import Extraction, Money, Text
from schemas.evidence import Evidence, Verdict

#: What normalising is hard on: it composes, grows, shrinks, swaps, folds, blanks and drops.
AWKWARD = [
    "e\u0301", "\u0301", "\u0323", "\ufb01", "\u00bd", "\u0130", "\u00df", "\u0344", "\u0345", "\u1e9b\u0323",
    "\u1112\u1161\u11ab", "\u1161", "\ud55c", "\uff8a\uff9e", "\u09c7\u09be", "\ufdfa", "\u212b", "\u00a8",
    "\u00ad", "\u200b", "\u00a0", "\u2028", "\u3000", "\x1c", "\n", "  ", "\u201c", "\u2013", "\U0001d15e",
    "\ud800", "a", "Z", "1", " ", "\u0415", "\u00e9",
]  # fmt: skip
MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
ANY = st.text(st.characters(codec=None), max_size=60)  # lone surrogates too
TEXTS = st.one_of(ANY, st.lists(st.sampled_from(AWKWARD), max_size=30).map("".join))
UNSEEN = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]")
UNIFIED = str.maketrans(
    {
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2043\ufe58\ufe63\uff0d", "-"),
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u2039\u203a\u2032\u00b4\u02bc\uff07", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb\u2033\u301d\u301e\uff02", '"'),
    }
)


def as_a_whole(text: str) -> str:
    """The definition of the normal form, without a way back."""
    seen = UNSEEN.sub("", text.translate(UNIFIED))
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", seen).casefold())


@given(TEXTS)
def test_piece_by_piece_is_the_same_as_the_whole(text: str) -> None:
    assert normalise(text).text == normal_text(text) == as_a_whole(text)


@given(TEXTS, st.data())
def test_the_way_back_leads_to_what_was_compared(text: str, data: st.DataObject) -> None:
    normal = normalise(text)
    if not normal.text:
        return
    start = data.draw(st.integers(0, len(normal.text) - 1))
    end = data.draw(st.integers(start + 1, len(normal.text)))

    begin, stop = normal.span(start, end)

    assert 0 <= begin < stop <= len(text)
    assert normal.text[start:end].strip() in normalise(text[begin:stop]).text


@given(TEXTS, TEXTS, TEXTS)
def test_a_part_of_a_text_is_found_in_it(before: str, part: str, after: str) -> None:
    text = f"{before} {part} {after}"

    found = locate(part, normalise(text))

    if wanted := normalise(part).text.strip():
        # An accent at the front of the part may belong to the blank before it.
        assert found is not None or unicodedata.combining(unicodedata.normalize("NFKD", part.lstrip())[0])
    if found is not None:
        assert all(wanted in normalise(text[start:end]).text for start, end in found.spans)


class Everything(Extraction):
    amount: Annotated[Money, Evidence()] | None
    number: Annotated[float, Evidence()]
    date: Annotated[date | None, Evidence(otherwise="null")]
    names: Annotated[list[Annotated[str, Text(100)]], Evidence()]


@given(
    st.decimals(-(10**9), 10**9, places=2),
    st.floats(allow_nan=False, allow_infinity=False),
    st.dates(),
    st.lists(st.text(max_size=20), max_size=3),
    st.dictionaries(st.sampled_from(["amount", "number", "date", "names[0]", "names[1]"]), TEXTS),
    TEXTS,
)
def test_grounding_never_raises(
    amount: Decimal, number: float, date: date, names: list[str], quotes: dict[str, str], text: str
) -> None:
    value = Everything.model_construct(amount=amount, number=number, date=date, names=names)
    whole = dict.fromkeys(("amount", "number", "date", "names[0]"), text)

    for given_quotes in (quotes, whole):
        checked, evidence = ground(value, given_quotes, text=text)

        assert (checked.date is None) is not evidence.date.found
        for path in evidence:
            one = evidence[path]
            assert (one.start is None) is (one.verdict in (Verdict.NOT_FOUND, Verdict.ABSENT))
            assert one.start is None or 0 <= one.start < (one.end or 0) <= len(text)


@given(TEXTS, TEXTS)
def test_reading_a_stretch_never_raises(stretch: str, value: str) -> None:
    numbers(stretch)
    dates(stretch)
    says(stretch, value, Kind.NAME, {})
    says(stretch, value, Kind.WORD, {value: (stretch,)})


@given(st.decimals(0, 10**11, places=2))
def test_an_amount_is_read_back_from_each_of_its_spellings(amount: Decimal) -> None:
    english = f"{amount:,}"
    german = english.translate(str.maketrans(",.", ".,"))

    for spelling in (str(amount), english, german, english.replace(",", "'"), german.replace(".", " ")):
        assert amount in numbers(f"Total EUR {spelling} due", money=True)


@given(st.dates(date(1900, 1, 1), date(2099, 12, 31)))
def test_a_date_is_read_back_from_each_of_its_spellings(day: date) -> None:
    month = MONTHS[day.month - 1]

    for spelling in (
        day.isoformat(),
        f"{day.day}/{day.month}/{day.year}",
        f"{day.month:02}/{day.day:02}/{day.year}",
        f"{day.day}.{day.month}.{day.year % 100:02}",
        f"{day.day} {month.upper()} {day.year}",
        f"{month} {day.day}, {day.year}",
        f"{day.day:02}-{month}-{day.year % 100:02}",
    ):
        assert day in dates(f"on {spelling} at noon")


def test_every_character_that_composes_with_the_one_before_it_stays_with_it() -> None:
    for code in range(sys.maxunicode + 1):
        parts = unicodedata.decomposition(chr(code)).split()
        if len(parts) == 2 and not parts[0].startswith("<"):
            first, second = (chr(int(part, 16)) for part in parts)
            assert normalise(f"x {first}{second}y").text == as_a_whole(f"x {first}{second}y"), hex(code)
