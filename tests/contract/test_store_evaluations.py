"""Scores of evaluations: for each version the last one, as they were counted."""

from collections.abc import AsyncIterator
from dataclasses import fields, replace

import pytest

from infra import database as databases
from infra.database import Database
from infra.store import evaluations
from infra.store.evaluations import Evaluation
from pipeline.report import CaseScore, Report
from pipeline.score import Verdict

CASES = (
    CaseScore(
        id="a",
        verdicts={"total": Verdict.RIGHT, "city": Verdict.INVENTED},
        answered=True,
        valid_at_first=True,
    ),
    CaseScore(
        id="b",
        verdicts={"total": Verdict.WRONG, "city": Verdict.OMITTED},
        answered=True,
        valid_at_first=False,
    ),
)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = databases.connect(database_url, pool_size=2)
    yield database
    await database.close()


def evaluated(version: str = "1" * 64, cases: int = 2, workflow: str = "notes") -> Evaluation:
    report = Report(workflow=workflow, version=version, model="m", cases=CASES[:cases])
    return Evaluation(
        workflow=workflow,
        version=version,
        model="m",
        cases_from="cases.jsonl",
        simulated=True,
        left_out=1,
        evaluated_by="os:ada@desk",
        summary=report.summary,
    )


async def test_the_last_evaluation_of_each_version_is_kept_as_it_was(database: Database) -> None:
    for one in (evaluated(cases=1), evaluated("2" * 64), evaluated(workflow="other"), evaluated()):
        await evaluations.keep(database, one)

    newest, older = await evaluations.of_workflow(database, "notes")

    assert {one.name: getattr(newest, one.name) for one in fields(Evaluation)} == {
        one.name: getattr(evaluated(), one.name) for one in fields(Evaluation)
    }
    assert list(newest.summary.fields) == ["total", "city"]
    assert older.version == "2" * 64
    assert newest.evaluated_at >= older.evaluated_at


async def test_a_workflow_that_nobody_evaluated_has_none(database: Database) -> None:
    await evaluations.keep(database, replace(evaluated(), workflow="other"))

    assert await evaluations.of_workflow(database, "notes") == []
