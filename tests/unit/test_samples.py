"""The sample documents are complete, well-formed, and say what their labels claim."""

import json
import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from itertools import permutations
from typing import get_args

import pytest

from infra.samples import Malformed, Name, Sample, malformed, read

FIELDS: dict[Name, set[str]] = {
    "receipts": {"company", "date", "address", "total"},
    "support": {
        *("category", "priority", "product", "order_number"),
        *("asks", "sentiment", "refund_amount", "refund_currency"),
    },
    "contracts": {"parties", "jurisdiction", "effective_date", "term"},
}
INPUTS: dict[Name, set[str]] = {
    "receipts": {"text"},
    "support": {"sender", "subject", "body"},
    "contracts": {"text"},
}
TOPICS: dict[str, Name] = {
    "receipts.scanned.v1": "receipts",
    "support.messages.v1": "support",
    "contracts.received.v1": "contracts",
}
AT_LEAST: dict[Name, int] = {"receipts": 32, "support": 32, "contracts": 12}
ALLOWED = {
    "category": {"order", "delivery", "billing", "refund", "technical", "account", "complaint", "other"},
    "priority": {"low", "normal", "high", "urgent"},
    "sentiment": {"positive", "neutral", "negative"},
}
VERBATIM = ("company", "address", "product", "order_number", "jurisdiction")
CURRENCIES = {"EUR": "EUR|€", "GBP": "GBP|£", "USD": "USD", "CHF": "CHF", "JPY": "JPY|¥"}
MONTHS = (
    *("jan|ene", "feb|fév", "mar|mär|maa", "apr|avr|abr", "ma[iy]", "jun|juin", "jul|juil"),
    *("aug|août|ago", "sep", "o[ck]t", "nov", "de[cz]|déc|dic"),
)
NUMBERS = {"1": "one", "2": "two|dos", "3": "three", "4": "four|quatre", "5": "five|fünf", "18": "eighteen"}
UNITS = {"year": "year|Jahr|ans|año", "month": "month"}

SETS: tuple[Name, ...] = get_args(Name)
ALL = [pytest.param(name, sample, id=sample.id) for name in SETS for sample in read(name)]
each_sample = pytest.mark.parametrize(("name", "sample"), ALL)


@pytest.mark.parametrize("name", SETS)
def test_there_are_enough_samples_and_no_text_twice(name: Name) -> None:
    samples = read(name)

    assert len(samples) >= AT_LEAST[name]
    assert len({json.dumps(dict(sample.data)) for sample in samples}) == len(samples)


def test_ids_are_unique_over_all_sets() -> None:
    ids = [sample.id for name in SETS for sample in read(name)] + [entry.id for entry in malformed()]

    assert len(set(ids)) == len(ids)


@each_sample
def test_a_sample_has_exactly_the_fields_of_its_workflow(name: Name, sample: Sample) -> None:
    assert set(sample.data) == INPUTS[name]
    assert all(isinstance(value, str) and value for value in sample.data.values())
    assert set(sample.expected) == FIELDS[name]
    for field, words in ALLOWED.items():
        assert field not in sample.expected or sample.expected[field] in words


@each_sample
def test_a_labelled_text_stands_in_the_document(name: Name, sample: Sample) -> None:
    text = _squeezed(_text(sample))
    parties = sample.expected.get("parties") or []

    assert isinstance(parties, list)
    for value in [*parties, *(_label(sample, field) for field in VERBATIM)]:
        assert value is None or _squeezed(value) in text


@each_sample
def test_a_labelled_date_is_iso_and_stands_in_the_document(name: Name, sample: Sample) -> None:
    label = _label(sample, "date") or _label(sample, "effective_date")

    assert label is None or _says_date(_text(sample), date.fromisoformat(label))


@each_sample
def test_a_labelled_amount_has_two_decimals_and_stands_in_the_document(name: Name, sample: Sample) -> None:
    label = _label(sample, "total") or _label(sample, "refund_amount")

    assert label is None or re.fullmatch(r"\d+\.\d\d", label)
    assert label is None or Decimal(label) in set(_amounts(_text(sample)))


