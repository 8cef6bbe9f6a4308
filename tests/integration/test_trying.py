"""`penstock workflow try`: one event through the real path and a model over HTTP, without a database."""

import json
from pathlib import Path

import pytest

from infra import samples
from tests.integration.test_cli import Shell, shell_on

#: `main` reads sys.argv, on purpose; Cyclopts takes that for a slip when pytest is there.
pytestmark = pytest.mark.filterwarnings("ignore:Cyclopts application invoked without tokens")

RECEIPT = json.dumps(dict(samples.read("receipts")[0].data))

FAULTY = '''
"""A workflow whose policy has a bug."""

from typing import Annotated

from pipeline import Workflow
from schemas import Answer, Decision, Event, Extraction, Text, accept


class Note(Event):
    text: Annotated[str, Text(100)]


class Facts(Extraction):
    city: Annotated[str, Text(100)] | None


def policy(note: Note, answer: Answer[Facts]) -> Decision:
    cities = {}
    return cities["Oban"]


workflow = Workflow(
    name="notes", consumes="notes.v1", produces="facts.v1", event=Note, extraction=Facts,
    text=lambda note: note.text, prompt="Find the city.", models=("fast",), policy=policy,
)
WORKFLOWS = (workflow,)
'''


BY_RULES = FAULTY.replace('return cities["Oban"]', "return accept()").replace(
    "policy=policy,",
    'policy=policy, on_failure="degraded", fallback=lambda note: Facts(city=note.text.title()),',
)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    (tmp_path / "receipt.json").write_text(RECEIPT, "utf-8")
    return shell_on(tmp_path)


def test_it_shows_the_prompt_the_answer_its_evidence_the_checks_and_the_decision(shell: Shell) -> None:
    ended = shell.penstock("workflow", "try", "receipts", "receipt.json")

    assert ended.code == 0
    assert "SIMULATED" in ended.out
    assert "You read the text of one scanned receipt" in ended.out
    assert "    | The Harbour Lantern Cafe" in ended.out
    assert '  company = "The Harbour Lantern Cafe"\n    evidence: exact, characters 0 to 24' in ended.out
    assert "not_in_the_future: holds" in ended.out
    assert "Outcome: succeeded" in ended.out
    assert "simulated-fast" in ended.out


def test_it_needs_no_database_and_leaves_none(shell: Shell) -> None:
    shell.penstock("workflow", "try", "receipts", "receipt.json")

    assert [path.name for path in shell.folder.iterdir()] == ["receipt.json"]


def test_all_of_it_is_there_as_json(shell: Shell) -> None:
    told = shell.penstock("workflow", "try", "receipts", "-", "--json", stdin=RECEIPT).json

    (attempt,) = told["attempts"]
    assert told["outcome"] == "succeeded"
    assert told["simulated"] is True
    assert told["data"]["total"] == "11.95"
    assert [one["path"] for one in told["values"]] == ["company", "date", "address", "total"]
    assert told["checks"] == [{"name": "not_in_the_future", "complaint": None}]
    assert [message["role"] for message in attempt["request"]["messages"]] == ["system", "user"]
    assert json.loads(attempt["answer"])["total"]["value"] == "11.95"
    assert attempt["usage"]["input_tokens"] > 0


def test_a_cloud_event_is_taken_out_of_its_envelope(shell: Shell) -> None:
    event = {"specversion": "1.0", "id": "1", "source": "till", "type": "scan", "data": json.loads(RECEIPT)}

    ended = shell.penstock("workflow", "try", "receipts", "-", stdin=json.dumps(event))

    assert ended.code == 0
    assert '"The Harbour Lantern Cafe"' in ended.out


def test_a_re_ask_shows_what_the_model_was_told_to_mend(shell: Shell) -> None:
    ended = shell.penstock("workflow", "try", "receipts", "receipt.json", "--model", "fault-missing-field")

    assert ended.code == 0
    assert "Call 2: fault-missing-field" in ended.out
    assert "system, as before\n  user, as before" in ended.out
    assert "| - company: Field required" in ended.out
    assert "Outcome: needs_review" in ended.out


def test_a_text_that_no_model_should_read_is_refused_without_a_call(shell: Shell) -> None:
    told = shell.penstock("workflow", "try", "receipts", "-", "--json", stdin='{"text": " "}').json

    assert told["outcome"] == "refused_input"
    assert told["attempts"] == []


def test_a_bug_in_the_workflow_is_dead_and_shown_with_its_traceback(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = shell.folder / "notes_with_a_bug"
    package.mkdir()
    (package / "__init__.py").write_text(FAULTY, "utf-8")
    monkeypatch.syspath_prepend(shell.folder)

    ended = shell.penstock(
        "workflow", "try", "notes", "-", stdin='{"text": "Oban"}', PENSTOCK_WORKFLOWS="notes_with_a_bug"
    )

    assert ended.code == 1
    assert "Outcome: dead" in ended.out
    assert 'return cities["Oban"]' in ended.err
    assert "KeyError" in ended.err


def test_what_the_workflows_own_rules_answer_is_shown(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    package = shell.folder / "notes_with_rules"
    package.mkdir()
    (package / "__init__.py").write_text(BY_RULES, "utf-8")
    monkeypatch.syspath_prepend(shell.folder)
    arguments = ("workflow", "try", "notes", "-", "--model", "fault-400")

    ended = shell.penstock(*arguments, stdin='{"text": "oban"}', PENSTOCK_WORKFLOWS="notes_with_rules")

    assert ended.code == 0
    assert "Outcome: degraded\n  because The model's server calls the request wrong" in ended.out
    assert '  city = "Oban"\n' in ended.out


def test_a_model_that_cannot_be_asked_leaves_it_undecided(shell: Shell) -> None:
    ended = shell.penstock("workflow", "try", "receipts", "receipt.json", "--model", "fault-401")

    assert ended.code == 6
    assert "Undecided: it would wait, and be tried again (model_misconfigured)" in ended.out


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("receipts", "none.json"), 3, "none.json: No such file"),
        (("nothing", "receipt.json"), 3, "no workflow 'nothing'"),
        (("support", "receipt.json"), 2, "receipt.json: does not fit support.messages.v1: sender"),
        (("receipts", "receipt.json", "--model", "big"), 2, "--model big: no such alias; there are: fast"),
    ],
)
def test_what_is_wrong_is_told(shell: Shell, arguments: tuple[str, ...], code: int, told: str) -> None:
    variables = {"PENSTOCK_MODELS__FAST__MODEL": "m", "PENSTOCK_MODELS__STRONG__MODEL": "n"}

    ended = shell.penstock("workflow", "try", *arguments, **variables)

    assert ended.code == code
    assert told in ended.err
