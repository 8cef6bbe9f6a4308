"""The audit trail's records: what happened in, an `AuditRecord` out. No payload: hashes and references."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid5

from pipeline import audit, publish
from pipeline.assess import Assessment
from pipeline.lookup import took_ms, words
from pipeline.patch import Operation, patch
from pipeline.receive import canonical
from schemas.changeset import Actor, AuditRecord, Result, Scribe
from schemas.event import NAMESPACE, Received, derived_id
from schemas.evidence import EvidenceMap
from schemas.extraction import Attempt
from schemas.kinds import RecordKind

#: The kind of the record that somebody read texts of an event.
PAYLOAD_READ: Final[RecordKind] = "payload_read"
#: The kind of a record that says how many events of a subject were erased.
ERASURE: Final[RecordKind] = "erasure"
#: The code of a person's decision on many events at once: nobody looked at each of them.
IN_BULK: Final = "in_bulk"
#: A record lists this many attempts, the last ones; the journal has all. It must fit into a message.
MAX_ATTEMPTS = 50
#: And of each the first complaints: a re-ask carries fewer.
MAX_COMPLAINTS = 20


def decision(
    result: Result,
    event: Received,
    attempts: Sequence[Attempt],
    *,
    code: str,
    scribe: Scribe,
    flags: Sequence[str] = (),
    judged: Mapping[UUID, Assessment] | None = None,
    sampled: bool = False,
) -> AuditRecord:
    """The record of a machine's decision; `code` is the stable reason, `reasons` are its words.

    `judged` says by attempt what its answer was worth, `sampled` that a person looks at what succeeded.
    """
    output = None
    if result.data is not None:
        output = {"sha256": event.salted(canonical(result.data)).hex()}
    body = {
        "code": code,
        "flags": list(flags),
        "sampled": sampled,
        "cost_micros": result.cost_micros,
        "input": {
            "content": str(publish.content_id(event.event_id)),
            "sha256": None if event.is_erased else event.salted(event.content).hex(),
            "bytes": len(event.content),
        },
        "output": output,
        "model": result.model,
        "evidence": result.evidence,
        "attempts": [_attempt(one, event, (judged or {}).get(one.id)) for one in attempts[-MAX_ATTEMPTS:]],
        "attempts_made": len(attempts),
        **_reasons(result, event),
    }
    return about(result, event, kind="decision", body=body, actor=scribe.actor, release=scribe.release)


def _reasons(result: Result, event: Received) -> dict[str, Any]:
    """In words; of an event with a subject they may quote it, so there only where they are kept."""
    if event.subject_hash is None:
        return {"reasons": list(result.reasons)}
    reference = {
        "content": str(publish.reasons_id(event.event_id, result.revision)),
        "sha256": _salted(event, list(result.reasons)),
    }
    return {"reasons": [], "reasons_kept": reference}


def buried(result: Result, event: Received, before: AuditRecord, *, code: str, scribe: Scribe) -> AuditRecord:
    """The record of an event that is dead because what `before` decided cannot be written or published.

    It says what was paid for; what the answers rested on may be what made a message too large.
    """
    told = json.loads(before.canonical)
    body = {
        **{name: told[name] for name in ("flags", "cost_micros", "input", "attempts_made")},
        "code": code,
        "sampled": False,
        "instead_of": before.outcome,
        "output": None,
        "model": None,
        "evidence": None,
        "attempts": [{**one, "assessed": None} for one in told["attempts"]],
        **_reasons(result, event),
    }
    return about(result, event, kind="decision", body=body, actor=scribe.actor, release=scribe.release)


def resolution(
    result: Result, before: Result, event: Received, *, scribe: Scribe, in_bulk: bool = False
) -> AuditRecord:
    """The record of a person's decision: the patch (RFC 6902) from before to after, its values as hashes."""
    body = {
        **({"code": IN_BULK} if in_bulk else {}),
        "supersedes": before.revision,
        "before": _stand(before, event),
        "after": _stand(result, event),
        "patch": [_operation(one, event) for one in patch(before.data, result.data)],
        "evidence": result.evidence,
        **_reasons(result, event),
    }
    return about(result, event, kind="review", body=body, actor=scribe.actor, release=scribe.release)


