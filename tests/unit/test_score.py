"""Scores: what counts as the same by type, verdicts, a report in figures, and two reports compared."""

import datetime
import json
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from pipeline.catalogue import load
from pipeline.comparators import ByMeaning, comparators
from pipeline.comparison import Comparison, compare_reports, regressions
from pipeline.report import CaseScore, InvalidReportError, Report, read, write
from pipeline.score import Verdict, complaints, score
from schemas import Extraction, Money, Text

R, W, O, I, N = Verdict.RIGHT, Verdict.WRONG, Verdict.OMITTED, Verdict.INVENTED, Verdict.RIGHTLY_NULL  # noqa: E741


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


class Address(BaseModel):
    street: str
    city: Annotated[str | None, Field(max_length=40)]


class Line(BaseModel):
    what: str
    price: Money


class Everything(Extraction):
    name: Annotated[str, Text(100)] | None
    asks: Annotated[str, Text(100), ByMeaning()]
    gist: Annotated[str, ByMeaning()] | None
    total: Money | None
    count: int
    share: float
    paid: bool
    day: datetime.date | None
    moment: datetime.datetime
    colour: Colour | None
    size: Literal["s", "m"]
    parties: Annotated[list[Annotated[str, Text(100)]], Field(max_length=9)]
    amounts: tuple[Decimal, ...]
    address: Address | None
    lines: list[Line] | None
    either: int | str


FIELDS = comparators(Everything)


def test_the_type_of_a_field_says_how_it_is_compared() -> None:
    assert {name: comparator.kind for name, comparator in FIELDS.items()} == {
        "name": "text",
        "asks": "meaning",
        "gist": "meaning",
        "total": "amount",
        "count": "number",
        "share": "number",
        "paid": "choice",
        "day": "date",
        "moment": "moment",
        "colour": "choice",
        "size": "choice",
        "parties": "set of text",
        "amounts": "set of amount",
        "address.street": "text",
        "address.city": "text",
        "lines": "set of record",
        "either": "exact",
    }


@pytest.mark.parametrize(
    ("field", "one", "other"),
    [
        ("name", "ACME,  Inc.", "Acme Inc"),
        ("name", "O'Brien\u2019s", "OBRIENS"),
        ("name", "Stra\u00dfe 5", "STRASSE 5"),
        ("name", "caf\u00e9\u00ad", "cafe\u0301"),
        ("total", "12.5", Decimal("12.50")),
        ("count", 3, "3"),
        ("share", 0.1 + 0.2, 0.3),
        ("paid", True, True),
        ("day", "2024-02-29", datetime.date(2024, 2, 29)),
        ("moment", "2024-02-29T12:00:00+02:00", datetime.datetime(2024, 2, 29, 10, tzinfo=datetime.UTC)),
        ("colour", "red", Colour.RED),
        ("parties", ["Acme, Inc.", "Bolt"], ["BOLT", "acme inc", ""]),
        ("amounts", ["1.0", "2"], (Decimal(2), Decimal(1))),
        ("lines", [{"what": "Tea", "price": "1"}, {"what": "Pie", "price": "2"}],
                  [{"what": "PIE", "price": "2.00"}, {"what": "tea", "price": "1.00"}]),
        ("either", 1, 1),
    ],
)  # fmt: skip
def test_what_means_the_same_is_right(field: str, one: object, other: object) -> None:
    assert score({field: one}, {field: other}, FIELDS) == {field: R}
    assert score({field: other}, {field: one}, FIELDS) == {field: R}


@pytest.mark.parametrize(
    ("field", "one", "other"),
    [
        ("name", "Acme Ltd", "Acme Holdings Ltd"),
        ("name", "Lot 4/2", "Lot 42"),
        ("name", "A+", "A"),
        ("name", "!!", "??"),
        ("total", "12.50", "12.05"),
        ("total", "12.50", "NaN"),
        ("total", "twelve", "twelve"),
        ("count", 1_000_000_001, 1_000_000_002),
        ("share", 0.3, 0.300001),
        ("day", "2024-02-29", "2024-03-01"),
        ("day", "29.2.2024", "29.2.2024"),
        ("moment", "2024-02-29T12:00:00+02:00", "2024-02-29T12:00:00+01:00"),
        ("colour", "red", "Red"),
        ("paid", True, False),
        ("parties", ["Acme", "Acme", "Bolt"], ["Acme", "Bolt", "Bolt"]),
        ("parties", ["Acme", "Bolt"], ["Acme"]),
        ("parties", ["Acme"], "Acme"),
        ("lines", [{"what": "Tea", "price": "1"}], [{"what": "Tea", "price": "2"}]),
        ("either", 1, "1"),
    ],
)
def test_what_means_something_else_is_wrong(field: str, one: object, other: object) -> None:
    assert score({field: one}, {field: other}, FIELDS) == {field: W}


