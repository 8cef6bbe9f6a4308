"""A `Site` in, the routes of all pages out; what goes wrong on one is told as a page, too."""

from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute

from consumers.api.problems import Problem, problem_of
from consumers.web import audit, failures, live, overview, review, spend, story, workflows
from consumers.web.site import Site
from pipeline.errors import Conflict, InvalidEvent, NotFound, StoreUnavailable

_TOLD: Final = (Problem, InvalidEvent, NotFound, StoreUnavailable, Conflict)


def router(site: Site) -> APIRouter:
    """Every page, and the static files."""
    routes = APIRouter(include_in_schema=False, route_class=_route_of(site))
    pictures = overview.Pictures(site)
    overview.add(routes, site, pictures)
    live.add(routes, site, pictures)
    for page in (review, audit, failures, workflows, spend, story):
        page.add(routes, site)
    whole = APIRouter()
    whole.include_router(routes)
    whole.include_router(site.assets.router)
    return whole


def _route_of(site: Site) -> type[APIRoute]:
    """A route that answers an error with a page, unless nobody is logged in: that is for others to answer."""

    class PageRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            answer = super().get_route_handler()

            async def answer_or_tell(request: Request) -> Response:
                try:
                    return await answer(request)
                except _TOLD as error:
                    problem = problem_of(error, request.method)
                    caller = await site.callers.visitor(request)
                    return site.page("error.html", request, caller, status=problem.status, problem=problem)

            return answer_or_tell

    return PageRoute
