"""What is older than its kind is kept, out: in bounded batches, each one transaction with its record.

An event's age counts from its last decision. What is in flight, waits for a person or for the relay, or is
held, stays. Results that go are counted in the roll-up, so that the reconciliation still adds up.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import and_, delete, exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from infra import tables as t
from infra.columns import later
from infra.database import Database, whole
from infra.store.commit import audit_row
from infra.store.holds import freeze, is_held
from infra.store.reconciliation import PRUNED_OUTCOME, newest
from infra.store.statements import NOW, count, insert
from infra.store.versions import PUBLISHED
from pipeline.publish import content_id, envelope_id, output_id, reasons_id
from pipeline.retention import Terms
from schemas.changeset import AuditRecord

_BATCH: Final = 500

#: What was removed, by table, and of results the events they were of, in; the record of it, out.
Scribed = Callable[[str, Mapping[str, int], Sequence[UUID]], AuditRecord]


@dataclass(frozen=True, slots=True)
class _Mark:
    """How far a walk has come: the last event's decision, and the event."""

    decided_at: datetime
    event_id: UUID


@dataclass(frozen=True, slots=True)
class _Kind:
    """One kind: which finished events have something of it, and what takes it away."""

    name: str
    has_any: Any
    remove: Callable[[AsyncConnection, Database, Sequence[Any], int], Any]
    is_whole: bool = False


async def prune(database: Database, terms: Terms, record: Scribed, *, shard: int) -> Counter[str]:
    """Remove what is due, by table; may be run by several at once, and again."""
    removed: Counter[str] = Counter()
    ages = {"results": terms.results, "content": terms.content, "journal": terms.journal}
    for kind in _KINDS:
        age = ages[kind.name]
        if age is not None:
            for workflow in await _workflows(database):
                removed += await _walk(database, kind, workflow, age, record, shard=shard)
    if terms.topics is not None:
        removed += await _prune_topics(database, terms.topics, record)
    return removed


async def _workflows(database: Database) -> list[str]:
    query = select(t.counter.c.workflow).where(t.counter.c.name == "accepted").distinct()
    async with database.read() as connection:
        return sorted((await connection.scalars(query)).all())


async def _walk(
    database: Database, kind: _Kind, workflow: str, age: timedelta, record: Scribed, *, shard: int
) -> Counter[str]:
    """Once through a workflow's decided events, from the oldest on."""
    total: Counter[str] = Counter()
    mark: _Mark | None = None
    while True:
        mark, removed = await whole(_step(database, kind, workflow, age, mark, record, shard=shard))
        total += removed
        if mark is None:
            return total


async def _step(
    database: Database,
    kind: _Kind,
    workflow: str,
    age: timedelta,
    mark: _Mark | None,
    record: Scribed,
    *,
    shard: int,
) -> tuple[_Mark | None, Counter[str]]:
    async with database.write() as connection:
        await freeze(connection)
        rows = (await connection.execute(_finished(kind, workflow, age, mark))).all()
        if not rows:
            return None, Counter()
        removed: Counter[str] = await kind.remove(connection, database, rows, shard)
        gone = [row.event_id for row in rows] if kind.is_whole else []
        made = record(kind.name, removed, gone)
        await connection.execute(insert(database, t.audit_record), audit_row(made))
        if gone:
            await _leave_identities(connection, gone, made.id)
    return _Mark(rows[-1].decided_at, rows[-1].event_id), removed


def _finished(kind: _Kind, workflow: str, age: timedelta, mark: _Mark | None) -> Any:
    """A batch of old enough events that nothing waits for, locked; the order is the one of an index."""
    own = t.event.c.event_id
    query = (
        select(own, t.event.c.subject_hash, t.result.c.workflow, t.result.c.version, t.result.c.state)
        .add_columns(t.result.c.revision, t.result.c.decided_at)
        .join(t.event, own == t.result.c.event_id)
        .where(t.result.c.workflow == workflow, t.result.c.decided_at < later(-age.total_seconds()))
        .where(newest(), kind.has_any, ~is_held())
        .where(~exists().where(t.work.c.event_id == own), ~exists().where(t.review.c.event_id == own))
        .where(~exists().where(t.outbox.c.event_id == own, t.outbox.c.published_at.is_(None)))
        .order_by(t.result.c.decided_at, own)
        .limit(_BATCH)
        .with_for_update(skip_locked=True, of=t.event)
    )
    if mark is None:
        return query
    same = and_(t.result.c.decided_at == mark.decided_at, own > mark.event_id)
    return query.where(t.result.c.decided_at >= mark.decided_at).where(
        or_(t.result.c.decided_at > mark.decided_at, same)
    )


async def _remove_events(
    connection: AsyncConnection, database: Database, rows: Sequence[Any], shard: int
) -> Counter[str]:
    """All but their identities and their audit records; their outcomes go on to be counted."""
    ids = [row.event_id for row in rows]
    theirs = t.outbox.c.event_id.in_(ids)
    removed = await _remove_from_log(connection, select(t.outbox.c.id).where(theirs))
    for table in (t.outbox, t.content, t.attempt, t.label, t.result_index, t.result):
        gone = await connection.execute(delete(table).where(table.c.event_id.in_(ids)))
        removed[table.name] += gone.rowcount
    for (state, workflow), number in Counter((row.state, row.workflow) for row in rows).items():
        await count(connection, database, f"{PRUNED_OUTCOME}{state}", {workflow: number}, shard=shard)
    await _note_versions(connection, rows)
    own = {"subject_hash": None, "subject": None, "key": b""}
    await connection.execute(update(t.event).where(t.event.c.event_id.in_(ids)).values(own))
    await _forget_keys(connection, sorted({row.subject_hash for row in rows if row.subject_hash}))
    return removed


