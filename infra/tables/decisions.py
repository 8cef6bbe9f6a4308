"""What was decided, by which version, and what waits for a person."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index, LargeBinary, Text, Uuid, text
from sqlmodel import Field, SQLModel

from infra.tables.fields import json, table, utc_time

#: Results that went to a dead topic. As text: with a parameter in its place, SQLite would not use the index.
FAILED = text("state IN ('dead', 'refused_input', 'rejected')")


class ResultRow(SQLModel, table=True):
    __tablename__ = "result"
    __table_args__ = (
        Index("result_workflow", "workflow", "decided_at"),
        Index("result_failed", "decided_at", "event_id", postgresql_where=FAILED, sqlite_where=FAILED),
        CheckConstraint("revision >= 1", name="result_revision_positive"),
    )

    event_id: UUID = Field(primary_key=True, sa_type=Uuid)
    revision: int = Field(primary_key=True)
    id: UUID = Field(sa_type=Uuid, unique=True)
    workflow: str
    version: str
    state: str
    supersedes: int | None = None
    reasons: list[str] = json()
    data: dict[str, Any] | None = json(default=None)
    evidence: dict[str, Any] | None = json(default=None)
    model: str | None = None
    cost_micros: int | None = Field(default=None, sa_type=BigInteger)
    decided_at: datetime = utc_time()


class AuditRow(SQLModel, table=True):
    __tablename__ = "audit_record"
    __table_args__ = (
        Index("audit_event", "event_id"),
        Index("audit_kind", "kind", "occurred_at"),
        Index("audit_time", "occurred_at", "id"),
        Index("audit_outcome", "outcome", "occurred_at"),
        Index("audit_cost", "cost_micros"),
        Index("audit_took", "took_ms"),
        Index("audit_record_leaf", "leaf"),
        # For a part of a word; SQLite reads all of them.
        Index(
            "audit_words", "words", postgresql_using="gin", postgresql_ops={"words": "gin_trgm_ops"}
        ).ddl_if(dialect="postgresql"),
    )

    id: UUID = Field(primary_key=True, sa_type=Uuid)
    kind: str
    canonical: bytes = Field(sa_type=LargeBinary)
    leaf: bytes = Field(sa_type=LargeBinary)
    occurred_at: datetime = utc_time()
    actor_kind: str
    actor_name: str
    event_id: UUID | None = Field(default=None, sa_type=Uuid)
    revision: int | None = None
    workflow: str | None = None
    version: str | None = None
    outcome: str | None = None
    code: str | None = None
    model: str | None = None
    cost_micros: int | None = Field(None, sa_type=BigInteger)
    took_ms: int | None = Field(None, sa_type=BigInteger)
    words: str = Field(sa_type=Text)


class IndexRow(SQLModel, table=True):
    """Values that results are found by, folded: of the fields that their workflows mark `indexed`."""

    __tablename__ = "result_index"
    __table_args__ = (Index("result_index_value", "field", "value"),)

    event_id: UUID = Field(primary_key=True, sa_type=Uuid)
    revision: int = Field(primary_key=True)
    field: str = Field(primary_key=True)
    workflow: str
    value: str


class ReviewRow(SQLModel, table=True):
    __tablename__ = "review"
    __table_args__ = (
        Index("review_waiting", "workflow", "created_at", "id"),
        Index("review_oldest", "created_at", "id"),
        Index("review_rank", "workflow", "rank", "created_at", "id"),
    )

    id: UUID = Field(primary_key=True, sa_type=Uuid)
    event_id: UUID = Field(sa_type=Uuid, index=True)
    revision: int
    workflow: str
    reasons: list[str] = json()
    #: Published, and looked at all the same.
    sampled: bool = False
    #: The score of its answer, 0 without one; of a sampled one -1. The lowest comes first.
    rank: float = 0.0
    created_at: datetime = utc_time()
    claimed_by: str | None = None
    claimed_at: datetime | None = utc_time(default=None)
    claimed_until: datetime | None = utc_time(default=None)


class LabelRow(SQLModel, table=True):
    """A golden case: what people made (`revision`) of what the machine had extracted (`judged`)."""

    __tablename__ = "label"
    __table_args__ = (Index("label_workflow", "workflow", "added_at"),)

    event_id: UUID = Field(primary_key=True, sa_type=Uuid)
    revision: int = Field(primary_key=True)
    judged: int
    workflow: str
    added_at: datetime = utc_time()
    added_by: str


class EvaluationRow(SQLModel, table=True):
    """The scores of a version's last evaluation; `summary` is JSON, its fields in their order."""

    __tablename__ = "evaluation"

    workflow: str = Field(primary_key=True)
    version: str = Field(primary_key=True)
    model: str
    cases_from: str
    simulated: bool
    left_out: int
    evaluated_by: str
    summary: str = Field(sa_type=Text)
    evaluated_at: datetime = utc_time()


class WorkflowVersionRow(SQLModel, table=True):
    __tablename__ = "workflow_version"

    version: str = Field(primary_key=True)
    workflow: str = Field(primary_key=True)
    content: str = Field(sa_type=Text)
    release: str
    first_seen_at: datetime = utc_time()
    produces: str | None = None
    #: Results of it that had been published are no longer kept.
    pruned_at: datetime | None = utc_time(default=None)


result = table(ResultRow)
audit_record = table(AuditRow)
result_index = table(IndexRow)
review = table(ReviewRow)
label = table(LabelRow)
evaluation = table(EvaluationRow)
workflow_version = table(WorkflowVersionRow)
