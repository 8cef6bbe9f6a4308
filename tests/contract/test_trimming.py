"""The audit trail cut by whole sealed batches: what is left is verified from the last seal that went."""

from dataclasses import asdict
from datetime import timedelta
from itertools import product
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import delete, text, update

from infra import database as databases
from infra import tables as t
from infra.bench.tampering import triggers_off
from infra.database import Database
from infra.signing import check
from infra.store import SqlStore, audit, proofs, retention, seals, trimming
from infra.store.holds import Hold, add_hold
from infra.store.trimming import Cut
from pipeline import checkpoint, merkle, note
from pipeline.audit import leaf
from pipeline.keyring import TrustedKey
from pipeline.ports import Admission
from pipeline.retention import PRUNED, TRIMMED, Terms, account
from pipeline.trail import noted
from pipeline.verify import Trust
from schemas.changeset import AuditRecord
from tests.builders import NOW, SCRIBE
from tests.conftest import Shelf
from tests.contract.private import publish
from tests.contract.scenes import amount_of, balance, claimed, notes, rows, succeeded
from tests.contract.test_audit import SIGNER, checkpoints, named, tamper, verify

#: All that is sealed is old enough.
DUE = timedelta(seconds=-5)


def cut_record(cut: Cut) -> AuditRecord:
    body = {**asdict(cut), "root": cut.root.hex()}
    return noted(TRIMMED, body, scribe=SCRIBE, now=NOW, nonce=str(uuid4()))


async def trim(database: Database) -> dict[str, int]:
    return dict(await trimming.trim(database, DUE, cut_record))


async def prune_results(store: SqlStore) -> None:
    def record(kind: str, removed: Any, events: Any) -> AuditRecord:
        return noted(PRUNED, account(kind, removed, events), scribe=SCRIBE, now=NOW, nonce=str(uuid4()))

    await retention.prune(store.database, Terms(results=timedelta(days=1)), record, shard=0)


async def seal(database: Database) -> None:
    await seals.seal(database, SIGNER, limit=100)


@pytest.fixture
async def written(store: SqlStore) -> SqlStore:
    return await decided(store)


async def decided(store: SqlStore) -> SqlStore:
    """Nine published decisions under three seals of three."""
    changesets = [succeeded(claim) for claim in await claimed(store, 9)]
    for start in range(0, 9, 3):
        await store.commit(changesets[start : start + 3])
        await seals.seal(store.database, SIGNER, limit=3)
    await publish(store)
    return store


async def test_what_decided_a_result_stays_as_long_as_the_result(written: SqlStore) -> None:
    assert await trim(written.database) == {}
    assert await named(written.database) == []


async def test_whole_batches_go_and_the_rest_is_verified_from_the_last_of_them(
    written: SqlStore, database: Database
) -> None:
    kept = await checkpoints(database)
    await prune_results(written)

    removed = await trim(database)
    await seal(database)

    assert removed == {"audit_record": 9, "audit_leaf": 9, "audit_seal": 2}
    report = await verify(database, *kept)
    assert (report.findings.named, report.since, report.records) == ([], 9, 2)
    assert {row.kind for row in await rows(database, t.audit_record)} == {PRUNED, TRIMMED}
    assert await written.accept(notes(1)) == [Admission.DUPLICATE]
    assert await named(database, since=kept[0]) == []


async def test_with_the_record_of_the_pruning_go_the_identities(
    written: SqlStore, database: Database
) -> None:
    await prune_results(written)
    await trim(database)
    await seal(database)

    removed = await trim(database)
    await seal(database)

    assert removed["event"] == 9
    assert await amount_of(database, t.event) == 0
    assert await named(database) == []
    assert (await balance(database)).balanced
    assert await written.accept(notes(1)) == [Admission.ACCEPTED]


async def test_a_hold_keeps_its_batch_and_all_behind_it(written: SqlStore, database: Database) -> None:
    await prune_results(written)
    fifth = sorted(await rows(database, t.audit_leaf))[4]
    (held,) = [row for row in await rows(database, t.audit_record) if row.id == fifth.record_id]
    hold = Hold(uuid4(), "a dispute", NOW, "os:ada@desk", event_id=held.event_id)
    await add_hold(database, hold, noted("hold_added", {}, scribe=SCRIBE, now=NOW))

    assert (await trim(database))["audit_record"] == 3
    await seal(database)
    assert await named(database) == []


