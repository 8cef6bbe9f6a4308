"""Databases for the tests: the name of an engine in, a fresh migrated database out."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url

from infra import database as databases
from infra import schema
from infra.database import Database
from infra.store import SqlStore
from tests.builders import SCRIBE

_VARIABLE = "PENSTOCK_DATABASE__URL"

#: Makes a database and returns its URL.
Make = Callable[[], str]


def _migrate(url: str) -> None:
    async def migrate() -> None:
        database = databases.connect(url)
        await schema.upgrade(database)
        await database.close()

    asyncio.run(migrate())


class Server:
    """The PostgreSQL of this test run. What was created here is dropped at the end."""

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        plain = self.url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._connection = psycopg.connect(plain, autocommit=True)
        self._names: list[str] = []

    def create(self, template: str = "template1") -> str:
        """A new database like `template`; returns its URL."""
        name = f"penstock_test_{uuid4().hex}"
        command = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        self._connection.execute(command.format(sql.Identifier(name), sql.Identifier(template)))
        self._names.append(name)
        return self.url.set(database=name).render_as_string(hide_password=False)

    def close(self) -> None:
        for name in self._names:
            self._connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
        self._connection.close()


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
def make_postgresql(postgresql: Server) -> Make:
    """Copies of one migrated database."""
    template = postgresql.create()
    _migrate(template)
    return lambda: postgresql.create(template=make_url(template).database or "")


@pytest.fixture(scope="session")
def make_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Copies of one migrated file."""
    template = tmp_path_factory.mktemp("template") / "penstock.db"
    _migrate(f"sqlite:///{template}")

    def make() -> str:
        path = tmp_path_factory.mktemp("database") / "penstock.db"
        shutil.copy(template, path)
        return f"sqlite:///{path}"

    return make


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A fresh, migrated database of each engine in turn."""
    make: Make = request.getfixturevalue(f"make_{request.param}")
    return make()


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
