"""Accounts of people: made and changed with their audit record; a change of rights ends their sessions."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from infra import tables as t
from infra.database import Database
from infra.store.commit import audit_row
from infra.store.statements import NOW, insert
from pipeline.errors import Conflict, NotFound
from schemas.changeset import AuditRecord


@dataclass(frozen=True, slots=True)
class User:
    """A person's account. Without a password, only a trusted proxy can name it."""

    id: UUID
    name: str
    role: str
    password_hash: str | None
    disabled_at: datetime | None
    created_at: datetime


async def add_user(
    database: Database, user_id: UUID, *, name: str, role: str, password_hash: str | None, record: AuditRecord
) -> None:
    """Keep a new account; raises Conflict when the name is taken, by a disabled one too."""
    row = {"id": user_id, "name": name, "role": role, "password_hash": password_hash}
    try:
        async with database.write() as connection:
            await connection.execute(insert(database, t.user).values(created_at=NOW, **row))
            await connection.execute(insert(database, t.audit_record), audit_row(record))
    except IntegrityError as error:
        raise Conflict(f"a user named {name!r} exists; choose another name, or change that one") from error


async def set_password(database: Database, name: str, password_hash: str, record: AuditRecord) -> None:
    """Replace the password and end the sessions that the old one opened; raises NotFound."""
    await _change(database, name, {"password_hash": password_hash}, record)


async def set_role(database: Database, name: str, role: str, record: AuditRecord) -> None:
    """Give another role, and end the sessions that have the old one; raises NotFound."""
    await _change(database, name, {"role": role}, record)


async def set_disabled(database: Database, name: str, record: AuditRecord, *, disabled: bool) -> None:
    """Let nobody in by this account, at once, or let it in again; raises NotFound."""
    await _change(database, name, {"disabled_at": NOW if disabled else None}, record)


async def users(database: Database) -> list[User]:
    """Every account, by name."""
    async with database.read() as connection:
        found = await connection.execute(select(t.user).order_by(t.user.c.name))
        return [_user(row) for row in found.mappings()]


async def find_user(database: Database, name: str) -> User | None:
    """The account of this name, disabled or not."""
    async with database.read() as connection:
        found = await connection.execute(select(t.user).where(t.user.c.name == name))
        row = found.mappings().first()
    return None if row is None else _user(row)


async def locked_user(connection: AsyncConnection, user_id: UUID) -> User | None:
    """The account, which nobody changes until the transaction ends."""
    found = await connection.execute(select(t.user).where(t.user.c.id == user_id).with_for_update())
    row = found.mappings().first()
    return None if row is None else _user(row)


async def _change(database: Database, name: str, values: dict[str, Any], record: AuditRecord) -> None:
    async with database.write() as connection:
        statement = update(t.user).where(t.user.c.name == name).values(**values).returning(t.user.c.id)
        user_id = (await connection.execute(statement)).scalar()
        if user_id is None:
            raise NotFound(f"no user {name!r}; `penstock user list` names them")
        # After the account: a login in between holds its row, so that its session is here to be seen.
        await connection.execute(delete(t.session).where(t.session.c.user_id == user_id))
        await connection.execute(insert(database, t.audit_record), audit_row(record))


def _user(row: RowMapping) -> User:
    return User(
        id=row["id"],
        name=row["name"],
        role=row["role"],
        password_hash=row["password_hash"],
        disabled_at=row["disabled_at"],
        created_at=row["created_at"],
    )
