"""Golden cases from reviews: rows that say which result of a person is a label. Texts stay where they are.

So an erasure and the retention reach a golden case as they reach its event. A label counts while its
revision is the event's newest: who rejects the event, or corrects it again, takes it back.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import exists, select, tuple_

from infra import tables as t
from infra.database import Database
from infra.store.commit import audit_row
from infra.store.events import read_events
from infra.store.reconciliation import newest
from infra.store.statements import NOW, insert
from infra.store.words import restored
from pipeline.trail import IN_BULK
from schemas.changeset import AuditRecord, Result
from schemas.decision import Outcome
from schemas.event import Received

_BATCH: Final = 500
#: What a person said is right.
_RIGHT: Final = (Outcome.APPROVED.value, Outcome.CORRECTED.value)
_SAME_RESULT: Final = (t.label.c.event_id == t.result.c.event_id) & (
    t.label.c.revision == t.result.c.revision
)
_MADE_IN_BULK: Final = (
    (t.audit_record.c.event_id == t.result.c.event_id)
    & (t.audit_record.c.revision == t.result.c.revision)
    & (t.audit_record.c.code == IN_BULK)
)


@dataclass(frozen=True, slots=True)
class Label:
    """A golden case: the event, and the revision that says what is right."""

    event_id: UUID
    revision: int


@dataclass(frozen=True, slots=True)
class Golden:
    """A golden case with its texts: what came in, and the result of a person."""

    event: Received
    result: Result


async def add(
    database: Database,
    workflow: str,
    *,
    who: str,
    record: Callable[[Sequence[Label]], AuditRecord],
    since: datetime | None = None,
) -> list[Label]:
    """Add what people approved or corrected (since then); what is there stays. Returns the new ones.

    Batch by batch, each with its record. What was approved for many events at once is no label.
    """
    added: list[Label] = []
    while batch := await _add_batch(database, workflow, who=who, record=record, since=since):
        added += batch
    return added


async def standing(database: Database, workflow: str) -> list[Label]:
    """The labels that count, the oldest first; some of their texts may be gone."""
    query = (
        select(t.label.c.event_id, t.label.c.revision)
        .join(t.result, _SAME_RESULT)
        .where(t.label.c.workflow == workflow, newest())
        .order_by(t.label.c.added_at, t.label.c.event_id)
    )
    async with database.read() as connection:
        return [Label(*row) for row in await connection.execute(query)]


async def read(database: Database, labels: Sequence[Label]) -> list[Golden]:
    """The cases with their texts, in the same order; one whose event or result is gone is left out."""
    found: list[Golden] = []
    for start in range(0, len(labels), _BATCH):
        found += await _read_batch(database, labels[start : start + _BATCH])
    return found


async def _add_batch(
    database: Database,
    workflow: str,
    *,
    who: str,
    record: Callable[[Sequence[Label]], AuditRecord],
    since: datetime | None,
) -> list[Label]:
    own = t.result.c
    query = (
        select(own.event_id, own.revision, own.supersedes)
        .join(t.event, t.event.c.event_id == own.event_id)
        .where(own.workflow == workflow, own.state.in_(_RIGHT), newest(), ~exists().where(_SAME_RESULT))
        .where(t.event.c.erasure_id.is_(None), ~exists().where(_MADE_IN_BULK))
        .order_by(own.event_id)
        .limit(_BATCH)
        # Who erases holds the event, too: what is being erased is waited for, and then left out.
        .with_for_update(of=t.event, read=True)
    )
    if since is not None:
        query = query.where(own.decided_at >= since)
    async with database.write() as connection:
        rows = (await connection.execute(query)).all()
        if not rows:
            return []
        values = [
            {"event_id": row.event_id, "revision": row.revision, "judged": row.supersedes} for row in rows
        ]
        statement = insert(database, t.label).on_conflict_do_nothing()
        await connection.execute(statement.values(workflow=workflow, added_by=who, added_at=NOW), values)
        labels = [Label(row.event_id, row.revision) for row in rows]
        await connection.execute(insert(database, t.audit_record), audit_row(record(labels)))
    return labels


async def _read_batch(database: Database, labels: Sequence[Label]) -> list[Golden]:
    wanted = [(label.event_id, label.revision) for label in labels]
    query = (
        select(t.result, t.event.c.subject_hash)
        .join(t.event, t.event.c.event_id == t.result.c.event_id)
        .where(tuple_(t.result.c.event_id, t.result.c.revision).in_(wanted))
    )
    async with database.read() as connection:
        rows = (await connection.execute(query)).mappings().all()
        results = {row["event_id"]: _result(row) for row in await restored(connection, rows)}
        events = await read_events(connection, [label.event_id for label in labels])
    pairs = [(events.get(label.event_id), results.get(label.event_id)) for label in labels]
    return [
        Golden(event[0], result)
        for event, result in pairs
        if event and result and result.data is not None and not event[0].is_erased
    ]


def _result(row: dict[str, Any]) -> Result:
    del row["subject_hash"]
    return Result(**{**row, "reasons": tuple(row["reasons"])})
