"""What people decided, put to use: golden cases, measured confidence, training data."""

import json
from pathlib import Path

import pytest

from pipeline.sample import SAMPLED as SAMPLE_REASON
from tests.integration import test_cli
from tests.integration.test_cli import RESULTS, TOPIC, Shell, rows, shell_on
from tests.integration.test_cli_review import RECEIPT, work

pytestmark = test_cli.pytestmark

COMPLETE = "Corner Books\n88 Mill Road\nDate: 21 Nov 2019\nTotal: 12.50\nPlease come again"


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Receipts that were corrected and rejected, one that waits, and one approved though it succeeded."""
    shell = shell_on(tmp_path_factory.mktemp("reviewed"))
    assert shell.penstock("db", "upgrade").code == 0
    for id, text in (("till-1", RECEIPT), ("till-2", RECEIPT), ("till-3", RECEIPT), ("till-4", COMPLETE)):
        event = json.dumps({"text": f"{text} {id}"})
        assert shell.penstock("emit", TOPIC, "-", "--id", id, stdin=event).code == 0
    work(shell)
    assert shell.penstock("review", "correct", "till-1", "--set", "date=2019-11-22").code == 0
    assert shell.penstock("review", "reject", "till-2", "--comment", "twice").code == 0
    assert shell.penstock("review", "approve", "till-4").code == 0
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
    assert added == {"workflow": "receipts", "added": 2, "cases": 2}
    assert again.out == "0 added; the golden set of receipts has 2 cases from reviews.\n"
    told = desk.penstock("eval", "receipts", "--from", "reviews", "--json").json
    dates = sorted(case["verdicts"]["date"] for case in told["report"]["cases"])
    assert (told["cases_from"], dates) == ("reviews", ["right", "wrong"])
    assert (kinds(desk).count("labels_added"), kinds(desk).count("labels_read")) == (1, 1)


def test_cases_from_reviews_stand_beside_others_unless_they_are_not_wanted(desk: Shell) -> None:
    desk.penstock("eval", "add-from-reviews", "receipts")

    both = desk.penstock("eval", "receipts", "--json").json
    files = desk.penstock("eval", "receipts", "--from", "files", "--json").json

    assert both["cases_from"] == "Penstock's own samples and 2 reviews"
    assert len(both["report"]["cases"]) == len(files["report"]["cases"]) + 2
    assert kinds(desk).count("labels_read") == 1


def test_a_case_goes_with_the_decision_that_made_it(desk: Shell) -> None:
    desk.penstock("eval", "add-from-reviews", "receipts")

    assert desk.penstock("review", "reject", "till-1", "--comment", "no receipt").code == 0

    told = desk.penstock("eval", "receipts", "--from", "reviews", "--json").json
    assert len(told["report"]["cases"]) == 1
    assert desk.penstock("eval", "add-from-reviews", "nothing").code == 3


def test_cases_whose_text_is_gone_or_does_not_fit_any_more_are_counted_apart(desk: Shell) -> None:
    desk.penstock("eval", "add-from-reviews", "receipts")
    its_text = "WHERE id = (SELECT content_id FROM event WHERE source_id = '{}')"
    rows(desk, f"DELETE FROM content {its_text.format('till-1')}")
    rows(desk, f"UPDATE content SET data = CAST('{{}}' AS BLOB) {its_text.format('till-4')}")

    evaluated = desk.penstock("eval", "receipts", "--from", "reviews")
    exported = desk.penstock("export", "training", "receipts")

    assert evaluated.code == 3
    assert "1 cases from reviews are gone: their texts were erased or pruned." in evaluated.err
    assert "1 cases from reviews do not fit today's schemas." in evaluated.err
    assert (exported.code, exported.out) == (0, "")
    assert "1 left out: their texts were erased or pruned." in exported.err
    assert "1 left out: a case that does not fit today's schemas." in exported.err


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


def test_training_data_holds_what_models_are_sent_and_each_reading_is_on_record(desk: Shell) -> None:
    assert desk.penstock("export", "training", "receipts").code == 3
    desk.penstock("eval", "add-from-reviews", "receipts")

    ended = desk.penstock("export", "training", "receipts", "--out", "train.jsonl")

    (line,) = (desk.folder / "train.jsonl").read_text("utf-8").splitlines()
    system, user, assistant = json.loads(line)["messages"]
    assert [one["role"] for one in (system, user, assistant)] == ["system", "user", "assistant"]
    assert f"\n{COMPLETE} till-4\n<<<END OF DOCUMENT" in user["content"]
    answer = json.loads(assistant["content"])
    assert answer["total"] == {"quote": "12.50", "value": "12.50"}
    assert "1 cases written to train.jsonl." in ended.err
    assert "1 left out: a case that has a value without a quote that states it." in ended.err
    assert (desk.folder / "train.jsonl").stat().st_mode & 0o077 == 0
    ((event_id,),) = rows(desk, "SELECT event_id FROM audit_record WHERE kind = 'payload_read'")
    assert event_id == desk.penstock("review", "show", "till-4", "--json").json["event_id"].replace("-", "")
    sent = "SELECT data FROM content WHERE id IN (SELECT skeleton_id FROM attempt)"
    assert json.dumps(system["content"], ensure_ascii=False).encode() in rows(desk, sent)[0][0]
    assert desk.penstock("export", "training", "receipts").out == f"{line}\n"
    assert desk.penstock("audit", "verify", "--json").json["ok"]


SAMPLED = """
from dataclasses import replace

from pipeline.workflows import receipts

WORKFLOWS = (replace(receipts.workflow, prompt="Read the receipt.", audit_share=1.0),)
"""


def test_a_sampled_event_is_published_waits_for_a_person_and_measures_what_nobody_doubted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sampled_receipts.py").write_text(SAMPLED)
    monkeypatch.syspath_prepend(tmp_path)
    variables = {**shell_on(tmp_path).variables, "PENSTOCK_WORKFLOWS": "sampled_receipts"}
    shell = Shell(tmp_path, variables)
    shell.penstock("db", "upgrade")
    for id in ("till-1", "till-2"):
        event = json.dumps({"text": f"{COMPLETE} {id}"})
        assert shell.penstock("emit", TOPIC, "-", "--id", id, stdin=event).code == 0
    work(shell, workflows=("sampled_receipts",))

    items = shell.penstock("review", "list", "--json").json["items"]
    before = shell.penstock("tail", RESULTS, "--from-beginning").out
    assert shell.penstock("review", "approve", "till-1").code == 0
    work(shell, workflows=("sampled_receipts",))

    assert [(one["sampled"], one["reasons"]) for one in items] == [(True, [SAMPLE_REASON])] * 2
    assert len(before.splitlines()) == 2
    assert shell.penstock("tail", RESULTS, "--from-beginning").out == before
    (told,) = shell.penstock("review", "quality", "--json").json
    assert (told["sampled"]["right"], told["doubted"]["right"], told["sample_waiting"]) == (1, 0, 1)
    assert "drawn at random" in shell.penstock("audit", "explain", "till-1").out
    assert "revision 1, drawn at random" in shell.penstock("event", "show", "till-2").out
    assert "100.0% of what succeeds" in shell.penstock("workflow", "show", "receipts").out
    assert shell.penstock("stats").code == 0
    assert shell.penstock("audit", "verify", "--json").json["ok"]
