"""The schema: made from nothing, checked at start-up, and the same as the tables in code."""

import asyncio
from datetime import UTC, datetime

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, insert, inspect, select, text
from sqlmodel import SQLModel

from infra import database as databases
from infra import schema
from infra import tables as t
from infra.columns import later
from infra.database import Database
from pipeline.errors import InvalidSettingsError


def differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(
        connection, opts={"compare_type": True, "compare_server_default": True}
    )
    return list(compare_metadata(context, SQLModel.metadata))


async def test_the_migrations_make_the_tables_that_the_code_declares(database: Database) -> None:
    async with database.read() as connection:
        found = await connection.run_sync(differences)

    assert found == []
