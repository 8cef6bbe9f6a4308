"""Budgets: what is reserved and spent by scope and window, what each claim reserved; calls by their day."""

import sqlalchemy as sa
from alembic import op

from infra.columns import UtcTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "budget_window",
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("window", sa.String(), nullable=False),
        sa.Column("limit", sa.BigInteger(), nullable=True),
        sa.Column("reserved", sa.BigInteger(), nullable=False),
        sa.Column("settled", sa.BigInteger(), nullable=False),
        sa.Column("unknown", sa.BigInteger(), nullable=False),
        sa.Column("refused_at", UtcTime(), nullable=True),
        sa.PrimaryKeyConstraint("scope", "window"),
    )
    op.create_index("attempt_started", "attempt", ["started_at"])
    lost = sa.text("failure = 'lost'")
    op.create_index("attempt_lost", "attempt", ["event_id"], postgresql_where=lost, sqlite_where=lost)
    with op.batch_alter_table("work") as work:
        work.add_column(sa.Column("step", sa.Integer(), nullable=False, server_default="0"))
        work.add_column(sa.Column("reserved", sa.BigInteger(), nullable=False, server_default="0"))
        work.add_column(sa.Column("reserved_at", UtcTime(), nullable=True))
    # The defaults were for the rows that exist. A batch of its own: SQLite copies the table here.
    with op.batch_alter_table("work") as work:
        for name in ("step", "reserved"):
            work.alter_column(name, server_default=None)
