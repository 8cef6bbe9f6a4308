"""Runs the application in a loop that exists, until told to stop."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from pipeline.errors import InvalidSettingsError

_MAX_HEADER_BYTES: Final = 16_384
#: Connections, idle ones too; uvicorn answers 503 to what comes above.
_MAX_CONNECTIONS: Final = 1_000
_BACKLOG: Final = 2_048
_KEEP_ALIVE_SECONDS: Final = 5
#: Requests in flight when the process stops have this long.
_GRACE_SECONDS: Final = 5


async def serve(
    app: ASGIApp, host: str, port: int, *, stop: asyncio.Event, bound: Callable[[int], None] | None = None
) -> None:
    """Serve until `stop` is set, then let requests in flight end. `bound` is told the port (0 picks one).

    Raises InvalidSettingsError when the address cannot be had.
    """
    listening = _listen(host, port)
    config = uvicorn.Config(
        _Stoppable(app, stop),
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=_MAX_HEADER_BYTES,
        limit_concurrency=_MAX_CONNECTIONS,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    server = _Server(config)
    if bound is not None:
        bound(listening.getsockname()[1])
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        server.should_exit = True
        await serving


@dataclass(frozen=True, slots=True)
class _Stoppable:
    """Tells each request of the stop: an answer that never ends must end with it."""

    app: ASGIApp
    stop: asyncio.Event

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {})["stop"] = self.stop
        await self.app(scope, receive, send)


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers: the process that runs the loop has them."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _listen(host: str, port: int) -> socket.socket:
    # With its protocol: asyncio sets TCP_NODELAY only where that is named, and without it each answer waits
    # 40 ms for an acknowledgement. socket.create_server does not name it.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(_BACKLOG)  # from here on a client can connect, as `bound` promises
    except OSError as error:
        listening.close()
        detail = f"cannot listen on {host}:{port} ({error.strerror})"
        raise InvalidSettingsError(f"PENSTOCK_API__PORT: {detail}; choose another") from error
    return listening
