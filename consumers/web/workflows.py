"""`/workflows`: which there are, what each is made of and how it changed; pause, resume, a test event."""

import json
from collections.abc import Sequence
from typing import Any, Final
from uuid import uuid4

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from consumers.api.callers import Caller
from consumers.api.door import Arrival, Receipt
from consumers.api.origin import form as read_form
from consumers.api.problems import Problem, problem_of
from consumers.lanes import set_paused
from consumers.web import fields, signals
from consumers.web.overview import Pictures
from consumers.web.site import Site
from infra.store import administration, evaluations, versions
from infra.store.evaluations import Kept
from infra.store.versions import Registered
from pipeline.catalogue import Entry
from pipeline.confidence import threshold_for
from pipeline.errors import InvalidEvent, NotFound
from pipeline.receive import parse, plain
from pipeline.versions import Difference, difference

#: The share of wrong results that a threshold is suggested for, unless somebody asks for another.
_ERROR: Final = 0.01


def add(routes: APIRouter, site: Site, pictures: Pictures) -> None:
    """The list, one workflow, and what can be done to it."""
    _add_pages(routes, site, pictures)
    context = site.context

    @routes.post("/workflows/{name}/pause")
    async def pause(name: str, request: Request) -> RedirectResponse:
        return await _switch(site, name, request, paused=True)

    @routes.post("/workflows/{name}/resume")
    async def resume(name: str, request: Request) -> RedirectResponse:
        return await _switch(site, name, request, paused=False)

    @routes.post("/workflows/{name}/test")
    async def send_test_event(name: str, request: Request) -> Response:
        caller = await site.reader(request)
        entry, form = context.catalogue.named(name), await read_form(request)
        text = form.get("data", "")
        try:
            receipt = await _send(site, caller, entry, text)
        except (Problem, InvalidEvent) as error:
            refused = problem_of(error, request.method)
            return await _page(site, request, caller, entry, text=text, refused=refused)
        said = "duplicate" if receipt.status == "duplicate" else "sent"
        return RedirectResponse(f"/events/{receipt.event_id}/story?said={said}", 303)


def _add_pages(routes: APIRouter, site: Site, pictures: Pictures) -> None:
    context = site.context

    @routes.get("/workflows")
    async def show_workflows(request: Request) -> HTMLResponse:
        caller = await site.reader(request)
        seen = (await pictures.newest("day")).seen
        return site.page(
            "workflows.html",
            request,
            caller,
            entries=context.catalogue.entries,
            flows={flow.workflow: flow for flow in seen.flows},
            paused=await administration.paused_lanes(context.store.database),
        )

    @routes.get("/workflows/{name}")
    async def show_workflow(name: str, request: Request, old: str = "", new: str = "") -> HTMLResponse:
        caller = await site.reader(request)
        entry = context.catalogue.named(name)
        return await _page(site, request, caller, entry, sides=(old, new) if old and new else None)


async def _page(
    site: Site,
    request: Request,
    caller: Caller,
    entry: Entry,
    *,
    sides: tuple[str, str] | None = None,
    text: str | None = None,
    refused: Problem | None = None,
) -> HTMLResponse:
    database, workflow = site.context.store.database, entry.workflow
    known = await versions.of_workflow(database, workflow.name)
    evaluated = await evaluations.of_workflow(database, workflow.name)
    event, extraction = workflow.event.model_json_schema(), workflow.extraction.model_json_schema()
    return site.page(
        "workflow.html",
        request,
        caller,
        status=refused.status if refused else 200,
        entry=entry,
        workflow=workflow,
        known=known,
        sides=sides,
        changed=_difference(known, sides) if sides else None,
        scored=_of_today(evaluated, entry.version),
        exact={one.version: one.summary.overall for one in evaluated},
        **await _quality(site, request, workflow.name),
        paused_by=(await administration.paused_lanes(database)).get(workflow.name),
        schemas=[
            (title, fields.rows(schema), json.dumps(schema, indent=2, ensure_ascii=False))
            for title, schema in (("Event", event), ("Extraction", extraction))
        ],
        text=fields.example(entry) if text is None else text,
        refused=refused,
        may_send=caller.may("send"),
    )


async def _quality(site: Site, request: Request, workflow: str) -> dict[str, Any]:
    """What people found, and the threshold for the errors that somebody can live with."""
    measured = await site.measures.of(workflow)
    try:
        error = float(request.query_params.get("error", ""))
    except ValueError:
        error = _ERROR
    error = error if 0 < error < 1 else _ERROR
    return {
        "measured": measured,
        "signal_rows": signals.rows,
        "error": error,
        "threshold": threshold_for(error, measured.sampled.curve),
    }


def _of_today(evaluated: Sequence[Kept], version: str) -> Kept | None:
    """The evaluation of today's version, else the newest."""
    newest = next(iter(evaluated), None)
    return next((one for one in evaluated if one.version == version), newest)


def _difference(known: Sequence[Registered], sides: tuple[str, str]) -> Difference:
    contents = {row.version: row.content for row in known}
    try:
        old, new = (contents[side] for side in sides)
        return difference(old, new)
    except KeyError as error:
        raise NotFound("no such version of this workflow ran on this database") from error
    except ValueError as error:
        raise NotFound(
            "this release cannot read one of these versions; no difference can be shown"
        ) from error


async def _switch(site: Site, name: str, request: Request, *, paused: bool) -> RedirectResponse:
    caller = await site.reader(request)
    await read_form(request)
    context = site.context
    actor = caller.actor
    changed = await set_paused(context.store, context.catalogue, name, paused=paused, actor=actor)
    if not paused:
        context.ring(name)
    said = ("paused" if paused else "resumed") if changed else "unchanged"
    return RedirectResponse(f"/workflows/{name}?said={said}", 303)


async def _send(site: Site, caller: Caller, entry: Entry, text: str) -> Receipt:
    """Through the door that POST /topics goes through; raises what that raises."""
    if not caller.may("send"):
        raise Problem(403, "forbidden", f"the role {caller.role!r} may not send; sender and operator may")
    body = text.encode("utf-8", "replace")
    if len(body) > site.context.settings.api.max_body_bytes:
        raise Problem(413, "too_large", "the event is too large (PENSTOCK_API__MAX_BODY_BYTES)")
    own: Any = plain(parse(body), source=caller.source, id=str(uuid4()), type=entry.workflow.consumes)
    answer = await site.door.admit(Arrival(entry, own, body, named_by_us=True))
    return Receipt.model_validate_json(bytes(answer.body))
