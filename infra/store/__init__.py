"""The database behind the Store port."""

from infra.store.store import LogPublisher, SqlStore

__all__ = ["LogPublisher", "SqlStore"]
