"""Who may come in, and the settings that the processes last started with."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import LargeBinary, Uuid
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


token = table(TokenRow)
configuration = table(ConfigurationRow)
