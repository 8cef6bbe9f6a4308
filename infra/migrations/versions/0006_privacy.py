"""Privacy: a key per subject, whose texts a row holds, holds, and where each version publishes."""

import sqlalchemy as sa
from alembic import op

from infra.columns import UtcTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

#: Where each version's results went, as far as the outbox tells. The audit topic is nobody's results.
FROM_THE_OUTBOX = """
    UPDATE workflow_version SET produces = (
        SELECT outbox.topic FROM result
        JOIN outbox ON outbox.event_id = result.event_id AND outbox.revision = result.revision
        WHERE result.workflow = workflow_version.workflow AND result.version = workflow_version.version
          AND result.state IN ('succeeded', 'degraded', 'approved', 'corrected')
          AND outbox.topic <> 'audit.records.v1'
        LIMIT 1)
"""


def upgrade() -> None:
    op.create_table(
        "subject_key",
        sa.Column("subject_hash", sa.LargeBinary(), nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=True),
        sa.Column("master_key_id", sa.String(), nullable=True),
        sa.Column("erased_at", UtcTime(), nullable=True),
        sa.PrimaryKeyConstraint("subject_hash"),
    )
    op.create_index("subject_key_master", "subject_key", ["master_key_id"])
    op.create_table(
        "hold",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=True),
        sa.Column("workflow", sa.String(), nullable=True),
        sa.Column("subject_hash", sa.LargeBinary(), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    # Not in batches: a column that may be null is added to SQLite's table as it is.
    op.add_column("event", sa.Column("subject_hash", sa.LargeBinary(), nullable=True))
    op.add_column("event", sa.Column("erasure_id", sa.Uuid(), nullable=True))
    op.add_column("content", sa.Column("subject_hash", sa.LargeBinary(), nullable=True))
    op.add_column("workflow_version", sa.Column("produces", sa.String(), nullable=True))
    op.add_column("workflow_version", sa.Column("pruned_at", UtcTime(), nullable=True))
    has_subject = sa.text("subject_hash IS NOT NULL")
    op.create_index(
        "event_subject", "event", ["subject_hash"], postgresql_where=has_subject, sqlite_where=has_subject
    )
    op.execute(FROM_THE_OUTBOX)
