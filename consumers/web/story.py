"""`/events/{id}/story`: what happened to one event, step by step; its texts are told by size, not shown."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from consumers.story import told
from consumers.web.site import Site
from infra.store import history, read
from pipeline.record import sentence


def add(routes: APIRouter, site: Site) -> None:
    """The page of one event."""
    database = site.context.store.database

    @routes.get("/events/{event_id}/story")
    async def show_story(event_id: UUID, request: Request) -> HTMLResponse:
        caller = await site.reader(request)
        found = told(await read.story(database, event_id), await history.marks(database, event_id))
        steps = sorted(_steps(found), key=lambda step: step[1])
        attempts = found["attempts"]
        return site.page(
            "story.html",
            request,
            caller,
            story=found,
            steps=steps,
            sentence=sentence,
            spent=sum(one["cost_micros"] or 0 for one in attempts if not one["original_id"]),
            tokens=sum(
                one["input_tokens"] + one["output_tokens"] for one in attempts if not one["original_id"]
            ),
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
    decisions = {"decision", "replay"}
    for one in told["audit"]:
        if one["kind"] not in decisions:  # those tell of the results above
            yield "audit", one["occurred_at"], one
