"""Audit records by reason, model and words; results by their indexed fields; the settings in force."""

import json
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from infra.columns import UtcTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
RECORD = sa.table(
    "audit_record", *map(sa.column, ("id", "canonical", "code", "model", "cost_micros", "took_ms", "words"))
)
NAMING = ("id", "event_id", "source", "source_id", "workflow", "code", "model", "name", "process")
BATCH = 1_000


def upgrade() -> None:
    # Not in batches: SQLite adds such columns to the table as it is, triggers and all.
    op.add_column("audit_record", sa.Column("code", sa.String(), nullable=True))
    op.add_column("audit_record", sa.Column("model", sa.String(), nullable=True))
    op.add_column("audit_record", sa.Column("cost_micros", sa.BigInteger(), nullable=True))
    op.add_column("audit_record", sa.Column("took_ms", sa.BigInteger(), nullable=True))
    op.add_column("audit_record", sa.Column("words", sa.Text(), nullable=False, server_default=""))
    with unguarded():
        fill()
    if op.get_bind().dialect.name == "postgresql":  # the default was for the rows that exist
        op.alter_column("audit_record", "words", server_default=None)
    op.create_index("audit_time", "audit_record", ["occurred_at", "id"])
    op.create_index("audit_outcome", "audit_record", ["outcome", "occurred_at"])
    op.create_index("audit_cost", "audit_record", ["cost_micros"])
    op.create_index("audit_took", "audit_record", ["took_ms"])
    op.create_table(
        "result_index",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("field", sa.String(), nullable=False),
        sa.Column("workflow", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("event_id", "revision", "field"),
    )
    op.create_index("result_index_value", "result_index", ["field", "value"])
    op.create_table(
        "configuration",
        sa.Column("process", sa.String(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("settings", JSON, nullable=False),
        sa.Column("changed_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("process"),
    )


@contextmanager
def unguarded() -> Iterator[None]:
    """The records are append-only by triggers, if they are there already; these columns are new."""
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        op.execute("ALTER TABLE audit_record DISABLE TRIGGER USER")
        yield
        op.execute("ALTER TABLE audit_record ENABLE TRIGGER USER")
        return
    named = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit_record'"
    triggers = connection.execute(sa.text(named)).all()
    for trigger in triggers:
        op.execute(f"DROP TRIGGER {trigger.name}")
    yield
    for trigger in triggers:
        connection.exec_driver_sql(trigger.sql)


def fill() -> None:
    """The new columns are copies of what the records say, as are the old ones."""
    connection = op.get_bind()
    statement = RECORD.update().where(RECORD.c.id == sa.bindparam("own"))
    last, first = None, sa.select(RECORD.c.id, RECORD.c.canonical).order_by(RECORD.c.id).limit(BATCH)
    while rows := connection.execute(first if last is None else first.where(RECORD.c.id > last)).all():
        last = rows[-1].id
        connection.execute(statement, [{"own": row.id, **copies(row.canonical)} for row in rows])


def copies(canonical: bytes) -> dict[str, Any]:
    """As release 0.1 writes them."""
    told = json.loads(canonical)
    lines = [*map(told.get, NAMING), told["actor"]["name"], *told.get("flags", ())]
    reasons = [told.get("reason"), *told.get("reasons", ())]
    words = [*folded(lines), *(f"reason: {line}" for line in folded(reasons))]
    attempts = told.get("attempts")
    return {
        "code": told.get("code"),
        "model": told.get("model"),
        "cost_micros": told.get("cost_micros"),
        "took_ms": sum(one["latency_ms"] for one in attempts) if attempts else None,
        "words": "\n".join(words),
    }


def folded(values: list[Any]) -> list[str]:
    texts = [unicodedata.normalize("NFC", value) for value in values if isinstance(value, str) and value]
    return [" ".join(text.casefold().split()) for text in texts]
