"""The real path with a simulated model behind HTTP, without database and topics: documents in, ends out."""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal
from uuid import uuid4

from pydantic import SecretStr

from infra.endpoints import Endpoints, Unshared
from infra.ledger import NoLedger
from infra.llm import OpenAIModel
from infra.settings import ModelSettings
from infra.simulator.server import Options, serve
from pipeline.assess import Guard
from pipeline.case import World
from pipeline.catalogue import Entry, load
from pipeline.claim import Claimed, Release
from pipeline.process import process
from pipeline.receive import Stamp, plain, received
from schemas.changeset import Actor, Changeset, Scribe
from schemas.event import Received
from schemas.extraction import Attempt
from tests.injection.corpus import Payload, Twin

SECRET: Final = "pl4nted0" * 4  # an API key of ours, which no answer may hold
GUARD: Final = Guard(key=b"a key of sixteen bytes or more", secrets=frozenset({SECRET}))
CATALOGUE: Final = load()

_NOW: Final = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
_STAMP: Final = Stamp(secret=b"secret of the tests", salt=bytes(range(16)))
_SCRIBE: Final = Scribe(Actor("service", "worker"), release="0.0.0", max_message_bytes=1_000_000)
_AT_ONCE: Final = 16


@dataclass(frozen=True, slots=True)
class End:
    """What an event came to, or the wait that it would have had, and the calls on the way."""

    end: Changeset | Release
    attempts: tuple[Attempt, ...]

    @property
    def changeset(self) -> Changeset:
        assert isinstance(self.end, Changeset), self.end
        return self.end


def ends(
    documents: Iterable[Payload | Twin],
    model: str,
    gold: Mapping[str, Mapping[str, Any]],
    *,
    suspicious: Literal["review", "note"] = "review",
) -> dict[str, End]:
    """What becomes of each document, by id, when `model` answers under both aliases.

    `gold` holds answers by text, for the models that take some. `suspicious` is the workflows' own
    choice: with "note" nothing becomes of what the screening sees.
    """
    entries = {
        entry.workflow.name: replace(entry, workflow=replace(entry.workflow, suspicious=suspicious))
        for entry in CATALOGUE.entries
    }
    pairs = [(document, entries[document.workflow.name]) for document in documents]
    return asyncio.run(_ends(pairs, model, gold))


async def _ends(
    pairs: list[tuple[Payload | Twin, Entry]], model: str, gold: Mapping[str, Mapping[str, Any]]
) -> dict[str, End]:
    gate = asyncio.Semaphore(_AT_ONCE)
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.writelines(json.dumps({"text": text, "answer": gold[text]}) + "\n" for text in gold)
        file.flush()
        async with _model(Options(gold=Path(file.name)), model) as port:
            found = await asyncio.gather(*(_end(*pair, port, gate) for pair in pairs))
    return {document.id: end for (document, _), end in zip(pairs, found, strict=True)}


async def _end(document: Payload | Twin, entry: Entry, model: OpenAIModel, gate: asyncio.Semaphore) -> End:
    journal = _Journal()
    envelope = plain(dict(document.data), source="tests", id=document.id, type="document")
    event = received(envelope, entry, stamp=_STAMP)
    claimed = Claimed(event, uuid4(), revision=1, accepted_at=_NOW)
    world = World(model, journal, NoLedger(), _SCRIBE, clock=lambda: _NOW, jitter=lambda: 0.5, guard=GUARD)
    async with gate:
        return End(await process(claimed, entry, world), tuple(journal.attempts))


@asynccontextmanager
async def _model(options: Options, name: str) -> AsyncIterator[OpenAIModel]:
    """`name` at one endpoint per alias, so that the second one's breaker is its own."""
    async with serve(options) as fast, serve(options) as strong:
        urls = {"fast": fast, "strong": strong}
        key = SecretStr(SECRET)
        models = {
            alias: ModelSettings(model=name, base_url=f"{url}/v1", api_key=key) for alias, url in urls.items()
        }
        model = OpenAIModel(
            Endpoints(models, Unshared(), lambda: datetime.now(UTC)), lambda: datetime.now(UTC)
        )
        try:
            yield model
        finally:
            await model.close()


@dataclass
class _Journal:
    attempts: list[Attempt] = field(default_factory=list)

    async def journal(self, attempt: Attempt, event: Received) -> None:
        self.attempts.append(attempt)
