"""Endpoints and evidence: the breakers' rows, an attempt's endpoint, what each value of a result rests on."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from infra.columns import UtcTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "endpoint_state",
        sa.Column("endpoint", sa.String(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("since", UtcTime(), nullable=True),
        sa.Column("openings", sa.Integer(), nullable=False),
        sa.Column("retry_at", UtcTime(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("endpoint"),
    )
    with op.batch_alter_table("attempt") as attempt:
        attempt.add_column(sa.Column("endpoint", sa.String(), nullable=False, server_default=""))
        attempt.add_column(sa.Column("larger", sa.Boolean(), nullable=False, server_default=sa.false()))
        attempt.add_column(sa.Column("is_unknown", sa.Boolean(), nullable=False, server_default=sa.false()))
    # The defaults were for the rows that exist. A batch of its own: SQLite copies the table here.
    with op.batch_alter_table("attempt") as attempt:
        for name in ("endpoint", "larger", "is_unknown"):
            attempt.alter_column(name, server_default=None)
    with op.batch_alter_table("result") as result:
        result.add_column(sa.Column("evidence", JSON, nullable=True))
