"""The audit log: places and seals of audit records, and triggers that let nobody change them."""

import sqlalchemy as sa
from alembic import op

from infra.columns import UtcTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
#: Tables that only grow, and what may be in them once.
APPEND_ONLY = {
    "audit_record": ("id",),
    "audit_leaf": ("sequence", "record_id"),
    "audit_seal": ("batch", "first"),
}


def upgrade() -> None:
    op.create_table(
        "audit_unsealed",
        sa.Column("seq", SEQUENCE, sa.Identity(), nullable=False),
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_table(
        "audit_leaf",
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.Column("leaf", sa.LargeBinary(), nullable=False),
        sa.Column("batch", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sequence"),
        sa.UniqueConstraint("record_id"),
    )
    op.create_table(
        "audit_seal",
        sa.Column("batch", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("frontier", sa.LargeBinary(), nullable=False),
        sa.Column("link", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_at", UtcTime(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("batch"),
        sa.UniqueConstraint("first"),
    )
    # A checkpoint is a message that is about no event.
    with op.batch_alter_table("outbox") as outbox:
        outbox.alter_column("event_id", existing_type=sa.Uuid(), nullable=True)
        outbox.alter_column("revision", existing_type=sa.Integer(), nullable=True)
    op.execute("INSERT INTO audit_unsealed (record_id) SELECT id FROM audit_record ORDER BY occurred_at, id")
    statements = _postgresql if op.get_bind().dialect.name == "postgresql" else _sqlite
    for statement in statements():
        op.execute(statement)


def _postgresql() -> list[str]:
    return [
        "CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$",
        "CREATE FUNCTION audit_enqueue() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN INSERT INTO audit_unsealed (record_id) VALUES (NEW.id); RETURN NULL; END $$",
        "CREATE TRIGGER audit_enqueue AFTER INSERT ON audit_record "
        "FOR EACH ROW EXECUTE FUNCTION audit_enqueue()",
        *(
            f"CREATE TRIGGER {table}_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()"
            for table in APPEND_ONLY
        ),
    ]


def _sqlite() -> list[str]:
    refuse = "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
    statements = [
        "CREATE TRIGGER audit_enqueue AFTER INSERT ON audit_record "
        "BEGIN INSERT INTO audit_unsealed (record_id) VALUES (NEW.id); END"
    ]
    for table, keys in APPEND_ONLY.items():
        # INSERT OR REPLACE deletes without asking a trigger for DELETE.
        there = " OR ".join(f"{key} = NEW.{key}" for key in keys)
        statements += [
            f"CREATE TRIGGER {table}_updated BEFORE UPDATE ON {table} {refuse}",
            f"CREATE TRIGGER {table}_deleted BEFORE DELETE ON {table} {refuse}",
            f"CREATE TRIGGER {table}_replaced BEFORE INSERT ON {table} "
            f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {there}) {refuse}",
        ]
    return statements
