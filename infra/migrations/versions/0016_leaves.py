"""Audit records by their leaf: whoever has a message with `audit_leaf` finds its record at once."""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("audit_record_leaf", "audit_record", ["leaf"])
