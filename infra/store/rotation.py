"""Data keys under an old master key in, the same under the current one out; no text is touched."""

from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from infra import tables as t
from infra.database import Database, vault_of
from infra.store.commit import audit_row
from infra.store.statements import insert
from infra.vault import Vault, Wrapped
from schemas.changeset import AuditRecord

_BATCH: Final = 1_000


async def rewrap(database: Database, record: Callable[[dict[str, Any]], AuditRecord]) -> int:
    """Wrap what another master key wraps, in batches, each with its record; returns how many there were.

    Raises InvalidSettingsError where one of the master keys is not there.
    """
    total = 0
    while True:
        async with database.write() as connection:
            vault = vault_of(connection)
            number = await _batch(connection, vault) if vault else 0
            if vault and number:
                made = record({"keys": number, "master_key_id": vault.current})
                await connection.execute(insert(database, t.audit_record), audit_row(made))
        total += number
        if not number:
            return total


async def _batch(connection: AsyncConnection, vault: Vault) -> int:
    others = (t.subject_key.c.wrapped_key.is_not(None), t.subject_key.c.master_key_id != vault.current)
    query = select(t.subject_key).where(*others).order_by(t.subject_key.c.subject_hash).limit(_BATCH)
    rows = (await connection.execute(query.with_for_update())).all()
    if not rows:
        return 0
    statement = update(t.subject_key).where(t.subject_key.c.subject_hash == bindparam("subject"))
    values = []
    for row in rows:
        wrapped = vault.rewrap(Wrapped(row.wrapped_key, row.master_key_id), row.subject_hash)
        values.append({"subject": row.subject_hash, "key": wrapped.key, "master": wrapped.master_key_id})
    changed = statement.values(wrapped_key=bindparam("key"), master_key_id=bindparam("master"))
    await connection.execute(changed, values)
    return len(rows)
