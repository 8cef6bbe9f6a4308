"""Review items with the score of their answer, to rank a queue by; what waits already comes first."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("review") as review:
        review.add_column(sa.Column("score", sa.Float(), nullable=False, server_default=sa.text("0")))
    with op.batch_alter_table("review") as review:
        review.alter_column("score", server_default=None)
    op.create_index("review_doubted", "review", ["workflow", "score", "created_at", "id"])
