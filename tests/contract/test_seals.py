"""Sealing: every committed record gets one place without a gap, whoever is late, killed or there twice."""

import asyncio
import contextlib
import json
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from alembic import command
from sqlalchemy import Table, delete, make_url, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from infra import database as databases
from infra import schema
from infra import tables as t
from infra.database import Database
from infra.schema import _config as config
from infra.signing import check, new_key, read_key
from infra.store import SqlStore, seals
from infra.store.commit import audit_row
from infra.store.statements import insert
from pipeline import checkpoint, merkle, note
from pipeline.errors import Conflict, InvalidSettingsError
from pipeline.publish import CHECKPOINT_TOPIC
from pipeline.seal import Seal
from pipeline.trail import noted
from schemas.changeset import AuditRecord
from tests.builders import NOW, SCRIBE
from tests.conftest import Shelf
from tests.contract.scenes import amount_of, claimed, refuse, rows, succeeded

SIGNER = read_key(new_key("tests.example/log"))
#: Columns of `audit_record` that came after migration 0004.
NEWER = ("code", "model", "cost_micros", "took_ms", "words")


def record(number: int) -> AuditRecord:
    """The audit record of this number."""
    return noted("token_made", {"number": number}, scribe=SCRIBE, now=NOW + timedelta(seconds=number))


async def write(database: Database, *numbers: int) -> None:
    async with database.write() as connection:
        for number in numbers:
            await connection.execute(insert(database, t.audit_record), audit_row(record(number)))


async def write_row(database: Database, table: Table, row: dict[str, Any]) -> None:
    async with database.write() as connection:
        await connection.execute(insert(database, table), row)


async def sealed(database: Database, limit: int = 100) -> Seal | None:
    return await seals.seal(database, SIGNER, limit=limit)


async def log(database: Database) -> list[Any]:
    """The leaves in order, after checking what must hold of every log."""
    leaves = sorted(await rows(database, t.audit_leaf))
    chain = sorted(await rows(database, t.audit_seal))
    assert [leaf.sequence for leaf in leaves] == list(range(len(leaves)))
    size, link = 0, checkpoint.NOTHING_BEFORE
    for number, one in enumerate(chain, 1):
        read = note.parse(one.note)
        state = checkpoint.parse(read.text)
        assert note.signer(read, [SIGNER.key], check) == SIGNER.key
        assert (one.batch, one.first, one.link) == (number, size, link)
        assert one.root == merkle.root(leaf.leaf for leaf in leaves[: one.size]) == state.root
        assert {leaf.batch for leaf in leaves[one.first : one.size]} == {number}
        size, link = one.size, state.link
    assert size == len(leaves)
    return leaves


async def until_sealed(database: Database) -> None:
    for _ in range(500):
        if not await seals.unsealed(database, at_most=1):
            return
        await asyncio.sleep(0.02)
    raise AssertionError("records wait for ten seconds")


async def test_committed_records_are_sealed_in_order_up_to_the_limit(database: Database) -> None:
    await write(database, *range(5))

    first, second, third = [await sealed(database, limit=2) for _ in range(3)]

    assert first is not None
    assert second is not None
    assert third is not None
    assert [(one.first, one.size) for one in (first, second, third)] == [(0, 2), (2, 4), (4, 5)]
    assert [leaf.record_id for leaf in await log(database)] == [record(number).id for number in range(5)]
    assert await seals.unsealed(database, at_most=10) == 0
    assert await sealed(database) is None


async def test_a_decision_is_queued_in_its_own_transaction(store: SqlStore) -> None:
    changesets = [succeeded(claim) for claim in await claimed(store, 2)]
    await store.commit(changesets)

    assert await seals.unsealed(store.database, at_most=10) == 2
    await sealed(store.database)

    written = {one.leaf for changeset in changesets for one in changeset.audit}
    assert {leaf.leaf for leaf in await log(store.database)} == written


async def test_a_seal_leaves_as_a_message_with_the_signed_checkpoint(store: SqlStore) -> None:
    await write(store.database, 1)

    made = await sealed(store.database)

    assert made is not None
    (message,) = await store.unpublished(limit=10)
    assert (message.topic, message.key) == (CHECKPOINT_TOPIC, b"tests.example/log")
    assert json.loads(message.value)["checkpoint"] == made.note
    assert message.headers["type"] == "penstock.audit_checkpoint"
    assert await seals.notes_after(store.database, 0, limit=5) == [(1, made.note)]
    assert await seals.last(store.database) == made


