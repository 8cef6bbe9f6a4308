"""The exact cache: answers by what was asked, and attempts that took theirs from it."""

import sqlalchemy as sa
from alembic import op

from infra.columns import UtcTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "answer_cache",
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("workflow", sa.String(), nullable=False),
        sa.Column("attempt_id", sa.Uuid(), nullable=False),
        sa.Column("expires_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_index("answer_cache_expires", "answer_cache", ["expires_at"])
    with op.batch_alter_table("attempt") as attempt:
        attempt.add_column(sa.Column("original_id", sa.Uuid(), nullable=True))
