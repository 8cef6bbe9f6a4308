"""`python -m infra.bench.audited`: what the audit trail costs the worker, side by side in one run.

In: `--database` (a PostgreSQL server's URL; SQLite in a temporary folder unless given). 32 events are in work
at once, from claim to commit, as in a worker, with an answer that comes at once. Every other round the
changesets are stripped of their audit records and of the messages that carry them. Out: events per second
of both, and their ratio: medians of the rounds.
"""

import argparse
import asyncio
import random
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from pydantic import SecretStr

from infra import schema
from infra.batch import Batcher
from infra.bench.audit import database_for
from infra.bench.documents import documents
from infra.endpoints import Endpoints, Unshared
from infra.journal import BatchedJournal
from infra.ledger import StoredLedger
from infra.llm import OpenAIModel
from infra.model_settings import name_of
from infra.settings import EndpointSettings, ModelSettings
from infra.simulator.server import Options, serve
from infra.store import SqlStore
from pipeline import catalogue
from pipeline.assemble import Ticket, assemble
from pipeline.assess import Guard
from pipeline.case import World
from pipeline.catalogue import Entry
from pipeline.claim import Claimed
from pipeline.extract import Ask
from pipeline.ports import Written
from pipeline.process import process
from pipeline.publish import AUDIT_TOPIC
from pipeline.receive import Stamp, plain, received
from schemas.changeset import Actor, Changeset, Scribe

_WRITERS: Final = 32
_EVENTS: Final = 640
_ROUNDS: Final = 6
_AIM: Final = 0.8
_STAMP: Final = Stamp(secret=b"bench", salt=bytes(16))
_GUARD: Final = Guard(b"the secret of the benchmark", frozenset())
_SCRIBE: Final = Scribe(Actor("service", "bench"), release="0", max_message_bytes=1_000_000)


@dataclass
class _Instant(OpenAIModel):
    """The worker's model, but for the network: it always gives the one answer."""

    answer: bytes = b""

    async def _send(self, endpoint: str, body: bytes, settings: EndpointSettings) -> tuple[int, bytes]:
        return 200, self.answer


@dataclass(frozen=True)
class Worker:
    """Events in, committed decisions out, `_WRITERS` of them at a time."""

    entry: Entry
    store: SqlStore
    world: World
    text: str

    async def round(self, number: int, *, audited: bool) -> float:
        """Events per second of one round."""
        await self._accept(number)
        commits: Batcher[Changeset, Written] = Batcher(
            self.store.commit if audited else self._unaudited, limit=32, linger_seconds=0.005
        )
        lane = self.entry.workflow.name
        began = time.perf_counter()
        while claims := await self.store.claim(lane, limit=_WRITERS):
            await asyncio.gather(*(self._decide(claim, commits) for claim in claims))
        return _EVENTS / (time.perf_counter() - began)

    async def _accept(self, number: int) -> None:
        events = [
            received(
                plain({"text": self.text}, source="bench", id=f"{number}-{one}", type="receipt.scanned"),
                self.entry,
                stamp=_STAMP,
            )
            for one in range(_EVENTS)
        ]
        for first in range(0, _EVENTS, 100):
            await self.store.accept(events[first : first + 100])

    async def _decide(self, claim: Claimed, commits: Batcher[Changeset, Written]) -> None:
        end = await process(claim, self.entry, self.world)
        if not isinstance(end, Changeset):
            raise RuntimeError("an event that had a good answer was not decided")
        await commits.submit(end)

    async def _unaudited(self, changesets: Sequence[Changeset]) -> list[Written]:
        return await self.store.commit([_stripped(changeset) for changeset in changesets])


def _stripped(changeset: Changeset) -> Changeset:
    messages = tuple(message for message in changeset.outbox if message.topic != AUDIT_TOPIC)
    return replace(changeset, audit=(), outbox=messages)


async def _answered(entry: Entry, text: str) -> tuple[Endpoints, bytes]:
    """What the simulated model answers to this text, and where it would have been asked."""
    async with serve(Options()) as url:
        settings = ModelSettings(base_url=f"{url}/v1", model="simulated-fast", api_key=SecretStr("simulated"))
        endpoints = Endpoints(dict.fromkeys(entry.workflow.models, settings), Unshared(), _now)
        model = OpenAIModel(endpoints, _now)
        event = received(plain({"text": text}, source="bench", id="0", type="scan"), entry, stamp=_STAMP)
        claimed = Claimed(event, token=event.event_id, revision=1, accepted_at=_now())
        ask = Ask("fast", name_of(settings))
        timeout = timedelta(minutes=1)
        call = assemble(claimed, entry, text, ask, step=0, key=_GUARD.key, timeout=timeout)
        attempt = await model.ask(model.prepare(call), Ticket(ask.endpoint))
        await model.close()
    return endpoints, attempt.response


async def _measure(server: str | None) -> None:
    entry, text = catalogue.load().by_name["receipts"], documents("receipts", None)[1][0].text
    endpoints, answer = await _answered(entry, text)
    async with database_for(server) as database:
        await schema.upgrade(database)
        store = SqlStore(database, _SCRIBE)
        model = _Instant(endpoints, _now, answer=answer)
        journal, ledger = BatchedJournal(store), StoredLedger(store)
        world = World(model, journal, ledger, _SCRIBE, clock=_now, jitter=random.random, guard=_GUARD)
        worker = Worker(entry, store, world, text)
        await worker.round(-1, audited=True)  # warms up
        with_, without = [], []
        for number in range(_ROUNDS):
            with_.append(await worker.round(2 * number, audited=True))
            without.append(await worker.round(2 * number + 1, audited=False))
    audited, bare = statistics.median(with_), statistics.median(without)
    sys.stdout.write(
        f"{_WRITERS} events at once, {database.dialect}: {audited:.0f} events/s with the audit trail, "
        f"{bare:.0f} without: {audited / bare:.0%}\naim: {_AIM:.0%}: "
        f"{'met' if audited >= _AIM * bare else 'MISSED'}\n"
    )


def _now() -> datetime:
    return datetime.now(UTC)


def main() -> int:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--database", metavar="URL", help="a PostgreSQL server; a database is made on it")
    asyncio.run(_measure(parser.parse_args().database))
    return 0


if __name__ == "__main__":
    sys.exit(main())
