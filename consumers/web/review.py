"""`/review`: what waits for a person; and the desk, where they read, correct and decide."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from consumers.api.callers import Caller
from consumers.api.origin import form as read_form
from consumers.api.problems import Problem
from consumers.api.reviews import desk_of
from consumers.desk import Desk, Said
from consumers.web.blank import blanks, changed, typed
from consumers.web.marked import pieces, spans
from consumers.web.signals import known
from consumers.web.site import Site
from infra.store import history, judgements, reviews
from infra.store.reviews import Item, Order
from pipeline.catalogue import Entry
from pipeline.errors import Conflict, InvalidCorrection, NotFound
from schemas.changeset import Result
from schemas.decision import MAX_REASON_LENGTH

_PAGE: Final = 50
#: Of a revision in a form; more of them fit no database.
_DIGITS: Final = 9
#: Verdicts of a value that is where the model says.
SURE: Final = ("exact", "normalised", "fuzzy", "ambiguous")


@dataclass(frozen=True, slots=True)
class Walk:
    """Along which queue somebody goes, and in which order; it is in every address of theirs."""

    workflow: str = ""
    order: Order = "oldest"

    @classmethod
    def of(cls, given: Mapping[str, str]) -> "Walk":
        """What an address or a form says; a queue of all workflows has no order but that of time."""
        workflow, order = given.get("workflow", ""), given.get("order", "")
        return cls(workflow, "doubted" if workflow and order == "doubted" else "oldest")

    @property
    def query(self) -> dict[str, str]:
        ordered = {"order": self.order} if self.order != "oldest" else {}
        return {"workflow": self.workflow, **ordered} if self.workflow else {}


def add(routes: APIRouter, site: Site) -> None:
    """The queue and the desk."""
    _add_queue(routes, site)
    _add_claims(routes, site)
    _add_desk(routes, site)


def _add_queue(routes: APIRouter, site: Site) -> None:
    context = site.context

    @routes.get("/review")
    async def show_queue(
        request: Request, workflow: str = "", after: str = "", order: str = ""
    ) -> HTMLResponse:
        """In the order of doubt where the score deserves that, unless somebody wants the oldest first."""
        caller = await site.reader(request)
        ranking = None
        if workflow:
            ranking = (await site.measures.of(context.catalogue.named(workflow).workflow.name)).ranking
        walk = Walk(workflow, "doubted" if ranking and order != "oldest" else "oldest")
        return site.page(
            "review.html",
            request,
            caller,
            **await _queue(site, walk, after, {"order": walk.order} if ranking else {}),
            workflow=workflow,
            order=walk.order,
            ranking=ranking,
            of=request.query_params.get("of", ""),
            workflows=sorted(context.catalogue.by_name),
            is_first=not after,
            who=caller.actor.name,
            may_review=caller.may("review"),
        )


def _add_claims(routes: APIRouter, site: Site) -> None:
    context = site.context

    @routes.post("/review/next")
    async def claim_next(request: Request) -> RedirectResponse:
        """The first item that nobody looks at."""
        caller, form = await site.reader(request), await read_form(request)
        return await _go_on(desk_of(context, caller), Walk.of(form), None, {})

    @routes.post("/review/{event_id}/claim")
    async def claim(event_id: UUID, request: Request) -> Response:
        """Claim it, or prolong the claim; 409 says who else has it, an open desk shows it."""
        caller, form = await site.reader(request), await read_form(request)
        if request.headers.get("hx-request") == "true":
            return await _held(site, request, caller, event_id)
        await desk_of(context, caller).claim(event_id)
        return RedirectResponse(_desk_url(event_id, Walk.of(form)), 303)


async def _queue(site: Site, walk: Walk, after: str, ordered: Mapping[str, str]) -> dict[str, Any]:
    """A page of it, and the addresses of the first and of the next one."""
    page = await reviews.waiting(
        site.context.store.database,
        workflow=walk.workflow or None,
        after=after or None,
        limit=_PAGE + 1,
        order=walk.order,
    )
    query = {**walk.query, **ordered}
    more = {**query, "after": page[_PAGE - 1].place(walk.order)} if len(page) > _PAGE else None
    return {"rows": page[:_PAGE], "first": urlencode(query), "more": more and urlencode(more)}


def _add_desk(routes: APIRouter, site: Site) -> None:
    @routes.get("/review/{event_id}")
    async def show_desk(event_id: UUID, request: Request) -> HTMLResponse:
        """The text is read, and that is on record."""
        caller = await site.reader(request)
        return await _show(site, request, caller, event_id, Walk.of(request.query_params))

    @routes.get("/review/{event_id}/decide")
    async def show_again(event_id: UUID) -> RedirectResponse:
        """Where a browser stands after what could not be decided; opened anew, it is the desk."""
        return RedirectResponse(_desk_url(event_id, Walk()), 303)

    @routes.post("/review/{event_id}/decide")
    async def decide(event_id: UUID, request: Request) -> Any:
        """As the form says; then to the next item. What cannot be done comes back with what was typed."""
        caller, form = await site.reader(request), await read_form(request)
        desk, walk = desk_of(site.context, caller), Walk.of(form)
        _, item = await desk.look(event_id)
        _, after = await _beside(site, item, walk)
        try:
            result = await _decided(site, desk, event_id, form)
        except (Conflict, InvalidCorrection) as error:
            return await _show(site, request, caller, event_id, walk, wrong=error, form=form)
        site.context.ring(result.workflow)
        said = {"said": str(result.state), "of": str(event_id)}
        if item is None:
            return RedirectResponse(f"/events/{event_id}/story?{urlencode(said)}", 303)
        return await _go_on(desk, walk, after, said)


async def _decided(site: Site, desk: Desk, event_id: UUID, form: Mapping[str, str]) -> Result:
    try:
        said = Said(form.get("comment", "").replace("\r\n", "\n"), int(form.get("revision", "")))
    except ValueError as error:
        raise Problem(400, "invalid_request", "the form names no revision; reload the page") from error
    match form.get("action"):
        case "save":
            return await _saved(site, desk, event_id, said, form)
        case "reject":
            return await desk.reject(event_id, said)
        case "back":
            return await desk.send_back(event_id, said)
    raise Problem(400, "invalid_request", "the form names no decision; reload the page")


async def _saved(site: Site, desk: Desk, event_id: UUID, said: Said, form: Mapping[str, str]) -> Result:
    """An approval where nothing was changed, else a correction."""
    subject, _ = await desk.look(event_id)
    entry = site.context.catalogue.named(subject.event.workflow)
    made = changed(blanks(entry, subject.newest.data, None, typed(form)))
    return await (desk.correct(event_id, said, settings=made) if made else desk.approve(event_id, said))


async def _show(
    site: Site,
    request: Request,
    caller: Caller,
    event_id: UUID,
    walk: Walk,
    *,
    wrong: Conflict | InvalidCorrection | None = None,
    form: Mapping[str, str] | None = None,
) -> HTMLResponse:
    desk = desk_of(site.context, caller)
    subject, item = await desk.look(event_id)
    entry = site.context.catalogue.named(subject.event.workflow)
    newest = subject.newest
    text = None if subject.event.is_erased else await desk.read(subject)
    before, after = await _beside(site, item, walk)
    return site.page(
        "desk.html",
        request,
        caller,
        status=200 if wrong is None else 409 if isinstance(wrong, Conflict) else 422,
        subject=subject,
        newest=newest,
        item=item,
        taken=_taken(item, caller),
        is_gone=False,
        pieces=None if text is None else pieces(text, spans(newest.evidence)),
        form=blanks(entry, newest.data, newest.evidence, await _own(site, entry, newest, form or {})),
        comment=(form or {}).get("comment", ""),
        longest=MAX_REASON_LENGTH,
        wrong=wrong,
        flawed=wrong.fields if isinstance(wrong, InvalidCorrection) else (),
        walk=walk,
        before=before and _desk_url(before, walk),
        after=after and _desk_url(after, walk),
        is_running=item is None and newest.outcome is None,
        of=request.query_params.get("of", ""),
        sure=SURE,
        known=await _known(site, event_id, entry),
    )


async def _known(site: Site, event_id: UUID, entry: Entry) -> Any:
    judged = await judgements.of_event(site.context.store.database, event_id)
    return known(judged, await site.measures.of(entry.workflow.name))


async def _held(site: Site, request: Request, caller: Caller, event_id: UUID) -> HTMLResponse:
    """The line above an open desk: why it is not its reader's any more, nothing while it is.

    The desk itself is not sent again, for that would be a look at the text, and on record as one.
    """
    desk = desk_of(site.context, caller)
    with suppress(Conflict, NotFound):
        await desk.claim(event_id)
    _, item = await desk.look(event_id)
    return site.page("taken.html", request, caller, taken=_taken(item, caller), is_gone=item is None)


async def _own(site: Site, entry: Entry, newest: Result, form: Mapping[str, str]) -> dict[str, str]:
    """What was typed; of a form that is older than the newest revision, only what its writer changed in it.

    What they only looked at may be what somebody else has corrected since.
    """
    own, seen = typed(form), form.get("revision", "")
    if not (seen.isdecimal() and len(seen) < _DIGITS and int(seen) != newest.revision):
        return own
    then = await history.revision(site.context.store.database, newest.event_id, int(seen))
    return {
        one.name: one.typed for one in blanks(entry, then.data if then else None, None, own) if one.is_changed
    }


async def _beside(site: Site, item: Item | None, walk: Walk) -> tuple[UUID | None, UUID | None]:
    """What stands before and behind it on the way."""
    if item is None or walk.workflow not in ("", item.workflow):
        return None, None
    return await reviews.beside(site.context.store.database, item, walk.workflow or None, walk.order)


def _taken(item: Item | None, caller: Caller) -> Item | None:
    """The item where somebody else looks at it."""
    return item if item and item.claimed_by not in (None, caller.actor.name) else None


async def _go_on(desk: Desk, walk: Walk, after: UUID | None, said: Mapping[str, str]) -> RedirectResponse:
    """To the next item that is free: the one behind, else the first, else to the queue, which is empty."""
    try:
        found = after and (await desk.claim(after)).event_id
    except (Conflict, NotFound):
        found = None
    try:
        found = found or (await desk.claim_next(walk.workflow or None, walk.order)).event_id
    except NotFound:
        query = {**walk.query, **said}
        return RedirectResponse(f"/review?{urlencode(query)}" if query else "/review", 303)
    return RedirectResponse(_desk_url(found, walk, **said), 303)


def _desk_url(event_id: UUID, walk: Walk, **more: str) -> str:
    query = {**walk.query, **more}
    return f"/review/{event_id}?{urlencode(query)}" if query else f"/review/{event_id}"