async def test_a_record_that_commits_late_goes_into_a_later_batch(shelf_postgresql: Shelf) -> None:
    """PostgreSQL only: SQLite has one writer, and nothing commits late."""
    with shelf_postgresql.lent() as url:
        database = databases.connect(url)
        async with database.write() as late:
            await late.execute(insert(database, t.audit_record), audit_row(record(1)))
            await write(database, 2)
            await sealed(database)
        await sealed(database)

        found = [(leaf.batch, leaf.record_id) for leaf in await log(database)]
        assert found == [(1, record(2).id), (2, record(1).id)]
        await database.close()


async def test_writers_that_commit_after_random_waits_leave_no_gap(database_url: str) -> None:
    database, other = databases.connect(database_url, pool_size=12), databases.connect(database_url)
    longest = 0.02 if database.dialect == "sqlite" else 0.3
    waits = random.Random(5)  # noqa: S311 - the same waits in each run

    async def writer(numbers: Sequence[int]) -> None:
        for number in numbers:
            async with database.write() as connection:
                await connection.execute(insert(database, t.audit_record), audit_row(record(number)))
                await asyncio.sleep(waits.uniform(0, longest))

    async def sealer(of: Database) -> None:
        while True:
            with contextlib.suppress(Conflict):
                await seals.seal(of, SIGNER, limit=7)
            await asyncio.sleep(0.01)

    sealers = [asyncio.create_task(sealer(one)) for one in (database, other)]
    await asyncio.gather(*(writer(range(start, 80, 8)) for start in range(8)))
    await until_sealed(database)
    for task in sealers:
        task.cancel()
    await asyncio.gather(*sealers, return_exceptions=True)

    assert {leaf.record_id for leaf in await log(database)} == {record(number).id for number in range(80)}
    await database.close()
    await other.close()


@pytest.mark.parametrize("where", [t.audit_leaf, t.audit_seal, t.outbox], ids=lambda table: str(table.name))
async def test_a_sealer_that_dies_at_any_write_leaves_nothing_behind(
    database: Database, where: Table
) -> None:
    await write(database, 1, 2, 3)
    await sealed(database, limit=1)
    await refuse(database, where, "1 = 1")

    with pytest.raises((DBAPIError, Conflict)):
        await sealed(database)

    assert await amount_of(database, t.audit_leaf) == 1
    assert await seals.unsealed(database, at_most=10) == 2
    async with database.write() as connection:
        on = f" ON {where.name}" if database.dialect == "postgresql" else ""
        await connection.execute(text(f"DROP TRIGGER refuse_{where.name}{on}"))
    await sealed(database)
    assert len(await log(database)) == 3


@pytest.mark.parametrize("same", ["batch", "first"])
async def test_a_seal_beside_another_is_refused(database: Database, same: str) -> None:
    await write(database, 1)
    made = await sealed(database)
    assert made is not None
    fork = {name: getattr(made, name) for name in Seal.__slots__} | {"batch": 2, "first": 1, "size": 2}

    if database.dialect == "sqlite":  # the constraint is meant, not the trigger before it
        async with database.write() as connection:
            await connection.execute(text("DROP TRIGGER audit_seal_replaced"))

    with pytest.raises(IntegrityError):
        await write_row(database, t.audit_seal, fork | {same: getattr(made, same)})


async def test_how_long_the_sealer_is_behind_is_told_by_the_record_that_waits_longest(
    database: Database,
) -> None:
    async def lag() -> float:
        async with database.read() as connection:
            return await seals.lag_seconds(connection)

    assert await lag() == 0
    for number, age in enumerate((timedelta(hours=1), timedelta(0))):
        record = noted("token_made", {"number": number}, scribe=SCRIBE, now=datetime.now(UTC) - age)
        async with database.write() as connection:
            await connection.execute(insert(database, t.audit_record), audit_row(record))
    assert 3_590 < await lag() < 3_700
    await sealed(database)
    assert await lag() == 0


