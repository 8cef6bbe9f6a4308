"""Everything in one process on one database: the same drains, relay and API, without Kafka and Celery."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from consumers import starting, trust, wiring
from consumers.drain import Drains
from consumers.relay import Relay
from consumers.supervisor import Child, Supervisor
from consumers.watchdog import Watchdog
from consumers.wiring import Deployment
from infra import schema
from infra.lock import AdvisoryRole, FileRole, SingleRole
from infra.settings import Settings
from infra.simulator.server import Options, serve
from infra.store import LogPublisher
from pipeline.errors import Conflict

#: An `emit` from another process rings no bell.
_LOOK_SECONDS: Final = 0.1


@dataclass(frozen=True)
class Embedded:
    """A running embedded Penstock; `simulator` is the URL of the simulated model, if that is the model."""

    deployment: Deployment
    drains: Drains
    simulator: str | None


@asynccontextmanager
async def embedded(settings: Settings) -> AsyncIterator[Embedded]:
    """Upgrade the database and run drains, relay, sealer and the suspects' child while the block runs.

    Raises Conflict when another process runs on this database.
    """
    async with AsyncExitStack() as stack:
        url = None
        if not settings.models:
            url = await stack.enter_async_context(_simulator(settings))
            settings = wiring.simulated(settings, url)
        deployment = wiring.deploy(settings)
        stack.push_async_callback(deployment.close)
        role = single_role(deployment, "dev")
        if not await role.acquire():
            holder = f" (process {role.holder})" if isinstance(role, FileRole) else ""
            raise Conflict(f"another `penstock dev` runs on {settings.database.url}{holder}; stop it first")
        stack.push_async_callback(role.release)
        await schema.upgrade(deployment.database)
        trust.signer(settings)  # made where there is none
        await wiring.start(deployment)
        await starting.record_settings(deployment, "dev")
        await deployment.store.forget()
        drains = await stack.enter_async_context(_working(deployment))
        yield Embedded(deployment, drains, url)


def single_role(deployment: Deployment, name: str) -> SingleRole:
    """The lock of a role of which this database has one."""
    path = deployment.settings.sqlite_path
    if path is None:
        return AdvisoryRole(deployment.database, name)
    return FileRole(path.with_name(f"{path.name}.{name}.lock"))


@asynccontextmanager
async def _simulator(settings: Settings) -> AsyncIterator[str]:
    options = Options(latency_seconds=settings.simulator.latency_ms / 1000)
    async with AsyncExitStack() as stack:
        host = settings.simulator.host
        try:
            url = await stack.enter_async_context(serve(options, host=host, port=settings.simulator.port))
        except OSError:  # the port is taken; nobody but us needs to know it
            url = await stack.enter_async_context(serve(options, host=host, port=0))
        yield url


@asynccontextmanager
async def _working(deployment: Deployment) -> AsyncIterator[Drains]:
    model = wiring.model(deployment)
    drains = Drains(
        catalogue=deployment.catalogue,
        store=deployment.store,
        world=wiring.world(deployment, model),
        settings=deployment.settings.worker,
        metrics=deployment.metrics,
    )
    publisher = LogPublisher(deployment.database)
    relay = Relay(deployment.store, publisher, single_role(deployment, "relay"), deployment.metrics)
    sealer = trust.sealer(deployment, single_role(deployment, "seal"))
    child = Child(
        ("serve", "suspects"), wiring.environment(deployment.settings.models) | _database(deployment)
    )
    supervisor = Supervisor(deployment, None, child)
    stop = asyncio.Event()
    # A group: when one of them fails, the process ends, and the next start resumes.
    async with asyncio.TaskGroup() as group:
        watchdog = group.create_task(Watchdog(deployment.settings.worker.watchdog_seconds).turn())
        looking = group.create_task(drains.keep_looking(_LOOK_SECONDS))
        leases = group.create_task(drains.keep_leases())
        group.create_task(relay.run(stop))
        group.create_task(sealer.run(stop))
        group.create_task(wiring.pruner(deployment).run(stop))
        group.create_task(supervisor.run(stop))
        try:
            yield drains
        finally:
            await drains.stop()
            stop.set()
            looking.cancel()
            leases.cancel()
            watchdog.cancel()
            await model.close()


def _database(deployment: Deployment) -> dict[str, str]:
    """The child's database is ours, even when no variable says so."""
    path = deployment.settings.sqlite_path
    url = deployment.settings.database.url if path is None else f"sqlite:///{os.path.abspath(path)}"  # noqa: PTH100 - resolve() would follow links
    return {"PENSTOCK_DATABASE__URL": url}