async def test_a_record_behind_the_cut_is_proved_and_one_before_it_is_gone(
    written: SqlStore, database: Database
) -> None:
    first = sorted(await rows(database, t.audit_leaf))[0].record_id
    await prune_results(written)
    await trim(database)
    await seal(database)

    async with database.read() as connection:
        prover = await proofs.prover(connection)
        for row in await rows(database, t.audit_record):
            found = await prover.prove(row.id)
            state = checkpoint.parse(note.parse(found.seal.note).text)
            own = leaf(found.canonical)
            assert merkle.is_included(own, found.sequence, state.size, found.path, state.root)
        with pytest.raises(Exception, match="no audit record"):
            await prover.prove(first)


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("the anchor", "audit_seal 3: is missing; what was before it was pruned"),
        ("its frontier", "the frontier is not the one of the signed root"),
        ("where it began", "audit_seal 3: begins at 5, when it was pruned at 6"),
        ("the record", "audit_leaf 0"),
        ("a record of the rest", "its record"),
    ],
)
async def test_who_helps_the_cut_is_found(
    written: SqlStore, database: Database, what: str, told: str
) -> None:
    await prune_results(written)
    await trim(database)
    await seal(database)
    record, own = t.audit_record.c, t.audit_seal.c
    statements: dict[str, list[Any]] = {
        "the anchor": [delete(t.audit_seal).where(own.batch == 3)],
        "its frontier": [update(t.audit_seal).where(own.batch == 3).values(frontier=b"\0" * 64)],
        "where it began": [update(t.audit_seal).where(own.batch == 3).values(first=5)],
        "the record": [delete(t.audit_record).where(record.kind == TRIMMED)],
        "a record of the rest": [delete(t.audit_record).where(record.kind == PRUNED)],
    }

    await tamper(database, *statements[what])

    found = await named(database)
    assert any(told in one for one in found), found


@pytest.mark.parametrize("value", ["'text'", "x'00ff'", "1.5", "-1"])
async def test_what_sqlite_takes_in_any_column_is_found_behind_a_cut_too(
    shelf_sqlite: Shelf, value: str
) -> None:
    with shelf_sqlite.lent() as url:
        database = databases.connect(url)
        await prune_results(await decided(SqlStore(database, SCRIBE)))
        await trim(database)
        await seal(database)
        missed = []
        for table in (t.audit_record, t.audit_leaf, t.audit_seal):
            (key,) = table.primary_key.columns
            for column, row in product(table.columns, range(2)):
                one = f"SELECT {key.name} FROM {table.name} ORDER BY {key.name} LIMIT 1 OFFSET {row}"
                change = f"UPDATE {table.name} SET {column.name} = {value} WHERE {key.name} = ({one})"
                if not await found_after(database, text(change)):
                    missed.append((table.name, column.name, row))
        assert missed == []
        await database.close()


async def found_after(database: Database, change: Any) -> int:
    """How many differences there are after a change that is undone."""
    async with database.writer.connect() as connection:
        transaction = await connection.begin()
        await triggers_off(connection, database)
        await connection.execute(change)
        trust = Trust([TrustedKey(SIGNER.key)], check)
        found = await audit.verify(connection, trust, progress=lambda *_: None)
        await transaction.rollback()
    return found.findings.total


async def test_a_cut_that_no_record_tells_of_is_found(written: SqlStore, database: Database) -> None:
    gone = [row.record_id for row in await rows(database, t.audit_leaf) if row.sequence < 3]
    await tamper(
        database,
        delete(t.audit_leaf).where(t.audit_leaf.c.sequence < 3),
        delete(t.audit_record).where(t.audit_record.c.id.in_(gone)),
    )

    assert any("audit_leaf 0: is missing" in one for one in await named(database))


async def test_after_a_cut_the_log_is_append_only_again(written: SqlStore, database: Database) -> None:
    await prune_results(written)
    await trim(database)
    await seal(database)

    for table in ("audit_record", "audit_leaf", "audit_seal"):
        with pytest.raises(Exception, match="append-only"):
            async with database.write() as connection:
                await connection.execute(text(f"DELETE FROM {table}"))