@pytest.mark.parametrize("nothing", [None, "", "  ", [], [None, " "]])
def test_what_says_nothing_is_omitted_invented_or_rightly_null(nothing: object) -> None:
    assert score({"name": "Acme"}, {"name": nothing}, FIELDS) == {"name": O}
    assert score({"name": nothing}, {"name": "Acme"}, FIELDS) == {"name": I}
    assert score({"name": nothing}, {"name": None}, FIELDS) == {"name": N}
    assert score({"name": nothing}, {}, FIELDS) == {"name": N}


def test_zero_and_no_are_something() -> None:
    assert score({"count": 0, "paid": False}, {"count": 0, "paid": None}, FIELDS) == {"count": R, "paid": O}


def test_without_an_answer_all_that_is_labelled_is_omitted() -> None:
    expected = {"name": "Acme", "total": None, "address": {"street": "x", "city": None}}

    assert score(expected, None, FIELDS) == {
        "name": O, "total": N, "address.street": O, "address.city": N,
    }  # fmt: skip


def test_only_labelled_fields_are_scored_and_none_by_meaning() -> None:
    found = {"name": "Acme", "asks": "x", "address": {"street": "High St.", "city": "Ulm"}}

    assert score({"asks": "y", "address": {"city": "ulm"}}, found, FIELDS) == {"address.city": R}
    assert score({"address": None}, found, FIELDS) == {"address.street": I, "address.city": I}
    assert score({"address": None}, {"address": None}, FIELDS) == {"address.street": N, "address.city": N}


def test_labels_that_no_answer_can_agree_with_are_named() -> None:
    labels = {
        "asks": "anything",
        "nam": "Acme",
        "total": "12,50",
        "colour": "blue",
        "parties": "Acme",
        "day": None,
        "address": {"town": "Ulm", "street": "High St."},
    }

    found = complaints(labels, FIELDS)

    assert [complaint.split(":")[0] for complaint in found] == [
        "nam",
        "total",
        "colour",
        "parties",
        "address.town",
    ]
    assert "total: '12,50' is no label of the kind amount: is no amount" in found
    assert "colour: 'blue' is no label of the kind choice: is none of red, green" in found
    assert complaints({"address": "High St."}, FIELDS) == ("address: is an object, label its fields",)
    assert complaints({"address": None, "name": ""}, FIELDS) == ()


def test_the_example_workflows_compare_as_their_types_say() -> None:
    kinds = {
        entry.workflow.name: {name: c.kind for name, c in comparators(entry.workflow.extraction).items()}
        for entry in load().entries
    }

    assert kinds["receipts"] == {"company": "text", "date": "date", "address": "text", "total": "amount"}
    assert kinds["contracts"]["parties"] == "set of text"
    assert kinds["support"]["category"] == "choice"
    assert kinds["support"]["refund_amount"] == "amount"


def _case(id_: str, verdicts: Mapping[str, Verdict], **more: Any) -> CaseScore:
    return CaseScore(**{"id": id_, "verdicts": verdicts, "answered": True, "valid_at_first": True, **more})


def _report(*cases: CaseScore, workflow: str = "receipts") -> Report:
    return Report(workflow=workflow, version="v", model="simulated-fast", cases=cases)


HAND_MADE = _report(
    _case("1", {"company": R, "total": R}, input_tokens=100, output_tokens=10, cost_micros=7, latency_ms=400,
          quoted=2, grounded=2),
    _case("2", {"company": R, "total": W}, input_tokens=200, output_tokens=20, cost_micros=9, latency_ms=100,
          quoted=2, grounded=1, valid_at_first=False, re_asks=1),
    _case("3", {"company": O, "total": N}, latency_ms=300, cost_micros=0, reviewed=True),
    _case("4", {"company": I, "total": R}, latency_ms=200, cost_micros=0),
    _case("5", {"company": O, "total": N}, answered=False, valid_at_first=False, re_asks=2, cost_micros=4),
)  # fmt: skip


def test_a_report_counts_what_one_counts_by_hand() -> None:
    summary = HAND_MADE.summary
    company, total = summary.fields["company"], summary.fields["total"]

    # company: 2 right, 2 omitted, 1 invented; so 2 of 3 answers are right, and 2 of 4 were found.
    assert (company.right, company.wrong, company.omitted, company.invented) == (2, 0, 2, 1)
    assert (company.precision, company.recall) == (2 / 3, 1 / 2)
    assert company.f1 == pytest.approx(4 / 7)
    # total: 2 right, 1 wrong, 2 rightly null, of which one case had no answer.
    assert (total.right, total.wrong, total.rightly_null, total.exact, total.cases) == (2, 1, 2, 3, 5)
    assert (total.precision, total.recall) == (2 / 3, 2 / 3)
    assert total.f1 == pytest.approx(2 / 3)
    # Together: 4 right, 1 wrong, 2 omitted, 1 invented.
    assert (summary.overall.precision, summary.overall.recall) == (4 / 6, 4 / 7)
    assert summary.macro_f1 == pytest.approx((4 / 7 + 2 / 3) / 2)
    assert (summary.cases, summary.answered, summary.exact_documents) == (5, 4, 1)


