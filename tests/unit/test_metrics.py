"""What a process counts, and what it reads from SQL, as a scrape sees it over HTTP."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import get_args

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from infra import database as databases
from infra import schema
from infra.database import Database
from infra.health import Ready, serve_health
from infra.metrics import MetricName, Metrics
from infra.metrics_sql import SqlMetrics
from infra.store import SqlStore
from pipeline.claim import Release
from pipeline.ports import Written
from pipeline.spend import Caps, Rate
from schemas.decision import Outcome
from schemas.extraction import Charge
from tests.builders import SCRIBE, attempt, received

SPEND = "penstock_spend_micros"

Samples = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


def samples(text: str) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(found: Samples, name: str, **labels: str) -> float | None:
    return found.get((name, frozenset(labels.items())))


async def ready() -> str | None:
    return None


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Scraped:
    """A window that is open; `get` gives the status and the text."""

    url: str
    session: aiohttp.ClientSession = field(repr=False)

    async def get(self, path: str) -> tuple[int, str]:
        async with self.session.get(self.url + path) as response:
            return response.status, await response.text()


async def look(path: str, check: Ready = ready, counts: SqlMetrics | None = None) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession() as session,
        serve_health("127.0.0.1", 0, metrics=Metrics(), counts=counts, ready=check) as url,
    ):
        return await Scraped(url, session).get(path)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    connected = databases.connect(f"sqlite:///{tmp_path}/penstock.db")
    await schema.upgrade(connected)
    yield connected
    await connected.close()


def test_attempts_are_counted_by_alias_and_reason_with_their_tokens() -> None:
    metrics = Metrics()

    metrics.attempt(attempt())
    metrics.attempt(attempt("model_timeout", alias="strong"))

    found = samples(metrics.text().decode())
    assert value(found, "penstock_attempts_total", alias="fast", failure="") == 1
    assert value(found, "penstock_attempts_total", alias="strong", failure="model_timeout") == 1
    assert value(found, "penstock_attempt_seconds_sum", alias="fast") == 0.25
    assert value(found, "penstock_tokens_total", alias="fast", direction="input") == 100
    assert value(found, "penstock_tokens_total", alias="fast", direction="output") == 20


def test_what_a_process_does_is_counted() -> None:
    metrics = Metrics()

    metrics.committed(Written.BURIED)
    metrics.bell_rung()
    metrics.bell_failed()
    metrics.answered(202)
    metrics.published("notes.facts.v1", 3)
    metrics.slots_in_use(7)

    found = samples(metrics.text().decode())
    assert value(found, "penstock_commits_total", fate="buried") == 1
    assert value(found, "penstock_commits_total", fate="committed") == 0
    assert value(found, "penstock_bells_total", result="rung") == 1
    assert value(found, "penstock_bells_total", result="failed") == 1
    assert value(found, "penstock_http_answers_total", status="202") == 1
    assert value(found, "penstock_messages_published_total", topic="notes.facts.v1") == 3
    assert value(found, "penstock_slots_in_flight") == 7


def test_two_processes_in_one_do_not_share_numbers() -> None:
    first, second = Metrics(), Metrics()

    first.slots_in_use(7)

    assert value(samples(second.text().decode()), "penstock_slots_in_flight") == 0


async def test_a_scrape_holds_every_metric_and_no_other(database: Database) -> None:
    metrics = Metrics()
    metrics.attempt(attempt())
    metrics.answered(202)
    metrics.endpoint_used("m@here")
    metrics.published("notes.facts.v1")

    text = metrics.text() + await SqlMetrics(database, workflows=["notes"]).text()

    typed = {line.split()[2] for line in text.decode().splitlines() if line.startswith("# TYPE")}
    created = {name for name in typed if name.endswith("_created")}
    assert {name for name in typed - created if name.startswith("penstock_")} == set(get_args(MetricName))


async def test_counts_come_from_sql_with_zeros_from_the_start(database: Database) -> None:
    store = SqlStore(database, SCRIBE)
    await store.accept([received(id="a"), received(id="b"), received(id="a")])

    found = samples((await SqlMetrics(database, workflows=["notes", "idle"]).text()).decode())

    assert value(found, "penstock_database_up") == 1
    assert value(found, "penstock_events_accepted_total", workflow="notes") == 2
    assert value(found, "penstock_duplicates_total", workflow="notes") == 1
    assert value(found, "penstock_events_in_flight", workflow="notes") == 2
    assert value(found, "penstock_events_due", workflow="notes") == 2
    assert value(found, "penstock_events_unaccounted", workflow="notes") == 0
    assert value(found, "penstock_events_accepted_total", workflow="idle") == 0
    assert value(found, "penstock_outbox_unpublished") == 0
    assert value(found, "penstock_audit_unsealed") == 0
    assert value(found, "penstock_audit_lag_seconds") == 0
    for outcome in Outcome:
        assert value(found, "penstock_events_outcome", workflow="idle", outcome=outcome.value) == 0


async def test_money_is_told_by_workflow_and_in_total_but_not_by_source(database: Database) -> None:
    store = SqlStore(database, SCRIBE, caps=Caps(total=250))
    await store.accept([received(id="a"), received(id="b")])
    for claim in await store.claim("notes", limit=2, rate=Rate(100)):
        await store.release([Release(claim, timedelta(0), "cancelled", charge=Charge(70))])

    found = samples((await SqlMetrics(database, workflows=["notes", "idle"]).text()).decode())

    money = {dict(labels)["scope"]: micros for (name, labels), micros in found.items() if name == SPEND}
    assert money == {"total": 140, "workflow:notes": 140, "workflow:idle": 0}
    assert value(found, "penstock_spend_cap_micros", scope="total") == 250
    assert value(found, "penstock_spend_cap_micros", scope="workflow:notes") is None
    assert value(found, "penstock_calls_lost") == 0


async def test_counts_are_read_again_after_two_seconds(database: Database) -> None:
    clock = Clock()
    counts = SqlMetrics(database, clock=clock)
    first = await counts.text()
    await SqlStore(database, SCRIBE).accept([received()])

    clock.now = 1.9
    second = await counts.text()
    clock.now = 2.0
    third = await counts.text()

    assert first == second
    assert value(samples(third.decode()), "penstock_events_accepted_total", workflow="notes") == 1


async def test_a_database_without_tables_does_not_fail_the_scrape(tmp_path: Path) -> None:
    empty = databases.connect(f"sqlite:///{tmp_path}/empty.db")

    status, text = await look("/metrics", counts=SqlMetrics(empty))
    await empty.close()

    assert status == 200
    assert value(samples(text), "penstock_database_up") == 0
    assert value(samples(text), "penstock_slots_in_flight") == 0
    assert "penstock_events_accepted_total" not in text


async def test_a_database_that_is_away_does_not_fail_the_scrape() -> None:
    away = databases.connect("postgresql+psycopg://penstock@127.0.0.1:1/penstock")

    status, text = await look("/metrics", counts=SqlMetrics(away))
    await away.close()

    assert status == 200
    assert value(samples(text), "penstock_database_up") == 0


async def test_health_says_that_the_loop_turns() -> None:
    assert await look("/healthz") == (200, '{"status": "ok"}')


async def test_readiness_is_200_or_503_with_its_reason() -> None:
    async def waiting() -> str | None:
        return "no partitions yet"

    async def failing() -> str | None:
        raise RuntimeError("an event's text")

    assert await look("/readyz") == (200, '{"status": "ready"}')
    assert await look("/readyz", waiting) == (503, '{"status": "not ready", "reason": "no partitions yet"}')
    status, text = await look("/readyz", failing)
    assert (status, "RuntimeError" in text, "an event's text" in text) == (503, True, False)


async def test_a_check_that_hangs_is_not_ready() -> None:
    async def hanging() -> str | None:
        await asyncio.sleep(3_600)
        return None

    status, text = await look("/readyz", hanging)

    assert status == 503
    assert "longer than 2 s" in text
