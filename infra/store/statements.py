"""Pieces that the store's statements share."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import CTE, Table, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from infra import tables as t
from infra.columns import later
from infra.database import Database
from schemas.event import Received

#: Columns that the database fills in: its clock, its sequences.
NOW = later(0.0)


def insert(database: Database, table: Table) -> Any:
    """INSERT with ON CONFLICT, which SQLAlchemy has per dialect."""
    return insert_for(database.dialect, table)


def insert_for(dialect: str, table: Table) -> Any:
    """The same for a dialect's name, for statements that are made once."""
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


def held(pairs: Iterable[tuple[UUID, UUID]]) -> CTE:
    """`seq` of the work rows that still carry one of these (event_id, token) pairs, locked.

    In id order: a renewal and two commits that cross would else wait for each other in a ring.
    """
    holds = tuple_(t.work.c.event_id, t.work.c.token).in_(list(pairs))
    return select(t.work.c.seq).where(holds).order_by(t.work.c.event_id).with_for_update().cte("held")


def work_row(event: Received, *, lane: str, revision: int = 0, priority: int = 0) -> dict[str, Any]:
    """What puts an event to work, beside `due_at`; `revision` is its newest one so far."""
    return {
        "event_id": event.event_id,
        "lane": lane,
        # Only compared, so a digest does: a key from Kafka can be longer than an index takes.
        "key": hashlib.sha256(event.key).digest(),
        "size": len(event.content),
        "revision": revision,
        "priority": priority,
        "crashes": 0,
        "faults": 0,
        "step": 0,
        "reserved": 0,
    }


async def count(
    connection: AsyncConnection, database: Database, name: str, amounts: Mapping[str, int], *, shard: int
) -> None:
    """Add to the counter `name`, per workflow, in this process's shard."""
    rows = [
        {"name": name, "workflow": workflow, "shard": shard, "value": amount}
        for workflow, amount in sorted(amounts.items())
        if amount
    ]
    if rows:
        statement = insert(database, t.counter)
        await connection.execute(
            statement.on_conflict_do_update(
                index_elements=["name", "workflow", "shard"],
                set_={"value": t.counter.c.value + statement.excluded.value},
            ),
            rows,
        )
