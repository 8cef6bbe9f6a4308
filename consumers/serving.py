"""What the processes of `penstock serve` have in common: start, signals, health, an orderly end."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Final

from consumers import starting, wiring
from consumers.wiring import Deployment
from infra.health import serve_health
from infra.logs import logger
from infra.metrics_sql import SqlMetrics

log = logger()

#: Ports of /metrics, /healthz and /readyz where the settings name none.
PORTS: Final = {
    "api": 9100,
    "ingest": 9101,
    "worker": 9102,
    "supervisor": 0,
    "relay": 9103,
    "sweep": 9104,
    "seal": 9105,
}


async def until_stopped(
    deployment: Deployment, process: str, run: Callable[[asyncio.Event], Awaitable[None]]
) -> None:
    """Start, serve health, run until SIGTERM or SIGINT, close."""
    stop = asyncio.Event()
    on_signals(stop)
    await wiring.start(deployment)
    await starting.record_settings(deployment, process)
    async with health(deployment, process):
        log.info("process.started")
        try:
            await run(stop)
        finally:
            log.info("process.stopped")
            await deployment.close()


def on_signals(stop: asyncio.Event) -> None:
    """Set `stop` at SIGTERM and SIGINT."""
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)


@asynccontextmanager
async def health(deployment: Deployment, process: str) -> AsyncIterator[str]:
    """Serve /metrics, /healthz and /readyz while the block runs; yields their address.

    When no setting names the port and the process's own is taken, a free one is. A port that is set
    is the worker's own: its supervisor, which has the same settings, must not sit on it.
    """
    settings = deployment.settings.metrics
    named = None if process == "supervisor" else settings.port
    port = PORTS[process] if named is None else named
    counts = SqlMetrics(deployment.database, sorted(deployment.catalogue.by_name))
    serve = partial(
        serve_health,
        settings.host,
        metrics=deployment.metrics,
        counts=counts,
        ready=lambda: ready(deployment),
    )
    async with AsyncExitStack() as stack:
        try:
            url = await stack.enter_async_context(serve(port))
        except OSError:
            if named is not None:
                raise
            url = await stack.enter_async_context(serve(0))
        log.info("process.ready", health=url)
        yield url


async def ready(deployment: Deployment) -> str | None:
    """None, or why this process cannot work now."""
    try:
        await deployment.store.depth(at_most=1)
    except Exception as error:  # noqa: BLE001 - told to whoever asks, whatever it is
        return f"the database does not answer: {type(error).__name__}"
    return None
