"""`/spend`: what calls have cost by workflow, model, day or source, and what today's caps leave."""

from datetime import date, timedelta

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from consumers.api.problems import Problem
from consumers.web.site import Site
from infra.store.spend import By, spent
from infra.store.windows import budgets

_VIEWS: tuple[By, ...] = ("workflow", "model", "day", "source")
#: Periods to choose from, by how many days before today they begin.
_PERIODS = (("Today", 0), ("7 days", 6), ("30 days", 29))


def add(routes: APIRouter, site: Site) -> None:
    """The page; its period is today, as the command's, unless the address says otherwise."""
    database = site.context.store.database

    @routes.get("/spend")
    async def show_spend(
        request: Request, by: By = "workflow", since: str = "", until: str = ""
    ) -> HTMLResponse:
        caller = await site.reader(request)
        today = site.context.clock().date()
        last = _day(until) or today
        first = _day(since) or last
        if first > last:
            raise Problem(422, "invalid_request", f"{first} is after {last}: choose an earlier first day")
        return site.page(
            "spend.html",
            request,
            caller,
            by=by,
            views=_VIEWS,
            today=today.isoformat(),
            periods=[(name, (today - timedelta(days=days)).isoformat()) for name, days in _PERIODS],
            since=first.isoformat(),
            until=last.isoformat(),
            found=await spent(database, by, since=first, until=last),
            caps=await budgets(database),
        )


def _day(text: str) -> date | None:
    """A day of a form, None where the field was empty; raises Problem 422."""
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise Problem(422, "invalid_request", "write a day as 2026-05-17") from error
