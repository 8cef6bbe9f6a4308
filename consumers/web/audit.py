"""`/audit`: the search of the audit trail behind a table, its count and its exports; and one record whole."""

import json
import shlex
from collections.abc import Mapping
from typing import Annotated, Any, Final
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse
from pydantic import Field, ValidationError

from consumers.api.problems import Problem
from consumers.filters import Filters
from consumers.web.site import Site
from infra.store import proofs, search
from infra.store.search import Found, Place
from pipeline.copies import told
from schemas.decision import STATES
from schemas.kinds import RECORD_KINDS

_PAGE: Final = 50
#: What people look for most often: a name, and the search it stands for.
VIEWS: Final[tuple[tuple[str, dict[str, str]], ...]] = (
    ("All", {}),
    ("Needs review", {"outcome": "needs_review"}),
    ("Failed", {"outcome": "dead"}),
    ("Corrected", {"outcome": "corrected"}),
    ("Expensive", {"cost": "0.01"}),
    ("Slow", {"took": "10"}),
    ("Texts read", {"kind": "payload_read"}),
    ("Settings", {"kind": "configuration"}),
)

#: What an address may say beside its search.
_NO_FILTERS: Final = ("said", "limit")


class Shown(Filters):
    """A search, and the place behind which its page begins."""

    after: str | None = Field(None, max_length=100)


def add(routes: APIRouter, site: Site) -> None:
    """The table, its count, and one record."""
    _add_table(routes, site)
    _add_record(routes, site)


def _add_table(routes: APIRouter, site: Site) -> None:
    database = site.context.store.database

    @routes.get("/audit")
    async def list_records(request: Request) -> HTMLResponse:
        caller = await site.reader(request)
        asked, wrong = asked_of(request)
        page = None
        if asked is not None:
            place = None if asked.after is None else _place(asked.after)
            page = await search.page(database, asked.search, after=place, limit=_PAGE + 1)
        values = _values(site, request, page)
        return site.page(
            "audit.html", request, caller, wrong=wrong, may_review=caller.may("review"), **values
        )

    @routes.get("/audit/count")
    async def count_records(request: Request, asked: Annotated[Shown, Query()]) -> HTMLResponse:
        """For the page, which does not wait for it."""
        caller, found = await site.reader(request), await search.count(database, asked.search)
        return site.page("audit_count.html", request, caller, found=found)


def _add_record(routes: APIRouter, site: Site) -> None:
    database = site.context.store.database

    @routes.get("/audit/{record_id}")
    async def show_record(record_id: UUID, request: Request) -> HTMLResponse:
        caller, found = await site.reader(request), await search.one(database, record_id)
        async with database.read() as connection:
            seal = await proofs.seal_of(connection, record_id)
        record = told(record_id, found.canonical)
        laid_out = json.dumps(record, indent=2, ensure_ascii=False)
        return site.page("record.html", request, caller, found=found, told=record, seal=seal, text=laid_out)


def _values(site: Site, request: Request, page: list[Found] | None) -> dict[str, Any]:
    """What the table shows: `page` has one row more than that, if there is a next one."""
    query = query_of(request)
    more = str(page[_PAGE - 1].place) if page and len(page) > _PAGE else None
    return {
        "rows": None if page is None else page[:_PAGE],
        "query": query,
        "string": urlencode(query, doseq=True),
        "views": [(name, urlencode(view), view == query) for name, view in VIEWS],
        "kinds": RECORD_KINDS,
        "outcomes": STATES,
        "workflows": sorted(site.context.catalogue.by_name),
        "older": None if more is None else urlencode({**query, "after": more}, doseq=True),
        "is_first": "after" not in request.query_params,
        "command": f"penstock audit list {words_of(query)}".rstrip(),
    }


def asked_of(request: Request) -> tuple[Shown | None, str | None]:
    """The search in the address, or what is wrong with it: a form is not a reason for an error page."""
    given: dict[str, Any] = {name: text for name, text in request.query_params.items() if text.strip()}
    for name in _NO_FILTERS:
        given.pop(name, None)
    if fields := [text for text in request.query_params.getlist("field") if text.strip()]:
        given["field"] = fields
    try:
        return Shown(**given), None
    except ValidationError as error:
        told = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:3]]
        return None, "; ".join(told)


def query_of(request: Request) -> dict[str, str]:
    """What is searched for, without the empty fields of the form and the place of the page."""
    wanted = request.query_params.items()
    return {name: text for name, text in wanted if text.strip() and name not in ("after", *_NO_FILTERS)}


def _place(text: str) -> Place:
    try:
        return Place.parse(text)
    except ValueError as error:
        raise Problem(404, "not_found", "no such place in the list; begin with its first page") from error


def words_of(query: Mapping[str, str]) -> str:
    """The filters, as a command line takes them."""
    return " ".join(f"--{name} {shlex.quote(text)}" for name, text in query.items())
