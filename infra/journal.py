"""The Journal port: one writer per process, in micro-batches, returning when an attempt is durable."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from infra.batch import Batcher, until_stored
from pipeline.errors import StoreUnavailable
from pipeline.ports import Store
from schemas.event import Received
from schemas.extraction import Attempt

_LIMIT = 32
_LINGER_SECONDS = 0.01

_Row = tuple[Attempt, Received]


@dataclass
class BatchedJournal:
    """Attempts of all events of a process, written together.

    An attempt that the database refuses raises for its own event only.
    """

    store: Store
    _batcher: Batcher[_Row, Exception | None] = field(init=False)

    def __post_init__(self) -> None:
        self._batcher = Batcher(self._write, limit=_LIMIT, linger_seconds=_LINGER_SECONDS)

    async def journal(self, attempt: Attempt, event: Received) -> None:
        refused = await until_stored(lambda: self._batcher.submit((attempt, event)))
        if refused is not None:
            raise refused

    async def _write(self, rows: Sequence[_Row]) -> list[Exception | None]:
        try:
            await self.store.journal(rows)
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - one row is wrong: each is written alone
            if len(rows) == 1:
                return [error]
            return [refused for row in rows for refused in await self._write([row])]
        return [None] * len(rows)
