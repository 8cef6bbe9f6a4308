"""Changesets in, rows out: the one write that decides."""

from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any
from uuid import UUID

from sqlalchemy import Table, delete, exists, func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from infra import tables as t
from infra.database import Database, is_our_fault
from infra.store import budget
from infra.store.accept import insert_events
from infra.store.budget import Settlement
from infra.store.contents import write_contents
from infra.store.statements import NOW, held, insert, work_row
from infra.store.tally import tally_decisions
from infra.store.words import is_open, open_part, result_contents
from pipeline.errors import Unstorable
from pipeline.lookup import indexed
from pipeline.ports import Written
from pipeline.record import bury
from pipeline.spend import scopes_of
from pipeline.storable import flaw
from schemas.changeset import AuditRecord, Changeset, ClaimToken, ExpectedRevision, NewEvent, Result, Scribe

#: A replay waits behind live events.
REPLAY_PRIORITY = 10


async def commit(
    database: Database, changesets: Sequence[Changeset], *, scribe: Scribe, shard: int
) -> list[Written]:
    """Write those whose guard holds, all in one transaction; the others come back as fenced.

    A machine's changeset that cannot be stored or published ends its event `dead` (BURIED); a person
    gets the PermanentError. A data error of the database splits the batch by halves until the culprit
    is alone; when it cannot even be buried, Unstorable is raised after the others are written.
    """
    checked = [_fit(changeset, scribe) for changeset in changesets]
    passed = await _write_or_split(database, [changeset for changeset, _ in checked], scribe, shard)
    return [
        Written.FENCED if fate is Written.FENCED else (Written.BURIED if is_buried else fate)
        for (_, is_buried), fate in zip(checked, passed, strict=True)
    ]


def _fit(changeset: Changeset, scribe: Scribe) -> tuple[Changeset, bool]:
    error = flaw(changeset, max_message_bytes=scribe.max_message_bytes)
    if error is None:
        return changeset, False
    if isinstance(changeset.guard, ExpectedRevision):
        raise error
    return bury(changeset, error, scribe=scribe), True


async def _write_or_split(
    database: Database, changesets: Sequence[Changeset], scribe: Scribe, shard: int
) -> list[Written]:
    if not changesets:
        return []
    if len({changeset.event.event_id for changeset in changesets}) < len(changesets):
        return await _halves(database, changesets, scribe, shard)  # one guard of an event at a time
    try:
        passed = await _write(database, changesets, shard=shard)
    except DBAPIError as error:
        if is_our_fault(error):
            raise
        if len(changesets) > 1:
            return await _halves(database, changesets, scribe, shard)
        return [await _bury_culprit(database, changesets[0], error, scribe, shard)]
    return [
        Written.COMMITTED if changeset.event.event_id in passed else Written.FENCED
        for changeset in changesets
    ]


async def _halves(
    database: Database, changesets: Sequence[Changeset], scribe: Scribe, shard: int
) -> list[Written]:
    middle = len(changesets) // 2
    try:
        left = await _write_or_split(database, changesets[:middle], scribe, shard)
    except Unstorable:
        await _write_or_split(database, changesets[middle:], scribe, shard)
        raise
    return left + await _write_or_split(database, changesets[middle:], scribe, shard)


async def _bury_culprit(
    database: Database, changeset: Changeset, error: DBAPIError, scribe: Scribe, shard: int
) -> Written:
    """People see the error; a machine's changeset ends its event, with the error's name as the cause."""
    cause = Unstorable(f"the database refused the result: {type(error.orig).__name__}")
    if isinstance(changeset.guard, ExpectedRevision):
        raise cause from error
    try:
        passed = await _write(database, [bury(changeset, cause, scribe=scribe)], shard=shard)
    except DBAPIError as again:
        raise cause from again
    return Written.BURIED if passed else Written.FENCED


async def _write(database: Database, changesets: Sequence[Changeset], *, shard: int) -> set[UUID]:
    """One transaction; returns the events whose changeset was written."""
    ordered = sorted(changesets, key=lambda changeset: changeset.event.event_id)
    async with database.write() as connection:
        closed = await _close_work(connection, ordered)
        passed = {row.event_id for row in closed}
        new = [changeset.event for changeset in ordered if isinstance(changeset.guard, NewEvent)]
        passed |= await insert_events(connection, database, new, shard=shard)
        resolved = await _expected(connection, ordered)
        # What a person decides answers the question that waited, whoever asked it.
        await connection.execute(delete(t.review).where(t.review.c.event_id.in_(resolved)))
        passed |= resolved
        decided = [changeset for changeset in ordered if changeset.event.event_id in passed]
        await _insert(connection, database, decided)
        await tally_decisions(connection, database, decided, shard=shard)
        # Last, because all that is spent in a day is one row.
        await budget.settle(connection, _settlements(closed, ordered))
    return passed


