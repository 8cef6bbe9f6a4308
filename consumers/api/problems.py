"""What went wrong with a request in, an `application/problem+json` answer (RFC 9457) out."""

import json
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from pipeline.errors import Conflict, InvalidCorrection, InvalidEvent, NotFound, StoreUnavailable

MEDIA_TYPE: Final = "application/problem+json"
#: Long enough for a database to fail over, short enough not to be forgotten.
RETRY_AFTER_SECONDS: Final = 5
#: Errors whose message says everything.
_TOLD: Final[Mapping[type[Exception], tuple[int, str]]] = {
    NotFound: (404, "not_found"),
    Conflict: (409, "conflict"),
    InvalidCorrection: (422, "invalid_correction"),
}


class ProblemBody(BaseModel):
    """RFC 9457 problem details."""

    type: str = Field(description="Always about:blank: `reason` says which problem it is.")
    title: str = Field(description="The status in words.")
    status: int
    reason: str = Field(description="A stable code.")
    detail: str = Field(description="What happened and what to do.")
    event_id: str | None = Field(None, description="The event it is about, where there is one.")


class Problem(Exception):
    """A request that ends otherwise than its sender hoped."""

    def __init__(
        self,
        status: int,
        reason: str,
        detail: str,
        *,
        event_id: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.reason, self.detail = status, reason, detail
        self.event_id, self.headers = event_id, dict(headers or {})


def unavailable(reason: str, detail: str) -> Problem:
    """503: nothing is wrong with the request, and nothing of it was kept."""
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
    return Problem(503, reason, f"{detail}; send it again later", headers=headers)


def answer(problem: Problem) -> Response:
    """The response that tells `problem`."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "reason": problem.reason,
        "detail": problem.detail,
    }
    if problem.event_id:
        body["event_id"] = problem.event_id
    # As ASCII: a detail may quote a path or a header, which may hold what UTF-8 cannot spell.
    content = json.dumps(body).encode("ascii")
    return Response(content, problem.status, problem.headers, MEDIA_TYPE)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problems of a route, for its OpenAPI description."""
    content = {MEDIA_TYPE: {"schema": ProblemBody.model_json_schema()}}
    found: dict[int | str, dict[str, Any]] = {
        status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses
    }
    # "default" also keeps FastAPI from declaring a 422 of its own that never happens.
    return {**found, "default": {"description": "405, or 500 for a bug of ours", "content": content}}


#: A problem as a page, for who asks for one; None for who does not.
TellAsPage = Callable[[Request, Problem], Awaitable[Response | None]]


def install(app: FastAPI, tell_as_page: TellAsPage) -> None:
    """Answer every error as a problem, FastAPI's own and our bugs too; to a browser as a page."""

    async def told(request: Request, error: Exception) -> Response:
        problem = problem_of(error, request.method)
        return await tell_as_page(request, problem) or answer(problem)

    # Exception is apart in Starlette: answered by this too, then raised again, so that it is on record.
    for kind in (
        Problem,
        InvalidEvent,
        StoreUnavailable,
        *_TOLD,
        RequestValidationError,
        HTTPException,
        RequestValidationError,
        ClientDisconnect,
        Exception,
    ):
        app.add_exception_handler(kind, told)


def problem_of(error: Exception, method: str) -> Problem:
    """An error as what its requester is told."""
    match error:
        case Problem():
            return error
        case InvalidEvent():
            return Problem(400, error.reason, str(error))
        case StoreUnavailable():
            return unavailable(error.reason, "the database cannot be reached")
        case NotFound() | Conflict() | InvalidCorrection():
            return Problem(*_TOLD[type(error)], str(error))
        case HTTPException():
            return _of_framework(error, method)
        case RequestValidationError():
            return Problem(422, "invalid_request", _wrong(error))
        case ClientDisconnect():
            return Problem(400, "disconnected", "the body ended early; send it whole")
    return Problem(500, "error", "a bug of ours, and on record; send it again later")


def _wrong(error: RequestValidationError) -> str:
    """Which parameters, and what of them; never their values, which may be secrets."""
    told = [f"{'.'.join(map(str, one['loc'][1:])) or 'body'}: {one['msg']}" for one in error.errors()[:5]]
    return f"{'; '.join(told)}; see /openapi.json"


def _of_framework(error: HTTPException, method: str) -> Problem:
    """Paths and methods; parameters are checked by the routes themselves."""
    details = {
        404: "no such path; see /openapi.json",
        405: f"{method} is not for this path; see /openapi.json",
    }
    detail = details.get(error.status_code, str(error.detail))
    return Problem(
        error.status_code, HTTPStatus(error.status_code).name.lower(), detail, headers=error.headers
    )
