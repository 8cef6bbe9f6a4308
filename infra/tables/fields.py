"""Columns and tables as SQLModel wants them spelt."""

from typing import Any, cast

from sqlalchemy import JSON, BigInteger, Identity, Integer, Table
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from infra.columns import UtcTime

_JSON = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
#: SQLite numbers rows by itself only in a column of exactly this type.
_SEQUENCE = BigInteger().with_variant(Integer(), "sqlite")


def utc_time(**options: Any) -> Any:
    """An aware time."""
    return Field(sa_type=UtcTime, **options)


def json(**options: Any) -> Any:
    """JSON; binary on PostgreSQL."""
    return Field(sa_type=_JSON, **options)


def sequence() -> Any:
    """A primary key that the database counts up."""
    return Field(default=None, primary_key=True, sa_type=_SEQUENCE, sa_column_args=(Identity(),))


def table(model: type[SQLModel]) -> Table:
    """The table of a model, for statements.

    SQLModel types a column as its value, which SQLAlchemy's own typing of statements does not take.
    """
    return cast(Table, model.__table__)  # type: ignore[attr-defined]