def test_a_report_says_what_the_answers_took() -> None:
    summary = HAND_MADE.summary

    assert (summary.input_tokens, summary.output_tokens, summary.cost_micros) == (300, 30, 20)
    assert (summary.valid_at_first_share, summary.re_asked_share, summary.reviewed_share) == (0.6, 0.4, 0.2)
    assert summary.grounded_share == 3 / 4
    # 0, 100, 200, 300, 400: the third of five, and the fifth.
    assert (summary.latency_p50_ms, summary.latency_p95_ms) == (200, 400)


def test_where_there_is_nothing_to_share_there_is_no_share() -> None:
    summary = _report().summary

    assert (summary.valid_at_first_share, summary.latency_p95_ms, summary.overall.f1) == (None, None, None)
    assert _report(_case("1", {"total": N})).summary.fields["total"].precision is None
    assert _report(_case("1", {}, cost_micros=1), _case("2", {})).summary.cost_micros is None


def test_a_report_is_read_as_it_was_written() -> None:
    text = write(HAND_MADE)

    assert read(text) == HAND_MADE
    assert json.loads(text)["summary"]["fields"]["company"]["right"] == 2


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "Invalid JSON"),
        ("{}", "workflow: "),
        (
            write(HAND_MADE).replace('"company": "omitted"', '"company": "lost"'),
            "cases.2.verdicts.company: Input",
        ),
        (write(HAND_MADE).replace('"id": "2"', '"id": "1"'), "the case '1' stands in the report twice"),
    ],
)
def test_what_is_no_report_is_refused(text: str, problem: str) -> None:
    with pytest.raises(InvalidReportError, match=f"this is no report: .*{problem}"):
        read(text)


def _of(exact: Sequence[bool], field: str = "total") -> Report:
    return _report(
        *(_case(f"{number:03}", {field: R if is_exact else W}) for number, is_exact in enumerate(exact))
    )


def _compared(baseline: Report, candidate: Report) -> Comparison:
    return compare_reports(baseline, candidate, seed=7, resamples=500)


def test_the_interval_is_that_of_the_bootstrap() -> None:
    # 10 of 100 get worse: resampled, a binomial of 100 and 0.1, whose 2.5 % and 97.5 % points are 5 and 16.
    baseline, candidate = _of([True] * 100), _of([False] * 10 + [True] * 90)

    total = compare_reports(baseline, candidate, seed=1).fields[0]

    assert (total.baseline, total.candidate, total.difference) == (1.0, 0.9, -0.1)
    assert (total.low, total.high) == (-0.16, -0.05)
    assert compare_reports(baseline, candidate, seed=1).fields[0] == total


def test_mcnemar_counts_the_cases_that_only_one_has_right() -> None:
    # Both right in 5, only the baseline in 9, only the candidate in 1, none in 3.
    baseline = _of([True] * 5 + [True] * 9 + [False] + [False] * 3)
    candidate = _of([True] * 5 + [False] * 9 + [True] + [False] * 3)

    found = _compared(baseline, candidate)

    for one in (found.fields[0], found.documents):
        assert (one.better, one.worse, one.count) == (1, 9, 18)
        assert one.p_value == 2 * (1 + 10) / 2**10
        assert one.difference == pytest.approx(-8 / 18)


def test_all_fields_together_are_drawn_by_case() -> None:
    # One of four cases loses two of its fields, one wins one: a draw of four has three of the first and
    # none of the second with 3.1 %, and the other way round, which is where 2.5 % and 97.5 % fall.
    before = _report(*(_case(n, {"a": R, "b": R}) for n in "123"), _case("4", {"a": W, "b": W}))
    after = _report(_case("1", {"a": W, "b": W}), *(_case(n, {"a": R, "b": R}) for n in "23"),
                    _case("4", {"a": R, "b": W}))  # fmt: skip

    found = _compared(before, after)

    assert (found.overall.count, found.overall.difference, found.overall.p_value) == (8, -1 / 8, None)
    assert (found.overall.better, found.overall.worse) == (1, 2)
    assert found.documents.difference == -1 / 4
    assert [one.name for one in found.fields] == ["a", "b"]
    assert (found.overall.low, found.overall.high) == (-6 / 8, 3 / 8)


