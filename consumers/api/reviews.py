"""What waits for a person, over HTTP: the queue, claims, and what they decide."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any, Final, TypeVar
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from consumers.api.body import described, read_model
from consumers.api.callers import Caller, Callers
from consumers.api.context import ApiContext
from consumers.api.problems import documented
from consumers.api.reading import Revealing, require_reveal
from consumers.desk import Desk, Said
from consumers.quality import Measured, Measures
from consumers.reveal import shown
from infra.store.reviews import Item, Order, waiting
from pipeline.confidence import Coverage, threshold_for
from pipeline.errors import NotFound
from pipeline.resolve import Subject
from schemas.changeset import Result
from schemas.decision import MAX_REASON_LENGTH

_MAX_PAGE: Final = 200
_PROBLEMS: Final = documented(401, 403, 404, 409, 503)
_DECISION_PROBLEMS: Final = documented(400, 401, 403, 404, 408, 409, 413, 415, 422, 503)


class Word(BaseModel):
    """What a person says beside their decision."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    revision: int = Field(description="The revision that they looked at; if there is a newer one: 409.")
    comment: str = Field("", max_length=MAX_REASON_LENGTH, description="Why; receivers of the result see it.")


class Reason(Word):
    """A rejection says why."""

    comment: str = Field(
        min_length=1, max_length=MAX_REASON_LENGTH, description="Why: a dead letter's reason."
    )


class Correction(Word):
    """What is right instead."""

    data: dict[str, Any] = Field(description="The whole result, as the workflow's schema has it.")


W = TypeVar("W", bound=Word)
_Ordered = Annotated[
    Order,
    Query(description="doubted: of one workflow whose score is shown to tell right from wrong, else 409."),
]


