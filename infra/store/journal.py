"""The call journal: attempts in, rows out; and back again for an event that is claimed once more."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any
from uuid import UUID

from sqlalchemy import select, tuple_
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from infra import tables as t
from infra.database import Database
from infra.store.contents import Content, read_contents, write_contents
from infra.store.statements import insert
from infra.store.tally import tally_calls
from infra.store.words import complaints_id, read_words, words
from schemas.event import NAMESPACE, Received, named_id
from schemas.extraction import Attempt, Request, Usage


async def journal(database: Database, attempts: Sequence[tuple[Attempt, Received]], *, shard: int) -> None:
    """Attempts and the texts they refer to, in one transaction. May be called twice."""
    if attempts:
        async with database.write() as connection:
            await write_attempts(connection, database, attempts, shard=shard)


async def write_attempts(
    connection: AsyncConnection,
    database: Database,
    attempts: Sequence[tuple[Attempt, Received]],
    *,
    shard: int,
) -> None:
    """The rows of at least one attempt, within a transaction; those that are new are added to their day."""
    contents, rows = rows_of(attempts)
    await write_contents(connection, database, contents)
    new = await _insert(connection, database, rows)
    fresh = {attempt.id: (attempt, event) for attempt, event in attempts if attempt.id in new}
    await tally_calls(connection, database, list(fresh.values()), shard=shard)


async def _insert(
    connection: AsyncConnection, database: Database, rows: Sequence[Mapping[str, Any]]
) -> set[UUID]:
    """The rows that are not there yet; returns their ids."""
    statement = insert(database, t.attempt)
    try:
        async with connection.begin_nested():
            await connection.execute(statement, rows)
    except IntegrityError:  # seldom; RETURNING for all would cost a third more
        some = statement.on_conflict_do_nothing().returning(t.attempt.c.id)
        return set(await connection.scalars(some, rows))
    return {row["id"] for row in rows}


def rows_of(
    attempts: Sequence[tuple[Attempt, Received]],
) -> tuple[list[Content], list[dict[str, Any]]]:
    """The texts, and the `attempt` rows."""
    contents, rows = [], []
    for attempt, event in attempts:
        text_ids = _text_ids(attempt, event)
        contents += _contents(attempt, event, text_ids)
        rows.append(_row(attempt, event, text_ids))
    return contents, rows


async def read_attempts(
    connection: AsyncConnection, revisions: Mapping[UUID, int]
) -> dict[UUID, tuple[Attempt, ...]]:
    """The journalled attempts of these (event, revision), in the order they were made."""
    if not revisions:
        return {}
    query = (
        select(t.attempt)
        .where(tuple_(t.attempt.c.event_id, t.attempt.c.revision).in_(list(revisions.items())))
        .order_by(t.attempt.c.event_id, t.attempt.c.step, t.attempt.c.started_at)
    )
    rows = (await connection.execute(query)).all()
    contents = await _texts(connection, rows)
    return {
        event_id: tuple(_attempt(row, contents) for row in group)
        for event_id, group in groupby(rows, key=lambda row: row.event_id)
    }


@lru_cache(maxsize=256)
def _skeleton_id(skeleton: bytes) -> UUID:
    """By content, so that the stable part of a prompt is stored once."""
    return named_id(NAMESPACE, "skeleton:" + skeleton.decode())


def _text_ids(attempt: Attempt, event: Received) -> list[UUID]:
    """By content too, salted: a repeat adds no row. Each step fences the text anew and has its own."""
    return [named_id(event.event_id, f"text/{event.salted(text).hex()}") for text in attempt.request.texts]


def _contents(attempt: Attempt, event: Received, text_ids: Sequence[UUID]) -> list[Content]:
    own = [
        *zip(text_ids, attempt.request.texts, strict=True),
        (attempt.id, attempt.response),
    ]
    if event.subject_hash and attempt.complaints:
        own.append((complaints_id(attempt.id), words(attempt.complaints)))
    kept = [Content(own_id, data, event.salt, event.event_id, event.subject_hash) for own_id, data in own]
    return [*kept, Content(_skeleton_id(attempt.request.skeleton), attempt.request.skeleton, b"")]


def _row(attempt: Attempt, event: Received, text_ids: Sequence[UUID]) -> dict[str, Any]:
    return {
        "id": attempt.id,
        "event_id": attempt.event_id,
        "revision": attempt.revision,
        "step": attempt.step,
        "version": attempt.version,
        "alias": attempt.alias,
        "endpoint": attempt.endpoint,
        "larger": attempt.larger,
        "is_unknown": attempt.is_unknown,
        "model_asked": attempt.model_asked,
        "model_answered": attempt.model_answered,
        "response_id": attempt.response_id,
        "system_fingerprint": attempt.system_fingerprint,
        "skeleton_id": _skeleton_id(attempt.request.skeleton),
        "text_ids": [str(text_id) for text_id in text_ids],
        # Without a salt, so a guess could be tried on it; the audit trail has the salted one.
        "request_sha256": b"" if event.subject_hash else attempt.request_sha256,
        "response_content_id": attempt.id,
        "started_at": attempt.started_at,
        "latency_ms": attempt.latency_ms,
        "status": attempt.status,
        "failure": attempt.failure,
        "complaints": [] if event.subject_hash else list(attempt.complaints),
        "retry_after_seconds": attempt.retry_after_seconds,
        "finish_reason": attempt.finish_reason,
        "input_tokens": attempt.usage.input_tokens,
        "output_tokens": attempt.usage.output_tokens,
        "cached_tokens": attempt.usage.cached_tokens,
        "cost_micros": attempt.cost_micros,
        "original_id": attempt.original_id,
    }


async def _texts(connection: AsyncConnection, rows: Sequence[Any]) -> dict[UUID, bytes]:
    ids = {row.skeleton_id for row in rows} | {row.response_content_id for row in rows}
    ids |= {complaints_id(row.id) for row in rows if not row.complaints}
    return await read_contents(connection, ids | {UUID(text_id) for row in rows for text_id in row.text_ids})


def _attempt(row: Any, contents: Mapping[UUID, bytes]) -> Attempt:
    texts = tuple(contents.get(UUID(text_id), b"") for text_id in row.text_ids)
    complaints = contents.get(complaints_id(row.id))
    return Attempt(
        id=row.id,
        event_id=row.event_id,
        revision=row.revision,
        step=row.step,
        version=row.version,
        alias=row.alias,
        endpoint=row.endpoint,
        larger=row.larger,
        is_unknown=row.is_unknown,
        model_asked=row.model_asked,
        request=Request(contents.get(row.skeleton_id, b""), texts),
        request_sha256=row.request_sha256,
        started_at=row.started_at,
        latency_ms=row.latency_ms,
        response=contents.get(row.response_content_id, b""),
        failure=row.failure,
        complaints=read_words(complaints) if complaints else tuple(row.complaints),
        status=row.status,
        retry_after_seconds=row.retry_after_seconds,
        finish_reason=row.finish_reason,
        model_answered=row.model_answered,
        response_id=row.response_id,
        system_fingerprint=row.system_fingerprint,
        usage=Usage(row.input_tokens, row.output_tokens, row.cached_tokens),
        cost_micros=row.cost_micros,
        original_id=row.original_id,
    )
