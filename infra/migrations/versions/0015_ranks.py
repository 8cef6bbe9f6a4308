"""Review items with a rank, by which a queue may be ordered; what waits already comes first."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("review") as review:
        review.add_column(sa.Column("rank", sa.Float(), nullable=False, server_default=sa.text("0")))
    with op.batch_alter_table("review") as review:
        review.alter_column("rank", server_default=None)
    op.create_index("review_rank", "review", ["workflow", "rank", "created_at", "id"])
