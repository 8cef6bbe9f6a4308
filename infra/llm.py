"""The Model port over any OpenAI-compatible endpoint: a `Call` in, an `Attempt` out.

One call path: instructor's mode handler prepares a request once per workflow version and model and
parses each answer; the openai client sends the bytes. `instructor.create` is not used: it hides
attempts, overwrites usage and costs twenty times as much.
"""

import asyncio
import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import httpx2
import openai
from instructor.core.exceptions import IncompleteOutputException
from instructor.v2.providers.openai.handlers import OpenAIJSONSchemaHandler
from openai.lib._pydantic import to_strict_json_schema
from openai.types.chat import ChatCompletion
from pydantic import ValidationError

from infra.completion import read_completion, told, usage_of
from infra.settings import ModelSettings
from pipeline import errors
from pipeline.assemble import Call
from pipeline.catalogue import Entry
from pipeline.spend import cost_micros
from schemas.event import derived_id
from schemas.extraction import Attempt, Extraction, Request
from schemas.text import clean

#: Stand in for a text while the request is prepared; json.dumps leaves them as they are.
_TEXT_MARK = "penstock-text-6c1f0a"
_FEEDBACK_MARK = "penstock-feedback-6c1f0a"

#: With the second one the client hands the response over unread, so that its size can be capped.
_HEADERS = {"Content-Type": "application/json", "X-Stainless-Raw-Response": "stream"}

#: HTTP status to reason; the others are below.
_REASONS: Mapping[int, str] = {
    401: errors.ModelMisconfigured.reason,
    403: errors.ModelMisconfigured.reason,
    404: errors.ModelMisconfigured.reason,
    408: errors.ModelTimeout.reason,
    409: errors.ModelUnavailable.reason,
    429: errors.ModelRateLimited.reason,
}


class _Failed(Exception):
    """A call without a usable answer: the reason, and what the attempt should say of it."""

    def __init__(self, reason: str, complaints: tuple[str, ...] = (), **known: Any) -> None:
        super().__init__(reason)
        self.reason, self.complaints, self.known = reason, complaints, known


@dataclass
class OpenAIModel:
    """Calls for all aliases of a process; create it on the loop that uses it, after any fork."""

    models: Mapping[str, ModelSettings]
    clock: Callable[[], datetime]
    _clients: dict[str, openai.AsyncOpenAI] = field(default_factory=dict)
    _skeletons: dict[tuple[str, str, bool], bytes] = field(default_factory=dict)
    _handler: Any = field(default_factory=OpenAIJSONSchemaHandler)

    async def ask(self, call: Call) -> Attempt:
        """Make one call, within its deadline; never raises for a failed one.

        A cancelled call comes back too, as a failure, so that it is journalled before the process ends.
        """
        settings = self.models[call.alias]
        request = self._request(call)
        started_at, started = self.clock(), time.monotonic()
        attempt = Attempt(
            id=derived_id(call.event.event_id, call.revision, f"attempt/{call.token}", call.step),
            event_id=call.event.event_id,
            revision=call.revision,
            step=call.step,
            version=call.entry.version,
            alias=call.alias,
            model_asked=settings.model,
            request=request,
            request_sha256=hashlib.sha256(request.body).digest(),
            started_at=started_at,
            latency_ms=0,
        )
        known: dict[str, Any]
        try:
            async with asyncio.timeout(settings.timeout_seconds):
                status, body = await self._send(call.alias, request.body, settings)
            known = {"status": status, **self._understand(call.entry, body, settings)}
        except _Failed as failed:
            known = {"failure": failed.reason, "complaints": failed.complaints, **failed.known}
        except TimeoutError:
            known = {"failure": errors.ModelTimeout.reason}
        except asyncio.CancelledError:
            if task := asyncio.current_task():
                task.uncancel()
            known = {"failure": errors.CallCancelled.reason}
        return replace(attempt, latency_ms=int((time.monotonic() - started) * 1000), **known)

    def read(self, entry: Entry, attempt: Attempt) -> Extraction:
        """The valid extraction in an attempt without a failure."""
        return self._parse(entry, read_completion(attempt.response))

    async def close(self) -> None:
        for client in self._clients.values():
            await client.close()

    def _request(self, call: Call) -> Request:
        key = (call.entry.version, call.alias, bool(call.feedback))
        if key not in self._skeletons:
            self._skeletons[key] = self._skeleton(call)
        texts = (call.text, call.feedback) if call.feedback else (call.text,)
        return Request(self._skeletons[key], tuple(_encoded(text) for text in texts))

    def _skeleton(self, call: Call) -> bytes:
        """The bytes of a request with marks for the texts: prepared once, then joined."""
        settings = self.models[call.alias]
        extraction = call.entry.workflow.extraction
        messages = [
            {"role": "system", "content": call.entry.instructions},
            {"role": "user", "content": _TEXT_MARK},
        ]
        if call.feedback:
            messages.append({"role": "user", "content": _FEEDBACK_MARK})
        _, body = self._handler.prepare_request(
            extraction,
            {"model": settings.model, "messages": messages, "max_tokens": settings.max_output_tokens},
        )
        # instructor never sends `strict`, and its schema leaves optional fields out of `required`.
        body["response_format"]["json_schema"] |= {
            "strict": True,
            "schema": to_strict_json_schema(extraction),
        }
        skeleton = _encoded(body)
        for mark in (_TEXT_MARK, _FEEDBACK_MARK):
            skeleton = skeleton.replace(_encoded(mark), b"\0")
        return skeleton

    def _client(self, alias: str, settings: ModelSettings) -> openai.AsyncOpenAI:
        if alias not in self._clients:
            self._clients[alias] = openai.AsyncOpenAI(
                base_url=settings.base_url,
                api_key=_key(settings),
                max_retries=0,
                timeout=settings.timeout_seconds,
                http_client=openai.DefaultAioHttpClient(
                    limits=httpx2.Limits(max_connections=None, max_keepalive_connections=None)
                ),
            )
        return self._clients[alias]

    async def _send(self, alias: str, body: bytes, settings: ModelSettings) -> tuple[int, bytes]:
        client = self._client(alias, settings)
        try:
            response = await client.post(
                "/chat/completions", cast_to=httpx2.Response, content=body, options={"headers": _HEADERS}
            )
            try:
                return response.status_code, await _read(response, settings.max_response_bytes)
            finally:
                await response.aclose()
        except openai.APIStatusError as error:
            raise _from_status(error) from error
        except (openai.APIError, httpx2.HTTPError, OSError) as error:
            raise _Failed(_connection_reason(error)) from error

    def _understand(self, entry: Entry, body: bytes, settings: ModelSettings) -> dict[str, Any]:
        """What the attempt should say of a 200: all that the provider told, and what is wrong with it."""
        try:
            completion = read_completion(body)
        except (ValidationError, ValueError, TypeError) as error:
            raise _Failed(errors.ModelUnavailable.reason, status=200, response=body) from error
        usage = usage_of(completion)
        choice = completion.choices[0] if completion.choices else None
        known: dict[str, Any] = {
            "response": body,
            "model_answered": told(completion.model),
            "response_id": told(completion.id),
            "system_fingerprint": told(completion.system_fingerprint),
            "finish_reason": told(choice.finish_reason) if choice else None,
            "usage": usage,
            "cost_micros": cost_micros(usage, settings.prices),
        }
        if choice is None:
            raise _Failed(errors.ModelUnavailable.reason, status=200, **known)
        if choice.message.refusal:
            raise _Failed(errors.ModelRefused.reason, status=200, **known)
        if choice.finish_reason == "content_filter":
            raise _Failed(errors.ModelFiltered.reason, status=200, **known)
        try:
            self._parse(entry, completion)
        except IncompleteOutputException as error:
            raise _Failed(errors.Truncated.reason, status=200, **known) from error
        except (ValidationError, ValueError) as error:
            reason = errors.UnusableOutput.reason
            raise _Failed(reason, _complaints(error), status=200, **known) from error
        return known

    def _parse(self, entry: Entry, completion: ChatCompletion) -> Extraction:
        parsed: Extraction = self._handler.parse_response(
            completion, response_model=entry.workflow.extraction, strict=False
        )
        return parsed


