"""The exact cache's rows: a key in, the answer that was given before out, until it expires.

A row refers to the attempt that was journalled; the answer's bytes stay where an erasure finds them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import Float, bindparam, delete, exists, select
from sqlalchemy.ext.asyncio import AsyncConnection

from infra import tables as t
from infra.columns import later
from infra.database import Database
from infra.store.contents import open_rows
from infra.store.statements import NOW, insert
from pipeline.cache import Original

#: Each new answer takes up to this many expired ones away: the table shrinks while it is used.
_REMOVED_PER_ANSWER: Final = 2


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer to keep: where it is, and for how long."""

    key: bytes
    workflow: str
    attempt_id: UUID
    ttl: timedelta


async def find_answer(database: Database, key: bytes) -> Original | None:
    """The answer under `key`; None when it has expired, was erased, or its decision was superseded since.

    Who corrects or replays an event does not trust its answer.
    """
    superseded = exists().where(
        t.result.c.event_id == t.attempt.c.event_id, t.result.c.revision > t.attempt.c.revision
    )
    query = (
        select(t.attempt, t.content.c.id.label("content_id"))
        .add_columns(t.content.c.data, t.content.c.salt, t.content.c.subject_hash)
        .join(t.answer_cache, t.answer_cache.c.attempt_id == t.attempt.c.id)
        .join(t.content, t.content.c.id == t.attempt.c.response_content_id)
        .where(t.answer_cache.c.key == key, t.answer_cache.c.expires_at > NOW, ~superseded)
    )
    async with database.read() as connection:
        row = (await connection.execute(query)).first()
        opened = await open_rows(connection, [row]) if row else {}
    if row is None or row.content_id not in opened:
        return None
    answer = opened[row.content_id].data
    return Original(
        row.id, answer, row.finish_reason, row.model_answered, row.response_id, row.system_fingerprint
    )


async def keep_answers(database: Database, answers: Sequence[Kept]) -> None:
    """Keep them, each in place of an older one with its key. May be called twice."""
    if not answers:
        return
    newest = {answer.key: answer for answer in answers}
    statement = insert(database, t.answer_cache).values(expires_at=later(bindparam("seconds", type_=Float)))
    new = statement.excluded
    statement = statement.on_conflict_do_update(
        index_elements=["key"],
        set_={"workflow": new.workflow, "attempt_id": new.attempt_id, "expires_at": new.expires_at},
    )
    # In key order, so that two transactions do not wait for each other in a ring.
    rows = [
        {
            "key": key,
            "workflow": answer.workflow,
            "attempt_id": answer.attempt_id,
            "seconds": answer.ttl.total_seconds(),
        }
        for key, answer in sorted(newest.items())
    ]
    async with database.write() as connection:
        await connection.execute(statement, rows)
        await _remove_expired(connection, limit=_REMOVED_PER_ANSWER * len(rows))


async def _remove_expired(connection: AsyncConnection, *, limit: int) -> None:
    """The last statement of its transaction, and one that waits for no lock, so it cannot close a ring."""
    expired = (
        select(t.answer_cache.c.key)
        .where(t.answer_cache.c.expires_at <= NOW)
        .order_by(t.answer_cache.c.expires_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("expired")
    )
    await connection.execute(delete(t.answer_cache).where(t.answer_cache.c.key.in_(select(expired.c.key))))
