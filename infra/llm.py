"""The Model port over any OpenAI-compatible endpoint: a `Call` in, an `Attempt` out.

One call path: instructor's mode handler prepares a request once per workflow version and model and
parses each answer; the openai client sends the bytes. `instructor.create` is not used: it hides
attempts, overwrites usage and costs twenty times as much.
"""

import asyncio
import hashlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx2
import openai
from instructor.core.exceptions import IncompleteOutputException
from pydantic import ValidationError

from infra.completion import read_answer, read_completion, told, usage_of
from infra.endpoints import Endpoints
from infra.refusals import shorten
from infra.requests import Requests, max_output_tokens
from infra.retry_after import retry_after_seconds
from infra.settings import EndpointSettings
from pipeline import errors
from pipeline.assemble import Call, Prepared, Ticket
from pipeline.cache import Parameters
from pipeline.catalogue import Entry
from pipeline.extract import Rung
from pipeline.spend import Rate, cost_micros, dearest, worst_case_micros
from schemas.event import derived_id
from schemas.extraction import Attempt, Reading, Usage
from schemas.text import clean

#: With the second one the client hands the response over unread, so that its size can be capped.
_HEADERS = {"Content-Type": "application/json", "X-Stainless-Raw-Response": "stream"}

#: HTTP status to reason; the others are below.
_REASONS: Mapping[int, str] = {
    401: errors.ModelMisconfigured.reason,
    402: errors.QuotaExhausted.reason,
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
    """Calls at all endpoints of a process; create it on the loop that uses it, after any fork."""

    endpoints: Endpoints
    clock: Callable[[], datetime]
    _requests: Requests = field(default_factory=Requests)
    _clients: dict[str, openai.AsyncOpenAI] = field(default_factory=dict)

    def rungs(self, aliases: Sequence[str]) -> tuple[Rung, ...]:
        """Per alias the endpoints that can be called now."""
        return self.endpoints.rungs(aliases)

    def room(self, alias: str) -> int | None:
        """How many more events may be claimed for it; None while its breakers are open."""
        return self.endpoints.room(alias)

    async def refresh(self) -> None:
        """Learn what other processes found out about the endpoints."""
        await self.endpoints.refresh()

    async def admit(self, prepared: Prepared) -> Ticket | None:
        """Leave to call now: a full minute gives none, an open breaker gives it to one probe."""
        return await self.endpoints.admit(prepared.call.endpoint, prepared.worst_case_tokens)

    def parameters(self, endpoint: str) -> Parameters:
        """What shapes an answer there."""
        settings = self.endpoints.settings[endpoint]
        return Parameters(settings.model, max_output_tokens(settings, larger=False))

    def rate(self, entry: Entry, instructions: str) -> Rate:
        """What the first call for an event costs at most, at the dearest of the first model's endpoints."""
        first = [self.endpoints.settings[name] for name in self.endpoints.names(entry.workflow.models[0])]
        return dearest(self._requests.rate(entry, instructions, settings) for settings in first)

    def prepare(self, call: Call) -> Prepared:
        """The bytes of a call, and the worst that it can cost."""
        settings = self.endpoints.settings[call.endpoint]
        request = self._requests.request(call, settings)
        limit = max_output_tokens(settings, larger=call.larger)
        size = len(request.body)
        return Prepared(call, request, size + limit, worst_case_micros(size, limit, settings.prices))

    async def ask(self, prepared: Prepared, ticket: Ticket) -> Attempt:
        """Make one call, within its timeout and the event's deadline; never raises for a failed one.

        A cancelled call comes back too, as a failure, so that it is journalled before the process ends.
        """
        call, body = prepared.call, prepared.request.body
        settings = self.endpoints.settings[call.endpoint]
        started_at, started = self.clock(), time.monotonic()
        with self.endpoints.busy(call.endpoint):
            known = await self._ask(call, body, settings)
        if known.get("is_unknown") and settings.prices is not None:
            # The provider may have charged without telling us: the worst case counts.
            known["cost_micros"] = prepared.worst_case_micros
        attempt = Attempt(
            id=derived_id(call.event.event_id, call.revision, f"attempt/{call.token}", call.step),
            event_id=call.event.event_id,
            revision=call.revision,
            step=call.step,
            version=call.entry.version,
            alias=call.alias,
            endpoint=call.endpoint,
            model_asked=settings.model,
            request=prepared.request,
            request_sha256=hashlib.sha256(body).digest(),
            started_at=started_at,
            latency_ms=int((time.monotonic() - started) * 1000),
            larger=call.larger,
            **known,
        )
        tokens = ticket.tokens if attempt.is_unknown else attempt.usage.tokens
        await self.endpoints.ended(ticket, attempt.failure, tokens=tokens)
        return attempt

    def read(self, entry: Entry, attempt: Attempt) -> Reading:
        """The answer in an attempt without a failure."""
        return read_answer(entry, attempt.response)

    async def close(self) -> None:
        for client in self._clients.values():
            await client.close()

    async def _ask(self, call: Call, body: bytes, settings: EndpointSettings) -> dict[str, Any]:
        """What the attempt should say of the call."""
        left = call.timeout.total_seconds()
        try:
            async with asyncio.timeout(min(settings.timeout_seconds, left)):
                status, answer = await self._send(call.endpoint, body, settings)
            return {"status": status, **self._understand(call.entry, answer, settings)}
        except _Failed as failed:
            return {"failure": failed.reason, "complaints": failed.complaints, **failed.known}
        except TimeoutError:
            return {"failure": _too_late(call, settings), "is_unknown": True}
        except asyncio.CancelledError:
            if task := asyncio.current_task():
                task.uncancel()
            return {"failure": errors.CallCancelled.reason, "is_unknown": True}

    def _client(self, endpoint: str, settings: EndpointSettings) -> openai.AsyncOpenAI:
        if endpoint not in self._clients:
            self._clients[endpoint] = openai.AsyncOpenAI(
                base_url=settings.base_url,
                api_key=_key(settings),
                max_retries=0,
                timeout=settings.timeout_seconds,
                http_client=openai.DefaultAioHttpClient(
                    limits=httpx2.Limits(max_connections=None, max_keepalive_connections=None),
                    event_hooks={"response": [shorten]},
                ),
            )
        return self._clients[endpoint]

    async def _send(self, endpoint: str, body: bytes, settings: EndpointSettings) -> tuple[int, bytes]:
        client = self._client(endpoint, settings)
        try:
            response = await client.post(
                "/chat/completions", cast_to=httpx2.Response, content=body, options={"headers": _HEADERS}
            )
            try:
                return response.status_code, await _read(response, settings.max_response_bytes)
            finally:
                await response.aclose()
        except openai.APIStatusError as error:
            raise _from_status(error, now=self.clock()) from error
        except (openai.APIError, httpx2.HTTPError, OSError) as error:
            raise _from_connection(error) from error

    def _understand(self, entry: Entry, body: bytes, settings: EndpointSettings) -> dict[str, Any]:
        """What the attempt should say of a 200: all that the provider told, and what is wrong with it."""
        try:
            completion = read_completion(body)
        except (ValidationError, ValueError, TypeError, RecursionError) as error:
            reason = errors.ModelUnavailable.reason
            raise _Failed(reason, status=200, response=body, is_unknown=True) from error
        usage = usage_of(completion)
        choice = completion.choices[0] if completion.choices else None
        known: dict[str, Any] = {
            "response": body,
            "model_answered": told(completion.model),
            "response_id": told(completion.id),
            "system_fingerprint": told(completion.system_fingerprint),
            "finish_reason": told(choice.finish_reason) if choice else None,
            "usage": usage or Usage(),
            "cost_micros": usage and cost_micros(usage, settings.prices),
            "is_unknown": usage is None,
        }
        if choice is None:
            reason = errors.UnusableOutput.reason  # it answered, and was paid for it
            raise _Failed(reason, ("the answer has no choices",), status=200, **known)
        if choice.message.refusal:
            raise _Failed(errors.ModelRefused.reason, status=200, **known)
        if choice.finish_reason == "content_filter":
            raise _Failed(errors.ModelFiltered.reason, status=200, **known)
        try:
            read_answer(entry, body)
        except IncompleteOutputException as error:
            raise _Failed(errors.Truncated.reason, status=200, **known) from error
        except (ValidationError, ValueError) as error:
            reason = errors.UnusableOutput.reason
            raise _Failed(reason, _complaints(error), status=200, **known) from error
        return known


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
                is_unknown=True,
            )
        parts.append(part)
    return b"".join(parts)