async def _leave_identities(connection: AsyncConnection, ids: Sequence[UUID], pruning_id: UUID) -> None:
    """What is sent again is a repeat then, and whoever verifies knows what became of the result."""
    await connection.execute(update(t.event).where(t.event.c.event_id.in_(ids)).values(pruning_id=pruning_id))


async def _note_versions(connection: AsyncConnection, rows: Sequence[Any]) -> None:
    """That receivers know these versions must be known without their results."""
    for version, workflow in sorted({(row.version, row.workflow) for row in rows if row.state in PUBLISHED}):
        noted = update(t.workflow_version).where(
            t.workflow_version.c.version == version,
            t.workflow_version.c.workflow == workflow,
            t.workflow_version.c.pruned_at.is_(None),
        )
        await connection.execute(noted.values(pruned_at=NOW))


async def _forget_keys(connection: AsyncConnection, subjects: Sequence[bytes]) -> None:
    """The keys of subjects of whom nothing is left."""
    key = t.subject_key.c.subject_hash
    own = key.in_(subjects)
    # Two statements: who accepts an event meanwhile has the key locked, and the second one sees the event.
    await connection.execute(select(key).where(own).order_by(key).with_for_update())
    unused = ~exists().where(t.event.c.subject_hash == key)
    await connection.execute(delete(t.subject_key).where(own, unused))


async def _remove_contents(
    connection: AsyncConnection, database: Database, rows: Sequence[Any], shard: int
) -> Counter[str]:
    """Every text but what a result says of a subject, which is kept as long as the result."""
    return await _remove_texts(connection, rows, also_kept=())


async def _remove_journal(
    connection: AsyncConnection, database: Database, rows: Sequence[Any], shard: int
) -> Counter[str]:
    """The attempts, and the texts that only they refer to."""
    own = [make(row.event_id) for row in rows for make in (content_id, envelope_id)]
    removed = await _remove_texts(connection, rows, also_kept=own)
    ids = [row.event_id for row in rows]
    gone = await connection.execute(delete(t.attempt).where(t.attempt.c.event_id.in_(ids)))
    return removed + Counter({"attempt": gone.rowcount})


async def _remove_texts(
    connection: AsyncConnection, rows: Sequence[Any], *, also_kept: Sequence[UUID]
) -> Counter[str]:
    kept = [
        make(row.event_id, revision)
        for row in rows
        for revision in range(1, row.revision + 1)
        for make in (output_id, reasons_id)
    ]
    ids = [row.event_id for row in rows]
    statement = delete(t.content).where(t.content.c.event_id.in_(ids), t.content.c.id.not_in(also_kept))
    gone = await connection.execute(statement.where(t.content.c.id.not_in(kept)))
    return Counter({"content": gone.rowcount})


async def _prune_topics(database: Database, age: timedelta, record: Scribed) -> Counter[str]:
    """Published messages, from the oldest on."""
    total: Counter[str] = Counter()
    last = 0
    while True:
        last, removed = await whole(_topics_step(database, age, last, record))
        total += removed
        if not last:
            return total


async def _topics_step(
    database: Database, age: timedelta, last: int, record: Scribed
) -> tuple[int, Counter[str]]:
    held = select(t.event.c.event_id).where(t.event.c.event_id == t.outbox.c.event_id, is_held()).exists()
    query = (
        select(t.outbox.c.seq, t.outbox.c.id)
        .where(t.outbox.c.seq > last, t.outbox.c.published_at < later(-age.total_seconds()), ~held)
        .order_by(t.outbox.c.seq)
        .limit(_BATCH)
        .with_for_update(skip_locked=True, of=t.outbox)
    )
    async with database.write() as connection:
        await freeze(connection)
        rows = (await connection.execute(query)).all()
        if not rows:
            return 0, Counter()
        removed = await _remove_from_log(connection, [row.id for row in rows])
        gone = await connection.execute(delete(t.outbox).where(t.outbox.c.seq.in_([row.seq for row in rows])))
        removed["outbox"] += gone.rowcount
        made = record("topics", removed, [])
        await connection.execute(insert(database, t.audit_record), audit_row(made))
    return rows[-1].seq, removed


async def _remove_from_log(connection: AsyncConnection, messages: Any) -> Counter[str]:
    """Of embedded topics; each keeps its last message, emptied: the next offset is counted from it."""
    other = t.topic_log.alias()
    end = select(func.max(other.c.offset)).where(other.c.topic == t.topic_log.c.topic).scalar_subquery()
    theirs = t.topic_log.c.outbox_id.in_(messages)
    gone = await connection.execute(delete(t.topic_log).where(theirs, t.topic_log.c.offset < end))
    await connection.execute(update(t.topic_log).where(theirs).values(key=b"", value=b""))
    return Counter({"topic_log": gone.rowcount})


#: Results first: with them goes all the rest.
_KINDS: Final = (
    _Kind("results", t.event.c.pruning_id.is_(None), _remove_events, is_whole=True),
    _Kind("content", exists().where(t.content.c.id == t.event.c.content_id), _remove_contents),
    _Kind("journal", exists().where(t.attempt.c.event_id == t.event.c.event_id), _remove_journal),
)
