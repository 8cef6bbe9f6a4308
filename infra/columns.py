"""Columns that mean the same on PostgreSQL and SQLite: times, their days, and the database's own clock."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Dialect, Text, TypeDecorator
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class UtcTime(TypeDecorator[datetime]):
    """An aware time, in UTC; a naive one raises. Text that sorts, on SQLite, which has no times."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone; use UTC")
        value = value.astimezone(UTC)
        if dialect.name != "sqlite":
            return value
        # Not strftime: it writes the year 1 without its zeros.
        return value.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None or isinstance(value, datetime):
            return value
        return datetime.fromisoformat(value)


class later(FunctionElement[datetime]):  # noqa: N801 - read as an SQL function
    """The database's clock plus a number of seconds: `later(60)`, `later(0)` is now."""

    type = UtcTime()
    inherit_cache = True
    name = "later"


@compiles(later, "postgresql")
def _later_postgresql(element: Any, compiler: SQLCompiler, **options: Any) -> str:
    return f"(clock_timestamp() + {compiler.process(element.clauses, **options)} * interval '1 second')"


@compiles(later, "sqlite")
def _later_sqlite(element: Any, compiler: SQLCompiler, **options: Any) -> str:
    seconds = compiler.process(element.clauses, **options)
    # SQLite's clock has milliseconds; the zeros make it as long as the times that we bind.
    return f"(strftime('%Y-%m-%dT%H:%M:%f', 'now', {seconds} || ' seconds') || '000Z')"


class utc_day(FunctionElement[str]):  # noqa: N801 - read as an SQL function
    """The UTC day of a time, such as 2024-05-17."""

    type = Text()
    inherit_cache = True
    name = "utc_day"


# The format is part of the text: as a parameter it would be another one in GROUP BY than in SELECT.
@compiles(utc_day, "postgresql")
def _utc_day_postgresql(element: Any, compiler: SQLCompiler, **options: Any) -> str:
    return f"to_char({compiler.process(element.clauses, **options)} AT TIME ZONE 'UTC', 'YYYY-MM-DD')"


@compiles(utc_day, "sqlite")
def _utc_day_sqlite(element: Any, compiler: SQLCompiler, **options: Any) -> str:
    return f"substr({compiler.process(element.clauses, **options)}, 1, 10)"


class utc_minute(FunctionElement[str]):  # noqa: N801 - read as an SQL function
    """The UTC minute of a time, such as 2024-05-17T12:30: a beginning of it is a longer slot."""

    type = Text()
    inherit_cache = True
    name = "utc_minute"


@compiles(utc_minute, "postgresql")
def _utc_minute_postgresql(element: Any, compiler: SQLCompiler, **options: Any) -> str:
    moment = compiler.process(element.clauses, **options)
    return f"to_char({moment} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI')"


@compiles(utc_minute, "sqlite")
def _utc_minute_sqlite(element: Any, compiler: SQLCompiler, **options: Any) -> str:
    return f"substr({compiler.process(element.clauses, **options)}, 1, 16)"
