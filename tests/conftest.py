"""Databases for the tests: the name of an engine in, a fresh migrated database out."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import TupleRow
from sqlalchemy import URL, make_url
from sqlmodel import SQLModel

from infra import database as databases
from infra import schema
from infra.database import Database
from infra.store import SqlStore
from tests.builders import SCRIBE
from tests.databases import DROP, LEAVE

_VARIABLE = "PENSTOCK_DATABASE__URL"

#: What a test may change of a database beside its rows: tables, indexes, triggers, the migration.
_SHAPE = """
    SELECT (SELECT string_agg(relname, ' ' ORDER BY relname)
            FROM pg_class WHERE relnamespace = 'public'::regnamespace),
           (SELECT count(*) FROM pg_trigger),
           (SELECT version_num FROM alembic_version)
"""

#: Makes a database and returns its URL.
Make = Callable[[], str]


def _migrate(url: str) -> None:
    async def migrate() -> None:
        database = databases.connect(url)
        await schema.upgrade(database)
        await database.close()

    # In a thread of its own: the first test to ask for a database may be in the middle of its loop.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(migrate())).result()


_TRIGGERS_OFF: Final = "ALTER TABLE {} DISABLE TRIGGER USER"
_TRIGGERS_ON: Final = "ALTER TABLE {} ENABLE TRIGGER USER"


class Server:
    """The PostgreSQL of this test run. What was created here is dropped at the end."""

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        self._connection = self._connect(self.url)
        self._names: list[str] = []

    def create(self, template: str = "template1") -> str:
        """A new database like `template`; returns its URL."""
        name = f"penstock_test_{uuid4().hex}"
        command = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        self._connection.execute(command.format(sql.Identifier(name), sql.Identifier(template)))
        self._names.append(name)
        return self.url.set(database=name).render_as_string(hide_password=False)

    def emptied(self, url: str, shape: object) -> bool:
        """Take all rows out of a database, unless a test changed its shape."""
        with self._connect(make_url(url)) as connection:
            if connection.execute(_SHAPE).fetchone() != shape:
                return False
            for table in SQLModel.metadata.tables:
                name = sql.Identifier(table)
                if not table.startswith("audit_"):
                    connection.execute(sql.SQL("DELETE FROM {}").format(name))
                    continue
                # The audit log's triggers refuse it, as they should; its owner may turn them off.
                for command in (_TRIGGERS_OFF, "DELETE FROM {}", _TRIGGERS_ON):
                    connection.execute(sql.SQL(command).format(name))
        return True

    def shape(self, url: str) -> object:
        with self._connect(make_url(url)) as connection:
            return connection.execute(_SHAPE).fetchone()

    def close(self) -> None:
        for name in self._names:
            for statement in (LEAVE, DROP):
                self._connection.execute(statement.format(name=name))
        self._connection.close()

    @staticmethod
    def _connect(url: URL) -> psycopg.Connection[TupleRow]:
        plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
        return psycopg.connect(plain, autocommit=True)


@dataclass
class Shelf:
    """Empty databases of one engine. On PostgreSQL making one takes longer than most tests."""

    make: Make
    emptied: Callable[[str], bool]
    _clean: list[str] = field(default_factory=list)

    @contextmanager
    def lent(self) -> Iterator[str]:
        url = self._clean.pop() if self._clean else self.make()
        yield url
        if self.emptied(url):
            self._clean.append(url)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """The server that the environment names: `make test` starts one and names it."""
    url = os.environ.get(_VARIABLE, "")
    if not url.startswith("postgresql+psycopg://"):
        pytest.fail(f"{_VARIABLE} names no PostgreSQL; run the tests with: make test", pytrace=False)
    server = Server(url)
    yield server
    server.close()


@pytest.fixture(scope="session")
def shelf_postgresql(postgresql: Server) -> Shelf:
    """Copies of one migrated database."""
    template = postgresql.create()
    _migrate(template)
    shape = postgresql.shape(template)
    name = make_url(template).database or ""
    return Shelf(lambda: postgresql.create(template=name), lambda url: postgresql.emptied(url, shape))


@pytest.fixture(scope="session")
def shelf_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """Copies of one migrated file, which cost next to nothing."""
    template = tmp_path_factory.mktemp("template") / "penstock.db"
    _migrate(f"sqlite:///{template}")

    def make() -> str:
        path = tmp_path_factory.mktemp("database") / "penstock.db"
        shutil.copy(template, path)
        return f"sqlite:///{path}"

    return Shelf(make, lambda _: False)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty, migrated database of each engine in turn."""
    shelf: Shelf = request.getfixturevalue(f"shelf_{request.param}")
    with shelf.lent() as url:
        yield url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = databases.connect(database_url, pool_size=8)
    yield database
    await database.close()


@pytest.fixture
def store(database: Database) -> SqlStore:
    """One process's store. Tests with several connect to `database_url` again."""
    return SqlStore(database, SCRIBE)


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without a single table."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.db'}"
    server: Server = request.getfixturevalue("postgresql")
    return server.create()
