"""A Sentry project on 127.0.0.1: an envelope in over HTTP, its items out."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import sentry_sdk
from aiohttp import web

from infra import sentry


@dataclass
class Project:
    """A Sentry project of the test: keeps what it is sent."""

    dsn: str
    raw: list[bytes] = field(default_factory=list)

    async def items(self, kind: str) -> list[dict[str, Any]]:
        """Everything of one kind that has arrived once all that waits is sent."""
        await asyncio.to_thread(sentry.flush)
        return [item for header, item in self._items() if header["type"] == kind]

    async def kinds(self) -> set[str]:
        await asyncio.to_thread(sentry.flush)
        return {header["type"] for header, _ in self._items()}

    def _items(self) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        for envelope in self.raw:
            _, *lines = envelope.splitlines()
            for header, payload in zip(lines[::2], lines[1::2], strict=True):
                yield json.loads(header), json.loads(payload)

    def holds(self, *texts: str) -> list[str]:
        """Which of `texts` are anywhere in what arrived."""
        everything = b"\n".join(self.raw).decode()
        return [text for text in texts if text in everything]


@asynccontextmanager
async def project_of_the_test() -> AsyncIterator[Project]:
    """A project that receives while the block runs; at its end this process knows no Sentry any more."""

    async def receive(request: web.Request) -> web.Response:
        kept.raw.append(await request.read())  # aiohttp undoes the gzip
        return web.json_response({})

    app = web.Application()
    app.router.add_post("/api/1/envelope/", receive)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    kept = Project(f"http://public@127.0.0.1:{runner.addresses[0][1]}/1")
    yield kept
    await asyncio.to_thread(sentry_sdk.get_client().close, timeout=2.0)
    sentry_sdk.get_global_scope().clear()
    sentry_sdk.get_global_scope().set_client(None)
    await runner.cleanup()
