"""Terms in, what is older out: once a day, in `serve sweep` and in embedded mode."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final
from uuid import UUID, uuid4

from infra.logs import logger
from infra.store import SqlStore, retention, trimming
from infra.store.trimming import Cut
from pipeline.errors import Conflict, StoreUnavailable
from pipeline.retention import PRUNED, TRIMMED, Terms, account
from pipeline.trail import noted
from schemas.changeset import AuditRecord, Scribe

log = logger()

_DAY_SECONDS: Final = 86_400.0
#: A process that has just started has better things to do.
_FIRST_SECONDS: Final = 60.0
_AGAIN_SECONDS: Final = 600.0


@dataclass
class Pruner:
    """Any number of them may run: one takes what the others left."""

    store: SqlStore
    terms: Terms
    scribe: Scribe
    clock: Callable[[], datetime]

    async def run(self, stop: asyncio.Event) -> None:
        """Prune once a day until `stop`; again soon after the database was away."""
        pause = _FIRST_SECONDS
        while self.terms != Terms() and not await _stopped(stop, pause):
            try:
                removed = await self.prune()
                log.info("retention.pruned", rows=removed.total())
                pause = _DAY_SECONDS
            except StoreUnavailable as error:
                log.warning("store.unavailable", error=error)
                pause = _AGAIN_SECONDS
            except Conflict as error:
                log.warning("retention.refused", error=error)
                pause = _DAY_SECONDS

    async def prune(self) -> Counter[str]:
        """Rows removed, by table; raises Conflict where the audit trail is due and not ours to cut."""
        database = self.store.database
        removed = await retention.prune(database, self.terms, self._record, shard=self.store.shard)
        if self.terms.audit is not None:
            removed += await trimming.trim(database, self.terms.audit, self._cut)
        return removed

    def _record(self, kind: str, removed: Mapping[str, int], events: Sequence[UUID]) -> AuditRecord:
        body = account(kind, removed, events)
        return noted(PRUNED, body, scribe=self.scribe, now=self.clock(), nonce=str(uuid4()))

    def _cut(self, cut: Cut) -> AuditRecord:
        body = {**asdict(cut), "root": cut.root.hex()}
        return noted(TRIMMED, body, scribe=self.scribe, now=self.clock())


async def _stopped(stop: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await stop.wait()
    except TimeoutError:
        return False
