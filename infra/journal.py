"""The Journal port: one writer per process, in micro-batches, returning when an attempt is durable."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from infra.batch import Batcher, until_stored
from pipeline.ports import Store
from schemas.event import Received
from schemas.extraction import Attempt

_LIMIT = 32
_LINGER_SECONDS = 0.01


@dataclass
class BatchedJournal:
    """Attempts of all events of a process, written together."""

    store: Store
    _batcher: Batcher[tuple[Attempt, Received], None] = field(init=False)

    def __post_init__(self) -> None:
        self._batcher = Batcher(self._write, limit=_LIMIT, linger_seconds=_LINGER_SECONDS)

    async def journal(self, attempt: Attempt, event: Received) -> None:
        await until_stored(lambda: self._batcher.submit((attempt, event)))

    async def _write(self, rows: Sequence[tuple[Attempt, Received]]) -> list[None]:
        await self.store.journal(rows)
        return [None] * len(rows)