async def _read(response: httpx2.Response, limit: int) -> bytes:
    """The body up to `limit` bytes; a larger one is no answer of ours."""
    parts, size = [], 0
    async for part in response.aiter_bytes():
        size += len(part)
        if size > limit:
            raise _Failed(
                errors.UnusableOutput.reason,
                ("the answer is far too long",),
                status=response.status_code,
            )
        parts.append(part)
    return b"".join(parts)


def _encoded(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _key(settings: ModelSettings) -> str | None:
    """The client refuses to be without a key; an endpoint that wants one answers 401, and events wait."""
    own = settings.api_key.get_secret_value()
    return own or (None if os.environ.get("OPENAI_API_KEY") else "none")


def _connection_reason(error: Exception) -> str:
    """A connection that cannot be made is no slow model, though aiohttp's transport calls it a timeout."""
    cause = error.__cause__ or error
    is_timeout = isinstance(error, openai.APITimeoutError | httpx2.TimeoutException)
    if is_timeout and not isinstance(cause, httpx2.ConnectTimeout):
        return errors.ModelTimeout.reason
    return errors.ModelUnavailable.reason


def _from_status(error: openai.APIStatusError) -> _Failed:
    status = error.status_code
    if error.code == "insufficient_quota":
        reason = errors.QuotaExhausted.reason
    elif status >= 500:
        reason = errors.ModelUnavailable.reason
    else:
        reason = _REASONS.get(status, errors.RequestRejected.reason)
    return _Failed(reason, status=status, retry_after_seconds=_retry_after(error.response))


def _retry_after(response: httpx2.Response) -> float | None:
    """Retry-After in seconds; the HTTP-date spelling is rare with models and not read."""
    try:
        seconds = float(response.headers.get("retry-after", ""))
    except ValueError:
        return None
    return seconds if 0 <= seconds < float("inf") else None


def _complaints(error: Exception) -> tuple[str, ...]:
    """Fields and rules, never values; an error without fields is that the answer is no JSON."""
    if not isinstance(error, ValidationError):
        return ("the answer is not one JSON object",)
    return tuple(
        clean(f"{'.'.join(map(str, detail['loc'])) or 'answer'}: {detail['msg']}", max_length=200)
        for detail in error.errors(include_input=False, include_context=False, include_url=False)
    )