def test_only_cases_and_labels_of_both_are_paired() -> None:
    before = _report(_case("1", {"a": R, "b": R}), _case("2", {"a": R}), _case("3", {"a": R}))
    after = _report(_case("4", {"a": W}), _case("2", {"a": R, "b": W}), _case("1", {"a": R, "b": W, "c": R}))

    found = _compared(before, after)

    assert (found.cases, found.unpaired) == (2, ("3", "4"))
    assert [(one.name, one.count, one.difference) for one in found.fields] == [("a", 2, 0), ("b", 1, -1)]
    assert found.overall.difference == pytest.approx(-1 / 3)


def test_a_field_that_only_one_report_knows_makes_no_document_worse() -> None:
    before = _report(_case("1", {"a": R}), _case("2", {"a": R}), _case("3", {"b": R}))
    after = _report(_case("1", {"a": R, "new": W}), _case("2", {"a": W, "new": W}), _case("3", {"c": W}))

    found = _compared(before, after).documents

    assert (found.count, found.baseline, found.candidate, found.worse) == (2, 1.0, 0.5, 1)


def test_a_case_without_an_answer_loses_what_was_rightly_null() -> None:
    before = _report(_case("1", {"total": N}))
    after = _report(_case("1", {"total": N}, answered=False))

    assert _compared(before, after).fields[0].difference == -1


def test_reports_that_cannot_be_paired_are_refused() -> None:
    with pytest.raises(InvalidReportError, match="one report is of receipts, the other of support"):
        _compared(HAND_MADE, _report(workflow="support"))
    with pytest.raises(InvalidReportError, match="no labelled case in common"):
        _compared(HAND_MADE, _report(_case("9", {"total": R})))


def test_a_field_regresses_when_it_is_worse_and_may_have_lost_more_than_the_margin() -> None:
    much = _compared(_of([True] * 100), _of([False] * 10 + [True] * 90))
    little = _compared(_of([True] * 1000), _of([False] * 3 + [True] * 997))
    even = _compared(_of([True] * 5 + [False] * 5), _of([False] * 5 + [True] * 5))

    assert [one.name for one in regressions(much)] == ["overall", "total"]
    assert regressions(much, margin=0.5) == ()
    assert regressions(little) == ()
    assert even.overall.low < -0.02
    assert regressions(even) == ()


VERDICTS = st.dictionaries(st.sampled_from("abc"), st.sampled_from(Verdict), min_size=1)
CASES = st.builds(
    CaseScore,
    id=st.text(max_size=3),
    verdicts=VERDICTS,
    answered=st.booleans(),
    valid_at_first=st.booleans(),
    latency_ms=st.integers(0, 9),
)
REPORTS = st.lists(CASES, min_size=1, max_size=8, unique_by=lambda case: case.id).map(
    lambda cases: _report(*cases)
)


@given(REPORTS, st.integers())
def test_a_report_against_itself_has_no_difference_and_no_regression(report: Report, seed: int) -> None:
    found = compare_reports(report, report, seed=seed, resamples=40)

    for one in (found.overall, found.documents, *found.fields):
        assert (one.difference, one.low, one.high, one.better, one.worse) == (0, 0, 0, 0, 0)
    assert regressions(found, margin=0) == ()


@given(REPORTS, REPORTS, st.randoms(use_true_random=False))
def test_the_order_of_the_cases_means_nothing(one: Report, other: Report, random: Any) -> None:
    shuffled = [_report(*random.sample(report.cases, len(report.cases))) for report in (one, other)]

    assert [report.summary for report in shuffled] == [one.summary, other.summary]
    if {case.id for case in one.cases} & {case.id for case in other.cases}:
        try:
            found = compare_reports(one, other, seed=1, resamples=40)
        except InvalidReportError:
            return
        assert compare_reports(*shuffled, seed=1, resamples=40) == found


@given(REPORTS)
def test_a_written_report_is_read_again_and_its_figures_are_consistent(report: Report) -> None:
    assert read(write(report)) == report
    for field in (*report.summary.fields.values(), report.summary.overall):
        counts = (field.right, field.wrong, field.omitted, field.invented, field.rightly_null)
        assert sum(counts) == field.cases >= field.exact
        if field.f1 is not None and field.precision and field.recall:
            assert math.isclose(field.f1, 2 / (1 / field.precision + 1 / field.recall))


@given(st.lists(st.text(max_size=5), max_size=5), st.randoms(use_true_random=False))
def test_lists_are_compared_in_any_order(parties: list[str], random: Any) -> None:
    found = score({"parties": parties}, {"parties": random.sample(parties, len(parties))}, FIELDS)

    assert found["parties"] in (R, N)


@given(st.text(max_size=20), st.text(max_size=20))
def test_the_normal_form_of_a_text_is_its_own(one: str, other: str) -> None:
    normal = FIELDS["name"].normal
    assert normal is not None

    assert normal(normal(one)) == normal(one)
    assert FIELDS["name"].same(one, other) == FIELDS["name"].same(other, one)
