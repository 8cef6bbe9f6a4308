"""An `ApiContext` in, the FastAPI application out."""

from typing import Final

from fastapi import Depends, FastAPI
from fastapi.security import HTTPBearer
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from consumers.api import events, problems, topics, webhooks
from consumers.api.callers import Callers
from consumers.api.context import ApiContext
from consumers.api.door import Door
from consumers.api.senders import senders
from consumers.web import pages
from consumers.web.site import Site

_HEADERS: Final = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}


def create_app(context: ApiContext) -> FastAPI:
    """The whole API; connects to nothing. Raises InvalidSettingsError for a source without secrets."""
    app = FastAPI(
        title="Penstock",
        version=context.scribe.release,
        docs_url="/docs",
        redoc_url=None,
        redirect_slashes=False,
    )
    app.add_middleware(_Headers)
    door = Door(context)
    callers = Callers(context.store.database, context.embedded)
    site = Site(context, callers, door)
    problems.install(app, site.tell)
    # For the description only: `Callers` decides, and says why not.
    described = [] if context.embedded else [Depends(HTTPBearer(auto_error=False))]
    app.include_router(webhooks.router(context, door, senders(context.settings, context.catalogue)))
    app.include_router(topics.router(context, door, callers), dependencies=described)
    app.include_router(events.router(context, callers), dependencies=described)
    app.include_router(pages.router(site))
    return app


class _Headers:
    """Adds the headers that every answer carries."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, send_with_headers)
