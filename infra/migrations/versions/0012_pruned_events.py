"""What is left of an event whose result was pruned: its identity, and the record of the pruning."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_PRUNED = sa.text("pruning_id IS NOT NULL")


def upgrade() -> None:
    # Not in a batch: a column that may be null is added to SQLite's table as it is.
    op.add_column("event", sa.Column("pruning_id", sa.Uuid(), nullable=True))
    op.create_index(
        "event_pruned", "event", ["pruning_id", "event_id"], postgresql_where=_PRUNED, sqlite_where=_PRUNED
    )
