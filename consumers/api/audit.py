"""The audit trail over HTTP: pages, a count and exports of what a search finds; one record and its proof."""

import asyncio
import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from consumers import explanation, records
from consumers.api.callers import Caller, Callers
from consumers.api.context import ApiContext
from consumers.api.problems import Problem, documented
from consumers.api.reading import Revealing, require_reveal
from consumers.exporting import MEDIA_TYPES, Export, Form
from consumers.filters import Filters
from consumers.reveal import reveal
from infra.database import Database
from infra.store import proofs, search
from infra.store.proofs import Prover
from infra.store.search import Count, Place
from pipeline.audit import leaf
from pipeline.errors import NotFound
from schemas.changeset import Scribe

_MAX_PAGE: Final = 500
_PROBLEMS: Final = documented(401, 403, 404, 409, 422, 503)


class Paged(Filters):
    """A search, and which page of what it finds."""

    after: str | None = Field(None, description="Go on behind this place: `next` of the page before.")
    limit: int = Field(50, ge=1, le=_MAX_PAGE)


_Size = Annotated[
    int | None,
    Field(gt=0, lt=2**63, description="Under the checkpoint of a log of so many records, not the newest."),
]


class Under(BaseModel):
    """Which checkpoint a proof leads to."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    size: _Size = None


class Exported(Filters):
    """A search, and how what it finds is exported."""

    format: Form = Field("jsonl", description="proofs: for verify_export.py, under one signed checkpoint.")
    reveal: bool = Field(
        default=False, description="With proofs: the texts, too; that you read them is on record."
    )
    size: _Size = None


@dataclass(frozen=True, slots=True)
class Page:
    """Columns of records, the newest first; `next` is the `after` of the next page."""

    records: tuple[dict[str, Any], ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class Proven:
    """What proves a record's place: a path (RFC 6962) from its leaf to the root of a signed checkpoint."""

    record: str
    leaf: str
    index: int
    path: tuple[str, ...]
    checkpoint: str


@dataclass
class _Proving:
    """The tree of the log, kept from one question to the next: it is read again for what came after it."""

    database: Database
    _made: Prover | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def prove(self, record_id: UUID, size: int | None) -> Proven:
        """Raises NotFound, or Conflict before the record is sealed, or when it was sealed after that size."""
        async with self.database.read() as connection:
            places = await proofs.places(connection, [record_id])
            seal = await proofs.closing(connection, size)
        async with self._lock:
            if self._made is None or max(places.get(record_id, 0) + 1, size or 0) > self._made.tree.size:
                async with self.database.read() as connection:
                    self._made = await proofs.prover(connection)
            made = self._made
        async with self.database.read() as connection:
            own = replace(made, connection=connection, seal=seal if size else made.seal)
            found = await own.prove(record_id)
        path = tuple(base64.b64encode(step).decode() for step in found.path)
        text = found.canonical.decode()
        return Proven(text, leaf(found.canonical).hex(), found.sequence, path, found.seal.note)


def router(context: ApiContext, callers: Callers) -> APIRouter:
    """`/api/audit`."""
    routes = APIRouter(prefix="/api/audit", tags=["audit"])
    _add_search(routes, context, callers)
    _add_export(routes, context, callers)
    _add_records(routes, context, callers)
    _add_explanation(routes, context, callers)
    return routes


def _add_search(routes: APIRouter, context: ApiContext, callers: Callers) -> None:
    @routes.get("/records", responses=_PROBLEMS)
    async def list_records(request: Request, asked: Annotated[Paged, Query()]) -> Page:
        """Tell which audit records match all filters, the newest first."""
        place = None if asked.after is None else _place(asked.after)
        found = await search.page(context.store.database, asked.search, after=place, limit=asked.limit)
        more = str(found[-1].place) if len(found) == asked.limit else None
        return Page(tuple(records.summary(row) for row in found), more)

    @routes.get("/count", responses=_PROBLEMS)
    async def count_records(request: Request, asked: Annotated[Filters, Query()]) -> Count:
        """Tell how many records match; counting ends at 10,000, and `is_more` says so."""
        return await search.count(context.store.database, asked.search)


def _add_export(routes: APIRouter, context: ApiContext, callers: Callers) -> None:
    @routes.get("/export", responses=_PROBLEMS, response_class=StreamingResponse)
    async def export_records(request: Request, asked: Annotated[Exported, Query()]) -> StreamingResponse:
        """Send all records that match, the oldest first, as they were when you asked (or before `until`)."""
        caller = await callers.identify(request)
        if asked.reveal and asked.format != "proofs":
            raise Problem(422, "invalid_request", "reveal discloses texts beside proofs: add format=proofs")
        if asked.size and asked.format != "proofs":
            raise Problem(422, "invalid_request", "size names a checkpoint to prove under: add format=proofs")
        wanted = replace(asked.search, until=asked.search.until or context.clock())
        reader = _reveals(context, caller) if asked.reveal else None
        chunks = Export(context.store, wanted, asked.format, context.clock, reader, asked.size).chunks()
        first = await anext(chunks, "")  # what is wrong shows before an answer has begun
        headers = {"Content-Disposition": f'attachment; filename="audit.{_ENDINGS[asked.format]}"'}
        return StreamingResponse(_after(first, chunks), media_type=MEDIA_TYPES[asked.format], headers=headers)


def _add_records(routes: APIRouter, context: ApiContext, callers: Callers) -> None:
    proving = _Proving(context.store.database)

    @routes.get("/records/{record_id}", responses=_PROBLEMS)
    async def show_record(record_id: str, request: Request) -> dict[str, Any]:
        """Tell all that a record says: hashes and references, no text of an event."""
        return records.whole(await search.one(context.store.database, _parsed(record_id)))

    @routes.get("/records/{record_id}/proof", responses=_PROBLEMS)
    async def prove_record(record_id: str, request: Request, asked: Annotated[Under, Query()]) -> Proven:
        """Prove that a record is in the log that a checkpoint signs; 409 until it is sealed."""
        return await proving.prove(_parsed(record_id), asked.size)


def _add_explanation(routes: APIRouter, context: ApiContext, callers: Callers) -> None:
    @routes.get("/events/{event_id}", responses=_PROBLEMS)
    async def explain_event(
        event_id: str, request: Request, asked: Annotated[Revealing, Query()]
    ) -> dict[str, Any]:
        """Explain how an event came to its outcome, as `penstock audit explain` does."""
        caller = await callers.identify(request)
        own, store, texts = _parsed(event_id), context.store, None
        if asked.reveal:
            texts = await reveal(store, own, scribe=_reveals(context, caller), now=context.clock())
        return await explanation.gather(store.database, context.catalogue, own, texts)


_ENDINGS: Final[dict[Form, str]] = {"jsonl": "jsonl", "csv": "csv", "proofs": "proofs.jsonl"}


async def _after(first: str, rest: AsyncIterator[str]) -> AsyncIterator[str]:
    yield first
    async for chunk in rest:
        yield chunk


def _reveals(context: ApiContext, caller: Caller) -> Scribe:
    """Who reads texts, for the record."""
    require_reveal(caller)
    return replace(context.scribe, actor=caller.actor)


def _place(text: str) -> Place:
    try:
        return Place.parse(text)
    except ValueError as error:
        raise Problem(422, "invalid_request", "after: take what the page before gave as `next`") from error


def _parsed(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise NotFound("no such id; GET /api/audit/records names them") from error
