"""The Cache port: answers that all processes share, read one by one, written in micro-batches."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from infra.batch import Batcher, until_stored
from infra.logs import logger
from infra.store import SqlStore
from infra.store.cache import Kept
from pipeline.cache import Original
from pipeline.errors import StoreUnavailable
from schemas.extraction import Attempt

log = logger()

_LIMIT = 32
_LINGER_SECONDS = 0.01


@dataclass
class StoredCache:
    """Tells `hit` the workflow of each answer that was found."""

    store: SqlStore
    hit: Callable[[str], None]
    _batcher: Batcher[Kept, None] = field(init=False)

    def __post_init__(self) -> None:
        self._batcher = Batcher(self._write, limit=_LIMIT, linger_seconds=_LINGER_SECONDS)

    async def find(self, key: bytes, *, workflow: str) -> Original | None:
        """Waits while the database is away: a call made meanwhile could not be journalled either."""
        original = await until_stored(lambda: self.store.find_answer(key))
        if original is not None:
            self.hit(workflow)
        return original

    async def put(self, key: bytes, attempt: Attempt, *, workflow: str, ttl: timedelta) -> None:
        """Gives up while the database is away: what is lost costs a call at most."""
        try:
            await self._batcher.submit(Kept(key, workflow, attempt.id, ttl))
        except StoreUnavailable as error:
            log.warning("store.unavailable", workflow=workflow, error=error)

    async def _write(self, answers: Sequence[Kept]) -> list[None]:
        await self.store.keep_answers(answers)
        return [None] * len(answers)
