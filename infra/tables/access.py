"""Who may come in."""

from datetime import datetime
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


token = table(TokenRow)
