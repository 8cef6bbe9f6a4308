"""The schema: made from nothing, checked at start-up, and the same as the tables in code."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, column, inspect, table, text
from sqlmodel import SQLModel

from infra import database as databases
from infra import schema
from infra import tables as t
from infra.database import Database
from infra.schema import _config as config
from infra.store import SqlStore
from infra.store.journal import rows_of
from pipeline.errors import InvalidSettingsError
from tests.builders import SCRIBE, attempt, received
from tests.contract.scenes import LANE, note, rows


@pytest.fixture
async def empty(empty_url: str) -> AsyncIterator[Database]:
    database = databases.connect(empty_url)
    yield database
    await database.close()


def differences(connection: Connection) -> list[object]:
    on_sqlite = connection.dialect.name == "sqlite"

    def is_meant(_: object, name: str | None, *__: object) -> bool:
        return not (on_sqlite and name == "audit_words")  # of PostgreSQL only

    # SQLite numbers rows without a default that could be compared.
    options = {"compare_type": True, "compare_server_default": not on_sqlite, "include_object": is_meant}
    context = MigrationContext.configure(connection, opts=options)
    return list(compare_metadata(context, SQLModel.metadata))


async def tables(database: Database) -> set[str]:
    async with database.read() as connection:
        return set(await connection.run_sync(lambda sync: inspect(sync).get_table_names()))


async def test_the_migrations_make_the_tables_that_the_code_declares(database: Database) -> None:
    async with database.read() as connection:
        found = await connection.run_sync(differences)

    assert found == []


async def test_a_database_is_brought_up_from_nothing_and_then_left_as_it_is(empty: Database) -> None:
    first = await schema.upgrade(empty)
    await SqlStore(empty, SCRIBE).accept([note(1)])

    assert await schema.upgrade(empty) == first
    await schema.check(empty)
    assert await tables(empty) == {*SQLModel.metadata.tables, "alembic_version"}
    assert len(await SqlStore(empty, SCRIBE).claim(LANE, limit=2)) == 1


async def test_a_process_without_tables_says_which_command_makes_them(empty: Database) -> None:
    with pytest.raises(InvalidSettingsError, match="has no tables yet; run: penstock db upgrade"):
        await schema.check(empty)


async def test_a_process_of_another_release_says_which_command_to_run(database: Database) -> None:
    async with database.write() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))

    with pytest.raises(InvalidSettingsError, match=r"is at 0000, .* run: penstock db upgrade"):
        await schema.check(database)


async def test_an_upgrade_that_fails_leaves_nothing_behind(empty: Database) -> None:
    async with empty.write() as connection:
        await connection.execute(text("CREATE TABLE work (mine INTEGER)"))

    with pytest.raises(Exception, match="work"):
        await schema.upgrade(empty)

    assert await tables(empty) == {"work"}


async def test_an_upgrade_keeps_the_attempts_of_the_release_before(empty: Database) -> None:
    """SQLite copies a table to change its columns."""
    new = ("endpoint", "larger", "is_unknown", "original_id")
    made = attempt("model_timeout", complaints=("city: too long",))
    _, (row,) = rows_of([(made, received())])
    row = {name: value for name, value in row.items() if name not in new}
    old = table("attempt", *(column(one.name, one.type) for one in t.attempt.c if one.name not in new))
    async with empty.write() as connection:
        await connection.run_sync(lambda sync: command.upgrade(config(sync), "0001"))
        await connection.execute(old.insert().values(row))

    await schema.upgrade(empty)

    (kept,) = await rows(empty, t.attempt)
    assert {name: getattr(kept, name) for name in row} == row
    assert [getattr(kept, name) for name in new] == ["", False, False, None]


async def test_two_processes_may_upgrade_at_once(empty_url: str) -> None:
    both = [databases.connect(empty_url) for _ in range(2)]

    revisions = await asyncio.gather(*(schema.upgrade(database) for database in both))

    assert revisions[0] == revisions[1]
    await asyncio.gather(*(database.close() for database in both))
