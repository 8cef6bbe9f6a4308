"""The audit trail's records: what happened in, an `AuditRecord` out. No payload: hashes and references."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from pipeline import audit, publish
from pipeline.patch import Operation, patch
from pipeline.receive import canonical
from schemas.changeset import Actor, AuditRecord, Result, Scribe
from schemas.event import NAMESPACE, Received, derived_id
from schemas.extraction import Attempt

#: A record lists this many attempts, the last ones; the journal has all. It must fit into a message.
MAX_ATTEMPTS = 50


def decision(
    result: Result,
    event: Received,
    attempts: Sequence[Attempt],
    *,
    code: str,
    scribe: Scribe,
    flags: Sequence[str] = (),
) -> AuditRecord:
    """The record of a machine's decision; `code` is the stable reason, `reasons` are its words."""
    output = None
    if result.data is not None:
        output = {"sha256": event.salted(canonical(result.data)).hex()}
    body = {
        "code": code,
        "flags": list(flags),
        "cost_micros": result.cost_micros,
        "input": {
            "content": str(publish.content_id(event.event_id)),
            "sha256": event.salted(event.content).hex(),
        },
        "output": output,
        "model": result.model,
        "evidence": result.evidence,
        "attempts": [_attempt(attempt, event) for attempt in attempts[-MAX_ATTEMPTS:]],
        "attempts_made": len(attempts),
        "reasons": list(result.reasons),
    }
    return about(result, event, kind="decision", body=body, actor=scribe.actor, release=scribe.release)


def resolution(
    result: Result, before: Result, event: Received, *, comment: str, scribe: Scribe
) -> AuditRecord:
    """The record of a person's decision: the patch (RFC 6902) from before to after, its values as hashes."""
    body = {
        "supersedes": before.revision,
        "before": {"outcome": before.state, "sha256": _salted(event, before.data)},
        "after": {"outcome": result.state, "sha256": _salted(event, result.data)},
        "patch": [_operation(one, event) for one in patch(before.data, result.data)],
        "evidence": result.evidence,
        "comment_sha256": event.salted(comment.encode("utf-8", "replace")).hex() if comment else None,
    }
    return about(result, event, kind="review", body=body, actor=scribe.actor, release=scribe.release)


def about(
    result: Result, event: Received, *, kind: str, body: Mapping[str, Any], actor: Actor, release: str
) -> AuditRecord:
    """The audit record of `result`: what it says is in `body`, who and when is added here."""
    identity = derived_id(event.event_id, result.revision, "audit")
    content = audit.canonical(
        {
            "v": 1,
            "id": str(identity),
            "kind": kind,
            "event_id": str(event.event_id),
            "topic": event.identity.topic,
            "source": event.identity.source,
            "source_id": event.identity.id,
            "workflow": result.workflow,
            "version": result.version,
            "release": release,
            "revision": result.revision,
            "outcome": result.state,
            "occurred_at": result.decided_at.isoformat(),
            "actor": {"kind": actor.kind, "name": actor.name},
            **body,
        }
    )
    return AuditRecord(
        id=identity,
        kind=kind,
        canonical=content,
        leaf=audit.leaf(content),
        occurred_at=result.decided_at,
        actor=actor,
        event_id=event.event_id,
        revision=result.revision,
        workflow=result.workflow,
        version=result.version,
        outcome=result.state,
    )


def noted(
    kind: str,
    body: Mapping[str, Any],
    *,
    scribe: Scribe,
    now: datetime,
    workflow: str | None = None,
    version: str | None = None,
    nonce: str = "",
    event_id: UUID | None = None,
) -> AuditRecord:
    """The audit record of what is no decision on an event: a pause, a token, a new version, a look.

    The same fact at the same moment has the same id; `nonce` tells two of them apart.
    """
    head = {
        "v": 1,
        "kind": kind,
        "workflow": workflow,
        "version": version,
        "release": scribe.release,
        "occurred_at": now.isoformat(),
        "actor": {"kind": scribe.actor.kind, "name": scribe.actor.name},
        **({} if event_id is None else {"event_id": str(event_id)}),
        **body,
    }
    identity = uuid5(NAMESPACE, audit.canonical({**head, "nonce": nonce}).decode())
    content = audit.canonical({**head, "id": str(identity)})
    return AuditRecord(
        id=identity,
        kind=kind,
        canonical=content,
        leaf=audit.leaf(content),
        occurred_at=now,
        actor=scribe.actor,
        event_id=event_id,
        workflow=workflow,
        version=version,
    )


def _operation(one: Operation, event: Received) -> dict[str, Any]:
    told = {"op": one.op, "path": one.path}
    return told if one.op == "remove" else {**told, "sha256": event.salted(canonical(one.value)).hex()}


def _salted(event: Received, data: Any) -> str | None:
    return None if data is None else event.salted(canonical(data)).hex()


def _attempt(attempt: Attempt, event: Received) -> dict[str, Any]:
    return {
        "id": str(attempt.id),
        "step": attempt.step,
        "alias": attempt.alias,
        "endpoint": attempt.endpoint,
        "is_unknown": attempt.is_unknown,
        "model_asked": attempt.model_asked,
        "model_answered": attempt.model_answered,
        "response_id": attempt.response_id,
        "system_fingerprint": attempt.system_fingerprint,
        "started_at": attempt.started_at.isoformat(),
        "latency_ms": attempt.latency_ms,
        "request_sha256": event.salted(attempt.request.body).hex(),
        "response_sha256": event.salted(attempt.response).hex(),
        "status": attempt.status,
        "finish_reason": attempt.finish_reason,
        "failure": attempt.failure,
        "input_tokens": attempt.usage.input_tokens,
        "cached_tokens": attempt.usage.cached_tokens,
        "output_tokens": attempt.usage.output_tokens,
        "cost_micros": attempt.cost_micros,
        "original_id": str(attempt.original_id) if attempt.original_id else None,
    }
