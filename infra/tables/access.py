"""Who may come in, and the settings that the processes last started with."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, LargeBinary, Uuid
from sqlmodel import Field, SQLModel

from infra.tables.fields import json, table, utc_time


class TokenRow(SQLModel, table=True):
    __tablename__ = "token"

    id: UUID = Field(primary_key=True, sa_type=Uuid)
    name: str = Field(unique=True)
    role: str
    sources: list[str] = json()
    hash: bytes = Field(sa_type=LargeBinary, unique=True)
    created_at: datetime = utc_time()


class ConfigurationRow(SQLModel, table=True):
    __tablename__ = "configuration"

    process: str = Field(primary_key=True)
    sha256: bytes = Field(sa_type=LargeBinary)
    settings: dict[str, Any] = json()
    changed_at: datetime = utc_time()


class UserRow(SQLModel, table=True):
    __tablename__ = "user"

    id: UUID = Field(primary_key=True, sa_type=Uuid)
    name: str = Field(unique=True)
    role: str
    password_hash: str | None = None
    disabled_at: datetime | None = utc_time(default=None)
    created_at: datetime = utc_time()


class SessionRow(SQLModel, table=True):
    __tablename__ = "session"
    __table_args__ = (Index("session_user", "user_id"), Index("session_expires", "expires_at"))

    hash: bytes = Field(primary_key=True, sa_type=LargeBinary)
    user_id: UUID | None = Field(default=None, sa_type=Uuid)
    name: str
    role: str
    csrf: str
    created_at: datetime = utc_time()
    expires_at: datetime = utc_time()


class LoginLinkRow(SQLModel, table=True):
    __tablename__ = "login_link"

    hash: bytes = Field(primary_key=True, sa_type=LargeBinary)
    expires_at: datetime = utc_time()


class LoginFailuresRow(SQLModel, table=True):
    __tablename__ = "login_failures"
    __table_args__ = (Index("login_failures_since", "since"),)

    scope: bytes = Field(primary_key=True, sa_type=LargeBinary)
    failures: int
    since: datetime = utc_time()


token = table(TokenRow)
configuration = table(ConfigurationRow)
user = table(UserRow)
session = table(SessionRow)
login_link = table(LoginLinkRow)
login_failures = table(LoginFailuresRow)
