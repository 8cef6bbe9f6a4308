"""The tables. `pipeline/README.md` says what each is for; `infra/migrations` makes them."""

from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from infra.columns import UtcTime

_JSON = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
#: SQLite numbers rows by itself only in a column of exactly this type.
_SEQUENCE = BigInteger().with_variant(Integer(), "sqlite")


def _time(**options: Any) -> Any:
    return Field(sa_type=UtcTime, **options)


def _json(**options: Any) -> Any:
    return Field(sa_type=_JSON, **options)


def _sequence() -> Any:
    return Field(
        default=None,
        primary_key=True,
        sa_type=_SEQUENCE,
        sa_column_args=(Identity(),),
    )


class EventRow(SQLModel, table=True):
    __tablename__ = "event"
    __table_args__ = (
        # The identity is unique by `event_id`, which is made of it. A hash index: a btree takes no long id.
        Index("event_source_id", "source_id", postgresql_using="hash"),
        Index("event_workflow", "workflow", "accepted_at"),
    )

    event_id: UUID = Field(primary_key=True, sa_type=Uuid)
    topic: str
    source: str
    source_id: str
    workflow: str
    type: str
    subject: str | None = None
    time: datetime | None = _time(default=None)
    key: bytes = Field(sa_type=LargeBinary)
    fingerprint: bytes = Field(sa_type=LargeBinary)
    content_id: UUID = Field(sa_type=Uuid)
    partition: int | None = None
    offset: int | None = Field(default=None, sa_type=BigInteger)
    traceparent: str | None = None
    accepted_at: datetime = _time()


class ContentRow(SQLModel, table=True):
    __tablename__ = "content"

    id: UUID = Field(primary_key=True, sa_type=Uuid)
    event_id: UUID | None = Field(default=None, sa_type=Uuid, index=True)
    data: bytes = Field(sa_type=LargeBinary)
    salt: bytes = Field(sa_type=LargeBinary)


class WorkRow(SQLModel, table=True):
    __tablename__ = "work"
    __table_args__ = (
        Index("work_due", "lane", "priority", "due_at", "seq"),
        Index("work_key", "lane", "key", "seq"),
    )

    seq: int = _sequence()
    event_id: UUID = Field(sa_type=Uuid, unique=True)
    lane: str
    key: bytes = Field(sa_type=LargeBinary)
    size: int
    revision: int
    priority: int = 0
    due_at: datetime = _time()
    lease_until: datetime | None = _time(default=None)
    token: UUID | None = Field(default=None, sa_type=Uuid)
    crashes: int = 0
    faults: int = 0
    waits_for: str | None = None


class ResultRow(SQLModel, table=True):
    __tablename__ = "result"
    __table_args__ = (
        Index("result_workflow", "workflow", "decided_at"),
        CheckConstraint("revision >= 1", name="result_revision_positive"),
    )

    event_id: UUID = Field(primary_key=True, sa_type=Uuid)
    revision: int = Field(primary_key=True)
    id: UUID = Field(sa_type=Uuid, unique=True)
    workflow: str
    version: str
    state: str
    supersedes: int | None = None
    reasons: list[str] = _json()
    data: dict[str, Any] | None = _json(default=None)
    evidence: dict[str, Any] | None = _json(default=None)
    model: str | None = None
    cost_micros: int | None = Field(default=None, sa_type=BigInteger)
    decided_at: datetime = _time()


class AttemptRow(SQLModel, table=True):
    __tablename__ = "attempt"
    __table_args__ = (Index("attempt_event", "event_id", "revision", "step"),)

    id: UUID = Field(primary_key=True, sa_type=Uuid)
    event_id: UUID = Field(sa_type=Uuid)
    revision: int
    step: int
    version: str
    alias: str
    endpoint: str = ""
    model_asked: str
    model_answered: str | None = None
    response_id: str | None = None
    system_fingerprint: str | None = None
    skeleton_id: UUID = Field(sa_type=Uuid)
    text_ids: list[str] = _json()
    request_sha256: bytes = Field(sa_type=LargeBinary)
    response_content_id: UUID = Field(sa_type=Uuid)
    started_at: datetime = _time()
    latency_ms: int
    status: int | None = None
    failure: str | None = None
    complaints: list[str] = _json()
    retry_after_seconds: float | None = None
    finish_reason: str | None = None
    input_tokens: int = Field(sa_type=BigInteger)
    output_tokens: int = Field(sa_type=BigInteger)
    cached_tokens: int = Field(sa_type=BigInteger)
    cost_micros: int | None = Field(default=None, sa_type=BigInteger)
    larger: bool = False
    is_unknown: bool = False


