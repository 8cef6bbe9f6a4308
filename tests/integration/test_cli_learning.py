"""What people decided, put to use: golden cases, measured confidence, training data."""

import json
from pathlib import Path

import pytest

from tests.integration import test_cli
from tests.integration.test_cli import TOPIC, Shell, rows, shell_on
from tests.integration.test_cli_review import RECEIPT, work

pytestmark = test_cli.pytestmark


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with a receipt that was corrected, one that was rejected, and one that waits."""
    shell = shell_on(tmp_path_factory.mktemp("reviewed"))
    assert shell.penstock("db", "upgrade").code == 0
    for id in ("till-1", "till-2", "till-3"):
        event = json.dumps({"text": f"{RECEIPT} {id}"})
        assert shell.penstock("emit", TOPIC, "-", "--id", id, stdin=event).code == 0
    work(shell)
    assert shell.penstock("review", "correct", "till-1", "--set", "date=2019-11-22").code == 0
    assert shell.penstock("review", "reject", "till-2", "--comment", "twice").code == 0
    return shell.folder


@pytest.fixture
def desk(reviewed: Path, tmp_path: Path) -> Shell:
    for file in reviewed.glob("penstock.db*"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return shell_on(tmp_path)


def kinds(desk: Shell) -> list[str]:
    return [kind for (kind,) in rows(desk, "SELECT kind FROM audit_record ORDER BY occurred_at")]


def test_reviews_become_cases_that_an_evaluation_reads(desk: Shell) -> None:
    none = desk.penstock("eval", "receipts", "--from", "reviews")
    added = desk.penstock("eval", "add-from-reviews", "receipts", "--json").json
    again = desk.penstock("eval", "add-from-reviews", "receipts")

    assert (none.code, "add-from-reviews receipts" in none.err) == (3, True)
    assert added == {"workflow": "receipts", "added": 1, "cases": 1}
    assert again.out == "0 added; the golden set of receipts has 1 cases from reviews.\n"
    told = desk.penstock("eval", "receipts", "--from", "reviews", "--json").json
    (case,) = told["report"]["cases"]
    assert (told["cases_from"], case["verdicts"]["date"]) == ("reviews", "wrong")
    assert (kinds(desk).count("labels_added"), kinds(desk).count("labels_read")) == (1, 1)


def test_cases_from_reviews_stand_beside_others_unless_they_are_not_wanted(desk: Shell) -> None:
    desk.penstock("eval", "add-from-reviews", "receipts")

    both = desk.penstock("eval", "receipts", "--json").json
    files = desk.penstock("eval", "receipts", "--from", "files", "--json").json

    assert both["cases_from"] == "Penstock's own samples and 1 reviews"
    assert len(both["report"]["cases"]) == len(files["report"]["cases"]) + 1
    assert kinds(desk).count("labels_read") == 1


def test_a_case_goes_with_the_decision_that_made_it(desk: Shell) -> None:
    desk.penstock("eval", "add-from-reviews", "receipts")

    assert desk.penstock("review", "reject", "till-1", "--comment", "no receipt").code == 0

    assert desk.penstock("eval", "receipts", "--from", "reviews").code == 3
    assert desk.penstock("eval", "add-from-reviews", "nothing").code == 3


def test_quality_says_what_people_found_and_gives_no_number_from_too_few(desk: Shell) -> None:
    told = desk.penstock("review", "quality", "--workflow", "receipts", "--json").json
    ended = desk.penstock("review", "quality", "--workflow", "receipts")

    (receipts,) = told
    assert (receipts["doubted"]["right"], receipts["doubted"]["wrong"]) == (0, 2)
    assert (receipts["doubted"]["separation"], receipts["threshold"]) == ({}, None)
    assert "2 judged, 2 wrong: 100.0% (34.2% to 100.0%)" in ended.out
    assert "Nothing about signals: 0 right and 2 wrong; from 30 of each on there are numbers." in ended.out
    assert "nobody has decided on any" in ended.out
    assert "set audit_share=0.02" in ended.out
    assert max(map(len, ended.out.splitlines())) <= 100
    assert desk.penstock("review", "quality", "--workflow", "nothing").code == 3
    assert len(desk.penstock("review", "quality", "--json").json) == 3
