"""A worker in the test's own process: a database and a model's URL in, receipts that it works on out."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Table, func, select

from consumers import wiring
from consumers.drain import Drains
from consumers.wiring import Deployment
from infra import schema
from infra import tables as t
from infra.endpoints import Endpoints
from infra.llm import OpenAIModel
from infra.settings import DatabaseSettings, Settings
from pipeline.receive import Record

TOPIC: Final = "receipts.scanned.v1"
RECEIPT: Final = "Corner Books\n88 Mill Road\nDate: 21 Nov 2019\nTotal: 8.99"
_LOOK_SECONDS: Final = 0.05


@dataclass
class Working:
    """What runs, and what a test does with it."""

    deployment: Deployment
    sent: int = 0

    async def send(self, amount: int) -> None:
        """This many receipts, each with a line of its own, as from Kafka."""
        door = wiring.door(self.deployment, ring=lambda lane: None)
        first, self.sent = self.sent, self.sent + amount
        await door.accept([_record(number) for number in range(first, self.sent)])

    async def until_done(self, seconds: float = 30.0) -> None:
        """Until every event has its outcome."""
        async with asyncio.timeout(seconds):
            while await self.count(t.work):  # noqa: ASYNC110 - the database is what is looked at
                await asyncio.sleep(_LOOK_SECONDS)

    async def count(self, table: Table) -> int:
        async with self.deployment.database.read() as connection:
            return int((await connection.execute(select(func.count()).select_from(table))).scalar_one())

    async def rows(self, table: Table) -> list[Any]:
        async with self.deployment.database.read() as connection:
            return list((await connection.execute(select(table))).all())


@asynccontextmanager
async def working(
    url: str, model: str, *, clock: Callable[[], datetime] = wiring.clock, sent: int = 0
) -> AsyncIterator[Working]:
    """Work on the database at `url`, asking the simulator at `model`.

    `clock` is that of the breakers; `sent` is how many receipts the database has got before.
    """
    settings = Settings.model_construct(database=DatabaseSettings(url=url))
    deployment = wiring.deploy(wiring.simulated(settings, model))
    async with AsyncExitStack() as stack:
        stack.push_async_callback(deployment.close)
        await schema.upgrade(deployment.database)
        await wiring.start(deployment)
        asked = OpenAIModel(Endpoints(deployment.settings.models, deployment.store, clock), clock)
        stack.push_async_callback(asked.close)
        drains = Drains(
            catalogue=deployment.catalogue,
            store=deployment.store,
            world=wiring.world(deployment, asked),
            settings=deployment.settings.worker,
            metrics=deployment.metrics,
        )
        looking = asyncio.create_task(drains.keep_looking(_LOOK_SECONDS))
        stack.callback(looking.cancel)
        stack.push_async_callback(drains.stop)
        yield Working(deployment, sent)


def _record(number: int) -> Record:
    value = json.dumps({"text": f"{RECEIPT}\nReceipt {number}"}).encode()
    return Record("test", TOPIC, partition=0, offset=number, key=None, value=value, headers=())
