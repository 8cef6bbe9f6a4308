"""A stretch of text in, every date that it may say out.

Day, month and year in digits or with the month's name in English, German, French or Spanish. Where the
order of day and month cannot be told, both count; a year of two digits may be of either century.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import date
from typing import Final

from pipeline.numerals import with_digits_only

_MONTHS: Final[Mapping[str, int]] = {
    name: number
    for number, names in enumerate(
        (
            "jan january januar jänner janner jaenner janvier janv enero ene",
            "feb february februar feber fevrier fevr fev febrero",
            "mar march marz maerz mrz mars marzo",
            "apr april avril avr abril abr",
            "may mai mayo",
            "jun june juni juin junio",
            "jul july juli juillet juil julio",
            "aug august aout agosto ago",
            "sep sept september septembre septiembre setiembre set",
            "oct october oktober okt octobre octubre",
            "nov november novembre noviembre",
            "dec december dezember dez decembre diciembre dic",
        ),
        start=1,
    )
    for name in names.split()
}
_ORDINALS: Final[Mapping[str, int]] = {
    f"{tens}{word}": number
    for tens, start, words in (
        ("", 1, "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"),
        ("", 13, "thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth"),
        ("twenty-", 21, "first second third fourth fifth sixth seventh eighth ninth"),
        ("", 30, "thirtieth"),
        ("thirty-", 31, "first"),
    )
    for number, word in enumerate(words.split(), start)
}

#: Of two digits only where no time of day begins.
_YEAR: Final = r"(?P<year>\d{4}(?!\d)|'?\d{2}(?![\d:]))"
#: Matched at every place, because "REG 2- 24/06/2018" holds a date that begins within what looks like one.
_NUMERIC: Final = tuple(
    re.compile(rf"(?<!\d)(?={pattern})")
    for pattern in (
        r"(?P<year>\d{4}) ?[-/.年] ?(?P<month>\d{1,2}) ?[-/.月] ?(?P<day>\d{1,2})(?!\d)",
        r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})(?!\d)",
        r"(?P<year>[4-9]\d)[-/.](?P<month>\d{1,2})[-/.](?P<day>\d{1,2})(?!\d)",
        rf"(?P<one>\d{{1,2}}) ?(?P<mark>[-/.,]) ?(?P<other>\d{{1,2}}) ?(?P=mark) ?{_YEAR}",
        r"(?P<one>\d{1,2}) (?P<other>\d{1,2}) (?P<year>\d{4})(?!\d)",
    )
)

#: Tried right before and right after the name of a month; they hold the day, the year or both.
_DAY: Final = rf"(?:(?P<day>\d{{1,2}})(?: ?(?:st|nd|rd|th|er|re|o|a)\b)?|(?P<ordinal>{'|'.join(_ORDINALS)}))"
_DAY_BEFORE: Final = re.compile(rf"(?<!\d){_DAY}[ .,/-]{{0,3}}(?:day )?(?:of |de |den )?$")
_YEAR_AFTER: Final = re.compile(rf"[ .,/-]{{0,3}}(?:of |de |del )?{_YEAR}")
_BOTH_AFTER: Final = re.compile(rf"[ ./-]{{0,3}}{_DAY}[ ,./'-]{{1,3}}(?:of )?{_YEAR}")
_YEAR_BEFORE: Final = re.compile(r"(?<!\d)(?P<year>\d{4})[ .,/-]{0,3}$")
_DAY_AFTER: Final = re.compile(rf"[ .,/-]{{0,3}}{_DAY}(?!\d)")
_WORD: Final = re.compile("[a-z]{3,10}")
#: Longer than what stands between a day and its month.
_NEAR: Final = 32


def dates(stretch: str) -> set[date]:
    """What `stretch` may say; a date without its year is none."""
    plain = unicodedata.normalize("NFKD", with_digits_only(stretch)).casefold()
    if not plain.isascii():
        plain = "".join(one for one in plain if not unicodedata.combining(one))
        plain = re.sub("[\u2010-\u2015\u2212]", "-", plain).replace("\u2019", "'")
    plain = " ".join(plain.split())
    return {*_numeric(plain), *_named(plain)}


def _numeric(plain: str) -> Iterator[date]:
    for pattern in _NUMERIC:
        for match in pattern.finditer(plain):
            parts = match.groupdict()
            if "day" in parts:
                yield from _valid(parts["year"], int(parts["month"]), parts["day"])
            else:
                yield from _valid(parts["year"], int(parts["one"]), parts["other"])
                yield from _valid(parts["year"], int(parts["other"]), parts["one"])


def _named(plain: str) -> Iterator[date]:
    for word in _WORD.finditer(plain):
        month = _MONTHS.get(word.group())
        if month:
            before, after = plain[max(0, word.start() - _NEAR) : word.start()], plain[word.end() :]
            for first, second in (
                (_DAY_BEFORE.search(before), _YEAR_AFTER.match(after)),
                (_BOTH_AFTER.match(after), _BOTH_AFTER.match(after)),
                (_YEAR_BEFORE.search(before), _DAY_AFTER.match(after)),
            ):
                if first and second:
                    parts = {**first.groupdict(), **second.groupdict()}
                    day = parts["day"] or str(_ORDINALS[parts["ordinal"]])
                    yield from _valid(parts["year"], month, day)


def _valid(year: str, month: int, day: str) -> Iterator[date]:
    """The dates of that spelling, of either century when the year has two digits; none if there are none."""
    number = int(year.lstrip("'"))
    for full in (number,) if len(year) == 4 else (1900 + number, 2000 + number):
        with suppress(ValueError):
            yield date(full, month, int(day))
