"""Each fault over HTTP, through the worker's path: what becomes of the event is what the docs say."""

from pathlib import Path

import pytest

from pipeline.retry import MAX_TRIES
from pipeline.spend import worst_case_micros
from schemas.decision import Outcome
from tests.integration.faults import _HEAD as HEAD
from tests.integration.faults import NOBODY, PRICES, Scenario, run, scenarios

FILE = Path(__file__).resolve().parents[2] / "pipeline" / "FAULTS.md"
SCENARIOS = scenarios()
#: The timeouts of calls that a deadline of 5 minutes has room for.
MAX_TIMEOUTS = 5
#: Four by the ladder: each of two models is asked and asked again.
MAX_ANSWERS = 4


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[scenario.name for scenario in SCENARIOS])
async def test_a_fault_ends_as_the_table_says(scenario: Scenario) -> None:
    """When this fails on purpose: python -m tests.integration.faults > pipeline/FAULTS.md."""
    ran = await run(scenario)

    lines = FILE.read_text("utf-8").splitlines()
    assert [line for line in lines if line.startswith(f"| {scenario.name} |")] == [str(ran.row)]
    assert ran.row.outcome in {"waits", *Outcome}
    assert ran.row.calls <= max(MAX_ANSWERS, MAX_TRIES)
    assert sum(one.failure in ("model_timeout", "deadline") for one in ran.attempts) <= MAX_TIMEOUTS
    if NOBODY not in scenario.fast:
        assert ran.requests == ran.row.calls
    for attempt in ran.attempts:
        limit = 8_000 if attempt.larger else 2_000
        worst = worst_case_micros(len(attempt.request.body), limit, PRICES)
        assert (attempt.cost_micros or 0) <= worst
        assert attempt.cost_micros == worst or not attempt.is_unknown


def test_the_file_holds_these_lines_and_no_others() -> None:
    text = FILE.read_text("utf-8")

    assert text.startswith(HEAD)
    assert [line.split(" | ")[0] for line in text.removeprefix(HEAD).splitlines()] == [
        f"| {scenario.name}" for scenario in SCENARIOS
    ]
    assert len(SCENARIOS) >= 30
