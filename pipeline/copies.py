"""A row of `audit_record` in, what in it is not a copy of its own bytes out."""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final, Protocol

from pipeline.errors import Conflict
from pipeline.lookup import took_ms, words


class StoredRecord(Protocol):
    """A row of `audit_record`."""

    id: Any
    kind: Any
    canonical: Any
    leaf: Any
    occurred_at: Any
    actor_kind: Any
    actor_name: Any
    event_id: Any
    revision: Any
    workflow: Any
    version: Any
    outcome: Any
    code: Any
    model: Any
    cost_micros: Any
    took_ms: Any
    words: Any


_COPIED: Final = (
    "id",
    "kind",
    "occurred_at",
    "actor_kind",
    "actor_name",
    "event_id",
    "revision",
    "workflow",
    "version",
    "outcome",
    "code",
    "model",
    "cost_micros",
    "took_ms",
    "words",
)


def told(own: object, canonical: Any) -> dict[str, Any]:
    """What a record says, for who asked for this one; raises Conflict where its bytes say nothing more."""
    try:
        found = json.loads(canonical.decode())
    except (AttributeError, ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Conflict(f"somebody changed the bytes of record {own}: run `penstock audit verify`")
    return found


def said(canonical: Any, kind: str) -> Mapping[str, Any]:
    """What a record of this kind says by its bytes; nothing when they are none of such a record.

    For who looks records up by the column, before anybody has compared it with the bytes: `flaws` names that.
    """
    try:
        told = json.loads(canonical.decode())
    except (AttributeError, ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) and told.get("kind") == kind else {}


def flaws(row: StoredRecord, found: bytes) -> Iterator[str]:
    """Every column that differs; `found` is the leaf hash of the row's bytes."""
    if row.leaf != found:
        yield "its leaf is not the hash of its bytes"
    try:
        copies = _copies(json.loads(row.canonical.decode()))
    except (AttributeError, ValueError, TypeError, KeyError, RecursionError):
        yield "its bytes are no audit record"
        return
    stored = _stored(row)
    if stored != copies:
        for name, column, copy in zip(_COPIED, stored, copies, strict=True):
            if column != copy:
                yield f"its column {name} says {column!s:.80}, its bytes say {copy!s:.80}"


def _stored(row: StoredRecord) -> tuple[Any, ...]:
    return (
        str(row.id),
        row.kind,
        row.occurred_at,
        row.actor_kind,
        row.actor_name,
        None if row.event_id is None else str(row.event_id),
        row.revision,
        row.workflow,
        row.version,
        row.outcome,
        row.code,
        row.model,
        row.cost_micros,
        row.took_ms,
        row.words,
    )


def _copies(told: Mapping[str, Any]) -> tuple[Any, ...]:
    actor = told["actor"]
    return (
        told["id"],
        told["kind"],
        datetime.fromisoformat(told["occurred_at"]),
        actor["kind"],
        actor["name"],
        told.get("event_id"),
        told.get("revision"),
        told["workflow"],
        told["version"],
        told.get("outcome"),
        told.get("code"),
        told.get("model"),
        told.get("cost_micros"),
        took_ms(told),
        words(told),
    )
