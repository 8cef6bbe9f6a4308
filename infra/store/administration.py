"""What operators change: lanes, tokens, the register of workflow versions. Each writes its audit record."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from infra import tables as t
from infra.database import Database
from infra.store.commit import audit_row
from infra.store.statements import NOW, insert
from pipeline.catalogue import Entry
from pipeline.errors import Conflict
from schemas.changeset import AuditRecord


@dataclass(frozen=True, slots=True)
class Token:
    """Who may use the API: a role, and the sources it may send as ("*" is any)."""

    id: UUID
    name: str
    role: str
    sources: tuple[str, ...]


async def set_paused(database: Database, lane: str, record: AuditRecord, *, paused: bool) -> bool:
    """Pause or resume a lane; returns whether that changed anything (then it is on record)."""
    async with database.write() as connection:
        found = await connection.execute(select(t.lane.c.paused_at).where(t.lane.c.name == lane))
        if (found.scalar() is not None) == paused:
            return False
        values: dict[str, Any] = {
            "paused_at": NOW if paused else None,
            "paused_by": record.actor.name if paused else None,
        }
        statement = insert(database, t.lane).values(name=lane, **values)
        await connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))
        await connection.execute(insert(database, t.audit_record), audit_row(record))
    return True


async def paused_lanes(database: Database) -> dict[str, str]:
    """The paused lanes, and who paused them."""
    query = select(t.lane.c.name, t.lane.c.paused_by).where(t.lane.c.paused_at.is_not(None))
    async with database.read() as connection:
        return {row.name: row.paused_by for row in await connection.execute(query)}


async def add_token(database: Database, token: Token, digest: bytes, record: AuditRecord) -> None:
    """Keep a token by its SHA-256; raises Conflict when the name is taken."""
    row = {
        "id": token.id,
        "name": token.name,
        "role": token.role,
        "sources": list(token.sources),
        "hash": digest,
    }
    try:
        async with database.write() as connection:
            await connection.execute(insert(database, t.token).values(created_at=NOW, **row))
            await connection.execute(insert(database, t.audit_record), audit_row(record))
    except IntegrityError as error:
        raise Conflict(f"a token named {token.name!r} exists; choose another name") from error


async def find_token(database: Database, digest: bytes) -> Token | None:
    """The token with this SHA-256."""
    async with database.read() as connection:
        found = await connection.execute(select(t.token).where(t.token.c.hash == digest))
        row = found.first()
    return None if row is None else Token(row.id, row.name, row.role, tuple(row.sources))


async def write_record(database: Database, record: AuditRecord) -> None:
    """Put on record what changes nothing else, such as that somebody reads a text."""
    async with database.write() as connection:
        await connection.execute(insert(database, t.audit_record), audit_row(record))


async def register_versions(
    database: Database, entries: Sequence[Entry], records: Sequence[AuditRecord], *, release: str
) -> list[str]:
    """Keep the content of versions not seen before; returns the workflows that changed."""
    changed = []
    async with database.write() as connection:
        for entry, record in zip(entries, records, strict=True):
            statement = insert(database, t.workflow_version).on_conflict_do_nothing()
            row = {
                "version": entry.version,
                "workflow": entry.workflow.name,
                "content": entry.content,
                "release": release,
            }
            added = await connection.execute(
                statement.values(first_seen_at=NOW, **row).returning(t.workflow_version.c.version)
            )
            if added.first() is not None:
                changed.append(entry.workflow.name)
                await connection.execute(insert(database, t.audit_record), audit_row(record))
    return changed
