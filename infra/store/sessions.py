"""Sessions of the web: opened by a password or a link, found by the digest of what the cookie holds."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from infra import tables as t
from infra.columns import later
from infra.database import Database
from infra.store.accounts import User, locked_user
from infra.store.commit import audit_row
from infra.store.statements import NOW, insert
from schemas.changeset import AuditRecord

#: A link that nobody followed for this long opens nothing.
LINK_SECONDS: Final = 3_600.0


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who is logged in; what changes anything must carry `csrf`."""

    name: str
    role: str
    csrf: str


@dataclass(frozen=True, slots=True)
class Opening:
    """A session to be: the digest of its secret, its CSRF token, and how long it lasts."""

    digest: bytes
    csrf: str
    seconds: float


async def open_session(database: Database, opening: Opening, user: User, record: AuditRecord) -> bool:
    """Open a session for an account; False when it was changed since it was read."""
    async with database.write() as connection:
        if await locked_user(connection, user.id) != user:
            return False
        await _open(connection, database, opening, user_id=user.id, name=user.name, role=user.role)
        await connection.execute(insert(database, t.audit_record), audit_row(record))
    return True


async def open_by_link(
    database: Database, opening: Opening, link: bytes, *, name: str, role: str, record: AuditRecord
) -> bool:
    """Use up a link for a session without an account; False when it is used, old or none of ours."""
    async with database.write() as connection:
        used = delete(t.login_link).where(t.login_link.c.hash == link, t.login_link.c.expires_at > NOW)
        if (await connection.execute(used.returning(t.login_link.c.hash))).first() is None:
            return False
        await _open(connection, database, opening, user_id=None, name=name, role=role)
        await connection.execute(insert(database, t.audit_record), audit_row(record))
    return True


async def add_link(database: Database, link: bytes, *, alone: bool = False) -> None:
    """Keep a link by its digest; `alone` withdraws those that were there before."""
    gone = delete(t.login_link)
    async with database.write() as connection:
        await connection.execute(gone if alone else gone.where(t.login_link.c.expires_at <= NOW))
        row = insert(database, t.login_link).values(hash=link, expires_at=later(LINK_SECONDS))
        await connection.execute(row)


async def find_session(database: Database, digest: bytes) -> Session | None:
    """Who is logged in by the secret with this digest."""
    columns = (t.session.c.name, t.session.c.role, t.session.c.csrf)
    query = select(*columns).where(t.session.c.hash == digest, t.session.c.expires_at > NOW)
    async with database.read() as connection:
        row = (await connection.execute(query)).first()
    return None if row is None else Session(row.name, row.role, row.csrf)


async def close_session(database: Database, digest: bytes, record: AuditRecord) -> bool:
    """End a session; False when there was none."""
    async with database.write() as connection:
        closed = delete(t.session).where(t.session.c.hash == digest).returning(t.session.c.hash)
        if (await connection.execute(closed)).first() is None:
            return False
        await connection.execute(insert(database, t.audit_record), audit_row(record))
    return True


async def _open(
    connection: AsyncConnection,
    database: Database,
    opening: Opening,
    *,
    user_id: UUID | None,
    name: str,
    role: str,
) -> None:
    await connection.execute(delete(t.session).where(t.session.c.expires_at <= NOW))
    row = {"hash": opening.digest, "user_id": user_id, "name": name, "role": role, "csrf": opening.csrf}
    times = {"created_at": NOW, "expires_at": later(opening.seconds)}
    await connection.execute(insert(database, t.session).values(**row, **times))
