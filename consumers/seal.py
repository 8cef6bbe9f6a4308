"""Committed audit records in, signed seals on them out: `penstock serve seal`. One is active per database."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from infra.checkpoints import CheckpointFile
from infra.database import Database, whole
from infra.lock import SingleRole
from infra.logs import logger
from infra.settings import AuditSettings
from infra.store import seals
from pipeline.errors import Conflict, InvalidSettingsError, StoreUnavailable
from pipeline.seal import Signer
from schemas.changeset import AuditRecord

log = logger()

_STANDBY_SECONDS: Final = 1.0
#: Checkpoints written to the file at once, after it could not be written for a while.
_NOTES: Final = 1_000


@dataclass
class Sealer:
    """Gives committed records their places and signs batches of them.

    `signer` is asked before each batch, so that a rotated key signs the next one; `introduced` makes
    the record of a key's first use. A crash between commit and file leaves the checkpoint to the next
    start, which appends what the file lacks.
    """

    database: Database
    role: SingleRole
    settings: AuditSettings
    signer: Callable[[], Signer]
    introduced: Callable[[Signer], AuditRecord]
    file: CheckpointFile | None = None
    _key: str | None = None
    _filed: int | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Seal until `stop`, while this process holds the role; what is committed by then is sealed too."""
        try:
            while not stop.is_set():
                pause = await self._turn()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await stop.wait()
            while await self._turn() == 0:
                continue
        finally:
            await self.role.release()

    async def _turn(self) -> float:
        """Seal one batch; returns how long to wait before the next."""
        try:
            if not await self.role.acquire():
                return _STANDBY_SECONDS
            if self.file is not None and self._filed is None:
                self._filed = await self._begin(self.file)
            is_full = await self._seal()
            await self._append()
        except (StoreUnavailable, Conflict, InvalidSettingsError, OSError) as error:
            # Nothing is lost by waiting; the number of unsealed records is a metric, and `verify` says it.
            log.error("audit.not_sealed", error=str(error))
            return self.settings.seal_seconds
        return 0.0 if is_full else self.settings.seal_seconds

    async def _seal(self) -> bool:
        signer = self.signer()
        if str(signer.key) != self._key:
            await whole(seals.introduce(self.database, self.introduced(signer)))
            self._key = str(signer.key)
        made = await whole(seals.seal(self.database, signer, limit=self.settings.batch))
        if made is None:
            return False
        log.debug("audit.sealed", batch=made.batch, records=made.size - made.first)
        return made.size - made.first == self.settings.batch

    async def _append(self) -> None:
        """Write to the file what it lacks."""
        if self.file is None or self._filed is None:
            return
        while found := await seals.notes_after(self.database, self._filed, limit=_NOTES):
            await asyncio.to_thread(self.file.append, [written for _, written in found])
            self._filed = found[-1][0]

    async def _begin(self, file: CheckpointFile) -> int:
        """The batch after which the file goes on; a new file begins with the newest, which covers all."""
        state = await asyncio.to_thread(file.newest)
        last = await seals.last(self.database)
        batch = last.batch if last else 0
        if state is None:
            return max(0, batch - 1)
        if state.batch > batch:
            log.error("audit.cut", file=str(file.path), filed=state.batch, sealed=batch)
        return min(state.batch, batch)
