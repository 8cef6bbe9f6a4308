"""Many events at once, over HTTP: what a search finds first, then one decision on those that were seen."""

from dataclasses import dataclass
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from consumers.api.body import described, read_model
from consumers.api.callers import Callers
from consumers.api.context import ApiContext
from consumers.api.problems import documented
from consumers.api.reviews import desk_of
from consumers.bulk import MAX_EVENTS, Action, Chosen, Outcome, Skipped, replay_all, resolve
from consumers.filters import Filters
from infra.store.bulk import Candidates, Which, candidates
from schemas.decision import MAX_REASON_LENGTH

_READING: Final = documented(401, 403, 422, 503)
_DECIDING: Final = documented(400, 401, 403, 408, 413, 415, 422, 503)


class Wanted(Filters):
    """A search, and how many of what it finds."""

    limit: int = Field(100, ge=1, le=MAX_EVENTS)


def _uuid(value: object) -> object:
    """JSON has no type of its own for it."""
    return UUID(value) if isinstance(value, str) else value


class Seen(BaseModel):
    """An event as it was when somebody looked at the list."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    event_id: Annotated[UUID, BeforeValidator(_uuid)]
    revision: int = Field(description="If there is a newer one, the event is left out.")


class Many(BaseModel):
    """The events that it is about."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    events: list[Seen] = Field(min_length=1, max_length=MAX_EVENTS)

    @property
    def chosen(self) -> list[Chosen]:
        return [Chosen(one.event_id, one.revision) for one in self.events]


class ManyReviews(Many):
    """What a person says of all of them."""

    action: Action
    comment: str = Field(
        "", max_length=MAX_REASON_LENGTH, description="Why; a rejection needs it. Receivers see it."
    )


@dataclass(frozen=True, slots=True)
class Decided:
    """A new revision of an event; `state` is `reopened` when it went back to the machine."""

    event_id: UUID
    state: str
    revision: int


@dataclass(frozen=True, slots=True)
class Told:
    """What became of each."""

    done: tuple[Decided, ...]
    skipped: tuple[Skipped, ...]


def router(context: ApiContext, callers: Callers) -> APIRouter:
    """`/api/reviews/bulk` and `/api/failures/bulk`."""
    routes = APIRouter()
    _add_reviews(routes, context, callers)
    _add_failures(routes, context, callers)
    return routes


def _add_reviews(routes: APIRouter, context: ApiContext, callers: Callers) -> None:
    @routes.get("/api/reviews/bulk", tags=["reviews"], responses=_READING)
    async def find_reviews(request: Request, asked: Annotated[Wanted, Query()]) -> Candidates:
        """Tell what waits for a person and matches all filters of the audit search, the oldest first."""
        return await _found(context, asked, "waiting")

    @routes.post(
        "/api/reviews/bulk", tags=["reviews"], responses=_DECIDING, openapi_extra=described(ManyReviews)
    )
    async def decide_reviews(request: Request) -> Told:
        """Approve, reject or send back up to 500 events, each by itself; skip what changed meanwhile."""
        desk = desk_of(context, await callers.identify(request))
        word = await read_model(request, ManyReviews, max_bytes=context.settings.api.max_body_bytes)
        return _told(context, await resolve(desk, word.action, word.chosen, comment=word.comment))


def _add_failures(routes: APIRouter, context: ApiContext, callers: Callers) -> None:
    @routes.get("/api/failures/bulk", tags=["failures"], responses=_READING)
    async def find_failures(request: Request, asked: Annotated[Wanted, Query()]) -> Candidates:
        """Tell which dead events match all filters of the audit search, the oldest first."""
        return await _found(context, asked, "dead")

    @routes.post("/api/failures/bulk", tags=["failures"], responses=_DECIDING, openapi_extra=described(Many))
    async def replay_failures(request: Request) -> Told:
        """Put up to 500 dead events back to work, each by itself; what changed meanwhile is skipped."""
        desk = desk_of(context, await callers.identify(request))
        word = await read_model(request, Many, max_bytes=context.settings.api.max_body_bytes)
        return _told(context, await replay_all(desk, word.chosen))


async def _found(context: ApiContext, asked: Wanted, which: Which) -> Candidates:
    return await candidates(context.store.database, asked.search, which, limit=asked.limit)


def _told(context: ApiContext, outcome: Outcome) -> Told:
    for lane in outcome.lanes:
        context.ring(lane)
    done = tuple(Decided(one.event_id, str(one.state), one.revision) for one in outcome.done)
    return Told(done, outcome.skipped)
