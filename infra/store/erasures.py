"""Events that say they were erased, and the records that say so, in; what is in one and not in the other out.

A text that somebody took away must not pass for an erased one, nor a forged one hide behind an erasure. What
was pruned since has nothing left to hide: its record may have gone with the audit trail's retention.
"""

from collections import defaultdict
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from infra import tables as t
from pipeline.copies import said
from pipeline.trail import ERASURE

#: Events without a key that are named, of those that there are.
_NAMED: Final = 10


async def differences(connection: AsyncConnection) -> list[str]:
    """Each erasure that is on no record or on one of fewer events, and each text whose key went without."""
    claimed, found = await _claimed(connection), await _found(connection)
    return [
        *(
            f"{len(events)} events say that the record {own} erased them, which says {claimed.get(own, 0)}: "
            f"{events[0]} is one of them"
            for own, events in found.items()
            if len(events) > claimed.get(own, 0)
        ),
        *(f"the key of {event_id}'s texts is gone, by no erasure" for event_id in await _locked(connection)),
    ]


async def _found(connection: AsyncConnection) -> dict[UUID, list[UUID]]:
    event = t.event.c
    query = select(event.erasure_id, event.event_id).where(event.erasure_id.is_not(None))
    found: defaultdict[UUID, list[UUID]] = defaultdict(list)
    for row in await connection.execute(query.where(event.pruning_id.is_(None)).order_by(event.event_id)):
        found[row.erasure_id].append(row.event_id)
    return found


async def _claimed(connection: AsyncConnection) -> dict[UUID, int]:
    """How many events each erasure took, by its record."""
    record = t.audit_record.c
    query = select(record.id, record.canonical).where(record.kind == ERASURE)
    told = {row.id: said(row.canonical, ERASURE).get("events") for row in await connection.execute(query)}
    return {own: events for own, events in told.items() if isinstance(events, int)}


async def _locked(connection: AsyncConnection) -> list[UUID]:
    """Some events that were not erased, and whose subject's key is gone."""
    event, key = t.event.c, t.subject_key.c
    joined = t.event.outerjoin(t.subject_key, key.subject_hash == event.subject_hash)
    lost = event.subject_hash.is_not(None) & key.wrapped_key.is_(None)
    query = select(event.event_id).select_from(joined).where(lost, event.erasure_id.is_(None))
    return list(await connection.scalars(query.where(event.pruning_id.is_(None)).limit(_NAMED)))
