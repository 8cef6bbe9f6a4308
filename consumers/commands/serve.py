"""`penstock serve ...`: the processes of a distributed deployment, one each."""

import asyncio
import contextlib
from typing import Annotated, Final

from cyclopts import App, Parameter

from consumers import wiring
from consumers.commands.output import note
from consumers.commands.running import run, settings_for
from consumers.drain import Drains
from consumers.serving import on_signals, until_stopped
from consumers.watchdog import Watchdog
from consumers.wiring import Deployment
from infra import sentry
from infra.bell import Bell
from pipeline.errors import InvalidSettingsError

_SUSPECTS_LOOK_SECONDS: Final = 0.2

app = App(name="serve", help="Run one process of a distributed deployment.")


def _prepare(process: str) -> Deployment:
    settings = settings_for(process)
    if settings.is_embedded:
        raise InvalidSettingsError(
            "PENSTOCK_KAFKA__BOOTSTRAP_SERVERS: set it to run distributed; `penstock dev` needs nothing"
        )
    sentry.init(settings.sentry, release=wiring.release(), process=process)
    return wiring.deploy(settings)


def _bell(deployment: Deployment) -> Bell:
    return wiring.bell(deployment.settings, deployment.metrics)


@app.command
def ingest() -> None:
    """Kafka to the database: accept events, keep what is no event as dead letters."""
    from consumers.ingest import Ingest
    from infra.kafka import Reader

    deployment = _prepare("ingest")
    settings = deployment.settings

    async def work(stop: asyncio.Event) -> None:
        bell = _bell(deployment)
        topics = sorted(deployment.catalogue.by_topic)
        reader = Reader(settings.kafka, topics=topics, batch=settings.ingest.batch)
        process = Ingest(reader, wiring.door(deployment, bell.ring), settings.ingest)
        try:
            await process.run(stop)
        finally:
            await bell.close()

    run(until_stopped(deployment, "ingest", work))


@app.command
def worker(*, child: Annotated[bool, Parameter(show=False, negative="")] = False) -> None:
    """Events to decisions. Supervises itself: a crashed worker is started again."""
    deployment = _prepare("worker")
    if child:
        from consumers import worker as process

        process.follow_parent()
        process.serve(deployment)
        return
    from consumers.supervisor import Child, Supervisor

    supervisor = Supervisor(deployment, Child(("serve", "worker", "--child")))
    run(until_stopped(deployment, "supervisor", supervisor.run))


@app.command(show=False)
def suspects() -> None:
    """Work on events that crashed their process, one at a time, until none is due. Started by others."""
    from consumers.worker import follow_parent

    settings = settings_for("suspects")
    follow_parent()
    sentry.init(settings.sentry, release=wiring.release(), process="suspects")
    run(_suspects(wiring.deploy(settings)))


async def _suspects(deployment: Deployment) -> None:
    model = wiring.model(deployment)
    drains = Drains(
        catalogue=deployment.catalogue,
        store=deployment.store,
        world=wiring.world(deployment, model),
        settings=deployment.settings.worker,
        metrics=deployment.metrics,
        suspects=True,
    )
    stop = asyncio.Event()
    on_signals(stop)
    leases = asyncio.create_task(drains.keep_leases())
    watchdog = asyncio.create_task(Watchdog(deployment.settings.worker.watchdog_seconds).turn())
    while not stop.is_set() and (await drains.look() or not drains.is_idle):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SUSPECTS_LOOK_SECONDS):
                await stop.wait()
    await drains.stop()
    leases.cancel()
    watchdog.cancel()
    await model.close()
    await deployment.close()


@app.command
def relay() -> None:
    """Outbox to Kafka. One is active per database, others stand by."""
    from consumers.relay import Relay
    from infra.kafka import KafkaPublisher
    from infra.lock import AdvisoryRole

    deployment = _prepare("relay")

    async def work(stop: asyncio.Event) -> None:
        publisher = KafkaPublisher(deployment.settings.kafka)
        role = AdvisoryRole(deployment.database, "relay")
        try:
            await Relay(deployment.store, publisher, role, deployment.metrics).run(stop)
        finally:
            await publisher.close()

    run(until_stopped(deployment, "relay", work))


@app.command
def sweep() -> None:
    """Ring again for due work: retries, lost bells, leases of dead workers. Once a day, prune."""
    from consumers.sweep import Sweep

    deployment = _prepare("sweep")

    async def work(stop: asyncio.Event) -> None:
        bell = _bell(deployment)
        process = Sweep(deployment.store, deployment.catalogue, deployment.settings.sweep, bell.ring)
        try:
            await asyncio.gather(process.run(stop), wiring.pruner(deployment).run(stop))
        finally:
            await bell.close()

    run(until_stopped(deployment, "sweep", work))


@app.command
def seal() -> None:
    """Audit records to seals: places in the log, signed checkpoints. One is active per database."""
    from consumers import trust
    from infra.lock import AdvisoryRole

    deployment = _prepare("seal")
    trust.signer(deployment.settings)  # to say at once what is missing
    sealer = trust.sealer(deployment, AdvisoryRole(deployment.database, "seal"))
    run(until_stopped(deployment, "seal", sealer.run))


@app.command
def api() -> None:
    """HTTP in: webhooks and our own senders; and what became of an event."""
    from consumers.api.app import create_app
    from consumers.api.serve import serve

    deployment = _prepare("api")

    async def work(stop: asyncio.Event) -> None:
        bell = _bell(deployment)
        settings = deployment.settings.api
        try:
            await serve(
                create_app(wiring.api(deployment, bell.ring)), settings.host, settings.port, stop=stop
            )
        finally:
            await bell.close()

    run(until_stopped(deployment, "api", work))


@app.command
def simulator() -> None:
    """The simulated model, over HTTP: for tests and trials, never for business."""
    from infra.simulator.server import Options, serve

    settings = settings_for("simulator").simulator

    async def work() -> None:
        stop = asyncio.Event()
        on_signals(stop)
        options = Options(latency_seconds=settings.latency_ms / 1000)
        async with serve(options, host=settings.host, port=settings.port) as url:
            note(f"The simulated model listens on {url}/v1. Its answers are made by rules: not for business.")
            await stop.wait()

    run(work())