class EndpointRow(SQLModel, table=True):
    __tablename__ = "endpoint_state"

    endpoint: str = Field(primary_key=True)
    failures: int = 0
    since: datetime | None = _time(default=None)
    openings: int = 0
    retry_at: datetime | None = _time(default=None)
    reason: str | None = None


class OutboxRow(SQLModel, table=True):
    __tablename__ = "outbox"
    __table_args__ = (
        Index(
            "outbox_unpublished",
            "seq",
            postgresql_where=text("published_at IS NULL"),
            sqlite_where=text("published_at IS NULL"),
        ),
    )

    seq: int = _sequence()
    id: UUID = Field(sa_type=Uuid, unique=True)
    event_id: UUID = Field(sa_type=Uuid, index=True)
    revision: int
    topic: str
    key: bytes = Field(sa_type=LargeBinary)
    value: bytes = Field(sa_type=LargeBinary)
    headers: dict[str, str] = _json()
    created_at: datetime = _time()
    published_at: datetime | None = _time(default=None)
    partition: int | None = None
    offset: int | None = Field(default=None, sa_type=BigInteger)


class AuditRow(SQLModel, table=True):
    __tablename__ = "audit_record"
    __table_args__ = (Index("audit_event", "event_id"), Index("audit_kind", "kind", "occurred_at"))

    id: UUID = Field(primary_key=True, sa_type=Uuid)
    kind: str
    canonical: bytes = Field(sa_type=LargeBinary)
    leaf: bytes = Field(sa_type=LargeBinary)
    occurred_at: datetime = _time()
    actor_kind: str
    actor_name: str
    event_id: UUID | None = Field(default=None, sa_type=Uuid)
    revision: int | None = None
    workflow: str | None = None
    version: str | None = None
    outcome: str | None = None


class ReviewRow(SQLModel, table=True):
    __tablename__ = "review"
    __table_args__ = (Index("review_waiting", "workflow", "created_at"),)

    id: UUID = Field(primary_key=True, sa_type=Uuid)
    event_id: UUID = Field(sa_type=Uuid, index=True)
    revision: int
    workflow: str
    reasons: list[str] = _json()
    created_at: datetime = _time()


class CounterRow(SQLModel, table=True):
    __tablename__ = "counter"

    name: str = Field(primary_key=True)
    workflow: str = Field(primary_key=True)
    shard: int = Field(primary_key=True)
    value: int = Field(sa_type=BigInteger)


class LaneRow(SQLModel, table=True):
    __tablename__ = "lane"

    name: str = Field(primary_key=True)
    paused_at: datetime | None = _time(default=None)
    paused_by: str | None = None


class WorkflowVersionRow(SQLModel, table=True):
    __tablename__ = "workflow_version"

    version: str = Field(primary_key=True)
    workflow: str = Field(primary_key=True)
    content: str = Field(sa_type=Text)
    release: str
    first_seen_at: datetime = _time()


class TokenRow(SQLModel, table=True):
    __tablename__ = "token"

    id: UUID = Field(primary_key=True, sa_type=Uuid)
    name: str = Field(unique=True)
    role: str
    sources: list[str] = _json()
    hash: bytes = Field(sa_type=LargeBinary, unique=True)
    created_at: datetime = _time()


class TopicLogRow(SQLModel, table=True):
    __tablename__ = "topic_log"

    topic: str = Field(primary_key=True)
    offset: int = Field(primary_key=True, sa_type=BigInteger)
    outbox_id: UUID = Field(sa_type=Uuid, unique=True)
    key: bytes = Field(sa_type=LargeBinary)
    headers: dict[str, str] = _json()
    value: bytes = Field(sa_type=LargeBinary)
    published_at: datetime = _time()


def _table(model: type[SQLModel]) -> Table:
    return cast(Table, model.__table__)  # type: ignore[attr-defined]


# The same tables for statements: `t.event.c.topic`. SQLModel types a column as its value, which
# SQLAlchemy's own typing of statements does not take.
event = _table(EventRow)
content = _table(ContentRow)
work = _table(WorkRow)
result = _table(ResultRow)
attempt = _table(AttemptRow)
endpoint_state = _table(EndpointRow)
outbox = _table(OutboxRow)
audit_record = _table(AuditRow)
review = _table(ReviewRow)
counter = _table(CounterRow)
lane = _table(LaneRow)
workflow_version = _table(WorkflowVersionRow)
token = _table(TokenRow)
topic_log = _table(TopicLogRow)
