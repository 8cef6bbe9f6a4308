"""Roles that must be single: held by an advisory lock on PostgreSQL, by a file lock beside SQLite."""

import contextlib
import fcntl
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection

from infra.database import Database
from pipeline.errors import StoreUnavailable


class SingleRole(Protocol):
    """A role that one process holds at a time. `acquire` is true while we hold it, and cheap to repeat."""

    async def acquire(self) -> bool: ...

    async def release(self) -> None: ...


@dataclass
class AdvisoryRole:
    """Held by a session of its own: when the connection is lost, so is the role."""

    database: Database
    name: str
    _connection: AsyncConnection | None = None

    async def acquire(self) -> bool:
        try:
            return await self._acquire()
        except (DBAPIError, PoolTimeoutError, OSError) as error:
            await self._drop()
            raise StoreUnavailable(f"the lock of the role {self.name!r} was lost") from error

    async def _acquire(self) -> bool:
        if self._connection is not None:
            await self._connection.execute(text("SELECT 1"))
            return True
        engine = self.database.writer.execution_options(isolation_level="AUTOCOMMIT")
        connection = await engine.connect()
        key = int.from_bytes(hashlib.sha256(self.name.encode()).digest()[:8], "big", signed=True)
        try:
            taken = await connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": key})
            if taken.scalar_one():
                self._connection = connection
            return self._connection is connection
        finally:
            if self._connection is not connection:
                await connection.close()

    async def release(self) -> None:
        if self._connection is not None:
            # A server may take a while to notice a closed session: this way the next one has it at once.
            with contextlib.suppress(DBAPIError, OSError):
                await self._connection.execute(text("SELECT pg_advisory_unlock_all()"))
        await self._drop()

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            # Not back into the pool: a session in there might keep the lock.
            await connection.invalidate()
            await connection.close()


@dataclass
class FileRole:
    """Held by this process; the kernel lets go when it ends, however it ends. The file names the holder."""

    path: Path
    _file: IO[str] | None = None

    async def acquire(self) -> bool:
        if self._file is not None:
            return True
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = self.path.open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            return False
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        self._file = file
        return True

    async def release(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()

    @property
    def holder(self) -> str:
        """The process id of whoever holds it."""
        return self.path.read_text() if self.path.exists() else ""
