"""Review items: who looks at one, since when and until when; both ways through the queue have an index."""

import sqlalchemy as sa
from alembic import op

from infra.columns import UtcTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("review") as review:
        review.add_column(sa.Column("claimed_by", sa.String(), nullable=True))
        review.add_column(sa.Column("claimed_at", UtcTime(), nullable=True))
        review.add_column(sa.Column("claimed_until", UtcTime(), nullable=True))
    op.drop_index("review_waiting", "review")
    op.create_index("review_waiting", "review", ["workflow", "created_at", "id"])
    op.create_index("review_oldest", "review", ["created_at", "id"])
