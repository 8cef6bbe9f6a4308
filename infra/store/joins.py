"""Records, places, the queue and results in, what is in one and not in the other out.

The walk along the seals sees what has a place. This sees what has none and should have: a record that
was put in beside the triggers, a result without its record, a record without its result.
"""

from typing import Any, Final

from sqlalchemy import Select, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from infra import tables as t
from infra.store import erasures, prunings
from pipeline.audit import leaf
from pipeline.copies import flaws
from pipeline.verify import NAMED, Findings

record, place, queue, result = t.audit_record.c, t.audit_leaf.c, t.audit_unsealed.c, t.result.c
_SAME: Final = and_(record.event_id == result.event_id, record.revision == result.revision)


async def joins(connection: AsyncConnection, findings: Findings, *, first: int) -> None:
    """All that has no counterpart.

    From place `first` on, if it is not 0: then records before it are only counted, and no result is
    looked up that has no record. Both cost a scan of the whole log.
    """
    found = findings.add
    if not first or not await _adds_up(connection, findings):
        for row in await _rows(connection, findings, _homeless()):
            found(f"audit_record {row.id}", "has no place in the log, and does not wait for one")
    for row in await _rows(connection, findings, _misqueued()):
        found(f"audit_unsealed {row.seq}", f"its record {row.record_id} is missing, sealed or there twice")
    await _removals(connection, findings)
    for row in await _rows(connection, findings, _unlike(first)):
        what = "its result is missing" if row.state is None else "its result says something else"
        found(f"audit_record {row.id}", f"{what}: event {row.event_id}, revision {row.revision}")
    if not first:
        for row in await _rows(connection, findings, _unrecorded()):
            found(f"result {row.event_id}, revision {row.revision}", "its audit record is missing")


async def _removals(connection: AsyncConnection, findings: Findings) -> None:
    for differences in (prunings.differences, erasures.differences):
        try:
            for what in await differences(connection):
                findings.add("event", what)
        except (TypeError, ValueError) as error:  # SQLite keeps any type in any column
            findings.add("event", f"the record of its removal cannot be read: {error}")


async def _adds_up(connection: AsyncConnection, findings: Findings) -> bool:
    counts = [
        select(func.count()).select_from(table) for table in (t.audit_record, t.audit_leaf, t.audit_unsealed)
    ]
    records, places, waiting = (
        await connection.execute(select(*(query.scalar_subquery() for query in counts)))
    ).one()
    if records == places + waiting:
        return True
    findings.add("audit_record", f"{records} records for {places} places and {waiting} that wait for one")
    return False


async def unsealed(connection: AsyncConnection, findings: Findings) -> int:
    """Check the records that wait for their seal; returns how many."""
    query = select(t.audit_record).join(t.audit_unsealed, queue.record_id == record.id)
    for row in await _rows(connection, findings, query):
        if not isinstance(row.canonical, bytes):  # SQLite keeps any type in any column
            findings.add(f"audit_record {row.id}", "its bytes are none")
            continue
        for what in flaws(row, leaf(row.canonical)):
            findings.add(f"audit_record {row.id}", what)
    return int((await connection.execute(select(func.count()).select_from(t.audit_unsealed))).scalar_one())


async def _rows(connection: AsyncConnection, findings: Findings, query: Select[Any]) -> list[Any]:
    try:
        return list((await connection.execute(query.limit(NAMED))).all())
    except (TypeError, ValueError) as error:  # SQLite keeps any type in any column
        findings.add("a row without its counterpart", f"it cannot be read: {error}")
        return []


def _homeless() -> Select[Any]:
    tables = t.audit_record.outerjoin(t.audit_leaf, place.record_id == record.id)
    tables = tables.outerjoin(t.audit_unsealed, queue.record_id == record.id)
    return select(record.id).select_from(tables).where(place.sequence.is_(None), queue.seq.is_(None))


def _misqueued() -> Select[Any]:
    again = func.row_number().over(partition_by=queue.record_id, order_by=queue.seq)
    numbered = select(queue.seq, queue.record_id, again.label("again")).subquery()
    tables = numbered.outerjoin(t.audit_record, numbered.c.record_id == record.id)
    tables = tables.outerjoin(t.audit_leaf, place.record_id == numbered.c.record_id)
    wrong = or_(record.id.is_(None), place.sequence.is_not(None), numbered.c.again > 1)
    return select(numbered.c.seq, numbered.c.record_id).select_from(tables).where(wrong)


def _unlike(first: int) -> Select[Any]:
    tables = t.audit_record.outerjoin(t.result, _SAME).outerjoin(
        t.event, t.event.c.event_id == record.event_id
    )
    query = select(record.id, record.event_id, record.revision, result.state)
    if first:
        tables = tables.join(t.audit_leaf, place.record_id == record.id)
        query = query.where(place.sequence >= first)
    says_else = or_(
        result.state != record.outcome,
        result.version != record.version,
        result.workflow != record.workflow,
    )
    # Of what was pruned only the identities are left; `prunings` checks that it was these.
    wrong = or_(and_(result.state.is_(None), t.event.c.pruning_id.is_(None)), says_else)
    return query.select_from(tables).where(record.revision.is_not(None), wrong)


def _unrecorded() -> Select[Any]:
    tables = t.result.outerjoin(t.audit_record, _SAME)
    return select(result.event_id, result.revision).select_from(tables).where(record.id.is_(None))