@dataclass(frozen=True, slots=True)
class Page:
    """A part of the queue; `next` is the `after` of the next page."""

    items: tuple[Item, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class Seen:
    """What a person judges; `published` is the revision that receivers act on, `item` says that it waits.

    `text` is the source, for who reveals it; until then `withheld` names the fields of an event with a
    subject.
    """

    event_id: UUID
    workflow: str
    source: str
    id: str
    state: str
    revision: int
    published: int | None
    reasons: tuple[str, ...]
    model: str | None
    data: Mapping[str, Any] | None
    withheld: tuple[str, ...]
    evidence: Mapping[str, Any] | None
    text: str | None
    item: Item | None


@dataclass(frozen=True, slots=True)
class Proved:
    """What people found; `threshold` keeps errors under `error`, `is_ranked`: the queue may be, by doubt."""

    measured: Measured
    error: float
    threshold: Coverage | None
    is_ranked: bool


@dataclass(frozen=True, slots=True)
class Resolved:
    """The new revision; `state` is `reopened` when it went back to the machine."""

    event_id: UUID
    state: str
    revision: int
    supersedes: int | None
    version: str
    decided_at: datetime


def router(context: ApiContext, callers: Callers) -> APIRouter:
    """`/api/reviews`."""
    routes = APIRouter(prefix="/api/reviews", tags=["reviews"])
    measures = Measures(context.store.database)
    _add_quality(routes, context, measures)
    _add_reading(routes, context, callers, measures)
    _add_claims(routes, context, callers, measures)
    _add_decisions(routes, context, callers)
    return routes


def _add_quality(routes: APIRouter, context: ApiContext, measures: Measures) -> None:
    @routes.get("/quality", responses=documented(401, 403, 404, 422, 503))
    async def measure_quality(
        workflow: str, error: Annotated[float, Query(gt=0, lt=1, allow_inf_nan=False)] = 0.01
    ) -> Proved:
        """Tell how often people found the machine wrong, whether its signals told, and from which score on.

        As `penstock review quality`; up to five minutes old.
        """
        found = await measures.of(context.catalogue.named(workflow).workflow.name)
        threshold = threshold_for(error, found.sampled.curve)
        return Proved(found, error, threshold, is_ranked=found.ranking is not None)


def _add_reading(routes: APIRouter, context: ApiContext, callers: Callers, measures: Measures) -> None:
    @routes.get("", responses=documented(401, 403, 404, 409, 422, 503))
    async def list_reviews(
        request: Request,
        workflow: str | None = None,
        after: str | None = None,
        limit: Annotated[int, Query(ge=1, le=_MAX_PAGE)] = 50,
        order: _Ordered = "oldest",
    ) -> Page:
        """Tell what waits for a person, and who looks at which."""
        await _check_order(context, measures, workflow, order)
        database = context.store.database
        found = await waiting(database, workflow=workflow, after=after, limit=limit, order=order)
        return Page(tuple(found), found[-1].place(order) if len(found) == limit else None)

    @routes.get("/{event_id}", responses=documented(401, 403, 404, 422, 503))
    async def show_review(event_id: str, request: Request, asked: Annotated[Revealing, Query()]) -> Seen:
        """Tell what was extracted from an event, why a person is asked, and what each value rests on."""
        caller = await callers.identify(request)
        if asked.reveal:
            require_reveal(caller)
        desk = desk_of(context, caller)
        subject, item = await desk.look(_parsed(event_id))
        return _seen(subject, item, await desk.read(subject) if asked.reveal else None)


def _seen(subject: Subject, item: Item | None, text: str | None) -> Seen:
    newest, identity = subject.newest, subject.event.identity
    has_subject = subject.event.subject_hash is not None
    told = shown(newest.data, newest.reasons, has_subject=has_subject, is_revealed=text is not None)
    return Seen(
        event_id=newest.event_id,
        workflow=newest.workflow,
        source=identity.source,
        id=identity.id,
        state=newest.state,
        revision=newest.revision,
        published=subject.standing,
        reasons=told.reasons,
        model=newest.model,
        data=told.data,
        withheld=told.withheld,
        evidence=newest.evidence,
        text=text,
        item=item,
    )


def _add_claims(routes: APIRouter, context: ApiContext, callers: Callers, measures: Measures) -> None:
    async def desk(request: Request) -> Desk:
        return desk_of(context, await callers.identify(request))

    @routes.post("/next", responses=documented(401, 403, 404, 409, 422, 503))
    async def claim_next(request: Request, workflow: str | None = None, order: _Ordered = "oldest") -> Item:
        """Claim the first item that nobody else looks at, for 15 minutes; 404 when there is none."""
        await _check_order(context, measures, workflow, order)
        return await (await desk(request)).claim_next(workflow, order)

    @routes.post("/{event_id}/claim", responses=_PROBLEMS)
    async def claim(event_id: str, request: Request) -> Item:
        """Tell others that you look at it, for 15 minutes; again for longer. 409 says who else does."""
        return await (await desk(request)).claim(_parsed(event_id))

    @routes.post("/{event_id}/release", status_code=204, responses=_PROBLEMS)
    async def release(event_id: str, request: Request) -> None:
        """Give back what you have claimed."""
        await (await desk(request)).release(_parsed(event_id))


def _add_decisions(routes: APIRouter, context: ApiContext, callers: Callers) -> None:
    async def heard(request: Request, kind: type[W]) -> tuple[Desk, W, Said]:
        desk = desk_of(context, await callers.identify(request))
        word = await read_model(request, kind, max_bytes=context.settings.api.max_body_bytes)
        return desk, word, Said(word.comment, word.revision)

    @routes.post("/{event_id}/approve", responses=_DECISION_PROBLEMS, openapi_extra=described(Word))
    async def approve(event_id: str, request: Request) -> Resolved:
        """The result is right as it is: publish it, unless receivers have it already."""
        desk, _, said = await heard(request, Word)
        return _resolved(await desk.approve(_parsed(event_id), said))

    @routes.post("/{event_id}/correct", responses=_DECISION_PROBLEMS, openapi_extra=described(Correction))
    async def correct(event_id: str, request: Request) -> Resolved:
        """Say what is right: publish it, with the link to what it replaces."""
        desk, word, said = await heard(request, Correction)
        return _resolved(await desk.correct(_parsed(event_id), said, word.data))

    @routes.post("/{event_id}/reject", responses=_DECISION_PROBLEMS, openapi_extra=described(Reason))
    async def reject(event_id: str, request: Request) -> Resolved:
        """Not to be acted on: a dead letter with the comment as reason; what was published is withdrawn."""
        desk, _, said = await heard(request, Reason)
        return _resolved(await desk.reject(_parsed(event_id), said))

    @routes.post("/{event_id}/back", responses=_DECISION_PROBLEMS, openapi_extra=described(Word))
    async def back(event_id: str, request: Request) -> Resolved:
        """Send it back to the machine, under today's version of its workflow."""
        desk, _, said = await heard(request, Word)
        result = await desk.send_back(_parsed(event_id), said)
        context.ring(result.workflow)
        return _resolved(result)


async def _check_order(context: ApiContext, measures: Measures, workflow: str | None, order: Order) -> None:
    """Raises NotFound for a workflow that is none, Conflict for an order that it does not deserve."""
    if workflow is not None:
        name = context.catalogue.named(workflow).workflow.name
        if order == "doubted":
            (await measures.of(name)).must_rank()


def desk_of(context: ApiContext, caller: Caller) -> Desk:
    """The desk of who calls."""
    scribe = replace(context.scribe, actor=caller.actor)
    return Desk(context.store, context.catalogue, scribe, context.clock)


def _resolved(result: Result) -> Resolved:
    return Resolved(
        event_id=result.event_id,
        state=str(result.state),
        revision=result.revision,
        supersedes=result.supersedes,
        version=result.version,
        decided_at=result.decided_at,
    )


def _parsed(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise NotFound("no such event; give the event_id that GET /api/reviews names") from error
