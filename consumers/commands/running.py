"""How a command gets what it works on: settings, and a deployment that is closed at the end."""

import asyncio
import os
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from consumers import wiring
from consumers.commands import configuration, output
from consumers.wiring import Deployment
from infra import database as databases
from infra import logs, schema
from infra.database import Database
from infra.settings import Settings
from infra.settings import load as load_settings
from pipeline.errors import NotFound

R = TypeVar("R")


def settings_for(process: str) -> Settings:
    """Settings, with logging set up for this process; a variable that is misspelt is told on stderr."""
    settings = load_settings()
    logs.configure(settings.log, process=process)
    for name in configuration.unknown(os.environ):
        output.note(f"penstock: {name} is no setting; is it misspelt? See `penstock config show`.")
    return settings


@asynccontextmanager
async def deployed(settings: Settings | None = None) -> AsyncIterator[Deployment]:
    """The deployment that the settings describe, its database checked.

    Raises NotFound where the file of an SQLite database is missing: asking must not make one.
    """
    settings = settings or settings_for("cli")
    _must_exist(settings)
    deployment = wiring.deploy(settings)
    try:
        await schema.check(deployment.database)
        yield deployment
    finally:
        await deployment.close()


@asynccontextmanager
async def database(settings: Settings) -> AsyncIterator[Database]:
    """Its database alone, checked: for who has no secret and no workflows, such as an auditor."""
    _must_exist(settings)
    connected = databases.connect(settings.database.url)
    try:
        await schema.check(connected)
        yield connected
    finally:
        await connected.close()


def _must_exist(settings: Settings) -> None:
    path = settings.sqlite_path
    if path is not None and not path.exists():
        raise NotFound(
            f"there is no database at {path}; is this the right folder? PENSTOCK_DATABASE__URL names it, "
            "`penstock dev` or `penstock db upgrade` makes it"
        )


def run(work: Coroutine[Any, Any, R]) -> R:
    """Run a command's coroutine."""
    return asyncio.run(work)
