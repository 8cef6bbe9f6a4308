"""The exact cache as a worker has it: over HTTP with the simulated model, on both databases."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

import pytest
from prometheus_client.parser import text_string_to_metric_families

from consumers import wiring
from consumers.commands.story import show
from consumers.drain import Drains
from consumers.story import gather
from consumers.wiring import Deployment
from infra import tables as t
from infra.database import Database
from infra.metrics import Metrics
from infra.settings import Settings
from infra.store import SqlStore
from infra.store.read import story
from pipeline.catalogue import Catalogue
from schemas.event import Received
from tests.builders import GUARD, SCRIBE, entry, received
from tests.contract.scenes import LANE, outcomes, rows
from tests.integration.faults import BILLS, SLIP
from tests.integration.recorded import Recorder, at, recording

CACHED: Final = replace(BILLS, cache=timedelta(days=7))


@dataclass
class Worker:
    """A drain on a database, and the server that it calls."""

    deployment: Deployment
    drains: Drains
    server: Recorder

    async def work(self, *events: Received) -> None:
        await self.deployment.store.accept(events)
        await self.drains.answer(LANE)
        async with asyncio.timeout(10):
            while not self.drains.is_idle:  # noqa: ASYNC110 - what it holds ends by itself
                await asyncio.sleep(0.01)

    async def record(self, event: Received) -> Any:
        """What the audit trail says of the decision on the event."""
        (written,) = (await story(self.deployment.database, event.event_id)).audit
        return json.loads(written["canonical"])

    def counted(self, name: str) -> float:
        families = text_string_to_metric_families(self.deployment.metrics.text().decode())
        return sum(one.value for family in families for one in family.samples if one.name == name)


@asynccontextmanager
async def worker(database: Database) -> AsyncIterator[Worker]:
    async with recording() as server:
        settings = Settings(models={"fast": at(server.url), "strong": at(server.url, "simulated-strong")})
        store, metrics = SqlStore(database, SCRIBE), Metrics()
        catalogue = Catalogue((entry(CACHED),))
        deployment = Deployment(settings, catalogue, database, store, SCRIBE, GUARD.key, metrics)
        model = wiring.model(deployment)
        world = wiring.world(deployment, model)
        yield Worker(deployment, Drains(catalogue, store, world, settings.worker, metrics), server)
        await model.close()


def slip(number: int, text: str = SLIP) -> Received:
    return received({"text": text}, id=f"slip-{number}")


async def test_the_second_event_with_a_text_makes_no_call_and_names_the_first_ones(
    database: Database,
) -> None:
    first, second = slip(1), slip(2, SLIP.replace("\n", "\r\n"))
    async with worker(database) as running:
        await running.work(first)
        await running.work(second)

        records = [await running.record(one) for one in (first, second)]
        hits, calls = (running.counted(f"penstock_{name}_total") for name in ("cache_hits", "attempts"))

    assert await outcomes(database) == {first.event_id: "succeeded", second.event_id: "succeeded"}
    assert len(running.server.bodies) == 1
    assert (hits, calls) == (1, 1)
    (made,), (found,) = (record["attempts"] for record in records)
    assert (made["original_id"], found["original_id"]) == (None, made["id"])
    assert found["id"] != made["id"]
    same = ("alias", "model_asked", "model_answered", "response_id", "system_fingerprint", "finish_reason")
    assert [found[name] for name in same] == [made[name] for name in same]
    assert (found["cost_micros"], found["input_tokens"], found["latency_ms"]) == (0, 0, 0)
    assert records[0]["evidence"].keys() == records[1]["evidence"].keys() != set()
    data = [row.data for row in await rows(database, t.result)]
    assert data[0] == data[1]


async def test_event_show_says_that_no_call_was_made(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    async with worker(database) as running:
        await running.work(slip(1))
        await running.work(slip(2))
    made, found = [await gather(database, slip(number).event_id) for number in (1, 2)]

    show(made)
    told_of_the_call = capsys.readouterr().out
    show(found)

    assert "cached" not in told_of_the_call
    assert f"the answer is that of attempt {made['attempts'][0]['id']}\n" in capsys.readouterr().out


async def test_another_text_is_another_call(database: Database) -> None:
    async with worker(database) as running:
        await running.work(slip(1))
        await running.work(slip(2, SLIP.replace("8.99", "9.99")))

        assert len(running.server.bodies) == 2
        assert running.counted("penstock_cache_hits_total") == 0


async def test_events_with_one_text_that_are_in_flight_together_all_call(database: Database) -> None:
    async with worker(database) as running:
        await running.work(*(slip(number) for number in range(3)))
        together = len(running.server.bodies)
        await running.work(slip(3))

    assert together == 3
    assert len(running.server.bodies) == 3
    assert set((await outcomes(database)).values()) == {"succeeded"}
    assert len(await rows(database, t.answer_cache)) == 1
