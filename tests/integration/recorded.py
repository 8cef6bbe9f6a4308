"""A model over real HTTP: a server that records what it is sent, and the worker's own client of it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from pydantic import SecretStr

from infra.endpoints import Endpoints, Unshared
from infra.llm import OpenAIModel
from infra.model_settings import name_of
from infra.settings import ModelSettings
from infra.simulator.server import Options, create_app
from tests.builders import NOW


@dataclass
class Recorder:
    """A server on a port of its own; `bodies` are those of the requests to the model, in order.

    `asked` is set once there is one.
    """

    url: str = ""
    bodies: list[bytes] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def recording(app: web.Application | None = None) -> AsyncIterator[Recorder]:
    """Serve `app`, the simulator unless another is given, while the block runs."""
    recorder = Recorder()

    @web.middleware
    async def record(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if request.path == "/v1/chat/completions":
            recorder.bodies.append(await request.read())
            recorder.asked.set()
        return await handler(request)

    app = app or create_app(Options())
    app.middlewares.append(record)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        recorder.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield recorder
    finally:
        await runner.cleanup()


def at(url: str, model: str = "simulated-fast", **changes: Any) -> ModelSettings:
    """An alias with one endpoint: `model` at the server of this URL."""
    changes = {"timeout_seconds": 10.0, "api_key": SecretStr("any"), **changes}
    return ModelSettings(base_url=f"{url}/v1", model=model, **changes)


@dataclass
class Client:
    """The Model port as a worker has it; `endpoint` is that of the alias `fast`."""

    model: OpenAIModel
    endpoints: Endpoints
    endpoint: str


@asynccontextmanager
async def client(settings: ModelSettings) -> AsyncIterator[Client]:
    endpoints = Endpoints({"fast": settings}, Unshared(), lambda: NOW)
    model = OpenAIModel(endpoints, lambda: NOW)
    yield Client(model, endpoints, name_of(settings))
    await model.close()
