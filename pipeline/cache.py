"""The exact cache: what was asked in, its key out; an answer given before in, an attempt of its own out.

A key is equal only where the same call would be made: no text is like enough to another one to share its
answer. So nothing is folded but what Unicode calls the same text, the ends of lines and blanks at them.
"""

import hashlib
import hmac
import json
import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from pipeline.catalogue import Entry
from pipeline.claim import Claimed
from pipeline.extract import Ask
from schemas.event import derived_id
from schemas.extraction import Attempt, Request

#: What is sent for an answer from the cache.
_NOTHING: Final = Request(b"", ())


@dataclass(frozen=True, slots=True)
class Parameters:
    """What shapes an answer at an endpoint, beside the workflow's version and the text."""

    model: str
    max_output_tokens: int


@dataclass(frozen=True, slots=True)
class Original:
    """An answer that a model gave before; `id` is that of its attempt."""

    id: UUID
    response: bytes
    finish_reason: str | None = None
    model_answered: str | None = None
    response_id: str | None = None
    system_fingerprint: str | None = None


@dataclass(frozen=True, slots=True)
class Uncached:
    """The Cache port where nothing is kept."""

    async def find(self, key: bytes, *, workflow: str) -> Original | None:
        return None

    async def put(self, key: bytes, attempt: Attempt, *, workflow: str, ttl: timedelta) -> None:
        return None


UNCACHED: Final = Uncached()


def key(version: str, asked: Parameters, text: str, *, release: str, secret: bytes) -> bytes:
    """HMAC-SHA256 over all that shapes the first call's answer.

    Keyed, so that nobody can confirm from a key what an erased text said. `release` is Penstock's: what it
    wraps around a prompt, and what it takes for an answer, may change with each.
    """
    words = normalised(text).encode("utf-8", "replace")  # as `assemble` sends it
    told = [version, release, asked.model, asked.max_output_tokens, hashlib.sha256(words).hexdigest()]
    return hmac.digest(secret, b"cache:" + json.dumps(told).encode(), "sha256")


def normalised(text: str) -> str:
    """The text in NFC, with one kind of line end and no blanks at the ends of lines, or around the whole.

    `pipeline.normalise` folds more, for quotes: case, and characters that only look alike. Blanks within a
    line may be columns, so they stay as well.
    """
    lines = unicodedata.normalize("NFC", text).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(line.rstrip() for line in lines).strip()


def hit(
    original: Original,
    claimed: Claimed,
    entry: Entry,
    ask: Ask,
    asked: Parameters,
    *,
    step: int,
    now: datetime,
) -> Attempt:
    """The attempt that stands for the call `ask`, which was not made: it sent nothing and cost nothing."""
    event_id, revision = claimed.event.event_id, claimed.revision
    return Attempt(
        id=derived_id(event_id, revision, f"cached/{claimed.token}", step),
        event_id=event_id,
        revision=revision,
        step=step,
        version=entry.version,
        alias=ask.alias,
        endpoint=ask.endpoint,
        model_asked=asked.model,
        request=_NOTHING,
        request_sha256=hashlib.sha256(_NOTHING.body).digest(),
        started_at=now,
        latency_ms=0,
        response=original.response,
        finish_reason=original.finish_reason,
        model_answered=original.model_answered,
        response_id=original.response_id,
        system_fingerprint=original.system_fingerprint,
        cost_micros=0,
        original_id=original.id,
    )
