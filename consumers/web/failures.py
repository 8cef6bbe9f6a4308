"""`/failures`: why events went to a dead topic, which ones, and once more."""

from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from consumers.api.origin import form as read_form
from consumers.replay import replay
from consumers.web.site import Site
from infra.store import failures
from infra.store.failures import Place
from pipeline.errors import NotFound
from pipeline.record import sentence

_CALLS_WITHIN: Final = timedelta(days=1)


def add(routes: APIRouter, site: Site) -> None:
    """The groups, the events of one, and the replay of one event."""
    _add_group(routes, site)
    context, database = site.context, site.context.store.database

    @routes.get("/failures")
    async def show_failures(request: Request, workflow: str = "") -> HTMLResponse:
        caller = await site.reader(request)
        if workflow:
            context.catalogue.named(workflow)
        found = await failures.groups(database, workflow=workflow or None)
        calls = await failures.failed_calls(database, within=_CALLS_WITHIN)
        return site.page(
            "failures.html",
            request,
            caller,
            found=found,
            calls=calls,
            sentence=sentence,
            workflow=workflow,
            workflows=sorted(context.catalogue.by_name),
        )

    @routes.post("/events/{event_id}/replay")
    async def replay_event(event_id: UUID, request: Request) -> RedirectResponse:
        caller = await site.reader(request)
        await read_form(request)
        actor = caller.actor
        result = await replay(context.store, context.catalogue, event_id, actor=actor)
        context.ring(result.workflow)
        return RedirectResponse(f"/events/{event_id}/story?said=replayed", 303)


def _add_group(routes: APIRouter, site: Site) -> None:
    database = site.context.store.database

    @routes.get("/failures/events")
    async def show_group(
        request: Request, workflow: str, state: str, reason: str = "", at: str = "", after: str = ""
    ) -> HTMLResponse:
        caller = await site.reader(request)
        place = _place(at, after) if after else None
        page = await failures.events(database, workflow=workflow, state=state, reason=reason, after=place)
        group = {"workflow": workflow, "state": state, "reason": reason}
        more = page.next and urlencode(
            {**group, "at": page.next.decided_at.isoformat(), "after": str(page.next.event_id)}
        )
        return site.page(
            "failure.html",
            request,
            caller,
            workflow=workflow,
            state_name=state,
            reason=reason,
            rows=page.rows,
            first=urlencode(group) if place else None,
            more=more,
        )


def _place(at: str, after: str) -> Place:
    """What the link to the next page said; raises NotFound."""
    try:
        place = Place(datetime.fromisoformat(at), UUID(after))
    except ValueError as error:
        raise NotFound("no such page; go back to the failures") from error
    if place.decided_at.tzinfo is None:
        raise NotFound("no such page; go back to the failures")
    return place
