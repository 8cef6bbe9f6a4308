"""Whose texts are kept, under which key, and what may not be removed."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, LargeBinary, Uuid
from sqlmodel import Field, SQLModel

from infra.tables.fields import table, utc_time


class SubjectKeyRow(SQLModel, table=True):
    __tablename__ = "subject_key"
    __table_args__ = (Index("subject_key_master", "master_key_id"),)

    subject_hash: bytes = Field(primary_key=True, sa_type=LargeBinary)
    wrapped_key: bytes | None = Field(default=None, sa_type=LargeBinary)
    master_key_id: str | None = None
    erased_at: datetime | None = utc_time(default=None)


class HoldRow(SQLModel, table=True):
    __tablename__ = "hold"

    id: UUID = Field(primary_key=True, sa_type=Uuid)
    event_id: UUID | None = Field(default=None, sa_type=Uuid)
    workflow: str | None = None
    subject_hash: bytes | None = Field(default=None, sa_type=LargeBinary)
    reason: str
    created_at: datetime = utc_time()
    created_by: str


subject_key = table(SubjectKeyRow)
hold = table(HoldRow)
