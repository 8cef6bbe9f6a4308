"""An `ApiContext` in, the FastAPI application out."""

from typing import Final

from fastapi import Depends, FastAPI
from fastapi.security import HTTPBearer

from consumers.api import audit, bulk, events, problems, reviews, topics, webhooks
from consumers.api.callers import Callers
from consumers.api.context import ApiContext
from consumers.api.door import Door
from consumers.api.headers import Headers
from consumers.api.needs import gate
from consumers.api.senders import senders
from consumers.web import guard, login, pages
from consumers.web.site import Site
from infra.settings import Settings
from pipeline.errors import InvalidSettingsError

_LOOPBACK: Final = ("127.0.0.1", "::1")


def create_app(context: ApiContext) -> FastAPI:
    """The whole API and the pages; connects to nothing.

    Raises InvalidSettingsError for a source without secrets, and for embedded mode, which trusts whoever
    reaches it, where others could.
    """
    if context.embedded:
        _check_alone(context.settings)
    callers = Callers(context)
    app = FastAPI(
        title="Penstock",
        version=context.scribe.release,
        docs_url=None,  # its page takes scripts from elsewhere, to where sessions are
        redoc_url=None,
        redirect_slashes=False,
        dependencies=[Depends(gate(callers))],
    )
    app.state.max_body_bytes = context.settings.api.max_body_bytes
    app.add_middleware(Headers)
    door = Door(context)
    site = Site(context, callers, door)
    problems.install(app, site.tell)
    guard.install(app)
    # For the description only: `Callers` decides, and says why not.
    described = [] if context.embedded else [Depends(HTTPBearer(auto_error=False))]
    app.include_router(webhooks.router(context, door, senders(context.settings, context.catalogue)))
    app.include_router(topics.router(context, door, callers), dependencies=described)
    app.include_router(events.router(context, callers), dependencies=described)
    app.include_router(bulk.router(context, callers), dependencies=described)  # before an {event_id}
    app.include_router(reviews.router(context, callers), dependencies=described)
    app.include_router(audit.router(context, callers), dependencies=described)
    app.include_router(pages.router(site))
    app.include_router(login.router(context, callers, site.page))
    return app


def _check_alone(settings: Settings) -> None:
    if settings.api.host not in _LOOPBACK:
        cure = "unset it; `serve api` with Kafka has tokens and logins"
        raise InvalidSettingsError(
            f"PENSTOCK_API__HOST: embedded mode has no tokens, so it listens on 127.0.0.1 alone; {cure}"
        )
    if settings.access.proxy_header:
        raise InvalidSettingsError("PENSTOCK_ACCESS__PROXY_HEADER: embedded mode knows no users; unset it")
