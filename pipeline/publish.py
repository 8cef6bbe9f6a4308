"""A result in, the message that leaves by a topic out: CloudEvents, Kafka binary binding."""

import base64
from datetime import datetime
from typing import Final
from uuid import UUID, uuid5

from pydantic import BaseModel

from pipeline.seal import Seal
from schemas.changeset import AuditRecord, OutboxMessage, Result
from schemas.event import NAMESPACE, Received, derived_id
from schemas.messages import AuditMessage, CheckpointMessage, ContentReference, DeadLetter

AUDIT_TOPIC: Final = "audit.records.v1"
CHECKPOINT_TOPIC: Final = "audit.checkpoints.v1"

#: Base64 grows bytes by a third; the rest of a dead letter and its headers take less than this: source, id,
#: key and reason of 512 characters each, at up to 12 bytes per character in JSON.
_DEAD_LETTER_FRAME: Final = 32_768


def content_id(event_id: UUID) -> UUID:
    """The `content` row that holds an event's data."""
    return derived_id(event_id, 0, "content")


def envelope_id(event_id: UUID) -> UUID:
    """The `content` row that holds the key and the CloudEvents subject of an event with a subject."""
    return derived_id(event_id, 0, "envelope")


def output_id(event_id: UUID, revision: int) -> UUID:
    """The `content` row that holds the extraction of one revision of an event with a subject."""
    return derived_id(event_id, revision, "output")


def reasons_id(event_id: UUID, revision: int) -> UUID:
    """The `content` row that holds the reasons of one revision of an event with a subject."""
    return derived_id(event_id, revision, "reasons")


def result_message(
    result: Result, event: Received, audit: AuditRecord, *, topic: str, body: BaseModel, index: int = 0
) -> OutboxMessage:
    """`body` for a topic of the workflow; `index` tells a revision's messages apart, 1 is the audit's."""
    identity = derived_id(event.event_id, result.revision, "outbox", index)
    return _message(identity, topic, event, audit, body=body, type=f"penstock.{getattr(body, 'kind', '')}")


def audit_message(event: Received, audit: AuditRecord) -> OutboxMessage:
    """An audit record for its topic."""
    body = AuditMessage(id=audit.id, record=audit.canonical.decode(), leaf=audit.leaf.hex())
    identity = derived_id(event.event_id, audit.revision or 0, "outbox", 1)
    return _message(identity, AUDIT_TOPIC, event, audit, body=body, type="penstock.audit_record")


def dead_letter(result: Result, event: Received, *, reason: str, max_bytes: int) -> DeadLetter:
    """What `<consumes>.dead` carries; bytes that would not fit go out as a reference."""
    fits = len(event.content) * 4 // 3 + _DEAD_LETTER_FRAME < max_bytes
    reference = ContentReference(
        id=content_id(event.event_id),
        sha256=event.salted(event.content).hex(),
        bytes=len(event.content),
    )
    return DeadLetter(
        event_id=event.event_id,
        workflow=result.workflow,
        version=result.version,
        revision=result.revision,
        source=event.identity.source,
        id=event.identity.id,
        outcome=result.state,
        reason=reason,
        reasons=list(result.reasons),
        topic=event.identity.topic,
        partition=event.origin.partition if event.origin else None,
        offset=event.origin.offset if event.origin else None,
        original_base64=base64.b64encode(event.content).decode() if fits and not event.is_erased else None,
        original=None if fits else reference,
        decided_at=result.decided_at,
    )


def checkpoint_message(seal: Seal) -> OutboxMessage:
    """A seal's signed checkpoint for its topic; all of one log have one key, so that they stay in order."""
    identity = uuid5(NAMESPACE, f"{CHECKPOINT_TOPIC}\0{seal.note}")
    body = CheckpointMessage(batch=seal.batch, size=seal.size, sealed_at=seal.sealed_at, checkpoint=seal.note)
    type, value = "penstock.audit_checkpoint", body.model_dump_json().encode()
    headers = _headers(identity, CHECKPOINT_TOPIC, type=type, subject=seal.origin, time=seal.sealed_at)
    return OutboxMessage(identity, CHECKPOINT_TOPIC, seal.origin.encode(), value, headers)


def _message(
    identity: UUID, topic: str, event: Received, audit: AuditRecord, *, body: BaseModel, type: str
) -> OutboxMessage:
    headers = _headers(identity, topic, type=type, subject=str(event.event_id), time=audit.occurred_at)
    headers["audit_leaf"] = audit.leaf.hex()
    if event.traceparent:
        headers["traceparent"] = event.traceparent
    value = body.model_dump_json().encode()
    return OutboxMessage(id=identity, topic=topic, key=event.key, value=value, headers=headers)


def _headers(identity: UUID, topic: str, *, type: str, subject: str, time: datetime) -> dict[str, str]:
    """As the CloudEvents Kafka binding has them, and our own.

    Spelled as the CloudEvents library does, as a test shows; it would check our constants for each message.
    """
    id, schema = str(identity), f"penstock:contracts/{topic}.json"
    return {
        "ce_id": id,
        "ce_source": "penstock",
        "ce_type": type,
        "ce_subject": subject,
        "ce_time": time.isoformat().replace("+00:00", "Z"),
        "content-type": "application/json",
        "ce_dataschema": schema,
        "ce_specversion": "1.0",
        "id": id,
        "type": type,
        "schema": schema,
    }
