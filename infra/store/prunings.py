"""Events whose results were pruned, and the records that say so, in; what is in one and not in the other out.

A result that somebody took away must not pass for a pruned one: each record names its events by a digest.
"""

from collections import defaultdict
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from infra import tables as t
from pipeline.copies import said
from pipeline.retention import PRUNED, digest


async def differences(connection: AsyncConnection) -> list[str]:
    """Each record whose events are others than it says, and each event that names no such record."""
    claimed = await _claimed(connection)
    found = await _found(connection)
    return [
        *(
            f"the record {own} says that {number} events were pruned, and these are others"
            for own, (number, sha256) in claimed.items()
            if (number, sha256) != (len(found.get(own, ())), digest(found.get(own, ())))
        ),
        *(
            f"{event_id} says it was pruned, by no record"
            for own in found.keys() - claimed
            for event_id in found[own]
        ),
    ]


async def _claimed(connection: AsyncConnection) -> dict[UUID, tuple[Any, Any]]:
    query = select(t.audit_record.c.id, t.audit_record.c.canonical).where(t.audit_record.c.kind == PRUNED)
    told = {row.id: said(row.canonical, PRUNED) for row in await connection.execute(query)}
    return {own: (one.get("events"), one["sha256"]) for own, one in told.items() if "sha256" in one}


async def _found(connection: AsyncConnection) -> dict[UUID, list[UUID]]:
    own = t.event.c
    query = select(own.pruning_id, own.event_id).where(own.pruning_id.is_not(None))
    found: defaultdict[UUID, list[UUID]] = defaultdict(list)
    for row in await connection.execute(query):
        found[row.pruning_id].append(row.event_id)
    return found
