"""An event's id in, where it stands out."""

from dataclasses import replace
from uuid import UUID

from fastapi import APIRouter, Request

from consumers.api.callers import Callers
from consumers.api.context import ApiContext
from consumers.api.problems import documented
from infra.store.status import Status, status
from pipeline.errors import NotFound


def router(context: ApiContext, callers: Callers) -> APIRouter:
    """`GET /events/{event_id}`."""
    routes = APIRouter(tags=["events"])

    @routes.get("/events/{event_id}", responses=documented(401, 404, 503))
    async def show_event(event_id: str, request: Request) -> Status:
        """Tell where an event stands. A sender sees its own events, without what was extracted."""
        caller = await callers.identify(request)
        found = await status(context.store.database, _parsed(event_id))
        if caller.may("read"):
            return found
        if not caller.may_send_as(found.source):
            raise NotFound(f"no event {event_id}")
        return replace(found, data=None, withheld=())

    return routes


def _parsed(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise NotFound("no such event; give the event_id that the answer to your POST named") from error
