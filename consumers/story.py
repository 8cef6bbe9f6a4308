"""One event's rows in, its whole story out, ready for JSON.

Results are told; the texts of the event and of the models only to who may read them: else a text stands
here as its size and its SHA-256 under the event's salt, which is how the audit trail refers to it too.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping

from consumers.reveal import Shown, shown, spelt
from infra.database import Database
from infra.store import history, read
from infra.store.history import Mark
from infra.store.read import Story
from infra.store.texts import Texts
from pipeline import copies

Row = RowMapping | Mapping[str, Any]

_ATTEMPT = (
    "id", "revision", "step", "larger", "alias", "endpoint", "model_asked", "model_answered", "response_id",
    "version", "started_at", "latency_ms", "status", "finish_reason", "failure", "complaints",
    "input_tokens", "cached_tokens", "output_tokens", "cost_micros", "is_unknown", "original_id",
)  # fmt: skip
_WORK = ("revision", "priority", "due_at", "lease_until", "crashes", "faults", "waits_for")
_OUTBOX = ("id", "revision", "topic", "partition", "offset", "created_at", "published_at")
_REVIEW = ("id", "revision", "reasons", "sampled", "created_at")
_RESULT = (
    "revision",
    "state",
    "supersedes",
    "reasons",
    "data",
    "model",
    "cost_micros",
    "version",
    "decided_at",
)


async def gather(database: Database, event_id: UUID, texts: Texts | None = None) -> dict[str, Any]:
    """Everything about one event, ready for JSON; raises NotFound."""
    found = await read.story(database, event_id)
    return told(found, await history.marks(database, event_id), texts)


def told(story: Story, marks: Mapping[UUID, Mark], texts: Texts | None = None) -> dict[str, Any]:
    """The story, without its texts unless they are given.

    `gaps` counts the texts of a request that were erased or are kept no longer: they stand empty in it.
    """
    event = story.event
    return {
        "event_id": event["event_id"],
        "state": story.state,
        "topic": event["topic"],
        "source": event["source"],
        "id": event["source_id"],
        "workflow": event["workflow"],
        "type": event["type"],
        "subject": event["subject"],
        "time": event["time"],
        "key": event["key"],
        "partition": event["partition"],
        "offset": event["offset"],
        "traceparent": event["traceparent"],
        "accepted_at": event["accepted_at"],
        "erased": _by(story.erasure),
        "pruned": _by(story.pruning),
        "content": {
            "id": event["content_id"],
            **_mark(marks, event["content_id"]),
            **_spelt(texts.content if texts else None),
        },
        "in_flight": story.work and _picked(story.work, _WORK),
        "attempts": [_attempt(row, marks, story, texts) for row in story.attempts],
        "results": [_result(row, story, texts) for row in story.results],
        "outbox": [_picked(row, _OUTBOX) for row in story.outbox],
        "review": [_review(row, story, texts) for row in story.review],
        "audit": [_audit(row) for row in story.audit],
    }


def _by(record: Row | None) -> dict[str, Any] | None:
    return None if record is None else {"at": record["occurred_at"], "by": record["actor_name"]}


def _result(row: Row, story: Story, texts: Texts | None) -> dict[str, Any]:
    """What was found; of an event with a subject by the names of its fields, until texts are revealed."""
    told = _shown(row["data"], row["reasons"], story, texts)
    return {**_picked(row, _RESULT), "data": told.data, "withheld": told.withheld, "reasons": told.reasons}


def _review(row: Row, story: Story, texts: Texts | None) -> dict[str, Any]:
    return {**_picked(row, _REVIEW), "reasons": _shown(None, row["reasons"], story, texts).reasons}


def _shown(
    data: Mapping[str, Any] | None, reasons: Sequence[str], story: Story, texts: Texts | None
) -> Shown:
    has_subject = story.event["subject_hash"] is not None
    return shown(data, reasons, has_subject=has_subject, is_revealed=texts is not None)


def _picked(row: Row, columns: tuple[str, ...]) -> dict[str, Any]:
    return {column: row[column] for column in columns}


def _mark(marks: Mapping[UUID, Mark], content_id: UUID) -> dict[str, Any]:
    mark = marks.get(content_id)
    return {"bytes": mark.bytes if mark else None, "sha256": mark.sha256 if mark else None}


def _attempt(row: Row, marks: Mapping[UUID, Mark], story: Story, texts: Texts | None) -> dict[str, Any]:
    parts = [_mark(marks, UUID(text_id)) for text_id in row["text_ids"]]
    response = _mark(marks, row["response_content_id"])
    complaints = _shown(None, row["complaints"], story, texts).reasons
    told = {**_picked(row, _ATTEMPT), "complaints": complaints}
    whole = {**told, "texts": parts, "request": {}, "response": response}
    made = texts.attempts.get(row["id"]) if texts else None
    if made is None:
        return whole
    sent = {**_spelt(made.request.body), "gaps": sum(not text for text in made.request.texts)}
    return {**whole, "request": sent, "response": {**response, **_spelt(made.response)}}


def _spelt(data: bytes | None) -> dict[str, str]:
    return {} if data is None else spelt(data)


def _audit(row: Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "kind": row["kind"],
        "revision": row["revision"],
        "actor": {"kind": row["actor_kind"], "name": row["actor_name"]},
        "occurred_at": row["occurred_at"],
        "leaf": row["leaf"].hex(),
        "record": copies.told(row["id"], row["canonical"]),
    }
