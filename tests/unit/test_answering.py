"""A change of the model that answers at an endpoint is told once, and counted each time."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import structlog.testing
from prometheus_client.parser import text_string_to_metric_families

from infra.answering import Answering
from infra.metrics import Metrics
from pipeline.errors import StoreUnavailable
from schemas.extraction import Attempt
from tests.builders import attempt

HERE, THERE = "gpt@here", "gpt@there"


def answer(model: str | None, endpoint: str = HERE, failure: str | None = None) -> Attempt:
    return replace(attempt(failure, endpoint=endpoint), model_asked="gpt", model_answered=model)


async def changes(before: str | None, *attempts: Attempt) -> tuple[Sequence[tuple[str, str, str]], float]:
    """What is told of these attempts, after what the database has recorded; how many changes are counted."""

    async def recorded(endpoint: str, workflow: str) -> str | None:
        assert (endpoint in (HERE, THERE), workflow) == (True, "notes")
        if before == "away":
            raise StoreUnavailable
        return before

    answering = Answering(Metrics(), recorded)
    with structlog.testing.capture_logs() as lines:
        for one in attempts:
            await answering.recall(one.endpoint, workflow="notes")
            answering.note(one)
    told = [(line["endpoint"], line["before"], line["after"]) for line in lines]
    assert {(line["event"], line["log_level"]) for line in lines} <= {("model.changed", "warning")}
    return told, counted(answering.metrics)


def counted(metrics: Metrics) -> float:
    """The sum over the endpoints; each begins at zero."""
    return sum(
        sample.value
        for family in text_string_to_metric_families(metrics.text().decode())
        for sample in family.samples
        if sample.name == "penstock_model_changes_total"
    )


@pytest.mark.parametrize(
    ("before", "attempts"),
    [
        (None, []),
        (None, [answer("gpt-1")]),  # not what was asked, as usual
        (None, [answer("gpt-1"), answer("gpt-1")]),
        ("gpt-1", [answer("gpt-1")]),
        ("away", [answer("gpt-2"), answer("gpt-2")]),
        (None, [answer("gpt-1"), answer("gpt-2", THERE), answer("gpt-1")]),
        (None, [answer("gpt-1"), answer("gpt-2", failure="unusable_output"), answer(None), answer("gpt-1")]),
    ],
)
async def test_where_the_same_model_answers_nothing_is_told(
    before: str | None, attempts: Sequence[Attempt]
) -> None:
    assert await changes(before, *attempts) == ([], 0)


async def test_another_model_than_before_is_told_once() -> None:
    found = await changes(None, answer("gpt-1"), answer("gpt-2"), answer("gpt-2"))

    assert found == ([(HERE, "gpt-1", "gpt-2")], 1)


async def test_a_change_while_nobody_looked_is_told_at_the_first_answer() -> None:
    assert await changes("gpt-1", answer("gpt-2")) == ([(HERE, "gpt-1", "gpt-2")], 1)


async def test_a_change_to_and_fro_is_counted_each_time_and_told_once() -> None:
    found = await changes("gpt-1", *[answer("gpt-2"), answer("gpt-1")] * 5)

    assert found == ([(HERE, "gpt-1", "gpt-2"), (HERE, "gpt-2", "gpt-1")], 10)


async def test_a_gateway_that_invents_a_name_for_each_answer_does_not_flood_the_log() -> None:
    told, number = await changes(None, *(answer(f"gpt-{one}") for one in range(501)))

    assert (len(told), number) == (100, 500)


async def test_the_database_is_asked_once_for_each_endpoint() -> None:
    asked = []

    async def recorded(endpoint: str, workflow: str) -> str | None:
        asked.append(endpoint)
        return None

    answering = Answering(Metrics(), recorded)
    for endpoint in (HERE, THERE, HERE):
        await answering.recall(endpoint, workflow="notes")

    assert asked == [HERE, THERE]
