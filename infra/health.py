"""A process's own small window: /metrics, /healthz and /readyz, on an address that is not public."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from infra.logs import logger
from infra.metrics import Metrics
from infra.metrics_sql import SqlMetrics

log = logger()

#: Why a process is not ready, in words; None when it is.
Ready = Callable[[], Awaitable[str | None]]

_READY_SECONDS: Final = 2.0
_CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class _Window:
    metrics: Metrics
    counts: SqlMetrics | None
    ready: Ready

    async def show_metrics(self, _: web.Request) -> web.Response:
        text = self.metrics.text()
        if self.counts is not None:
            text += await self.counts.text()
        return web.Response(body=text, headers={"Content-Type": _CONTENT_TYPE})

    async def show_health(self, _: web.Request) -> web.Response:
        """That there is an answer says that the loop turns; there is nothing more to check."""
        return web.json_response({"status": "ok"})

    async def show_readiness(self, _: web.Request) -> web.Response:
        reason = await self._reason()
        if reason is None:
            return web.json_response({"status": "ready"})
        return web.json_response({"status": "not ready", "reason": reason}, status=503)

    async def _reason(self) -> str | None:
        try:
            async with asyncio.timeout(_READY_SECONDS):
                return await self.ready()
        except TimeoutError:
            return f"the check took longer than {_READY_SECONDS:.0f} s"
        except Exception as error:  # noqa: BLE001 - a check that fails is the answer
            log.warning("process.unready", error=error)
            return f"the check failed: {type(error).__name__}"


@asynccontextmanager
async def serve_health(
    host: str, port: int, *, metrics: Metrics, counts: SqlMetrics | None, ready: Ready
) -> AsyncIterator[str]:
    """Serve on the running loop while the block runs; yields `http://host:port`. Port 0 takes a free one.

    Raises OSError when the port is taken.
    """
    window = _Window(metrics, counts, ready)
    app = web.Application()
    app.router.add_get("/metrics", window.show_metrics)
    app.router.add_get("/healthz", window.show_health)
    app.router.add_get("/readyz", window.show_readiness)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        address = runner.addresses[0]
        name = f"[{address[0]}]" if ":" in address[0] else address[0]
        yield f"http://{name}:{address[1]}"
    finally:
        await runner.cleanup()