async def _close_work(connection: AsyncConnection, changesets: Sequence[Changeset]) -> Sequence[Any]:
    """Delete the work rows whose claim still holds; returns what they had reserved."""
    pairs = [(c.event.event_id, c.guard.token) for c in changesets if isinstance(c.guard, ClaimToken)]
    if not pairs:
        return ()
    locked = held(pairs)
    statement = delete(t.work).where(t.work.c.seq.in_(select(locked.c.seq)))
    returned = statement.returning(t.work.c.event_id, t.work.c.reserved, t.work.c.reserved_at)
    return (await connection.execute(returned)).all()


def _settlements(closed: Sequence[Any], changesets: Sequence[Changeset]) -> list[Settlement]:
    by_event = {changeset.event.event_id: changeset for changeset in changesets}
    found = []
    for row in closed:
        changeset = by_event[row.event_id]
        scopes = scopes_of(changeset.result.workflow, changeset.event.identity.source)
        found.append(Settlement(scopes, row.reserved, row.reserved_at, changeset.charge))
    return found


async def _expected(connection: AsyncConnection, changesets: Sequence[Changeset]) -> set[UUID]:
    """The events whose newest revision is the expected one and that nothing works on."""
    wanted = {c.event.event_id: c.guard.revision for c in changesets if isinstance(c.guard, ExpectedRevision)}
    if not wanted:
        return set()
    # Two people who decide on one event at once queue up here.
    events = select(t.event.c.event_id).where(t.event.c.event_id.in_(wanted))
    await connection.execute(events.order_by(t.event.c.event_id).with_for_update())
    # One statement, so one view: a machine's commit meanwhile shows whole or not at all.
    working = exists().where(t.work.c.event_id == t.result.c.event_id)
    newest = (
        select(t.result.c.event_id, func.max(t.result.c.revision))
        .where(t.result.c.event_id.in_(wanted), ~working)
        .group_by(t.result.c.event_id)
    )
    found = await connection.execute(newest)
    return {event_id for event_id, revision in found if revision == wanted[event_id]}


async def _insert(connection: AsyncConnection, database: Database, changesets: Sequence[Changeset]) -> None:
    async def rows(table: Table, values: Iterable[dict[str, Any]], **now: Any) -> None:
        listed = list(values)
        if listed:
            statement = insert(database, table)
            await connection.execute(statement.values(**now) if now else statement, listed)

    texts = [content for changeset in changesets for content in result_contents(changeset)]
    await write_contents(connection, database, texts)
    await rows(t.result, (_result(changeset) for changeset in changesets))
    await rows(t.result_index, (row for c in changesets for row in _indexed(c)))
    await rows(t.audit_record, (audit_row(record) for c in changesets for record in c.audit))
    await rows(t.outbox, (row for c in changesets for row in _messages(c)), created_at=NOW)
    await rows(t.review, (_review(c) for c in changesets if c.review), created_at=NOW)
    await rows(t.work, (_work(c) for c in changesets if c.reopen), due_at=NOW)


def _result(changeset: Changeset) -> dict[str, Any]:
    return {**_columns(changeset.result), **open_part(changeset)}


def _indexed(changeset: Changeset) -> list[dict[str, Any]]:
    result = changeset.result
    own = {"event_id": result.event_id, "revision": result.revision, "workflow": result.workflow}
    found = indexed(result.data, changeset.indexed)
    return [{**own, "field": field, "value": value} for field, value in found.items()]


def audit_row(record: AuditRecord) -> dict[str, Any]:
    """The columns of an audit record: its bytes, and copies to look it up by."""
    row = _columns(record)
    del row["actor"]
    return {**row, "actor_kind": record.actor.kind, "actor_name": record.actor.name}


def _columns(value: Result | AuditRecord) -> dict[str, Any]:
    """The fields as they are: `asdict` copies them deeply, at 60 µs an event."""
    return {field.name: getattr(value, field.name) for field in fields(value)}


def _messages(changeset: Changeset) -> list[dict[str, Any]]:
    return [
        {
            "id": message.id,
            "event_id": changeset.event.event_id,
            "revision": changeset.result.revision,
            "topic": message.topic,
            "key": message.key,
            "value": message.value,
            "headers": dict(message.headers),
        }
        for message in changeset.outbox
    ]


def _review(changeset: Changeset) -> dict[str, Any]:
    return {
        "id": changeset.review.id if changeset.review else None,
        "sampled": changeset.review is not None and changeset.review.sampled,
        "rank": changeset.review.rank if changeset.review else None,
        "event_id": changeset.event.event_id,
        "revision": changeset.result.revision,
        "workflow": changeset.result.workflow,
        "reasons": list(changeset.review.reasons) if changeset.review and is_open(changeset) else [],
    }


def _work(changeset: Changeset) -> dict[str, Any]:
    result = changeset.result
    return work_row(changeset.event, lane=result.workflow, revision=result.revision, priority=REPLAY_PRIORITY)
