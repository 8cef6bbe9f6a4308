"""The outbox: unpublished messages out, acknowledgements in; and the topics of embedded mode."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from infra import tables as t
from infra.database import Database, vault_of
from infra.store.contents import seal
from infra.store.statements import NOW, insert
from pipeline.ports import Placed
from pipeline.publish import AUDIT_TOPIC
from schemas.changeset import OutboxMessage


async def unpublished(
    database: Database, *, limit: int, without: Collection[str] = ()
) -> list[OutboxMessage]:
    """The oldest messages without an acknowledgement, but for the topics in `without`.

    By absence, never by a cursor: sequence values commit out of order, and a cursor would skip some.
    """
    query = select(t.outbox).where(t.outbox.c.published_at.is_(None)).order_by(t.outbox.c.seq).limit(limit)
    if without:
        query = query.where(t.outbox.c.topic.not_in(list(without)))
    async with database.read() as connection:
        rows = (await connection.execute(query)).all()
    return [
        OutboxMessage(id=row.id, topic=row.topic, key=row.key, value=row.value, headers=row.headers)
        for row in rows
    ]


async def published(database: Database, placed: Sequence[Placed]) -> None:
    """Mark what was acknowledged, with where it went. May be called twice: the first place is kept."""
    if not placed:
        return
    statement = (
        update(t.outbox)
        .where(t.outbox.c.id == bindparam("message"), t.outbox.c.published_at.is_(None))
        .values(published_at=NOW, partition=bindparam("at_partition"), offset=bindparam("at_offset"))
    )
    rows = [
        {"message": row.id, "at_partition": row.partition, "at_offset": row.offset}
        for row in sorted(placed, key=lambda row: row.id)
    ]
    async with database.write() as connection:
        await _seal(connection, [row.id for row in placed])
        await connection.execute(statement, rows)


async def _seal(connection: AsyncConnection, ids: Sequence[UUID]) -> None:
    """What has gone out about a subject is kept like its other texts; its key is kept with the event."""
    if vault_of(connection) is None:
        return
    query = (
        select(t.outbox.c.id, t.event.c.subject_hash, t.outbox.c.topic, t.outbox.c.value)
        .join(t.event, t.event.c.event_id == t.outbox.c.event_id)
        .where(t.outbox.c.id.in_(ids), t.outbox.c.published_at.is_(None))
        .where(t.event.c.subject_hash.is_not(None))
    )
    rows = (await connection.execute(query)).all()
    if not rows:
        return
    # An audit record is no text.
    texts = [(row.id, row.subject_hash, row.value) for row in rows if row.topic != AUDIT_TOPIC]
    kept = {row.id: row.value for row in rows} | dict(await seal(connection, texts))
    statement = update(t.outbox).where(t.outbox.c.id == bindparam("message"))
    values = [{"message": own, "text": kept[own]} for own in sorted(kept)]
    await connection.execute(statement.values(value=bindparam("text"), key=b""), values)


async def append_to_log(database: Database, messages: Sequence[OutboxMessage]) -> list[Placed]:
    """Embedded mode's topics: append, gap-free per topic; a message that is there keeps its place."""
    async with database.write() as connection:
        if database.dialect == "postgresql":  # SQLite has one writer anyway
            await connection.execute(text("LOCK TABLE topic_log IN SHARE ROW EXCLUSIVE MODE"))
        offset = select(func.coalesce(func.max(t.topic_log.c.offset) + 1, 0)).where(
            t.topic_log.c.topic == bindparam("of_topic")
        )
        statement = (
            insert(database, t.topic_log)
            .values(offset=offset.scalar_subquery(), published_at=NOW)
            .on_conflict_do_nothing(index_elements=["outbox_id"])
        )
        for message in messages:
            await connection.execute(statement, _log_row(message))
        query = select(t.topic_log.c.outbox_id, t.topic_log.c.offset).where(
            t.topic_log.c.outbox_id.in_([message.id for message in messages])
        )
        return [Placed(row.outbox_id, 0, row[1]) for row in await connection.execute(query)]


def _log_row(message: OutboxMessage) -> dict[str, Any]:
    return {
        "topic": message.topic,
        "of_topic": message.topic,
        "outbox_id": message.id,
        "key": message.key,
        "headers": dict(message.headers),
        "value": message.value,
    }
