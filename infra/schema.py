"""The version of the database's shape: brought up to date, or checked at start-up."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from infra.database import Database
from pipeline.errors import InvalidSettingsError

_SCRIPTS = Path(__file__).parent / "migrations"
#: Two processes may upgrade at once; the one that waits may wait longer than other transactions do, and
#: a large table takes its time. SQLite has one writer anyway.
_TAKE_TURNS = (
    "SET LOCAL lock_timeout = '60s'",
    "SET LOCAL statement_timeout = 0",
    "SELECT pg_advisory_xact_lock(7236837)",
    "SET LOCAL lock_timeout = '5s'",
)


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    config.attributes["connection"] = connection
    return config


async def upgrade(database: Database) -> str:
    """Run what is missing, in one transaction; returns the revision that the database now has."""
    async with database.write() as connection:
        if database.dialect == "postgresql":
            for statement in _TAKE_TURNS:
                await connection.execute(text(statement))
        await connection.run_sync(lambda sync: command.upgrade(_config(sync), "head"))
        return await connection.run_sync(_current) or ""


async def check(database: Database) -> None:
    """Raise InvalidSettingsError, with the command to run, unless the database is up to date."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    async with database.read() as connection:
        current = await connection.run_sync(_current)
    if current != head:
        state = "has no tables yet" if current is None else f"is at {current}, this release needs {head}"
        raise InvalidSettingsError(f"the database {state}; run: penstock db upgrade")


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()
