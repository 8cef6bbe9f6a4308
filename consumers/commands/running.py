"""How a command gets what it works on: settings, and a deployment that is closed at the end."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from consumers import wiring
from consumers.wiring import Deployment
from infra import logs, schema
from infra.settings import Settings
from infra.settings import load as load_settings

R = TypeVar("R")


def settings_for(process: str) -> Settings:
    """Settings, with logging set up for this process."""
    settings = load_settings()
    logs.configure(settings.log, process=process)
    return settings


@asynccontextmanager
async def deployed() -> AsyncIterator[Deployment]:
    """The deployment that the settings describe, its database checked."""
    deployment = wiring.deploy(settings_for("cli"))
    try:
        await schema.check(deployment.database)
        yield deployment
    finally:
        await deployment.close()


def run(work: Coroutine[Any, Any, R]) -> R:
    """Run a command's coroutine."""
    return asyncio.run(work)
