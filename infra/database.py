"""A database URL in, a `Database` out: one way to write and one way to read, on both engines."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from sqlalchemy import URL, event
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from infra.vault import Vault
from pipeline.errors import InvalidSettingsError, StoreUnavailable

Dialect = Literal["postgresql", "sqlite"]
R = TypeVar("R")

#: Our transactions take milliseconds; one that waits longer is stuck, and must not hold others up.
_POSTGRESQL_LIMITS = (
    "-c lock_timeout=5s -c statement_timeout=30s -c idle_in_transaction_session_timeout=5s -c timezone=UTC"
)


@dataclass(frozen=True, slots=True)
class Database:
    """The engines of one process. SQLite has one writing connection: a second would only wait."""

    writer: AsyncEngine
    reader: AsyncEngine
    dialect: Dialect

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """One transaction, committed at the end; raises StoreUnavailable when the database is away."""
        with _translated():
            async with self.writer.begin() as connection:
                yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """One consistent view, for queries that belong together."""
        with _translated():
            async with self.reader.connect() as connection:
                if self.dialect == "postgresql":
                    await connection.execution_options(isolation_level="REPEATABLE READ")
                yield connection

    async def close(self) -> None:
        await self.writer.dispose()
        if self.reader is not self.writer:
            await self.reader.dispose()


async def whole(transaction: Coroutine[Any, Any, R]) -> R:
    """Run a transaction to its end even when the wait for it is cancelled; that is raised afterwards.

    A SQLite statement that is cancelled while it runs keeps the connection, and with it the only
    write lock, until both are collected: for half a minute nobody could write (seen with aiosqlite 0.22).
    """
    task = asyncio.ensure_future(transaction)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # nobody is left to hear of it
        raise


class _translated:  # noqa: N801 - a context manager, read as a word
    """Foreign errors stop here: a lost connection, a lock timeout or a full disk are StoreUnavailable."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: Any, error: BaseException | None, __: Any) -> None:
        if isinstance(error, DBAPIError) and getattr(error.orig, "sqlite_errorname", "") == "SQLITE_NOTADB":
            raise InvalidSettingsError("PENSTOCK_DATABASE__URL: the file is no SQLite database") from error
        if error is not None and _is_away(error):
            first_line, *_ = str(getattr(error, "orig", error)).splitlines() or [type(error).__name__]
            raise StoreUnavailable(f"the database did not take it: {first_line}") from error


def _is_away(error: BaseException) -> bool:
    """Can the same transaction work later?"""
    if not isinstance(error, DBAPIError):
        return isinstance(error, PoolTimeoutError | ConnectionError)
    state = _state(error)
    if is_our_fault(error):
        return False
    if state.startswith("54"):  # a value larger than an index or a row takes; psycopg calls it operational
        return False
    if state == "25006":  # read-only: a standby, until the failover is over
        return True
    return error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)


def is_our_fault(error: DBAPIError) -> bool:
    """Is the statement wrong, or are our rights, rather than a value or the moment?"""
    if getattr(error.orig, "sqlite_errorname", "") == "SQLITE_ERROR":  # "no such table" is operational there
        return True
    return isinstance(error, ProgrammingError) and not _state(error).startswith("P0")  # P0: a trigger's


def _state(error: DBAPIError) -> str:
    """SQLSTATE, the standard's code of an error; SQLite has none."""
    return getattr(error.orig, "sqlstate", None) or ""


def vault_of(connection: AsyncConnection) -> Vault | None:
    """The keys of the connection's database: whoever reads a text has them, and cannot forget them."""
    found: Vault | None = connection.engine.sync_engine.get_execution_options().get("vault")
    return found


def connect(url: str, *, pool_size: int = 8, vault: Vault | None = None) -> Database:
    """Open nothing yet: connections are made when they are needed."""
    if url.startswith("sqlite:///"):
        return _sqlite(Path(url.removeprefix("sqlite:///")), vault)
    if url.startswith("postgresql+psycopg://"):
        engine = create_async_engine(
            url,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=10,
            pool_pre_ping=True,
            hide_parameters=True,
            connect_args={"options": _POSTGRESQL_LIMITS, "connect_timeout": 5},
            execution_options={"vault": vault},
        )
        return Database(engine, engine, "postgresql")
    raise InvalidSettingsError(
        "PENSTOCK_DATABASE__URL: write postgresql+psycopg://user@host/name or sqlite:///path"
    )


def _sqlite(path: Path, vault: Vault | None) -> Database:
    if not path.name or path.name == ":memory:" or path.is_dir():
        # In memory, each connection would have a database of its own.
        raise InvalidSettingsError("PENSTOCK_DATABASE__URL: name a file after sqlite:///")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = f"cannot make the folder {path.parent} ({error.strerror})"
        raise InvalidSettingsError(f"PENSTOCK_DATABASE__URL: {problem}") from error
    url = URL.create("sqlite+aiosqlite", database=str(path))
    options: dict[str, Any] = {
        "pool_timeout": 30,
        "hide_parameters": True,
        "execution_options": {"vault": vault},
    }
    writer = create_async_engine(url, pool_size=1, max_overflow=0, **options)
    reader = create_async_engine(url, pool_size=4, max_overflow=4, **options)
    for engine, begin in ((writer, "BEGIN IMMEDIATE"), (reader, "BEGIN")):
        event.listen(engine.sync_engine, "connect", _configure_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_with(begin))
    return Database(writer, reader, "sqlite")


def _configure_sqlite(connection: Any, _: Any) -> None:
    # The driver's own BEGIN is deferred and comes only before a write; ours is explicit.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "busy_timeout=30000",
        "synchronous=FULL",
        "foreign_keys=ON",
        # What is erased is overwritten, too.
        "secure_delete=ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_with(statement: str) -> Any:
    def begin(connection: Any) -> None:
        connection.exec_driver_sql(statement)

    return begin
