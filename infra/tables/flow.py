"""What is in flight: events, their texts, the work on them, and where their messages went."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Index, LargeBinary, Uuid, text
from sqlmodel import Field, SQLModel

from infra.tables.fields import json, sequence, table, utc_time


class EventRow(SQLModel, table=True):
    __tablename__ = "event"
    __table_args__ = (
        # The identity is unique by `event_id`, which is made of it. A hash index: a btree takes no long id.
        Index("event_source_id", "source_id", postgresql_using="hash"),
        Index("event_workflow", "workflow", "accepted_at"),
        Index(
            "event_subject",
            "subject_hash",
            postgresql_where=text("subject_hash IS NOT NULL"),
            sqlite_where=text("subject_hash IS NOT NULL"),
        ),
        Index(
            "event_pruned",
            "pruning_id",
            "event_id",
            postgresql_where=text("pruning_id IS NOT NULL"),
            sqlite_where=text("pruning_id IS NOT NULL"),
        ),
    )

    event_id: UUID = Field(primary_key=True, sa_type=Uuid)
    topic: str
    source: str
    source_id: str
    workflow: str
    type: str
    subject: str | None = None
    time: datetime | None = utc_time(default=None)
    key: bytes = Field(sa_type=LargeBinary)
    fingerprint: bytes = Field(sa_type=LargeBinary)
    content_id: UUID = Field(sa_type=Uuid)
    partition: int | None = None
    offset: int | None = Field(default=None, sa_type=BigInteger)
    traceparent: str | None = None
    accepted_at: datetime = utc_time()
    subject_hash: bytes | None = Field(default=None, sa_type=LargeBinary)
    erasure_id: UUID | None = Field(default=None, sa_type=Uuid)
    pruning_id: UUID | None = Field(default=None, sa_type=Uuid)


class ContentRow(SQLModel, table=True):
    __tablename__ = "content"

    id: UUID = Field(primary_key=True, sa_type=Uuid)
    event_id: UUID | None = Field(default=None, sa_type=Uuid, index=True)
    data: bytes = Field(sa_type=LargeBinary)
    salt: bytes = Field(sa_type=LargeBinary)
    subject_hash: bytes | None = Field(default=None, sa_type=LargeBinary)


class WorkRow(SQLModel, table=True):
    __tablename__ = "work"
    __table_args__ = (
        Index("work_due", "lane", "priority", "due_at", "seq"),
        Index("work_key", "lane", "key", "seq"),
    )

    seq: int = sequence()
    event_id: UUID = Field(sa_type=Uuid, unique=True)
    lane: str
    key: bytes = Field(sa_type=LargeBinary)
    size: int
    revision: int
    priority: int = 0
    due_at: datetime = utc_time()
    lease_until: datetime | None = utc_time(default=None)
    token: UUID | None = Field(default=None, sa_type=Uuid)
    crashes: int = 0
    faults: int = 0
    waits_for: str | None = None
    step: int = 0
    reserved: int = Field(default=0, sa_type=BigInteger)
    reserved_at: datetime | None = utc_time(default=None)


class LaneRow(SQLModel, table=True):
    __tablename__ = "lane"

    name: str = Field(primary_key=True)
    paused_at: datetime | None = utc_time(default=None)
    paused_by: str | None = None


class CounterRow(SQLModel, table=True):
    __tablename__ = "counter"

    name: str = Field(primary_key=True)
    workflow: str = Field(primary_key=True)
    shard: int = Field(primary_key=True)
    value: int = Field(sa_type=BigInteger)


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

    seq: int = sequence()
    id: UUID = Field(sa_type=Uuid, unique=True)
    event_id: UUID | None = Field(default=None, sa_type=Uuid, index=True)
    revision: int | None = None
    topic: str
    key: bytes = Field(sa_type=LargeBinary)
    value: bytes = Field(sa_type=LargeBinary)
    headers: dict[str, str] = json()
    created_at: datetime = utc_time()
    published_at: datetime | None = utc_time(default=None)
    partition: int | None = None
    offset: int | None = Field(default=None, sa_type=BigInteger)


class TopicLogRow(SQLModel, table=True):
    __tablename__ = "topic_log"

    topic: str = Field(primary_key=True)
    offset: int = Field(primary_key=True, sa_type=BigInteger)
    outbox_id: UUID = Field(sa_type=Uuid, unique=True)
    key: bytes = Field(sa_type=LargeBinary)
    headers: dict[str, str] = json()
    value: bytes = Field(sa_type=LargeBinary)
    published_at: datetime = utc_time()


event = table(EventRow)
content = table(ContentRow)
work = table(WorkRow)
lane = table(LaneRow)
counter = table(CounterRow)
outbox = table(OutboxRow)
topic_log = table(TopicLogRow)
