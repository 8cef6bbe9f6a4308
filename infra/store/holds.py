"""Legal holds: what may neither be erased nor pruned while somebody needs it. Each change is on record."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, delete, exists, or_, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from infra import tables as t
from infra.database import Database
from infra.store.commit import audit_row
from infra.store.statements import insert
from pipeline.errors import NotFound
from schemas.changeset import AuditRecord


@dataclass(frozen=True, slots=True)
class Hold:
    """Keeps one event, all of a workflow, or all of a subject (its hash): one of the three."""

    id: UUID
    reason: str
    created_at: datetime
    created_by: str
    event_id: UUID | None = None
    workflow: str | None = None
    subject_hash: bytes | None = None

    @property
    def what(self) -> str:
        """What it keeps, in words; a subject is told by its hash."""
        if self.event_id is not None:
            return f"event {self.event_id}"
        if self.workflow is not None:
            return f"workflow {self.workflow}"
        return f"subject {self.subject_hash.hex()[:16]}" if self.subject_hash else "nothing"


async def add_hold(database: Database, hold: Hold, record: AuditRecord) -> None:
    """From now on nothing under it is erased or pruned."""
    async with database.write() as connection:
        await connection.execute(insert(database, t.hold), asdict(hold))
        await connection.execute(insert(database, t.audit_record), audit_row(record))


async def remove_hold(database: Database, hold_id: UUID, record: AuditRecord) -> None:
    """Let go; raises NotFound."""
    async with database.write() as connection:
        gone = await connection.execute(delete(t.hold).where(t.hold.c.id == hold_id).returning(t.hold.c.id))
        if gone.first() is None:
            raise NotFound(f"no hold {hold_id}; see `penstock hold list`")
        await connection.execute(insert(database, t.audit_record), audit_row(record))


async def holds(database: Database) -> list[Hold]:
    """All of them, the oldest first."""
    async with database.read() as connection:
        rows = (await connection.execute(select(t.hold).order_by(t.hold.c.created_at))).mappings().all()
    return [_hold(row) for row in rows]


async def holds_on(connection: AsyncConnection, subject: bytes) -> Sequence[Hold]:
    """Those that keep the subject, or any event of it."""
    theirs = select(t.event.c.event_id).where(t.event.c.subject_hash == subject, _keeps()).exists()
    query = select(t.hold).where(or_(t.hold.c.subject_hash == subject, theirs)).order_by(t.hold.c.created_at)
    return [_hold(row) for row in (await connection.execute(query)).mappings()]


async def freeze(connection: AsyncConnection) -> None:
    """No hold comes until this transaction ends: for who looks what is held, in order to remove the rest.

    One that was being written is waited for. SQLite has a single writer anyway.
    """
    if connection.dialect.name == "postgresql":
        await connection.execute(text("LOCK TABLE hold IN SHARE MODE"))


def is_held() -> Any:
    """Does a hold keep the event, in a query on `event`?"""
    return exists().where(_keeps())


def _keeps() -> Any:
    return or_(
        t.hold.c.event_id == t.event.c.event_id,
        t.hold.c.workflow == t.event.c.workflow,
        t.hold.c.subject_hash == t.event.c.subject_hash,
    )


def _hold(row: RowMapping) -> Hold:
    return Hold(**row)