async def test_a_key_of_another_name_does_not_sign_this_log(database: Database) -> None:
    await write(database, 1)
    await sealed(database)
    await write(database, 2)

    with pytest.raises(InvalidSettingsError, match="keeps the name"):
        await seals.seal(database, read_key(new_key("other.example/log")), limit=10)

    assert await seals.unsealed(database, at_most=10) == 1
    await seals.seal(database, read_key(new_key("tests.example/log")), limit=10)
    assert await seals.unsealed(database, at_most=10) == 0


async def test_a_key_is_introduced_once_and_on_record_once_more_when_it_was_rotated_in(
    database: Database,
) -> None:
    def introduction(key: str, action: str = "first_used") -> AuditRecord:
        return noted("audit_key", {"key": key, "action": action}, scribe=SCRIBE, now=NOW)

    assert await seals.introduce(database, introduction("a"))
    assert not await seals.introduce(database, replace(introduction("a"), occurred_at=NOW))
    assert await seals.introduce(database, introduction("b", "rotated"))
    assert await seals.introduce(database, introduction("b"))
    assert await amount_of(database, t.audit_record) == 3


@pytest.mark.parametrize("table", [t.audit_record, t.audit_leaf, t.audit_seal], ids=lambda t: str(t.name))
@pytest.mark.parametrize("what", ["update", "delete", "replace", "truncate"])
async def test_the_log_refuses_every_change(database: Database, table: Table, what: str) -> None:
    await write(database, 1)
    await sealed(database)
    (before,) = await rows(database, table)
    column = table.columns[1].name
    statements: dict[str, Any] = {
        "update": update(table).values({column: table.columns[1]}),
        "delete": delete(table),
        "replace": text(f"INSERT OR REPLACE INTO {table.name} SELECT * FROM {table.name}"),
        "truncate": text(f"TRUNCATE {table.name}"),
    }
    if what == ("truncate" if database.dialect == "sqlite" else "replace"):
        return  # not in this engine's language

    with pytest.raises(DBAPIError, match="append-only"):
        async with database.write() as connection:
            await connection.execute(statements[what])

    assert await rows(database, table) == [before]


async def test_records_of_the_release_before_are_queued_in_their_order(empty_url: str) -> None:
    database = databases.connect(empty_url)
    async with database.write() as connection:
        await connection.run_sync(lambda sync: command.upgrade(config(sync), "0004"))
        for number in (2, 1):
            known = {name: value for name, value in audit_row(record(number)).items() if name not in NEWER}
            await connection.execute(insert(database, t.audit_record).values(known))

    await schema.upgrade(database)
    await sealed(database)

    assert [leaf.record_id for leaf in await log(database)] == [record(1).id, record(2).id]
    await database.close()


async def test_a_role_that_owns_nothing_writes_and_seals_and_changes_nothing(shelf_postgresql: Shelf) -> None:
    """PostgreSQL only: what README.md advises. SQLite has no roles."""
    role = f"role_{uuid4().hex}"
    with shelf_postgresql.lent() as url:
        owner = databases.connect(url)
        await run(
            owner,
            f"CREATE ROLE {role} LOGIN",
            f"GRANT {role} TO CURRENT_USER",
            f"GRANT SELECT, INSERT ON audit_record, audit_leaf, audit_seal, audit_unsealed, outbox TO {role}",
            f"GRANT DELETE ON audit_unsealed TO {role}",
        )
        guest = databases.connect(make_url(url).set(username=role).render_as_string(hide_password=False))

        await write(guest, 1)
        await sealed(guest)

        assert len(await log(guest)) == 1
        for statement in (
            "UPDATE audit_record SET kind = kind",
            "DELETE FROM audit_leaf",
            "TRUNCATE audit_seal",
            "ALTER TABLE audit_record DISABLE TRIGGER ALL",
            "SET session_replication_role = replica",
        ):
            with pytest.raises(DBAPIError, match=r"permission denied|must be owner"):
                await run(guest, statement)
        await guest.close()
        await run(owner, f"DROP OWNED BY {role}", f"DROP ROLE {role}")
        await owner.close()


async def run(database: Database, *statements: str) -> None:
    async with database.write() as connection:
        for statement in statements:
            await connection.execute(text(statement))
