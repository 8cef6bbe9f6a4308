"""Labels: which results of people are golden cases; and review items of what succeeded, drawn at random."""

import sqlalchemy as sa
from alembic import op

from infra.columns import UtcTime

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("review") as review:
        review.add_column(sa.Column("sampled", sa.Boolean(), nullable=False, server_default=sa.false()))
    with op.batch_alter_table("review") as review:
        review.alter_column("sampled", server_default=None)
    op.create_table(
        "label",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("judged", sa.Integer(), nullable=False),
        sa.Column("workflow", sa.String(), nullable=False),
        sa.Column("added_at", UtcTime(), nullable=False),
        sa.Column("added_by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("event_id", "revision"),
    )
    op.create_index("label_workflow", "label", ["workflow", "added_at"])
