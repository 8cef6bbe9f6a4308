"""How labels and answers are spelled alike, compared and counted; where the labelled documents come from."""

from collections.abc import Callable
from pathlib import Path

import pytest

from infra.bench import comparison
from infra.bench.comparison import Value, Verdict
from infra.bench.documents import documents

ALIKE: list[tuple[Callable[[str], str], str, str]] = [
    (comparison.text, "NO 290. JALAN  AIR\nPANAS.", "No 290, Jalan Air Panas"),
    (comparison.name, "ORRERY INSTRUMENTS, INC.", "Orrery Instruments Inc"),
    (comparison.name, "Ashcombe Partners IV, L.P.", "Ashcombe Partners IV LP"),
    (comparison.name, "BESI JAYA SDN. BHD.", "Besi Jaya Sdn Bhd"),
    (comparison.jurisdiction, "the State of New York", "New York"),
    (comparison.jurisdiction, "Commonwealth of Virginia", "VIRGINIA"),
    (comparison.iso_date, "12/02/2018", "2018-02-12"),
    (comparison.iso_date, "12/25/2018", "2018-12-25"),
    (comparison.iso_date, "5-6-18", "2018-06-05"),
    (comparison.iso_date, "2018/06/05", "2018-06-05"),
    (comparison.iso_date, "24 MAR 2018", "2018-03-24"),
    (comparison.iso_date, "24-AUG-18", "2018-08-24"),
    (comparison.iso_date, "OCT 3, 2016", "2016-10-03"),
    (comparison.iso_date, "24032018", "2018-03-24"),
    (comparison.amount, "RM 1,234.50", "1234.5"),
    (comparison.amount, "1.234,50 EUR", "1234.50"),
    (comparison.amount, "$8", "8.00"),
    (comparison.amount, "-$8.20", "-8.2"),
    (comparison.term, "three (3) years", "3 years"),
    (comparison.term, "one year", "1 year"),
    (comparison.term, "twenty-four (24) months", "24 months"),
    (comparison.term, "2-year", "2 years"),
]


@pytest.mark.parametrize(("spell", "one", "other"), ALIKE)
def test_two_spellings_of_one_thing_are_alike(spell: Callable[[str], str], one: str, other: str) -> None:
    assert spell(one) == spell(other)


DIFFERENT: list[tuple[Callable[[str], str], str, str]] = [
    (comparison.name, "Orrery Instruments", "Orrery Instruments Inc."),
    (comparison.iso_date, "31/02/2018", "2018-02-28"),
    (comparison.iso_date, "2018-02-12", "2018-12-02"),
    (comparison.amount, "12.50", "12.05"),
    (comparison.amount, "none", "0"),
    (comparison.term, "12 months", "1 year"),
    (comparison.term, "two years", "three years"),
    (comparison.term, "some years", "many years"),
]


@pytest.mark.parametrize(("spell", "one", "other"), DIFFERENT)
def test_two_things_are_not_alike(spell: Callable[[str], str], one: str, other: str) -> None:
    assert spell(one) != spell(other)


VERDICTS: list[tuple[Value, Value, Verdict]] = [
    ("Acme", "ACME", Verdict.RIGHT),
    (None, None, Verdict.RIGHT),
    ([], None, Verdict.RIGHT),
    ("Acme", "Apex", Verdict.WRONG),
    ("Acme", None, Verdict.OMITTED),
    ("Acme", " ", Verdict.OMITTED),
    (None, "Acme", Verdict.INVENTED),
    (["Acme, Inc.", "Jo Apex"], ["JO APEX", "Acme Inc"], Verdict.RIGHT),
    (["Acme", "Apex"], ["Acme"], Verdict.WRONG),
]


@pytest.mark.parametrize(("expected", "answered", "verdict"), VERDICTS)
def test_an_answer_gets_its_verdict(expected: Value, answered: Value, verdict: Verdict) -> None:
    assert comparison.judge(comparison.name, expected, answered) is verdict


def test_verdicts_are_counted_by_field_and_a_document_without_an_answer_counts() -> None:
    scores = comparison.score(
        {"company": comparison.name, "total": comparison.amount},
        [
            ({"company": "Acme", "total": "5"}, {"company": "ACME", "total": "5.00"}),
            ({"company": "Apex", "total": "7"}, {"company": "Acme", "total": None}),
            ({"company": "Apex"}, {}),
        ],
    )

    assert scores["company"].verdicts == {Verdict.RIGHT: 1, Verdict.WRONG: 1, Verdict.OMITTED: 1}
    assert scores["total"].exact_percent == pytest.approx(200 / 3)
    assert scores["total"].documents == 3


def test_labels_of_a_file_are_read_lists_and_single_values_alike(tmp_path: Path) -> None:
    file = tmp_path / "ndas.jsonl"
    file.write_text('{"id": "1", "text": "t", "expected": {"party": ["A", "B"], "term": ["2 years"]}}\n\n')

    origin, (one,) = documents("contracts", file)

    assert origin == str(file)
    assert (one.text, one.expected) == ("t", {"parties": ["A", "B"], "term": "2 years"})


def test_a_line_that_is_no_labelled_document_is_named(tmp_path: Path) -> None:
    file = tmp_path / "receipts.jsonl"
    file.write_text('{"id": "1", "text": "t", "expected": {}}\n{"id": "2"}\n')

    with pytest.raises(ValueError, match="line 2"):
        documents("receipts", file)


def test_without_the_public_set_our_own_samples_are_taken_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENSTOCK_SHARED", str(tmp_path))

    origin, found = documents("receipts", None)

    assert origin.startswith("infra/samples, because there is no ")
    assert len(found) >= 30
