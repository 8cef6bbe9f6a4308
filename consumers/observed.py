"""A model whose attempts are counted, watched and shown to Sentry; it adds nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass

from infra import sentry
from infra.answering import Answering
from infra.metrics import Metrics
from pipeline.assemble import Call, Prepared, Ticket
from pipeline.cache import Parameters
from pipeline.catalogue import Entry
from pipeline.extract import Rung
from pipeline.ports import Model
from pipeline.spend import Rate
from schemas.extraction import Attempt, Reading


@dataclass(frozen=True, slots=True)
class Observed:
    """A model whose attempts are counted, shown to Sentry and watched for a change of who answers."""

    model: Model
    metrics: Metrics
    answering: Answering

    def rungs(self, aliases: Sequence[str]) -> tuple[Rung, ...]:
        return self.model.rungs(aliases)

    def room(self, alias: str) -> int | None:
        return self.model.room(alias)

    async def refresh(self) -> None:
        await self.model.refresh()

    async def admit(self, prepared: Prepared) -> Ticket | None:
        # Before the ticket is drawn: nothing may wait between that and the call.
        call = prepared.call
        await self.answering.recall(call.endpoint, workflow=call.entry.workflow.name)
        return await self.model.admit(prepared)

    def parameters(self, endpoint: str) -> Parameters:
        return self.model.parameters(endpoint)

    def prepare(self, call: Call) -> Prepared:
        return self.model.prepare(call)

    def rate(self, entry: Entry, instructions: str) -> Rate:
        return self.model.rate(entry, instructions)

    async def ask(self, prepared: Prepared, ticket: Ticket) -> Attempt:
        attempt = await self.model.ask(prepared, ticket)
        self.metrics.attempt(attempt)
        self.answering.note(attempt)
        sentry.record_attempt(attempt)
        return attempt

    def read(self, entry: Entry, attempt: Attempt) -> Reading:
        return self.model.read(entry, attempt)
