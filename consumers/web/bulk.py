"""`/review/bulk` and `/failures/bulk`: what a search finds, looked through, and decided in one go."""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from consumers.api.callers import Caller
from consumers.api.origin import form as read_form
from consumers.api.problems import Problem
from consumers.api.reviews import desk_of
from consumers.bulk import ACTIONS, MAX_EVENTS, Chosen, Outcome, replay_all, resolve
from consumers.web.audit import asked_of, query_of, words_of
from consumers.web.marked import visible
from consumers.web.site import Site
from infra.store.bulk import Which, candidates
from pipeline.errors import InvalidCorrection

#: Begins the name of an event's tick; its value is the revision that was seen.
TICK: Final = "at."
_PATHS: Final[Mapping[Which, str]] = {"waiting": "/review/bulk", "dead": "/failures/bulk"}
#: Filters of the form; others are kept as they are.
_SHOWN: Final = ("text", "workflow", "reason", "since", "until")
_LIMITS: Final = (100, 250, MAX_EVENTS)
_MAX_VALUES: Final = 4
_MAX_VALUE: Final = 40


def add(routes: APIRouter, site: Site) -> None:
    """A list to tick and a decision, for what waits and for what is dead."""
    for which in _PATHS:
        _add(routes, site, which)


def _add(routes: APIRouter, site: Site, which: Which) -> None:
    @routes.get(_PATHS[which])
    async def look(request: Request) -> HTMLResponse:
        return await _list(site, request, await site.reader(request), which)

    @routes.post(_PATHS[which])
    async def decide(request: Request) -> HTMLResponse:
        """Told at once: an event that was decided is not decided again, should the page be reloaded."""
        caller, form = await site.reader(request), await read_form(request)
        desk, began = desk_of(site.context, caller), site.context.clock()
        try:
            chosen = _chosen(form)
            if which == "dead":
                outcome = await replay_all(desk, chosen)
            else:
                outcome = await resolve(desk, _action(form), chosen, comment=_comment(form))
        except InvalidCorrection as error:
            return await _list(site, request, caller, which, wrong=str(error), form=form)
        for lane in outcome.lanes:
            site.context.ring(lane)
        return _told(site, request, caller, which, outcome, began)


async def _list(
    site: Site,
    request: Request,
    caller: Caller,
    which: Which,
    *,
    wrong: str | None = None,
    form: Mapping[str, str] | None = None,
) -> HTMLResponse:
    asked, misspelt = asked_of(request)
    database, query, limit = site.context.store.database, query_of(request), _limit(request)
    found = None if asked is None else await candidates(database, asked.search, which, limit=limit)
    ours = _ours(query, limit)
    return site.page(
        "bulk.html",
        request,
        caller,
        status=422 if wrong else 200,
        which=which,
        found=found,
        wrong=wrong or misspelt,
        query=query,
        string=urlencode(ours, doseq=True),
        kept={name: text for name, text in query.items() if name not in _SHOWN},
        words=words_of(ours),
        ticked=None if form is None else [name for name in form if name.startswith(TICK)],
        comment=_comment(form or {}),
        told=_values,
        workflows=sorted(site.context.catalogue.by_name),
        limit=limit,
        limits=_LIMITS,
    )


def _told(
    site: Site, request: Request, caller: Caller, which: Which, outcome: Outcome, began: datetime
) -> HTMLResponse:
    kind = {"kind": "replay"} if which == "dead" else {"kind": "review", "reason": "in_bulk"}
    mine = {**kind, "actor": caller.actor.name, "since": began.isoformat().replace("+00:00", "Z")}
    return site.page(
        "bulk_done.html",
        request,
        caller,
        which=which,
        outcome=outcome,
        state=outcome.done[0].state if outcome.done else None,
        records=urlencode(mine),
        string=urlencode(_ours(query_of(request), _limit(request)), doseq=True),
    )


def _limit(request: Request) -> int:
    """How many are shown: a page that comes at once, unless somebody wants more."""
    text = request.query_params.get("limit", "")
    return next((limit for limit in _LIMITS if text == str(limit)), _LIMITS[0])


def _ours(query: Mapping[str, str], limit: int) -> dict[str, str]:
    return {**query, "limit": str(limit)}


def _chosen(form: Mapping[str, str]) -> list[Chosen]:
    """What is ticked; raises InvalidCorrection where that is nothing, or nobody said to be sure."""
    ticks = {name.removeprefix(TICK): text for name, text in form.items() if name.startswith(TICK)}
    try:
        chosen = [Chosen(UUID(own), int(revision)) for own, revision in ticks.items()]
    except ValueError as error:
        raise Problem(400, "invalid_request", "the form names no event; reload the page") from error
    if not chosen:
        raise InvalidCorrection("no event is ticked")
    if len(chosen) > MAX_EVENTS:
        raise InvalidCorrection(f"at most {MAX_EVENTS} in one go")
    if "sure" not in form:
        raise InvalidCorrection("tick that you are sure")
    return chosen


def _action(form: Mapping[str, str]) -> Any:
    action = form.get("action")
    if action not in ACTIONS:
        raise Problem(400, "invalid_request", "the form names no decision; reload the page")
    return action


def _comment(form: Mapping[str, str]) -> str:
    return form.get("comment", "").replace("\r\n", "\n")


def _values(data: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    """The first few values of a result, short enough for a line; the desk shows all."""
    for name, value in list((data or {}).items())[:_MAX_VALUES]:
        text = visible(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
        text = "\N{EN DASH}" if value is None else text
        yield name, text if len(text) <= _MAX_VALUE else f"{text[: _MAX_VALUE - 1]}…"
