"""What was asked of models, what it cost, and what is known about their endpoints."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Index, LargeBinary, Uuid, text
from sqlmodel import Field, SQLModel

from infra.tables.fields import json, table, utc_time

#: Calls that a crash may have cut off.
_LOST = text("failure = 'lost'")


class AttemptRow(SQLModel, table=True):
    __tablename__ = "attempt"
    __table_args__ = (
        Index("attempt_event", "event_id", "revision", "step"),
        Index("attempt_started", "started_at"),
        # Few are: this keeps counting them cheap.
        Index("attempt_lost", "event_id", postgresql_where=_LOST, sqlite_where=_LOST),
    )

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
    text_ids: list[str] = json()
    request_sha256: bytes = Field(sa_type=LargeBinary)
    response_content_id: UUID = Field(sa_type=Uuid)
    started_at: datetime = utc_time()
    latency_ms: int
    status: int | None = None
    failure: str | None = None
    complaints: list[str] = json()
    retry_after_seconds: float | None = None
    finish_reason: str | None = None
    input_tokens: int = Field(sa_type=BigInteger)
    output_tokens: int = Field(sa_type=BigInteger)
    cached_tokens: int = Field(sa_type=BigInteger)
    cost_micros: int | None = Field(default=None, sa_type=BigInteger)
    larger: bool = False
    is_unknown: bool = False
    original_id: UUID | None = Field(default=None, sa_type=Uuid)


class AnswerRow(SQLModel, table=True):
    __tablename__ = "answer_cache"
    __table_args__ = (Index("answer_cache_expires", "expires_at"),)

    key: bytes = Field(primary_key=True, sa_type=LargeBinary)
    workflow: str
    attempt_id: UUID = Field(sa_type=Uuid)
    expires_at: datetime = utc_time()


class BudgetRow(SQLModel, table=True):
    __tablename__ = "budget_window"

    scope: str = Field(primary_key=True)
    window: str = Field(primary_key=True)
    limit: int | None = Field(default=None, sa_type=BigInteger)
    reserved: int = Field(default=0, sa_type=BigInteger)
    settled: int = Field(default=0, sa_type=BigInteger)
    unknown: int = Field(default=0, sa_type=BigInteger)
    refused_at: datetime | None = utc_time(default=None)


class SpendRow(SQLModel, table=True):
    __tablename__ = "spend_day"

    day: str = Field(primary_key=True)
    workflow: str = Field(primary_key=True)
    source: str = Field(primary_key=True)
    model: str = Field(primary_key=True)
    shard: int = Field(primary_key=True)
    calls: int = Field(sa_type=BigInteger)
    lost: int = Field(sa_type=BigInteger)
    cached: int = Field(sa_type=BigInteger)
    saved_micros: int = Field(sa_type=BigInteger)
    input_tokens: int = Field(sa_type=BigInteger)
    prompt_cached_tokens: int = Field(sa_type=BigInteger)
    output_tokens: int = Field(sa_type=BigInteger)
    cost_micros: int = Field(sa_type=BigInteger)
    unknown_micros: int = Field(sa_type=BigInteger)
    decided: int = Field(sa_type=BigInteger)
    answered: int = Field(sa_type=BigInteger)
    answered_by_first: int = Field(sa_type=BigInteger)


class EndpointRow(SQLModel, table=True):
    __tablename__ = "endpoint_state"

    endpoint: str = Field(primary_key=True)
    failures: int = 0
    since: datetime | None = utc_time(default=None)
    openings: int = 0
    retry_at: datetime | None = utc_time(default=None)
    reason: str | None = None


attempt = table(AttemptRow)
answer_cache = table(AnswerRow)
budget_window = table(BudgetRow)
spend_day = table(SpendRow)
endpoint_state = table(EndpointRow)
