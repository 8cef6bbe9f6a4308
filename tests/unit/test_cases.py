"""Files of labelled cases: what is read, and what is refused with its line."""

import json
from importlib.resources import files

import pytest

from pipeline.cases import Case, InvalidCasesError, parse
from pipeline.catalogue import Entry, load
from pipeline.comparators import comparators
from pipeline.score import complaints

GOOD = '{"id": "a", "data": {"text": "x"}, "expected": {"total": null}}'


def test_each_line_is_a_case() -> None:
    assert parse(f"\ufeff{GOOD}\r\n\n  \n" + GOOD.replace('"a"', '"b"')) == (
        Case("a", {"text": "x"}, {"total": None}),
        Case("b", {"text": "x"}, {"total": None}),
    )


def test_a_line_separator_inside_a_text_ends_no_line() -> None:
    line = json.dumps(
        {"id": "a", "data": {"text": "one\u2028two\x85three"}, "expected": {}}, ensure_ascii=False
    )

    assert parse(line)[0].data == {"text": "one\u2028two\x85three"}


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        ("{", "is no JSON: Expecting property name enclosed in double quotes at column 2"),
        ("[1]", "is no JSON object"),
        ('{"id": "b", "data": {}}', "'expected' is missing"),
        ('{"id": "b", "data": {}, "expected": {}, "expect": {}}', "'expect' is not known"),
        ('{"id": 1, "data": {}, "expected": {}}', "'id' is no text"),
        ('{"id": " ", "data": {}, "expected": {}}', "'id' is no text"),
        ('{"id": "b", "data": "x", "expected": {}}', "'data' is no object"),
        ('{"id": "b", "data": {}, "expected": []}', "'expected' is no object"),
        ('{"id": "b", "data": {"x": NaN}, "expected": {}}', "NaN is no JSON"),
        ('{"id": "b", "data": {}, "expected": {"x": 1, "x": 2}}', "an object names a field twice"),
        ('{"id": "a", "data": {}, "expected": {}}', "the id 'a' is that of line 1, too"),
        ("[" * 100_000, "is nested too deeply"),
    ],
)
def test_a_bad_line_is_named(bad: str, problem: str) -> None:
    with pytest.raises(InvalidCasesError) as caught:
        parse(f"{GOOD}\n\n{bad}\n{GOOD}")

    assert caught.value.line == 3
    assert str(caught.value).startswith(f"line 3: {problem}")


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_a_file_without_a_case_is_refused(text: str) -> None:
    with pytest.raises(InvalidCasesError, match="there is no case"):
        parse(text)


@pytest.mark.parametrize("entry", load().entries, ids=lambda entry: entry.workflow.name)
def test_our_own_samples_are_cases_whose_labels_can_be_read(entry: Entry) -> None:
    text = files("infra.samples").joinpath(f"{entry.workflow.name}.jsonl").read_text("utf-8")
    fields = comparators(entry.workflow.extraction)

    cases = parse(text)

    assert [complaint for case in cases for complaint in complaints(case.expected, fields)] == []
    assert all(case.expected.keys() == fields.keys() for case in cases)