def _too_late(call: Call, settings: EndpointSettings) -> str:
    """A call that had only what others left of the deadline says nothing about its endpoint."""
    usual = min(settings.timeout_seconds, call.entry.workflow.deadline.total_seconds())
    was_cut = call.timeout.total_seconds() < usual
    return errors.DeadlineExceeded.reason if was_cut else errors.ModelTimeout.reason


def _from_connection(error: Exception) -> _Failed:
    """A connection that was never made was never charged; one that broke may have been.

    One that cannot be made is no slow model, though aiohttp's transport calls it a timeout.
    """
    was_made = not isinstance(error.__cause__ or error, httpx2.ConnectError | httpx2.ConnectTimeout)
    is_timeout = was_made and isinstance(error, openai.APITimeoutError | httpx2.TimeoutException)
    reason = errors.ModelTimeout.reason if is_timeout else errors.ModelUnavailable.reason
    return _Failed(reason, is_unknown=was_made)


def _key(settings: EndpointSettings) -> str | None:
    """The client refuses to be without a key; an endpoint that wants one answers 401, and events wait."""
    own = settings.api_key.get_secret_value()
    return own or (None if os.environ.get("OPENAI_API_KEY") else "none")


def _from_status(error: openai.APIStatusError, *, now: datetime) -> _Failed:
    status = error.status_code
    if "insufficient_quota" in (error.code, error.type):
        reason = errors.QuotaExhausted.reason
    elif status >= 500:
        reason = errors.ModelUnavailable.reason
    else:
        reason = _REASONS.get(status, errors.RequestRejected.reason)
    asked = retry_after_seconds(error.response.headers, now=now)
    return _Failed(reason, status=status, retry_after_seconds=asked)


def _complaints(error: Exception) -> tuple[str, ...]:
    """Fields and rules, never values; an error without fields is that the answer is no JSON."""
    if not isinstance(error, ValidationError):
        return ("the answer is not one JSON object",)
    return tuple(
        clean(f"{'.'.join(map(str, detail['loc'])) or 'answer'}: {detail['msg']}", max_length=200)
        for detail in error.errors(include_input=False, include_context=False, include_url=False)
    )
