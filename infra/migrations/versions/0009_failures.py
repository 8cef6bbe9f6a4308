"""An index of the results that went to a dead topic, the newest last."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_FAILED = sa.text("state IN ('dead', 'refused_input', 'rejected')")


def upgrade() -> None:
    op.create_index(
        "result_failed",
        "result",
        ["decided_at", "event_id"],
        postgresql_where=_FAILED,
        sqlite_where=_FAILED,
    )
