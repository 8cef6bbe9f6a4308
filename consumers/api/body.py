"""A request in, its raw body out: bounded in size and time, JSON by its own word."""

import asyncio
import re
from typing import Any, Final, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from consumers.api.problems import Problem
from pipeline.receive import parse

#: A body that takes longer is dripping.
_READ_SECONDS: Final = 10.0
#: `application/json` and its kin; a batch of CloudEvents is no event.
_JSON: Final = re.compile(r"application/(?!cloudevents-batch\+)([a-z0-9.+-]+\+)?json")

M = TypeVar("M", bound=BaseModel)


async def read_body(request: Request, *, max_bytes: int) -> bytes:
    """The body as it was sent; raises Problem 413 or 408. What Content-Length claims is not trusted."""
    too_large = Problem(
        413,
        "too_large",
        f"the body is over {max_bytes} bytes (PENSTOCK_API__MAX_BODY_BYTES); send less, or a reference to it",
        headers={"Connection": "close"},
    )
    if _claimed_bytes(request) > max_bytes:
        raise too_large
    parts, size = [], 0
    try:
        async with asyncio.timeout(_READ_SECONDS):
            async for part in request.stream():
                size += len(part)
                if size > max_bytes:
                    raise too_large
                parts.append(part)
    except TimeoutError as error:
        detail = f"the body took longer than {_READ_SECONDS:.0f} s; send it again"
        raise Problem(408, "too_slow", detail, headers={"Connection": "close"}) from error
    return b"".join(parts)


def require_json(request: Request) -> None:
    """Raise Problem 415 unless the body is plain JSON or one CloudEvent in JSON."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise Problem(415, "unsupported_encoding", "send the body without Content-Encoding")
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not _JSON.fullmatch(media_type):
        detail = "send one event with Content-Type application/json or application/cloudevents+json"
        raise Problem(415, "unsupported_media_type", detail)


async def read_model(request: Request, kind: type[M], *, max_bytes: int) -> M:
    """The body as what it is to be; raises Problem 422, which names fields and not their values."""
    require_json(request)
    value = parse(await read_body(request, max_bytes=max_bytes))
    try:
        return kind.model_validate(value, strict=True)
    except ValidationError as error:
        told = "; ".join(
            f"{'.'.join(map(str, one['loc'])) or 'the body'}: {one['msg']}" for one in error.errors()[:5]
        )
        raise Problem(422, "invalid_request", f"{told}; see /openapi.json") from error


def described(kind: type[BaseModel]) -> dict[str, Any]:
    """Such a body, for the description of its route."""
    content = {"application/json": {"schema": kind.model_json_schema()}}
    return {"requestBody": {"content": content, "required": True}}


def _claimed_bytes(request: Request) -> int:
    claimed = request.headers.get("content-length", "")
    return int(claimed) if claimed.isascii() and claimed.isdigit() and len(claimed) < 20 else 0
