"""What the processes of `penstock serve` have in common: start, signals, health, an orderly end."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from consumers import wiring
from consumers.wiring import Deployment
from infra.health import serve_health

log = structlog.get_logger()

#: Ports of /metrics, /healthz and /readyz where the settings name none.
PORTS: Final = {"api": 9100, "ingest": 9101, "worker": 9102, "supervisor": 0, "relay": 9103, "sweep": 9104}


async def until_stopped(
    deployment: Deployment, process: str, run: Callable[[asyncio.Event], Awaitable[None]]
) -> None:
    """Start, serve health, run until SIGTERM or SIGINT, close."""
    stop = asyncio.Event()
    on_signals(stop)
    await wiring.start(deployment)
    close_health = await health(deployment, process)
    log.info("process.started", process=process)
    try:
        await run(stop)
    finally:
        await close_health()
        await deployment.close()
        log.info("process.stopped", process=process)


def on_signals(stop: asyncio.Event) -> None:
    """Set `stop` at SIGTERM and SIGINT."""
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)


async def health(deployment: Deployment, process: str) -> Callable[[], Awaitable[None]]:
    """Serve /metrics, /healthz and /readyz; on a free port when the process's own is taken.

    Returns how to end it.
    """
    settings = deployment.settings.metrics
    wanted = settings.port if settings.port is not None else PORTS[process]
    ports = [wanted] if settings.port is not None else [wanted, 0]
    for port in ports:
        try:
            server = await serve_health(
                settings.host,
                port,
                metrics=deployment.metrics,
                database=deployment.database,
                ready=lambda: ready(deployment),
            )
        except OSError:
            if port == ports[-1]:
                raise
        else:
            log.info("health.listening", host=settings.host, port=server.port)
            return server.close
    raise AssertionError("unreachable: the last port was tried")


async def ready(deployment: Deployment) -> str | None:
    """None, or why this process cannot work now."""
    try:
        await deployment.store.depth(at_most=1)
    except Exception as error:  # noqa: BLE001 - told to whoever asks, whatever it is
        return f"the database does not answer: {type(error).__name__}"
    return None
