"""The bytes of a request: prepared once per workflow version, model and kind of call, then joined.

The stable part (model, schema, instructions) comes first and is the same from event to event, so that
a provider's prompt cache applies.
"""

import json
from dataclasses import dataclass, field
from decimal import Decimal
from math import ceil
from typing import Any, Final

from instructor.v2.providers.openai.handlers import OpenAIJSONSchemaHandler
from openai.lib._pydantic import to_strict_json_schema

from infra.settings import EndpointSettings
from pipeline.assemble import Call
from pipeline.catalogue import Entry
from pipeline.spend import FREE, Rate, worst_case_micros
from pipeline.wire import wire_model
from schemas.extraction import Extraction, Request

#: Stand in for a text while the request is prepared; json.dumps leaves them as they are.
_TEXT_MARK: Final = "penstock-text-6c1f0a"
_FEEDBACK_MARK: Final = "penstock-feedback-6c1f0a"

_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))

#: Around a text in its request, and what its quotes and line ends grow by: estimates for claims.
_FENCE_BYTES: Final = 512
_ESCAPING: Final = Decimal("1.25")

#: After an answer that was cut off, this many times the usual limit.
_LARGER: Final = 4


@dataclass
class Requests:
    """Skeletons by workflow version, endpoint and kind of call."""

    _skeletons: dict[tuple[str, str, bool, bool], bytes] = field(default_factory=dict)
    _handler: Any = field(default_factory=OpenAIJSONSchemaHandler)

    def request(self, call: Call, settings: EndpointSettings) -> Request:
        """What `call` sends."""
        key = (call.entry.version, call.endpoint, bool(call.feedback), call.larger)
        if key not in self._skeletons:
            self._skeletons[key] = self.skeleton(
                call.entry, call.instructions, settings, feedback=bool(call.feedback), larger=call.larger
            )
        texts = (call.text, call.feedback) if call.feedback else (call.text,)
        return Request(self._skeletons[key], tuple(encoded(text) for text in texts))

    def skeleton(
        self,
        entry: Entry,
        instructions: str,
        settings: EndpointSettings,
        *,
        feedback: bool = False,
        larger: bool = False,
    ) -> bytes:
        """The body with a NUL byte for each text."""
        declared: type[Extraction] = entry.workflow.extraction
        extraction = wire_model(declared)
        messages = [
            {"role": "system", "content": instructions},
            {"role": "user", "content": _TEXT_MARK},
        ]
        if feedback:
            messages.append({"role": "user", "content": _FEEDBACK_MARK})
        _, body = self._handler.prepare_request(extraction, {"model": settings.model, "messages": messages})
        # instructor never sends `strict`, and its schema leaves optional fields out of `required`.
        body["response_format"]["json_schema"] |= {
            "strict": True,
            "schema": to_strict_json_schema(extraction),
        }
        stable_first = {
            "model": body["model"],
            "max_tokens": max_output_tokens(settings, larger=larger),
            "response_format": body["response_format"],
            "messages": body["messages"],
        }
        skeleton = encoded(stable_first)
        for mark in (_TEXT_MARK, _FEEDBACK_MARK):
            skeleton = skeleton.replace(encoded(mark), b"\0")
        return skeleton

    def rate(self, entry: Entry, instructions: str, settings: EndpointSettings) -> Rate:
        """What a plain call costs at most there, by the size of its event."""
        if settings.prices is None:
            return FREE
        fixed = len(self.skeleton(entry, instructions, settings)) + _FENCE_BYTES
        base = worst_case_micros(fixed, max_output_tokens(settings, larger=False), settings.prices)
        return Rate(base, ceil(1024 * _ESCAPING * settings.prices.input))


def max_output_tokens(settings: EndpointSettings, *, larger: bool) -> int:
    """The limit of one answer."""
    return settings.max_output_tokens * (_LARGER if larger else 1)


def encoded(value: Any) -> bytes:
    """JSON as it is sent: UTF-8, compact."""
    return _ENCODER.encode(value).encode()
