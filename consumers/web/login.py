"""The pages by which a person comes in and goes: `/login`, `/login/once` and `/logout`."""

from dataclasses import dataclass
from typing import Any, Protocol

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from consumers.api import origin
from consumers.api.callers import COOKIE, Caller, Callers
from consumers.api.context import ApiContext
from consumers.api.problems import Problem
from consumers.web.entrance import Entrance
from consumers.web.guard import HOME, local_path


class Page(Protocol):
    """How a page is made."""

    def __call__(
        self, template: str, request: Request, caller: Caller | None, *, status: int = 200, **values: Any
    ) -> HTMLResponse: ...


def router(context: ApiContext, callers: Callers, page: Page) -> APIRouter:
    """The four routes."""
    routes = APIRouter(include_in_schema=False)
    porter = _Porter(context, callers, page, Entrance(context))
    routes.add_api_route("/login", porter.show, methods=["GET"])
    routes.add_api_route("/login", porter.log_in, methods=["POST"])
    routes.add_api_route("/login/once", porter.log_in_once, methods=["GET"])
    routes.add_api_route("/logout", porter.log_out, methods=["POST"])
    return routes


@dataclass(frozen=True)
class _Porter:
    context: ApiContext
    callers: Callers
    page: Page
    entrance: Entrance

    async def show(self, request: Request) -> Response:
        goal = local_path(request.query_params.get("next", HOME))
        if await self.callers.visitor(request) is not None:
            return RedirectResponse(goal, 303)
        # A strict cookie is not sent on the way from another site; once more from here, it is.
        again = request.headers.get("sec-fetch-site") == "cross-site"
        return self._form(request, goal, again=again)

    async def log_in(self, request: Request) -> Response:
        goal = HOME
        try:
            if self.context.embedded:
                origin.check_host(request)
            origin.check_ours(request)
            fields = await origin.form(request)
            goal = local_path(fields.get("next", HOME))
            name, password = fields.get("name", ""), fields.get("password", "")
            text = await self.entrance.by_password(request, name, password)
        except Problem as problem:
            answer = self._form(request, goal, status=problem.status, wrong=f"{problem.detail}.")
            answer.headers.update(problem.headers)
            return answer
        if text is None:
            return self._form(request, goal, status=401, wrong="That name and password do not go together.")
        return self._welcome(request, text, goal)

    async def log_in_once(self, request: Request) -> Response:
        text = await self.entrance.by_link(request, request.query_params.get("t", ""))
        if text is None:
            wrong = "This link was used before, or is too old."
            return self._form(request, HOME, status=401, wrong=wrong)
        return self._welcome(request, text, "/login")  # which sends on, wherever the link was clicked

    async def log_out(self, request: Request) -> Response:
        caller = await self.callers.visitor(request)
        if caller is not None:
            await self.entrance.close(request.cookies.get(COOKIE, ""), caller.name)
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
        return answer

    def _form(
        self, request: Request, goal: str, *, status: int = 200, wrong: str = "", again: bool = False
    ) -> Response:
        values = {"next": goal, "again": again, "wrong": wrong, "embedded": self.context.embedded}
        return self.page("login.html", request, None, status=status, **values)

    def _welcome(self, request: Request, text: str, goal: str) -> Response:
        """With the cookie; a browser takes a Secure one over plain http from this machine alone."""
        answer = RedirectResponse(goal, 303)
        answer.set_cookie(
            COOKIE,
            text,
            max_age=int(self.entrance.seconds),
            path="/",
            secure=not origin.is_local(request.headers.get("host", "")),
            httponly=True,
            samesite="strict",
        )
        return answer
