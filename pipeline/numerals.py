"""A stretch of text in, every number that it may say out.

Numbers are read as people write them: 1,234.50, 1.234,50, 1 234,50, 1'234.50, 1,23,456, .50, 12€50,
1.2 million, thirty-six.
Where a spelling has two readings, both count.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Final

_NUMERAL: Final = re.compile(r"\d+(?:[.,'·]\d+)*|(?<!\w)\.\d+")
#: Blanks between groups of three: one number, or two that stand side by side.
_SPACED: Final = re.compile(r"(?<![\d.,'])\d{1,3}(?: \d{3})+(?:[.,]\d{1,4})?(?!\d|[.,]\d)")
_INDIAN: Final = re.compile(r"\d{1,2}(?:,\d{2})*,\d{3}")
_MINUSES: Final = "\u2010\u2011\u2012\u2013\u2212"
_SPELLINGS: Final = str.maketrans(
    {"\u2019": "'", "\u2018": "'", "\u066b": ".", "\u066c": ",", **dict.fromkeys(_MINUSES, "-")}
)

_FRACTIONS: Final = "[\u00bc-\u00be\u2150-\u215e\u2189]"
_FRACTION: Final = re.compile(f"[ \u00a0]?{_FRACTIONS}")
#: NFKC makes digits of these: "12½" is not 121 halves, nor the footnote in "100²" one digit more.
_SMALL: Final = re.compile(
    rf"(?P<fraction>(?:(?<=\d)[ \u00a0])?{_FRACTIONS})|[\u00b2\u00b3\u00b9\u2070-\u2089\u2460-\u249b]"
)

_SCALE: Final = re.compile(r"[\s-]?([^\W\d_]+)")
_SCALES: Final[Mapping[str, int]] = {
    **dict.fromkeys(("hundred", "hundert"), 100),
    **dict.fromkeys(("lakh", "lakhs"), 100_000),
    **dict.fromkeys(("crore", "crores"), 10_000_000),
    **dict.fromkeys(("thousand", "tausend", "tsd", "mille", "mil"), 1_000),
    **dict.fromkeys(("million", "millions", "mio", "mn", "millionen", "millón", "millones"), 1_000_000),
    **dict.fromkeys(("billion", "bn", "milliarde", "milliarden", "mrd", "milliard", "milliards"), 10**9),
}

#: Of an amount only, and right behind it: elsewhere an m may be a metre.
_MONEY_SCALES: Final[Mapping[str, int]] = {"k": 1_000, "m": 1_000_000}
_SIGN_AS_POINT: Final = re.compile(r"(?<=\d)[€$£](?=\d\d(?!\d))")

_MINUS: Final = re.compile(r"(\S?)-(?:(?:[$€£¥₹]|[A-Z]{1,3}) ?)?$")

#: Small numbers in English, German, French and Spanish.
NUMBER_WORDS: Final[Mapping[str, str]] = {
    word: str(number)
    for number, words in (
        (1, "one ein eine einen einem einer eins un une uno una"),
        (2, "two zwei deux dos"),
        (3, "three drei trois tres"),
        (4, "four vier quatre cuatro"),
        (5, "five fünf funf cinq cinco"),
        (6, "six sechs seis"),
        (7, "seven sieben sept siete"),
        (8, "eight acht huit ocho"),
        (9, "nine neun neuf nueve"),
        (10, "ten zehn dix diez"),
        (11, "eleven elf onze"),
        (12, "twelve zwölf zwolf douze doce"),
        (13, "thirteen dreizehn treize trece"),
        (14, "fourteen vierzehn quatorze catorce"),
        (15, "fifteen fünfzehn funfzehn quinze quince"),
        (16, "sixteen sechzehn dieciseis"),
        (17, "seventeen siebzehn diecisiete"),
        (18, "eighteen achtzehn dieciocho"),
        (19, "nineteen neunzehn diecinueve"),
        (20, "twenty zwanzig vingt veinte"),
        (24, "twentyfour vierundzwanzig veinticuatro"),
        (30, "thirty dreißig dreissig trente treinta"),
        (36, "thirtysix sechsunddreißig sechsunddreissig"),
        (40, "forty vierzig quarante cuarenta"),
        (50, "fifty fünfzig funfzig cinquante cincuenta"),
        (60, "sixty sechzig soixante sesenta"),
        (70, "seventy siebzig setenta"),
        (80, "eighty achtzig ochenta"),
        (90, "ninety neunzig noventa"),
    )
    for word in words.split()
}

#: "thirty-six" is neither thirty nor six; other languages write it as one word, or say "and".
_COMPOUND: Final = re.compile(
    r"\b(twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety)[ -]"
    r"(one|two|three|four|five|six|seven|eight|nine)\b",
    re.IGNORECASE,
)

#: Units of time in the same languages; "an" is left out, it is a word of English.
UNIT_WORDS: Final[Mapping[str, str]] = {
    word: unit
    for unit, words in (
        ("day", "days tag tage tagen jour jours dia dias"),
        ("week", "weeks woche wochen semaine semaines semana semanas"),
        ("month", "months monat monate monaten mois mes meses"),
        ("year", "years jahr jahre jahren annee annees ans ano anos"),
    )
    for word in words.split()
}


def numbers(stretch: str, *, money: bool = False) -> set[Decimal]:
    """What `stretch` may say; in an amount of `money`, 1.234 is a thousand, never one and a quarter."""
    plain = unicodedata.normalize("NFKC", with_digits_only(stretch)).translate(_SPELLINGS)
    plain = _SIGN_AS_POINT.sub(".", plain) if money else _COMPOUND.sub(_added, plain)
    found: set[Decimal] = set()
    for pattern, read in ((_NUMERAL, _readings), (_SPACED, _spaced)):
        for match in pattern.finditer(plain):
            scale = _scale(plain, match.end(), money=money)
            for value in read(match.group(), money=money):
                found.update(_signed(plain, match.span(), value * scale))
    if not money:
        found.update(
            Decimal(NUMBER_WORDS[word]) * _scale(plain, match.end())
            for match in re.finditer(r"[^\W\d_]+", plain)
            if (word := match[0].casefold()) in NUMBER_WORDS
        )
    return found


def _added(compound: re.Match[str]) -> str:
    tens, ones = (int(NUMBER_WORDS[word.casefold()]) for word in compound.groups())
    return str(tens + ones)


def with_digits_only(stretch: str) -> str:
    """`stretch` with fractions of one character as decimals, and blanks for raised or circled figures."""
    return stretch if stretch.isascii() else _SMALL.sub(_decimal, stretch)


def _decimal(small: re.Match[str]) -> str:
    if not small["fraction"]:
        return " "
    # Ten places, so that ".125" is no group of thousands; a third is no decimal, and is equal to none.
    decimal = f"{unicodedata.numeric(small[0][-1]):.10f}"
    return decimal[1:] if small.string[: small.start()][-1:].isdecimal() else decimal


def whole(text: str, start: int, end: int) -> tuple[int, int]:
    """The stretch from `start` to `end` with the sign before its number, and its fraction and scale after it.

    "12.50" in "-$12.50" is no 12.50, nor "1.2" in "1.2 million" or "12" in "12 ½".
    """
    before = text[max(0, start - 6) : start].translate(_SPELLINGS)
    if minus := _MINUS.search(before):
        start += minus.start() - len(before)
    if fraction := _FRACTION.match(text, end):
        end = fraction.end()
    scale = _SCALE.match(text, end)
    return start, scale.end() if scale and _scale(text, end) > 1 else end


def _readings(numeral: str, *, money: bool) -> Iterator[Decimal]:
    marks = [character for character in numeral if not character.isdigit()]
    groups = re.split(r"[.,'·]", numeral)
    if not marks:
        yield Decimal(numeral)
        return
    if len(set(marks)) == 1 and _is_grouped(numeral, groups):
        yield Decimal("".join(groups))
        if money:
            return
    whole, last = groups[:-1], marks[-1]
    if last != "'" and last not in marks[:-1] and len(set(marks[:-1])) < 2:
        head = numeral[: -len(groups[-1]) - 1]
        if len(whole) == 1 or _is_grouped(head, whole):
            yield Decimal(f"{''.join(whole) or '0'}.{groups[-1]}")


def _is_grouped(numeral: str, groups: list[str]) -> bool:
    """Is it written in groups of thousands? A leading zero says that it is not."""
    first, *others = groups
    if first.startswith("0") or not first:
        return False
    thousands = len(first) <= 3 and all(len(group) == 3 for group in others)
    return thousands or _INDIAN.fullmatch(numeral) is not None


def _spaced(numeral: str, *, money: bool) -> Iterator[Decimal]:
    return _readings(numeral.replace(" ", ""), money=money)


def _scale(plain: str, end: int, *, money: bool = False) -> int:
    word = _SCALE.match(plain, end)
    if word is None:
        return 1
    scale = _SCALES.get(word[1].casefold(), 1)
    return _MONEY_SCALES.get(word[0].casefold(), scale) if money else scale


def _signed(plain: str, span: tuple[int, int], value: Decimal) -> Iterator[Decimal]:
    """`value` with the signs that it may have: "10-12" holds no minus, "(12)" and "12-" may mean one."""
    start, end = span
    minus = _MINUS.search(plain[max(0, start - 6) : start])
    before = minus[1] if minus else ""
    negative = bool(minus) and not (before.isdigit() or before in ".,/-")
    if minus and (not before or before in "($€£¥₹[|"):
        yield -value
        return
    bracketed = plain[start - 1 : start] == "(" and plain[end : end + 1] == ")"
    trailing = plain[end : end + 1] == "-" and not plain[end + 1 : end + 2].strip()
    if negative or bracketed or trailing:
        yield -value
    yield value
