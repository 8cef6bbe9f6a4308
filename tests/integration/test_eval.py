"""`penstock eval`: labelled cases through the real path and a model over HTTP; scores and regressions."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from infra import samples
from infra.simulator.server import Options, serve
from pipeline import report
from tests.integration.test_cli import Shell, shell_on

#: `main` reads sys.argv, on purpose; Cyclopts takes that for a slip when pytest is there.
pytestmark = pytest.mark.filterwarnings("ignore:Cyclopts application invoked without tokens")

SAMPLES = samples.read("receipts")[:3]


def case(number: int, **changes: Any) -> dict[str, Any]:
    sample = SAMPLES[number]
    return {"id": sample.id, "data": dict(sample.data), "expected": dict(sample.expected), **changes}


def write(path: Path, *cases: Mapping[str, Any]) -> str:
    path.write_text("".join(json.dumps(one) + "\n\n" for one in cases), "utf-8")
    return str(path)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    write(tmp_path / "cases.jsonl", case(0), case(1), case(2))
    return shell_on(tmp_path)


@pytest.mark.parametrize("name", ["receipts", "support", "contracts"])
def test_the_examples_have_cases_of_their_own(shell: Shell, name: samples.Name) -> None:
    ended = shell.penstock("eval", name, "--out", "report.json")

    written = report.read((shell.folder / "report.json").read_text("utf-8"))
    assert ended.code == 0
    assert ended.out.startswith("SIMULATED")
    assert len(written.cases) == len(samples.read(name))
    assert max(map(len, ended.out.splitlines())) <= 100
    assert not list(shell.folder.glob("*.db*"))


def test_each_field_is_scored_and_what_it_took_is_told(shell: Shell) -> None:
    told = shell.penstock("eval", "receipts", "--cases", "cases.jsonl", "--json").json

    summary = told["report"]["summary"]
    assert told["simulated"] is True
    assert [one["id"] for one in told["report"]["cases"]] == [sample.id for sample in SAMPLES]
    assert list(summary["fields"]) == ["company", "date", "address", "total"]
    assert summary["fields"]["company"]["cases"] == 3
    assert (summary["answered"], summary["valid_at_first_share"]) == (3, 1.0)
    assert summary["input_tokens"] > 1_000
    assert summary["grounded_share"] is not None


def test_a_field_that_is_compared_by_meaning_is_not_scored(shell: Shell) -> None:
    told = shell.penstock("eval", "support", "--json").json

    fields = told["report"]["summary"]["fields"]
    assert "order_number" in fields
    assert "asks" not in fields


def test_the_same_again_is_no_regression(shell: Shell) -> None:
    shell.penstock("eval", "receipts", "--out", "report.json")

    ended = shell.penstock("eval", "receipts", "--against", "report.json", "--concurrency", "1")

    assert ended.code == 0
    assert "No regression" in ended.out


def test_a_worse_model_is_a_regression_in_the_field_that_it_spoils(shell: Shell) -> None:
    shell.penstock("eval", "receipts", "--out", "report.json")

    ended = shell.penstock("eval", "receipts", "--against", "report.json", "--model", "fault-not-in-text")

    assert ended.code == 1
    assert "REGRESSION: all together, company (" in ended.out
    assert max(map(len, ended.out.splitlines())) <= 100


def test_an_answer_that_does_not_fit_its_schema_is_asked_for_again_and_counts_as_none(shell: Shell) -> None:
    arguments = ("--cases", "cases.jsonl", "--model", "fault-missing-field", "--json")

    summary = shell.penstock("eval", "receipts", *arguments).json["report"]["summary"]

    assert (summary["answered"], summary["re_asked_share"], summary["reviewed_share"]) == (0, 1.0, 1.0)
    assert summary["valid_at_first_share"] == 0.0


def test_cases_that_no_model_could_be_asked_for_are_left_out(shell: Shell) -> None:
    ended = shell.penstock("eval", "receipts", "--model", "fault-quota", "--out", "report.json")

    assert ended.code == 6
    assert "LEFT OUT     36 cases that no model could be asked for: quota_exhausted" in ended.out
    assert not (shell.folder / "report.json").exists()


@pytest.mark.parametrize("alias", ["nope", "fault-nope", "slow-"])
def test_an_alias_that_there_is_not_is_told_under_the_simulator_too(shell: Shell, alias: str) -> None:
    ended = shell.penstock("eval", "receipts", "--cases", "cases.jsonl", "--model", alias)

    assert (ended.code, ended.out) == (2, "")
    assert f"--model {alias}: no such alias; there are: fast, strong." in ended.err


async def test_configured_models_and_their_prices_count(shell: Shell) -> None:
    async with serve(Options()) as url:
        prices = {"INPUT_PRICE": "1", "OUTPUT_PRICE": "4", "BASE_URL": f"{url}/v1", "API_KEY": "any"}
        variables = {f"PENSTOCK_MODELS__FAST__{name}": value for name, value in prices.items()}
        variables["PENSTOCK_MODELS__FAST__MODEL"] = "simulated-cheap"
        arguments = ("eval", "receipts", "--cases", "cases.jsonl", "--model", "fast", "--json")
        ended = await asyncio.to_thread(shell.penstock, *arguments, **variables)

    summary = ended.json["report"]["summary"]
    assert ended.json["report"]["model"] == "simulated-cheap"
    assert summary["cost_micros"] == summary["input_tokens"] + 4 * summary["output_tokens"]


def test_every_bad_label_is_told_with_its_line_before_a_model_is_paid(shell: Shell) -> None:
    labels = {**SAMPLES[0].expected, "totl": "1.00"}
    file = write(
        shell.folder / "bad.jsonl",
        case(0, expected=labels),
        case(1, data={"txt": ""}),
        case(2, expected={"total": "a lot"}),
    )
    nobody = {f"PENSTOCK_MODELS__{alias}__MODEL": "m" for alias in ("FAST", "STRONG")}

    ended = shell.penstock("eval", "receipts", "--cases", file, "--out", "no/where.json", **nobody)

    assert ended.code == 2
    assert ended.out == ""
    problems = ended.err.splitlines()
    assert problems[0].startswith(f"{file}, line 1: expected totl: no such field")
    assert problems[1].startswith(f"{file}, line 3: does not fit receipts.scanned.v1: text")
    assert problems[2].startswith(f"{file}, line 5: expected total: 'a lot' is no label")
    assert problems[3:] == ["no/where.json: there is no such folder to write to", "No model was asked."]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "there is no case in the file. Write a file with one JSON object per line"),
        ("{", "line 1: is no JSON"),
        ('{"id": "a", "data": {}}', "line 1: 'expected' is missing"),
    ],
)
def test_a_file_that_holds_no_cases_is_told(shell: Shell, content: str, told: str) -> None:
    (shell.folder / "bad.jsonl").write_text(content, "utf-8")

    ended = shell.penstock("eval", "receipts", "--cases", "bad.jsonl")

    assert ended.code == 2
    assert told in ended.err


def test_a_report_that_cannot_be_compared_is_told_before_a_model_is_paid(shell: Shell) -> None:
    shell.penstock("eval", "contracts", "--out", "contracts.json")
    (shell.folder / "none.json").write_text("{}", "utf-8")

    of_another = shell.penstock("eval", "receipts", "--against", "contracts.json")
    none = shell.penstock("eval", "receipts", "--against", "none.json")

    assert (of_another.code, none.code) == (2, 2)
    assert "contracts.json: is a report of contracts, not of receipts" in of_another.err
    assert "contracts.json: has no case of these, by their ids" in of_another.err
    assert "none.json: this is no report" in none.err


def test_the_last_scores_of_a_version_are_kept_where_there_is_a_database(shell: Shell) -> None:
    assert shell.penstock("eval", "receipts", "--cases", "cases.jsonl").code == 0
    assert shell.penstock("db", "upgrade").code == 0
    assert shell.penstock("eval", "receipts", "--no-keep").code == 0
    assert shell.penstock("workflow", "show", "receipts", "--json").json["evaluation"] is None

    told = shell.penstock("eval", "receipts", "--cases", "cases.jsonl", "--json").json

    kept = shell.penstock("workflow", "show", "receipts", "--json").json["evaluation"]
    assert kept["summary"] == told["report"]["summary"]
    assert (kept["simulated"], kept["cases_from"], kept["left_out"]) == (True, "cases.jsonl", 0)
    assert "of fields exact in 3 cases" in shell.penstock("workflow", "show", "receipts").out


def test_a_database_that_is_not_up_to_date_keeps_no_scores_back(shell: Shell) -> None:
    (shell.folder / "penstock.db").touch()

    ended = shell.penstock("eval", "receipts", "--cases", "cases.jsonl", "--from", "files")

    assert ended.code == 0
    assert "The scores are not kept" in ended.err