def about(
    result: Result, event: Received, *, kind: RecordKind, body: Mapping[str, Any], actor: Actor, release: str
) -> AuditRecord:
    """The audit record of `result`: what it says is in `body`, who and when is added here."""
    told = {
        "v": 1,
        "id": str(derived_id(event.event_id, result.revision, "audit")),
        "kind": kind,
        "event_id": str(event.event_id),
        "topic": event.identity.topic,
        "source": event.identity.source,
        "source_id": event.identity.id,
        "origin": _origin(event),
        "traceparent": event.traceparent,
        "workflow": result.workflow,
        "version": result.version,
        "release": release,
        "revision": result.revision,
        "outcome": result.state,
        "occurred_at": result.decided_at.isoformat(),
        "actor": {"kind": actor.kind, "name": actor.name},
        **body,
    }
    return _record(told, occurred_at=result.decided_at, actor=actor, event_id=event.event_id)


def noted(
    kind: RecordKind,
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
    told = {**head, "id": str(identity)}
    return _record(told, occurred_at=now, actor=scribe.actor, event_id=event_id)


def evidence_of(found: EvidenceMap) -> dict[str, Any] | None:
    """What each value rests on, as JSON: places in the text, never the text."""
    grounds = {path: found[path] for path in found}
    return {
        path: {"verdict": one.verdict.value, "start": one.start, "end": one.end, "score": one.score}
        for path, one in grounds.items()
    } or None


def _record(
    told: Mapping[str, Any], *, occurred_at: datetime, actor: Actor, event_id: UUID | None
) -> AuditRecord:
    """What is told, as bytes, and its copies."""
    content = audit.canonical(told)
    return AuditRecord(
        id=UUID(told["id"]),
        kind=told["kind"],
        canonical=content,
        leaf=audit.leaf(content),
        occurred_at=occurred_at,
        actor=actor,
        event_id=event_id,
        revision=told.get("revision"),
        workflow=told["workflow"],
        version=told["version"],
        outcome=told.get("outcome"),
        code=told.get("code"),
        model=told.get("model"),
        cost_micros=told.get("cost_micros"),
        took_ms=took_ms(told),
        words=words(told),
    )


def _origin(event: Received) -> dict[str, Any] | None:
    """Where on Kafka it was read; None for what came by HTTP."""
    origin = event.origin
    return None if origin is None else {"partition": origin.partition, "offset": origin.offset}


def _assessed(found: Assessment, event: Received) -> dict[str, Any]:
    """What an answer was worth. A complaint of a check may quote the event, so it is told by its hash.

    What a good answer says and rests on is told once, beside the decision.
    """
    value = found.value.model_dump(mode="json") if found.failure else None
    return {
        "failure": found.failure,
        "checks": list(found.checks),
        "complaints": _hashes(found.complaints, event),
        "output": None if value is None else event.salted(canonical(value)).hex(),
        "evidence": evidence_of(found.evidence) if found.failure else None,
    }


def _hashes(texts: Sequence[str], event: Received) -> list[str]:
    return [event.salted(text.encode("utf-8", "replace")).hex() for text in texts[:MAX_COMPLAINTS]]


def _stand(result: Result, event: Received) -> dict[str, Any]:
    sha256 = None if result.data is None else _salted(event, result.data)
    return {"outcome": result.state, "sha256": sha256}


def _operation(one: Operation, event: Received) -> dict[str, Any]:
    told = {"op": one.op, "path": one.path}
    return told if one.op == "remove" else {**told, "sha256": _salted(event, one.value)}


def _salted(event: Received, data: Any) -> str | None:
    """Without its salt, which goes with the event's text, a short value could be guessed from its hash."""
    return None if event.is_erased else event.salted(canonical(data)).hex()


def _attempt(attempt: Attempt, event: Received, judged: Assessment | None) -> dict[str, Any]:
    request = attempt.request.body
    return {
        "id": str(attempt.id),
        "version": attempt.version,
        "step": attempt.step,
        "larger": attempt.larger,
        "alias": attempt.alias,
        "endpoint": attempt.endpoint,
        "is_unknown": attempt.is_unknown,
        "model_asked": attempt.model_asked,
        "model_answered": attempt.model_answered,
        "response_id": attempt.response_id,
        "system_fingerprint": attempt.system_fingerprint,
        "started_at": attempt.started_at.isoformat(),
        "latency_ms": attempt.latency_ms,
        "request_bytes": len(request),
        "request_sha256": event.salted(request).hex(),
        "response_bytes": len(attempt.response),
        "response_sha256": event.salted(attempt.response).hex(),
        "status": attempt.status,
        "finish_reason": attempt.finish_reason,
        "failure": attempt.failure,
        "complaints": _hashes(attempt.complaints, event),
        "assessed": judged and _assessed(judged, event),
        "input_tokens": attempt.usage.input_tokens,
        "cached_tokens": attempt.usage.cached_tokens,
        "output_tokens": attempt.usage.output_tokens,
        "cost_micros": attempt.cost_micros,
        "original_id": str(attempt.original_id) if attempt.original_id else None,
    }
