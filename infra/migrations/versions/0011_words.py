"""An index of the words of audit records on PostgreSQL, where its extension pg_trgm may be had."""

import logging

from alembic import op
from sqlalchemy.exc import DBAPIError

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

log = logging.getLogger("alembic")


def upgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        return
    try:
        with connection.begin_nested():
            op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    except DBAPIError:  # a trusted one, but its files may be missing, or the right to create
        log.warning("no extension pg_trgm: a search for words in the audit trail reads all of them")
        return
    op.execute("CREATE INDEX audit_words ON audit_record USING gin (words gin_trgm_ops)")
