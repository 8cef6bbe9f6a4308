"""An event through the real path with nothing but a model: no database, no topic, nothing is kept.

What `penstock workflow try` and `penstock eval` stand on. Waits that are rows in SQL otherwise are slept
through here, up to a limit.
"""

import asyncio
import random
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Final
from uuid import UUID, uuid4

from consumers import wiring
from infra.endpoints import Endpoints, Unshared
from infra.ledger import NoLedger
from infra.llm import OpenAIModel
from infra.prices import priced
from infra.settings import ModelSettings, Settings
from infra.simulator.server import Options, has_model, serve
from pipeline import catalogue as catalogues
from pipeline.assess import Guard
from pipeline.case import World
from pipeline.catalogue import Catalogue, Entry
from pipeline.claim import Claimed, Release
from pipeline.endings import Fault, after_fault
from pipeline.errors import CallCancelled, InvalidSettingsError, ModelMisconfigured, QuotaExhausted
from pipeline.process import process
from pipeline.receive import Stamp
from pipeline.retry import MAX_FAULTS
from schemas.changeset import Changeset, Scribe
from schemas.event import Received
from schemas.extraction import Attempt

#: No wait ends these: a person has to act.
_HOPELESS: Final = frozenset({QuotaExhausted.reason, ModelMisconfigured.reason})
#: How models of our simulator call themselves.
_SIMULATED: Final = "simulated"


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What became of one event: its changeset, or why it would still wait; `bug` is what was raised."""

    event: Received
    attempts: tuple[Attempt, ...]
    changeset: Changeset | None
    waits_for: str | None = None
    bug: Exception | None = None


@dataclass
class MemoryJournal:
    """The Journal port, for as long as the process lives."""

    attempts: dict[UUID, list[Attempt]] = field(default_factory=dict)

    async def journal(self, attempt: Attempt, event: Received) -> None:
        self.attempts.setdefault(event.event_id, []).append(attempt)

    def of(self, event: Received) -> tuple[Attempt, ...]:
        return tuple(self.attempts.get(event.event_id, ()))


@dataclass
class Rehearsal:
    """A workflow and its models, ready to take events; lives on one loop."""

    entry: Entry
    world: World
    journal: MemoryJournal
    slots: int
    patience_seconds: float
    waiting: Callable[[float, str], None] = lambda seconds, reason: None
    hopeless: str | None = None

    async def run(self, event: Received) -> Rehearsed:
        """Bring the event to its decision; waits longer than our patience are told instead."""
        claimed = Claimed(event, uuid4(), revision=1, accepted_at=self.world.clock())
        left = self.patience_seconds
        while self.hopeless is None:
            end, bug = await self._process(claimed)
            if isinstance(end, Changeset):
                return Rehearsed(event, self.journal.of(event), end, bug=bug)
            delay = end.delay.total_seconds()
            if end.reason in _HOPELESS:
                self.hopeless = end.reason
            elif delay > left:
                return Rehearsed(event, self.journal.of(event), None, waits_for=end.reason)
            else:
                left -= delay
                self.waiting(delay, end.reason)
                await asyncio.sleep(delay)
                claimed = replace(claimed, attempts=self.journal.of(event))
        return Rehearsed(event, self.journal.of(event), None, waits_for=self.hopeless)

    async def _process(self, claimed: Claimed) -> tuple[Changeset | Release, Exception | None]:
        """One claim. A bug ends the event at once: it would show again, and be dead in the end."""
        try:
            end = await process(claimed, self.entry, self.world)
        except Fault as fault:
            last = replace(claimed, faults=MAX_FAULTS - 1)
            return after_fault(last, self.entry, fault, self.world), fault.bug
        if isinstance(end, Release) and end.reason == CallCancelled.reason:
            raise asyncio.CancelledError  # the model port turned it into a failed attempt
        return end, None


@asynccontextmanager
async def rehearsal(
    settings: Settings, entry: Entry, *, patience_seconds: float, alias: str | None = None
) -> AsyncIterator[Rehearsal]:
    """The configured models, or the simulator when there are none; `alias` takes the place of all others.

    Raises InvalidSettingsError or InvalidWorkflowError for an alias without an endpoint or without a price.
    """
    if alias is not None:
        entry = replace(entry, workflow=replace(entry.workflow, models=(alias,)))
    async with AsyncExitStack() as stack:
        models = settings.models
        if not models:
            latency = settings.simulator.latency_ms / 1000
            url = await stack.enter_async_context(serve(Options(latency_seconds=latency)))
            models = _simulated(wiring.simulated(settings, url).models, alias)
        _check(entry, models, alias)
        models = priced(models, now=wiring.clock())
        model = OpenAIModel(Endpoints(models, Unshared(), wiring.clock), wiring.clock)
        stack.push_async_callback(model.close)
        journal = MemoryJournal()
        slots = min(_slots(models[name]) for name in entry.workflow.models)
        yield Rehearsal(entry, _world(settings, model, journal), journal, slots, patience_seconds)


def stamp() -> Stamp:
    """Fingerprints of events that nothing is compared with."""
    return Stamp(secret=secrets.token_bytes(32), salt=secrets.token_bytes(16))


def is_simulated(attempts: tuple[Attempt, ...]) -> bool:
    """Did the simulator answer, ours or one that the settings name?"""
    return any((one.model_answered or one.model_asked).startswith(_SIMULATED) for one in attempts)


def _world(settings: Settings, model: OpenAIModel, journal: MemoryJournal) -> World:
    """As `wiring.world`, without a deployment: the keys are of this process only."""
    scribe = Scribe(wiring.service(), wiring.release(), settings.kafka.max_message_bytes)
    ours = {one.api_key.get_secret_value() for all_ in settings.models.values() for one in all_.all_endpoints}
    guard = Guard(secrets.token_bytes(32), frozenset(ours - {""}))
    return World(model, journal, NoLedger(), scribe, clock=wiring.clock, jitter=random.random, guard=guard)


def _check(entry: Entry, models: Mapping[str, ModelSettings], alias: str | None) -> None:
    if alias is not None and alias not in models:
        known = ", ".join(sorted(models))
        raise InvalidSettingsError(
            f"--model {alias}: no such alias; there are: {known}. Set PENSTOCK_MODELS__{alias.upper()}__MODEL"
        )
    catalogues.check_aliases(Catalogue((entry,)), models)


def _simulated(models: Mapping[str, ModelSettings], alias: str | None) -> Mapping[str, ModelSettings]:
    """The models of all workflows; and under its own name a simulated one that does something of its own."""
    if alias is None or alias in models or not has_model(alias):
        return models
    example = next(iter(models.values()))
    return {**models, alias: example.model_copy(update={"model": f"{_SIMULATED}-{alias}"})}


def _slots(model: ModelSettings) -> int:
    return sum(endpoint.slots for endpoint in model.all_endpoints)
