"""A value is found where its quote stands and says it; whatever else the model claims is caught."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from pydantic import create_model

from pipeline.dates import dates
from pipeline.ground import ground, ungrounded
from pipeline.locate import locate
from pipeline.marks import Kind
from pipeline.normalise import normalise
from pipeline.numerals import numbers
from pipeline.support import says
from schemas import Extraction, Money, Text
from schemas.evidence import Evidence, Grounding, Verdict

TEXT = """ACME\u00a0HOLDINGS  Ltd.
12 March 2018

Goods   \u201cas seen\u201d \u2013 no returns accepted after thirty days of purchase
Subtotal 112.50
TOTAL EUR 12.50
Paid 12.50
"""


class Receipt(Extraction):
    company: Annotated[str, Text(100), Evidence()] | None
    date: Annotated[date | None, Evidence(otherwise="null")]
    total: Annotated[Money, Evidence()] | None


def grounding(value: Any, quote: str, text: str = TEXT, *, mark: Any = None) -> Grounding:
    """What one value rests on."""
    plain = {Decimal: Money, date: date, int: int, float: float, str: Annotated[str, Text(200)]}
    field: Any = mark or Annotated[plain[type(value)], Evidence()]
    extraction = create_model("Asked", __base__=Extraction, found=(field, ...))
    return ground(extraction.model_validate({"found": value}), {"found": quote}, text=text)[1].found


@pytest.mark.parametrize(
    ("quote", "verdict", "stretch"),
    [
        ("TOTAL EUR 12.50", Verdict.EXACT, "TOTAL EUR 12.50"),
        ("  TOTAL EUR 12.50\n", Verdict.EXACT, "TOTAL EUR 12.50"),
        ("total eur 12.50", Verdict.NORMALISED, "TOTAL EUR 12.50"),
        ("total\u00ad\neur\u00a012.50", Verdict.NORMALISED, "TOTAL EUR 12.50"),
        ("12.50", Verdict.AMBIGUOUS, "12.50"),
        ("12.50 was to be paid", Verdict.NOT_FOUND, None),
        ("", Verdict.NOT_FOUND, None),
    ],
)
def test_a_quote_is_found_as_it_is_or_normalised(quote: str, verdict: Verdict, stretch: str | None) -> None:
    found = grounding(Decimal("12.50"), quote)

    assert found.verdict is verdict
    assert (None if found.start is None else TEXT[found.start : found.end]) == stretch


def test_a_long_quote_with_slips_is_found() -> None:
    quote = 'Goods "as sccn" - no retums accepted after thirty days of purchase'

    found = locate(quote, normalise(TEXT))

    assert found is not None
    assert found.verdict is Verdict.FUZZY
    assert found.score >= 91
    assert TEXT[slice(*found.spans[0])].startswith("Goods   \u201cas seen\u201d \u2013 no returns")


def test_a_short_quote_with_a_slip_is_not_found() -> None:
    assert locate("TOTAL EUP 12.50", normalise(TEXT)) is None


def test_a_quote_that_grows_when_it_is_normalised_is_found_only_as_it_is() -> None:
    text = normalise("\u00bd" * 250)

    assert locate("\u00bd" * 200, text) is not None
    assert locate("\u00bd" * 160 + "x", text) is not None
    assert locate("\u00bd" * 200 + "x", text) is None


def test_the_value_is_read_from_the_text_and_not_from_the_quote() -> None:
    text = "Thank you for your purchase. The total amount that is due is EUR 270.30 in all, thank you."
    quote = "The total amount that is due is EUR 370.30 in all"

    assert grounding(Decimal("370.30"), quote, text).verdict is Verdict.CONTRADICTED
    assert grounding(Decimal("270.30"), quote, text).verdict is Verdict.FUZZY


def test_a_part_of_a_number_proves_nothing() -> None:
    assert grounding(Decimal("12.50"), "12.50", "Subtotal 112.50").verdict is Verdict.CONTRADICTED
    assert grounding(Decimal("112.5"), "12.50", "Subtotal 112.50").found
    assert grounding(Decimal("12"), "12", "of 2012").verdict is Verdict.CONTRADICTED


@pytest.mark.parametrize(
    ("text", "quote", "said", "unsaid"),
    [
        ("Refund -$12.50", "12.50", "-12.50", "12.50"),
        ("Refund -EUR 12.50", "12.50", "-12.50", "12.50"),
        ("Refund \u201312.50 EUR", "12.50", "-12.50", "12.50"),
        ("Refund \u2212\u20ac12.50", "12.50", "-12.50", "12.50"),
        ("Worth $1.2 million in all", "$1.2", "1200000", "1.2"),
        ("Wert: 3\u00a0Mio. Euro", "3", "3000000", "3"),
        ("Rent: 12\u00bd EUR", "12", "12.5", "12"),
        ("Rent: 12 \u00bd EUR", "12", "12.5", "12"),
        ("Paid 100\u00b9 EUR", "100", "100", "1001"),
        ("From $5-$12.50", "12.50", "12.50", "-12.50"),
        ("Pages 10\u201312.50", "12.50", "12.50", "-12.50"),
        ("Paid 3 EUR", "3", "3", "-3"),
    ],
)
def test_sign_and_scale_belong_to_a_number_quoted_or_not(
    text: str, quote: str, said: str, unsaid: str
) -> None:
    assert grounding(Decimal(said), quote, text).found
    assert grounding(Decimal(unsaid), quote, text).verdict is Verdict.CONTRADICTED


def test_a_contradiction_shows_the_place() -> None:
    found = grounding(Decimal("12.51"), "TOTAL EUR 12.50")

    assert found.verdict is Verdict.CONTRADICTED
    assert TEXT[found.start : found.end] == "TOTAL EUR 12.50"
    assert not found.found


def test_of_several_places_the_one_that_says_the_value_is_taken() -> None:
    text = "Total: 1.00\nTotal: 2.00"

    found = grounding(Decimal("2.00"), "Total:", text.replace(": ", ":"))

    assert found.verdict is Verdict.AMBIGUOUS
    assert found.start == len("Total:1.00\n")


def receipt(**found: Any) -> Receipt:
    return Receipt.model_validate({"company": None, "date": None, "total": None, **found})


def test_an_ungrounded_value_becomes_null_or_a_doubt_as_its_mark_says() -> None:
    value = receipt(company="Acme Ltd", date="2018-03-13", total="12.50")
    quotes = {"company": "ACME HOLDINGS Ltd.", "date": "12 March 2018", "total": "TOTAL EUR 12.50"}

    checked, evidence = ground(value, quotes, text=TEXT)

    assert checked == receipt(company="Acme Ltd", total="12.50")
    assert evidence.date.verdict is Verdict.CONTRADICTED
    assert [one.path for one in ungrounded(Receipt, evidence)] == ["company"]
    assert evidence.total.found


def test_a_null_needs_no_quote() -> None:
    checked, evidence = ground(receipt(), {}, text=TEXT)

    assert checked == receipt()
    assert {evidence[path].verdict for path in evidence} == {Verdict.ABSENT}
    assert ungrounded(Receipt, evidence) == ()


def test_a_value_without_a_quote_is_not_found() -> None:
    evidence = ground(receipt(total="12.50"), {}, text=TEXT)[1]

    assert evidence.total.verdict is Verdict.NOT_FOUND


class Parties(Extraction):
    names: Annotated[list[Annotated[str, Text(50)]] | None, Evidence(otherwise="null")]


@pytest.mark.parametrize(
    ("names", "kept", "verdict"),
    [
        (["Acme Holdings Ltd", "Acme"], True, Verdict.NORMALISED),
        (["Acme Holdings Ltd", "Baker"], False, Verdict.CONTRADICTED),
        ([], False, Verdict.ABSENT),
        (None, False, Verdict.ABSENT),
    ],
)
def test_a_list_is_kept_only_as_a_whole(names: list[str] | None, verdict: Verdict, *, kept: bool) -> None:
    quotes = {f"names[{place}]": "Acme Holdings Ltd." for place in range(2)}

    checked, evidence = ground(Parties(names=names), quotes, text=TEXT)

    assert checked.names == (names if kept else None)
    assert evidence.names.verdict is verdict


def test_an_extraction_without_marks_has_no_evidence() -> None:
    class Plain(Extraction):
        city: Annotated[str, Text(20)]

    value, evidence = ground(Plain(city="Oban"), {}, text=TEXT)

    assert (value.city, len(evidence)) == ("Oban", 0)


AMOUNTS: Mapping[str, tuple[set[str], set[str]]] = {
    "RM51.30": ({"51.30"}, {"1.30", "5130"}),
    "1,234.50": ({"1234.5"}, {"234.50", "1.23450"}),
    "1.234,50": ({"1234.5"}, {"1.2345", "234.50"}),
    "1 234,50 \u20ac": ({"1234.5"}, {"1234"}),
    "1\u202f234,50": ({"1234.5"}, set()),
    "CHF 1'234.50": ({"1234.5"}, {"234.5"}),
    "Rs 1,23,456.00": ({"123456"}, {"23456"}),
    "1.234": ({"1234"}, {"1.234"}),
    "1,234,567.89": ({"1234567.89"}, set()),
    "0.459": ({"0.459"}, {"459"}),
    "only $.50": ({"0.5"}, {"50"}),
    "12,-": ({"12"}, {"-12"}),
    "\uff11\uff12.50": ({"12.5"}, set()),
    "1.2 million": ({"1200000"}, {"1.2"}),
    "3 Mio. Euro": ({"3000000"}, {"3"}),
    "$1.2M": ({"1200000"}, {"1.2"}),
    "\u00a312k": ({"12000"}, {"12"}),
    "12.50 m": ({"12.5"}, {"12500000"}),
    "12\u20ac50": ({"12.5"}, {"12", "50"}),
    "12 hundred": ({"1200"}, {"12"}),
    "Rs 1.5 lakh": ({"150000"}, {"1.5"}),
    "-12.50": ({"-12.5"}, {"12.5"}),
    "\u221212.50": ({"-12.5"}, {"12.5"}),
    "-$12.50": ({"-12.5"}, {"12.5"}),
    "EUR -5,00": ({"-5"}, {"5"}),
    "(12.50)": ({"12.5", "-12.5"}, set()),
    "12.50-": ({"12.5", "-12.5"}, set()),
    "10-12.50": ({"10", "12.5"}, {"-12.5"}),
    "on 12.05.2018": (set(), {"12.05", "5.2018"}),
    "12\u00bd": ({"12.5"}, {"12", "121", "2"}),
    "12 \u00bd": ({"12.5"}, {"12", "1", "2"}),
    "\u20ac\u00bd": ({"0.5"}, {"1", "2", "5"}),
    "1\u215b": ({"1.125"}, {"1125", "1", "8"}),
    "1\u00bd million": ({"1500000"}, {"1.5", "2000000"}),
    "5\u2153": (set(), {"5", "51", "3"}),
    "100\u00b9": ({"100"}, {"1001"}),
    "12 m\u00b2": ({"12"}, {"2"}),
    "75\u2460": ({"75"}, {"751"}),
    "none": (set(), {"0"}),
}


@pytest.mark.parametrize("stretch", AMOUNTS)
def test_amounts_are_read_as_people_write_them(stretch: str) -> None:
    said, unsaid = AMOUNTS[stretch]

    found = numbers(stretch, money=True)

    assert found >= {Decimal(one) for one in said}
    assert not found & {Decimal(one) for one in unsaid}


def test_a_plain_number_has_both_readings_and_words() -> None:
    assert numbers("1.234 kg") >= {Decimal("1.234"), Decimal(1234)}
    assert Decimal(3) in numbers("drei Pakete")
    assert grounding(3, "three parcels", "We sent three parcels.").found
    assert grounding(2.5, "2,5 kg", "Gewicht: 2,5 kg").found
    assert not grounding(4, "three parcels", "We sent three parcels.").found


NUMBERS: Mapping[str, tuple[set[int], set[int]]] = {
    "Thirty-six months": ({36}, {30, 6}),
    "twenty one days": ({21}, {20, 1}),
    "one hundred days": ({100}, {1}),
    "zwei Millionen": ({2_000_000}, {2}),
    "ninety (90) days": ({90}, set()),
    "two for one": ({2, 1}, {21}),
    "5 k": ({5}, {5_000}),
}


@pytest.mark.parametrize("stretch", NUMBERS)
def test_numbers_are_read_as_words_too(stretch: str) -> None:
    said, unsaid = NUMBERS[stretch]

    found = numbers(stretch)

    assert found >= {Decimal(one) for one in said}
    assert not found & {Decimal(one) for one in unsaid}


DATES: Mapping[str, str] = {
    "2018-03-04": "2018-03-04",
    "2018/3/4": "2018-03-04",
    "20180304": "2018-03-04",
    "04/03/2018": "2018-03-04",
    "03/04/2018": "2018-03-04",
    "4.3.18": "2018-03-04",
    "04-03-'18": "2018-03-04",
    "04 03 2018": "2018-03-04",
    "REG #2- 04/03/2018 22:43": "2018-03-04",
    "04 MAR 18": "2018-03-04",
    "04MAR2018": "2018-03-04",
    "March 4, 2018": "2018-03-04",
    "Mar. 4th 2018": "2018-03-04",
    "this 4th day of March, 2018": "2018-03-04",
    "the twenty-first day of March 2018": "2018-03-21",
    "4. M\u00e4rz 2018": "2018-03-04",
    "4. J\u00e4nner 2018": "2018-01-04",
    "1er ao\u00fbt 2018": "2018-08-01",
    "4 de diciembre de 2018": "2018-12-04",
    "1\u00ba de mayo del 2018": "2018-05-01",
    "2018-MAR-04": "2018-03-04",
    "2018\u5e743\u67084\u65e5": "2018-03-04",
    "4 March 2018\u00b9": "2018-03-04",
    "99-03-04": "1999-03-04",
}


@pytest.mark.parametrize("stretch", DATES)
def test_dates_are_read_as_people_write_them(stretch: str) -> None:
    assert date.fromisoformat(DATES[stretch]) in dates(stretch)


@pytest.mark.parametrize(
    "stretch", ["March 2018", "4 March", "31/02/2018", "1204/03/20181", "may 20 14:30", ""]
)
def test_what_is_no_date_says_none(stretch: str) -> None:
    assert dates(stretch) == set()


NAMES: list[tuple[str, str, bool]] = [
    ("Acme Ltd", "between Acme Ltd. (\u201cAcme\u201d) and", True),
    ("Acme Ltd", "between Acme Holdings Ltd. and", False),
    ("Acme Holdings Ltd", "between Acme Ltd. and", False),
    ("Ltd Acme", "between Acme Ltd. and", False),
    ("Acme LLC", "between Acme Ltd. and", False),
    ("South Carolina", "the laws of North Carolina", False),
    ("North Carolina", "the laws of the State of\nNORTH CAROLINA", True),
    ("Liquidmetal Technologies Inc.", "LIQUIDMETAI TECHNOLOGIES, INC.", True),
    ("Fiat S.p.A.", "la Fiat SpA di Torino", True),
    ("Smith & Wesson", "Smith and Wesson", True),
    ("M\u00fcller GmbH", "MULLER GMBH", True),
    ("A-20418", "order A-20417", False),
    ("A-20417", "order A 20417", True),
    ("2041", "order A-20417", False),
    ("3 years", "a period of three (3) years from", True),
    ("4 years", "a period of three (3) years from", False),
    ("2 years", "f\u00fcr die Dauer von zwei Jahren", True),
    ("\u682a\u5f0f\u4f1a\u793e", "\u5f53\u793e\u306f\u682a\u5f0f\u4f1a\u793e\u3067\u3059", True),
    ("\u20ac", "12 \u20ac", True),
    ("\u20ac", "12 $", False),
    ("", "anything", False),
]  # fmt: skip


@pytest.mark.parametrize(("value", "stretch", "said"), NAMES)
def test_a_name_is_the_same_words_in_the_same_order(value: str, stretch: str, *, said: bool) -> None:
    assert says(stretch, value, Kind.NAME, {}) is said


class Reason(StrEnum):
    REFUND = "refund"
    LATE_DELIVERY = "late_delivery"
    OTHER = "other"


WORDS = {"refund": ("money back", "\u21a9"), "other": ()}


@pytest.mark.parametrize(
    ("value", "stretch", "words", "said"),
    [
        (Reason.REFUND, "I want to be refunded", {}, True),
        (Reason.REFUND, "I want my money back", {}, False),
        (Reason.REFUND, "I want my money back", WORDS, True),
        (Reason.REFUND, "I want my \u21a9", WORDS, True),
        (Reason.REFUND, "I want a refund", WORDS, False),
        (Reason.LATE_DELIVERY, "It was delivered in March", {}, True),
        (Reason.LATE_DELIVERY, "It was lately", {}, False),
        (Reason.OTHER, "Hello", WORDS, True),
        (Reason.OTHER, "Hello", {}, False),
        ("refund", "refunds, please", {}, True),
    ],
)
def test_a_word_is_said_in_any_of_its_forms(
    value: Any, stretch: str, words: Mapping[str, tuple[str, ...]], *, said: bool
) -> None:
    assert says(stretch, value, Kind.WORD, words) is said


@pytest.mark.parametrize(
    ("value", "stretch", "found"),
    [
        ("credit_card", "by credit card", True),
        ("credit_card", "by gift card", False),
        ("debit_card", "by credit card", False),
        ("debit_card", "was debited", True),
        ("card", "by card", True),
        ("cash", "in cash", True),
    ],
)
def test_a_word_that_several_values_have_says_none_of_them(value: str, stretch: str, *, found: bool) -> None:
    mark = Annotated[Literal["credit_card", "debit_card", "card", "cash"], Evidence()]

    assert grounding(value, stretch, f"I paid {stretch}.", mark=mark).found is found


def test_words_can_stand_for_a_code() -> None:
    mark = Annotated[str, Text(3), Evidence(words={"EUR": ("\u20ac", "euros")})]

    assert grounding("EUR", "12 \u20ac", "It cost 12 \u20ac.", mark=mark).found
    assert not grounding("USD", "12 \u20ac", "It cost 12 \u20ac.", mark=mark).found
