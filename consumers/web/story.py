"""`/events/{id}/story`: what happened to one event, step by step; its texts only for who asks, and may."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from consumers.api.callers import Caller
from consumers.api.origin import form as read_form
from consumers.reveal import reveal
from consumers.story import gather
from consumers.web.marked import visible
from consumers.web.site import Site
from infra.store.deviations import deviations
from infra.store.texts import Texts
from pipeline.record import sentence


def add(routes: APIRouter, site: Site) -> None:
    """The page of one event, without its texts and with them."""

    @routes.get("/events/{event_id}/story")
    async def show_story(event_id: UUID, request: Request) -> HTMLResponse:
        return await _show(site, request, await site.reader(request), event_id)

    @routes.post("/events/{event_id}/texts")
    async def read_texts(event_id: UUID, request: Request) -> HTMLResponse:
        """The same with every text, for who may read them; that they do is on record first."""
        caller = await site.reader(request)
        await read_form(request)
        scribe = replace(site.context.scribe, actor=caller.actor)
        texts = await reveal(site.context.store, event_id, scribe=scribe, now=site.context.clock())
        return await _show(site, request, caller, event_id, texts)


async def _show(
    site: Site, request: Request, caller: Caller, event_id: UUID, texts: Texts | None = None
) -> HTMLResponse:
    found = await gather(site.context.store.database, event_id, texts)
    records = [one["record"] for one in found["audit"] if one["revision"] is not None]
    made = [one for one in found["attempts"] if not one["original_id"]]
    return site.page(
        "story.html",
        request,
        caller,
        story=found,
        deviations=await deviations(site.context.store.database, event_id, records),
        steps=sorted(_steps(found), key=lambda step: step[1]),
        sentence=sentence,
        spent=sum(one["cost_micros"] or 0 for one in made),
        tokens=sum(one["input_tokens"] + one["output_tokens"] for one in made),
        may_reveal=caller.may("reveal") and texts is None,
        may_review=caller.may("review") and not found["in_flight"] and bool(found["results"]),
        visible=visible,
    )


def _steps(told: Mapping[str, Any]) -> Iterator[tuple[str, datetime, Mapping[str, Any]]]:
    """What happened, and when, with the row that tells it."""
    yield "accepted", told["accepted_at"], told
    for one in told["attempts"]:
        yield "attempt", one["started_at"], one
    for one in told["results"]:
        yield "result", one["decided_at"], one
    for one in told["outbox"]:
        if one["published_at"]:
            yield "published", one["published_at"], one
    decisions = {"decision", "replay", "review"}
    for one in told["audit"]:
        if one["kind"] not in decisions:  # those tell of the results above
            yield "audit", one["occurred_at"], one
