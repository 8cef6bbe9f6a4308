"""Our own senders' events in: CloudEvents, structured or binary, or plain JSON; one per request."""

from typing import Annotated, Any
from uuid import uuid4

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import JSONResponse

from consumers.api.body import read_body, require_json
from consumers.api.callers import Callers
from consumers.api.context import ApiContext
from consumers.api.door import Arrival, Door, Receipt
from consumers.api.problems import Problem, documented
from pipeline.receive import STRUCTURED, from_http

_CONTENT: dict[str, Any] = {
    "application/json": {"description": "The data alone, or with ce-* headers, or an envelope"},
    STRUCTURED: {"description": "A CloudEvents 1.0 envelope with the data"},
}


def router(context: ApiContext, door: Door, callers: Callers) -> APIRouter:
    """`POST /topics/{topic}/events`."""
    routes = APIRouter(tags=["events"])

    @routes.post(
        "/topics/{topic}/events",
        status_code=202,
        response_class=JSONResponse,
        responses={
            200: {"model": Receipt, "description": "A duplicate: the same event was stored before"},
            202: {"model": Receipt, "description": "Stored"},
            **documented(400, 401, 403, 404, 408, 409, 413, 415, 422, 503),
        },
        openapi_extra={"requestBody": {"content": _CONTENT, "required": True}},
    )
    async def send_event(
        topic: str, request: Request, idempotency_key: Annotated[str | None, Header()] = None
    ) -> Response:
        """Take one event of `topic`. Data without an envelope is named by its Idempotency-Key."""
        caller = await callers.identify(request)
        entry = context.catalogue.consuming(topic)
        require_json(request)
        body = await read_body(request, max_bytes=context.settings.api.max_body_bytes)
        given = idempotency_key or str(uuid4())
        envelope = from_http(dict(request.headers), body, source=caller.source, id=given, type=topic)
        if not caller.may_send_as(envelope.source):
            detail = (
                f"the token {caller.name!r} may not send as {envelope.source!r}; `penstock token new` names"
            )
            raise Problem(403, "forbidden", f"{detail} the sources that a token may send as")
        named_by_us = idempotency_key is None and envelope.id == given
        return await door.admit(Arrival(entry, envelope, body, named_by_us=named_by_us))

    return routes
