"""A signed webhook in, an event out: verified over the raw bytes before anything reads them."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from consumers.api.body import read_body, require_json
from consumers.api.context import ApiContext
from consumers.api.door import Arrival, Door, Receipt
from consumers.api.problems import Problem, documented
from consumers.api.senders import Sender
from infra.store import accept
from pipeline.errors import InvalidEvent
from pipeline.receive import canonical, parse, plain
from pipeline.signatures import is_signed
from pipeline.source import Ignored
from schemas.event import Envelope

#: Where each scheme keeps the id that is the same in a repeat: a header, or a field of the body.
_ID_HEADERS = {"standard": "webhook-id", "github": "x-github-delivery", "shopify": "x-shopify-webhook-id"}
_ID_FIELDS = {"stripe": "id", "slack": "event_id"}


class Noted(BaseModel):
    """A webhook that is no event: read, counted, not stored."""

    status: str = "ignored"


def router(context: ApiContext, door: Door, senders: Mapping[str, Sender]) -> APIRouter:
    """`POST /webhooks/{source}`."""
    routes = APIRouter(tags=["webhooks"])

    @routes.post(
        "/webhooks/{source}",
        status_code=202,
        response_class=JSONResponse,
        responses={
            200: {"model": Receipt | Noted, "description": "A duplicate, or no event of ours"},
            202: {"model": Receipt, "description": "Stored"},
            **documented(400, 401, 404, 408, 409, 413, 415, 422, 503),
        },
        openapi_extra={"requestBody": {"content": {"application/json": {}}, "required": True}},
    )
    async def receive_webhook(source: str, request: Request) -> Response:
        """Take a webhook. Its sender signs it; the signature stands for a token."""
        sender = senders.get(source)
        if sender is None:
            raise Problem(404, "not_found", f"no webhook source {source!r} is configured")
        body = await read_body(request, max_bytes=context.settings.api.max_body_bytes)
        headers = dict(request.headers)
        if not is_signed(sender.source.scheme, sender.secrets, headers, body, now=context.clock()):
            raise Problem(
                401, "unauthorized", "the signature does not hold; check secret, clock and raw body"
            )
        require_json(request)
        value = parse(body)
        greeting = _greeting(sender, headers, value)
        if greeting is not None:
            return greeting
        return await _take(context, door, sender, _envelope(sender, headers, value), body)

    return routes


def _greeting(sender: Sender, headers: Mapping[str, str], value: Any) -> Response | None:
    """What Slack and GitHub send when an address is entered there; they want it answered."""
    scheme = sender.source.scheme
    if scheme == "github" and headers.get("x-github-event") == "ping":
        return JSONResponse(Noted().model_dump())
    if scheme == "slack" and isinstance(value, dict) and value.get("type") == "url_verification":
        # As a JSON string: what they sent is never a document of ours.
        return JSONResponse({"challenge": str(value.get("challenge", ""))[:1_000]})
    return None


def _envelope(sender: Sender, headers: Mapping[str, str], value: Any) -> Envelope:
    """The event's name: the configured source, the id that the scheme gives; raises InvalidEvent."""
    source = sender.source
    if source.scheme in _ID_FIELDS:
        field = _ID_FIELDS[source.scheme]
        found = value.get(field) if isinstance(value, dict) else None
        place = f"the body's field {field!r}"
    else:
        place = f"the header {_ID_HEADERS[source.scheme]!r}"
        found = headers.get(_ID_HEADERS[source.scheme])
    if not isinstance(found, str) or not found:
        raise InvalidEvent(f"{place} is missing: it is the event's id")
    trace = headers.get("traceparent")
    return plain(value, source=source.name, id=found, type=source.topic, traceparent=trace)


async def _take(context: ApiContext, door: Door, sender: Sender, envelope: Envelope, body: bytes) -> Response:
    try:
        data = _adapted(sender, envelope.data)
    except InvalidEvent as error:
        raise await door.bury(Arrival(sender.entry, envelope, body), error) from error
    if isinstance(data, Ignored):
        store, lane = context.store, sender.entry.workflow.name
        await accept.count_ignored(store.database, lane, shard=store.shard)
        return JSONResponse(Noted().model_dump())
    return await door.admit(Arrival(sender.entry, envelope.model_copy(update={"data": data}), body))


def _adapted(sender: Sender, value: Any) -> Any:
    """The event's data; raises InvalidEvent when the source's `adapt` cannot make it."""
    adapt = sender.source.adapt
    if adapt is None:
        return value
    if not isinstance(value, dict):
        raise InvalidEvent("the body is no JSON object, as this source's are")
    try:
        adapted = adapt(value)
        # Through JSON and back: what is stored must be what is checked.
        return adapted if isinstance(adapted, Ignored) else parse(canonical(dict(adapted)))
    except Exception as error:  # the user's code: a signed body must not be lost to its bugs
        raise InvalidEvent(
            f"adapt of source {sender.source.name!r} failed: {type(error).__name__}"
        ) from error
