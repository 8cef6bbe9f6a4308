"""Texts of events and models: the one place that writes and reads their bytes, encrypted or not.

A text of an event with a subject is sealed under the subject's data key, salt and all. Data keys are read in
the transaction that uses them and kept nowhere: an erasure counts for every process at once.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from infra import tables as t
from infra.database import Database, vault_of
from infra.store.statements import insert
from infra.vault import DamagedKey, Vault, Wrapped, lacking, opened, sealed


@dataclass(frozen=True, slots=True)
class Content:
    """A text as it was given, and the salt before every hash of it."""

    id: UUID
    data: bytes
    salt: bytes
    event_id: UUID | None = None
    subject_hash: bytes | None = None


class Row(Protocol):
    """What a query must select so that its texts can be opened."""

    @property
    def content_id(self) -> UUID: ...
    @property
    def data(self) -> bytes | None: ...
    @property
    def salt(self) -> bytes | None: ...
    @property
    def subject_hash(self) -> bytes | None: ...


async def write_contents(
    connection: AsyncConnection, database: Database, contents: Iterable[Content]
) -> None:
    """Keep these texts; one that is there stays. Of an erased subject only the row is written."""
    by_id = {content.id: content for content in contents}
    if not by_id:
        return
    keys = await data_keys(connection, {content.subject_hash for content in by_id.values()})
    # In id order, so that two transactions with the same texts do not wait for each other in a ring.
    rows = [_row(by_id[content_id], keys) for content_id in sorted(by_id)]
    await connection.execute(insert(database, t.content).on_conflict_do_nothing(), rows)


async def read_contents(connection: AsyncConnection, ids: Collection[UUID]) -> dict[UUID, bytes]:
    """The bytes by content id; what was erased or is not kept any longer is missing."""
    if not ids:
        return {}
    found = await read_where(connection, t.content.c.id.in_(ids))
    return {content_id: content.data for content_id, content in found.items()}


async def read_where(connection: AsyncConnection, condition: Any) -> dict[UUID, Content]:
    """The texts for which `condition` on `content` holds, but those that were erased."""
    query = select(t.content.c.id.label("content_id"), t.content.c.event_id, t.content.c.data)
    query = query.add_columns(t.content.c.salt, t.content.c.subject_hash).where(condition)
    return await open_rows(connection, (await connection.execute(query)).all())


async def open_rows(connection: AsyncConnection, rows: Sequence[Row]) -> dict[UUID, Content]:
    """The texts in rows that were read beside others; what was erased or is not kept is missing.

    So is what somebody changed: one such row holds up no others. `audit verify --texts` tells of it.
    """
    keys = await data_keys(connection, {row.subject_hash for row in rows})
    found = {}
    for row in rows:
        content = _opened(row, keys)
        if content is not None:
            found[content.id] = content
    return found


async def data_keys(connection: AsyncConnection, subjects: Collection[bytes | None]) -> dict[bytes, bytes]:
    """The data keys of these subjects; one that was erased, or damaged, is missing."""
    wanted = [subject for subject in subjects if subject is not None]
    if not wanted:
        return {}
    held = t.subject_key.c.wrapped_key.is_not(None)
    query = select(t.subject_key).where(t.subject_key.c.subject_hash.in_(wanted), held)
    vault = _vault(connection)
    keys = {}
    for row in await connection.execute(query):
        with suppress(DamagedKey):
            keys[row.subject_hash] = vault.unwrap(_wrapped(row), row.subject_hash)
    return keys


async def make_keys(
    connection: AsyncConnection, database: Database, subjects: Collection[bytes | None]
) -> None:
    """Give each subject a key that has none, or none any longer; an erasure waits until we are done.

    Raises DamagedKey: no text is accepted that nobody could read.
    """
    wanted = sorted({subject for subject in subjects if subject is not None})
    if not wanted:
        return
    held = t.subject_key.c.wrapped_key.is_not(None)
    query = select(t.subject_key).where(t.subject_key.c.subject_hash.in_(wanted), held)
    # Not FOR SHARE: PostgreSQL locks a row that was erased meanwhile before it finds out, and two who both
    # share it and then both give it a key would wait for each other.
    locked = query.order_by(t.subject_key.c.subject_hash).with_for_update(key_share=True)
    vault, have = _vault(connection), set()
    for row in await connection.execute(locked):
        vault.unwrap(_wrapped(row), row.subject_hash)
        have.add(row.subject_hash)
    rows = [_new_key(vault, subject) for subject in wanted if subject not in have]
    if rows:
        statement = insert(database, t.subject_key)
        new, kept = statement.excluded, t.subject_key.c
        # Another process may be doing the same: the first one's key counts.
        values = {
            "wrapped_key": func.coalesce(kept.wrapped_key, new.wrapped_key),
            "master_key_id": func.coalesce(kept.master_key_id, new.master_key_id),
            "erased_at": None,
        }
        await connection.execute(
            statement.on_conflict_do_update(index_elements=["subject_hash"], set_=values), rows
        )


async def seal(
    connection: AsyncConnection, texts: Sequence[tuple[UUID, bytes, bytes]]
) -> list[tuple[UUID, bytes]]:
    """(id, subject, text) as (id, sealed text): for what is not kept in `content`; empty once erased."""
    keys = await data_keys(connection, {subject for _, subject, _ in texts})
    return [
        (own, sealed(keys[subject], text, about=own.bytes) if subject in keys else b"")
        for own, subject, text in texts
    ]


async def check_master_keys(database: Database) -> None:
    """Raise InvalidSettingsError when the database needs a master key that is not there."""
    named = t.subject_key.c.master_key_id
    async with database.read() as connection:
        # Both ends of an index. What lies between them is found when it is used.
        ends = (await connection.execute(select(func.min(named), func.max(named)))).one()
        known = vault.keys if (vault := vault_of(connection)) else {}
    for master_key_id in ends:
        if master_key_id is not None and master_key_id not in known:
            raise lacking(master_key_id)


def _vault(connection: AsyncConnection) -> Vault:
    vault = vault_of(connection)
    if vault is None:
        raise lacking()
    return vault


def _new_key(vault: Vault, subject: bytes) -> dict[str, Any]:
    made = vault.new_key(subject)
    return {"subject_hash": subject, "wrapped_key": made.key, "master_key_id": made.master_key_id}


def _wrapped(row: Any) -> Wrapped:
    return Wrapped(row.wrapped_key, row.master_key_id)


def _row(content: Content, keys: Mapping[bytes, bytes]) -> dict[str, Any]:
    data, salt = content.data, content.salt
    if content.subject_hash is not None:
        key = keys.get(content.subject_hash)
        text = bytes([len(salt)]) + salt + data
        data, salt = sealed(key, text, about=content.id.bytes) if key else b"", b""
    return {
        "id": content.id,
        "event_id": content.event_id,
        "data": data,
        "salt": salt,
        "subject_hash": content.subject_hash,
    }


def _opened(row: Row, keys: Mapping[bytes, bytes]) -> Content | None:
    subject, data, salt = row.subject_hash, row.data, row.salt
    if data is None or salt is None:  # of an outer join
        return None
    if subject is not None:
        key = keys.get(subject)
        text = opened(key, data, about=row.content_id.bytes) if key else None
        if text is None:
            return None
        start = 1 + text[0]
        salt, data = text[1:start], text[start:]
    return Content(row.content_id, data, salt, getattr(row, "event_id", None), subject)
