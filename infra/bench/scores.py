"""`python -m infra.bench.scores`: labelled documents through the real path to a model, field by field.

In: the labelled receipts and agreements, or files of their form; the endpoints of PENSTOCK_MODELS__*, or the
simulated model, started for it. Out: a table for each workflow. How an answer is compared with its label is
told in `comparison`. The path is the worker's: the workflow's own prompt, request, ladder and parser.
"""

import argparse
import asyncio
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import UUID

from pydantic import SecretStr

from infra import settings
from infra.bench import comparison
from infra.bench.comparison import Score, Value, Verdict
from infra.bench.documents import Document, Workflow, documents
from infra.endpoints import Endpoints, Unshared
from infra.ledger import NoLedger
from infra.llm import OpenAIModel
from infra.settings import ModelSettings
from infra.simulator.server import Options, serve
from pipeline import catalogue
from pipeline.assess import Guard
from pipeline.case import World
from pipeline.catalogue import Entry
from pipeline.claim import Claimed, Release
from pipeline.errors import InvalidSettingsError
from pipeline.process import process
from pipeline.receive import Stamp, plain, received
from schemas.changeset import Actor, Scribe
from schemas.event import Received
from schemas.extraction import Attempt

_AT_ONCE: Final = 8
_STAMP: Final = Stamp(secret=b"scores", salt=bytes(16))
_GUARD: Final = Guard(key=b"the scores' fence")
_SCRIBE: Final = Scribe(Actor("service", "scores"), release="", max_message_bytes=1_000_000)

#: The fields of each workflow and how they are spelled before they are compared.
_SPELLINGS: Final[Mapping[Workflow, Mapping[str, Callable[[str], str]]]] = {
    "receipts": {
        "company": comparison.name,
        "date": comparison.iso_date,
        "address": comparison.text,
        "total": comparison.amount,
    },
    "contracts": {
        "parties": comparison.name,
        "jurisdiction": comparison.jurisdiction,
        "effective_date": comparison.iso_date,
        "term": comparison.term,
    },
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one document: the answer's fields, none of them if there was none; and who answered."""

    document: Document
    fields: Mapping[str, Value]
    answered_by: str


@dataclass
class _Journal:
    """The Journal port for one document."""

    attempts: list[Attempt] = field(default_factory=list)

    async def journal(self, attempt: Attempt, event: Received) -> None:
        self.attempts.append(attempt)


def main() -> int:
    arguments = _parser().parse_args()
    try:
        asyncio.run(_measure(arguments))
    except (InvalidSettingsError, OSError, ValueError) as error:
        sys.stderr.write(f"scores: {error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m infra.bench.scores", description=__doc__)
    parser.add_argument(
        "--model", metavar="ALIAS", help="ask this alias only; else the workflow's own, in order"
    )
    parser.add_argument("--receipts", type=Path, metavar="FILE", help='JSON lines {"id", "text", "expected"}')
    parser.add_argument("--ndas", type=Path, metavar="FILE", help="the same for agreements")
    parser.add_argument("--limit", type=int, metavar="N", help="the first N documents of each")
    return parser


async def _measure(arguments: argparse.Namespace) -> None:
    files = {"receipts": arguments.receipts, "contracts": arguments.ndas}
    entries = catalogue.load().by_name
    for name, spellings in _SPELLINGS.items():
        origin, found = documents(name, files[name])
        found = found[: arguments.limit]
        entry = _asking(arguments.model, entries[name])
        async with _models(entry.workflow.models) as models:
            began = time.monotonic()
            outcomes = await _read_all(found, entry, models)
            seconds = time.monotonic() - began
        pairs = [(outcome.document.expected, outcome.fields) for outcome in outcomes]
        who = Counter(outcome.answered_by for outcome in outcomes)
        answered_by = ", ".join(f"{model} ({count})" for model, count in who.items())
        _tell(f"{name}: {len(found)} events from {origin}")
        _tell(f"answered by {answered_by} in {seconds:.1f} s")
        _tell_scores(comparison.score(spellings, pairs))


@asynccontextmanager
async def _models(aliases: tuple[str, ...]) -> AsyncIterator[OpenAIModel]:
    """The configured endpoints; where none is, the simulator behind every alias."""
    configured = settings.load().models
    for alias in aliases:
        if configured and alias not in configured:
            raise InvalidSettingsError(f"no endpoint for {alias!r}: set PENSTOCK_MODELS__{alias.upper()}__*")
    async with AsyncExitStack() as stack:
        if not configured:
            url = await stack.enter_async_context(serve(Options()))
            configured = {alias: _simulated(alias, url) for alias in aliases}
        model = OpenAIModel(Endpoints(configured, Unshared(), _now), _now)
        stack.push_async_callback(model.close)
        yield model


def _simulated(alias: str, url: str) -> ModelSettings:
    return ModelSettings(base_url=f"{url}/v1", model=f"simulated-{alias}", api_key=SecretStr("simulated"))


def _asking(alias: str | None, entry: Entry) -> Entry:
    """The workflow with `alias` as its only model, if one is given."""
    return replace(entry, workflow=replace(entry.workflow, models=(alias,))) if alias else entry


async def _read_all(found: tuple[Document, ...], entry: Entry, model: OpenAIModel) -> list[Outcome]:
    slots = asyncio.Semaphore(_AT_ONCE)

    async def one(document: Document) -> Outcome:
        async with slots:
            return await _read(document, entry, model)

    return await asyncio.gather(*(one(document) for document in found))


async def _read(document: Document, entry: Entry, model: OpenAIModel) -> Outcome:
    """The worker's path for one document, in memory, and waiting here instead of in SQL."""
    envelope = plain({"text": document.text}, source="scores", id=document.id, type="scored")
    event = received(envelope, entry, stamp=_STAMP)
    journal = _Journal()
    world = World(model, journal, NoLedger(), _SCRIBE, clock=_now, jitter=random.random, guard=_GUARD)
    while True:
        claimed = Claimed(
            event, UUID(int=0), revision=1, accepted_at=_now(), attempts=tuple(journal.attempts)
        )
        end = await process(claimed, entry, world)
        if not isinstance(end, Release):
            result = end.result
            last = journal.attempts[-1].model_answered if result.data is not None else None
            return Outcome(document, result.data or {}, last or f"nobody: {result.reasons[0]}")
        await asyncio.sleep(end.delay.total_seconds())
        await model.refresh()


def _now() -> datetime:
    return datetime.now(UTC)


def _tell_scores(scores: Mapping[str, Score]) -> None:
    _tell(f"{'field':<16}{''.join(f'{verdict.value:>10}' for verdict in Verdict)}{'exact match':>14}")
    for name, score in scores.items():
        counts = "".join(f"{score.verdicts[verdict]:>10}" for verdict in Verdict)
        _tell(f"{name:<16}{counts}{score.exact_percent:>12.1f} %")
    _tell("")


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