@each_sample
def test_a_labelled_term_stands_in_the_document(name: Name, sample: Sample) -> None:
    label = _label(sample, "term")

    if label is not None:
        match = re.fullmatch(r"(\d+) (year|month)s?", label)
        assert match is not None
        number, unit = match.groups()
        spelled = rf"\b({number}|{NUMBERS.get(number, number)})\b\W*(\({number}\))?\W*({UNITS[unit]})"
        assert re.search(spelled, _text(sample), re.IGNORECASE)


@pytest.mark.parametrize("sample", [pytest.param(sample, id=sample.id) for sample in read("support")])
def test_a_refund_has_an_amount_and_a_currency_or_neither(sample: Sample) -> None:
    currency = _label(sample, "refund_currency")
    asks = _label(sample, "asks")

    assert (currency is None) == (_label(sample, "refund_amount") is None)
    assert currency is None or re.search(CURRENCIES[currency], _text(sample))
    assert asks is not None
    assert len(asks) <= 100


def test_some_labels_are_missing_in_every_set_of_optional_fields() -> None:
    optional = [*VERBATIM, "date", "total", "refund_amount", "effective_date", "term"]
    samples = [sample for name in SETS for sample in read(name)]

    for field in optional:
        values = [sample.expected[field] for sample in samples if field in sample.expected]
        assert None in values
        assert any(values)


@pytest.mark.parametrize("entry", [pytest.param(entry, id=entry.id) for entry in malformed()])
def test_malformed_bytes_are_no_event_of_their_topic(entry: Malformed) -> None:
    assert entry.why
    assert not _is_event(entry.body, INPUTS[TOPICS[entry.topic]])


def test_a_sample_would_not_count_as_malformed() -> None:
    for name in SETS:
        for sample in read(name):
            assert _is_event(json.dumps(dict(sample.data)).encode(), INPUTS[name])


def _is_event(body: bytes, fields: set[str]) -> bool:
    """An independent, coarse reading of "valid": a JSON object whose texts are texts of sane length."""
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_refuse)
        return isinstance(value, dict) and all(len(value[field].encode()) < 300_000 for field in fields)
    except (ValueError, KeyError, AttributeError):  # not JSON or not UTF-8, missing, no text
        return False


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _text(sample: Sample) -> str:
    return "\n".join(sample.data.values())


def _label(sample: Sample, field: str) -> str | None:
    value = sample.expected.get(field)
    assert value is None or isinstance(value, str)
    return value


def _squeezed(text: str) -> str:
    return " ".join(text.split())


def _says_date(text: str, day: date) -> bool:
    """Day, month (number or name) and year next to each other, in any order; OCR may read 1 as l."""
    parts = (
        rf"(?<!\d)0?{day.day}(?:st|nd|rd|th)?(?!\d)",
        rf"(?:(?<!\d)0?{day.month}(?!\d)|(?:{MONTHS[day.month - 1]})\w*)",
        rf"(?<!\d)(?:{day.year}|{day.year % 100:02})(?!\d)",
    )
    between = r"(?:\W|de|of|day|年|月){0,5}?"
    glued = r"(?<=\d)(?=[A-Z])|(?<=[A-Z])(?=\d)"  # 13NOV21
    spaced = re.sub(glued, " ", re.sub(r"(?<=\d)l(?=\d)", "1", text))
    return any(re.search(between.join(order), spaced, re.IGNORECASE) for order in permutations(parts))


def _amounts(text: str) -> Iterator[Decimal]:
    """Every number of the text as money, whatever separates its thousands and decimals."""
    for match in re.finditer(r"\d[\d.,' ]*\d|\d", text):
        for spelled in {match[0], *match[0].split(" ")}:
            whole, decimals = spelled, "00"
            if mark := re.search(r"[.,](\d\d)$", spelled):
                whole, decimals = spelled[: mark.start()], mark[1]
            yield Decimal(f"0{re.sub(r'[^0-9]', '', whole)}.{decimals}")
