"""Alembic's entry: it runs on the connection that `infra.migrations.upgrade` hands over."""

from alembic import context
from sqlmodel import SQLModel

import infra.tables  # noqa: F401 - fills the metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=SQLModel.metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    compare_type=False,
)
context.run_migrations()
