"""Verifying: a clean log has no difference, and each change to it is found and named."""

import random
from collections.abc import Sequence
from itertools import product
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Table, delete, insert, select, text, update

from infra import database as databases
from infra import tables as t
from infra.bench.forging import SINGLE, WHOLE, Forger, Way, edit
from infra.bench.tampering import build, measure, tried, triggers_off
from infra.database import Database
from infra.signing import check, new_key, read_key
from infra.store import SqlStore, audit, proofs, seals
from infra.store.audit import Report
from infra.store.commit import audit_row
from pipeline import checkpoint, merkle, note
from pipeline.audit import leaf
from pipeline.checkpoint import Checkpoint
from pipeline.errors import Conflict, NotFound
from pipeline.keyring import TrustedKey
from pipeline.trail import noted
from pipeline.verify import Trust
from schemas.changeset import Changeset
from tests.builders import NOW, SCRIBE
from tests.conftest import Shelf
from tests.contract.scenes import LANE, claimed, gave_up, notes, rows, succeeded

DICE = random.Random(3)  # noqa: S311 - the same values in each run
SIGNER = read_key(new_key("tests.example/log"))


@pytest.fixture
async def written(store: SqlStore) -> list[Changeset]:
    """Nine decisions under three seals of three."""
    changesets = [succeeded(claim) for claim in await claimed(store, 9)]
    for start in range(0, 9, 3):
        await store.commit(changesets[start : start + 3])
        await seals.seal(store.database, SIGNER, limit=3)
    return changesets


async def verify(
    database: Database, *kept: Checkpoint, since: Checkpoint | None = None, keys: Sequence[TrustedKey] = ()
) -> Report:
    trust = Trust(keys or [TrustedKey(SIGNER.key)], check, kept)
    async with database.read() as connection:
        return await audit.verify(connection, trust, since=since, progress=lambda *_: None)


async def named(database: Database, *kept: Checkpoint, **options: Any) -> list[str]:
    return [str(one) for one in (await verify(database, *kept, **options)).findings.named]


async def checkpoints(database: Database) -> list[Checkpoint]:
    found = await seals.notes_after(database, 0, limit=100)
    return [checkpoint.parse(note.parse(written).text) for _, written in found]


async def tamper(database: Database, *statements: Any) -> None:
    """As who may do anything."""
    async with database.write() as connection:
        await triggers_off(connection, database)
        for statement in statements:
            await connection.execute(statement)


async def test_a_log_that_nobody_touched_has_no_difference(
    database: Database, written: list[Changeset]
) -> None:
    report = await verify(database, *await checkpoints(database))

    assert report.findings.named == []
    assert (report.seals, report.records, report.since, report.unsealed) == (3, 9, 0, 0)
    assert report.newest == await seals.last(database)


async def test_an_empty_log_has_no_difference(database: Database) -> None:
    report = await verify(database)

    assert (report.findings.total, report.records, report.newest) == (0, 0, None)


async def test_what_waits_for_its_seal_is_counted_and_checked(
    store: SqlStore, written: list[Changeset]
) -> None:
    await store.accept(notes(12))
    changesets = [gave_up(claim) for claim in await store.claim(LANE, limit=12)]
    await store.commit(changesets)

    assert (await verify(store.database)).unsealed == 3
    changed = changesets[0].audit[0].id
    record = t.audit_record
    await tamper(store.database, update(record).where(record.c.id == changed).values(kind="other"))
    assert await named(store.database) == [
        f"audit_record {changed}: its column kind says other, its bytes say decision"
    ]


async def test_what_came_after_a_checkpoint_is_verified_alone(
    database: Database, written: list[Changeset]
) -> None:
    first, second, _ = await checkpoints(database)

    report = await verify(database, since=second)

    assert (report.findings.named, report.seals, report.records, report.since) == ([], 1, 3, 6)
    assert (await verify(database, since=first)).records == 6


async def test_every_way_of_tampering_is_found_and_nothing_else(database: Database) -> None:
    matrix = await measure(database, trials=3 * len(SINGLE), seed=7)

    assert {way: matrix.tried[way] - matrix.found[way] for way in (*SINGLE, *WHOLE)} == dict.fromkeys(
        (*SINGLE, *WHOLE), 0
    )
    assert matrix.clean
    assert not matrix.false_alarms


@pytest.mark.parametrize("table", [t.audit_record, t.audit_leaf, t.audit_seal], ids=lambda one: str(one.name))
async def test_every_column_is_covered(database: Database, table: Table) -> None:
    keys, trust = await build(database)

    found = {
        column.name: await tried(database, keys, trust, edit(table, column.name), DICE)
        for column in table.columns
    }

    assert [name for name, is_found in found.items() if not is_found] == []


async def test_an_edited_record_is_named_with_its_batch(database: Database, written: list[Changeset]) -> None:
    third = written[2].audit[0]
    forged = third.canonical.replace(b"succeeded", b"dead")
    place = (await leaves(database)).index(third.leaf)
    record = t.audit_record.c

    await tamper(database, update(t.audit_record).where(record.id == third.id).values(canonical=forged))

    assert await named(database) == [
        f"audit_record {third.id}: its leaf is not the hash of its bytes",
        f"audit_record {third.id}: its column outcome says succeeded, its bytes say dead",
        f"audit_leaf {place}: its leaf is not the hash of record {third.id}",
        "audit_seal 1: its leaves 0 to 2 do not have its root",
        "audit_seal 1: the frontier is not the one of its leaves",
    ]


async def leaves(database: Database) -> list[bytes]:
    return [row.leaf for row in sorted(await rows(database, t.audit_leaf))]


async def test_a_cut_end_shows_only_beside_a_checkpoint_from_outside(
    database: Database, written: list[Changeset]
) -> None:
    kept = await checkpoints(database)
    gone = select(t.audit_leaf.c.record_id).where(t.audit_leaf.c.batch == 3)
    events = select(t.audit_record.c.event_id).where(t.audit_record.c.id.in_(gone))
    await tamper(
        database,
        delete(t.result).where(t.result.c.event_id.in_(events)),
        delete(t.audit_record).where(t.audit_record.c.id.in_(gone)),
        delete(t.audit_leaf).where(t.audit_leaf.c.batch == 3),
        delete(t.audit_seal).where(t.audit_seal.c.batch == 3),
    )
    kept_at = kept[2].sealed_at.isoformat()
    lost = f"the log has no seal like the one that was kept: batch 3, 9 records, sealed {kept_at}"

    assert await named(database) == []
    assert await named(database, *kept) == [f"checkpoint: {lost}"]
    assert await named(database, since=kept[2]) == [f"checkpoint: {lost}"]


async def test_a_deleted_seal_leaves_a_gap_or_an_open_end(
    database: Database, written: list[Changeset]
) -> None:
    await tamper(database, delete(t.audit_seal).where(t.audit_seal.c.batch == 2))
    assert "audit_seal 3: follows 1: a seal between them is missing" in await named(database)

    await tamper(database, delete(t.audit_seal).where(t.audit_seal.c.batch == 3))
    assert await named(database) == [f"audit_leaf {place}: is behind the last seal" for place in range(3, 9)]


async def test_records_and_results_without_each_other_are_named(
    database: Database, written: list[Changeset]
) -> None:
    first, second, third = (changeset.result for changeset in written[:3])
    result, record = t.result.c, t.audit_record.c
    await tamper(
        database,
        delete(t.result).where(result.event_id == first.event_id),
        delete(t.audit_record).where(record.event_id == second.event_id),
        update(t.result).where(result.event_id == third.event_id).values(state="rejected"),
    )

    found = await named(database)

    ids = [changeset.audit[0].id for changeset in written]
    assert f"audit_record {ids[0]}: its result is missing: event {first.event_id}, revision 1" in found
    assert f"result {second.event_id}, revision 1: its audit record is missing" in found
    assert (
        f"audit_record {ids[2]}: its result says something else: event {third.event_id}, revision 1" in found
    )


async def test_what_was_put_in_beside_the_triggers_is_named(
    database: Database, written: list[Changeset]
) -> None:
    row = (await rows(database, t.audit_record))[0]
    await tamper(
        database,
        insert(t.audit_record).values(**{**row._mapping, "id": UUID(int=5)}),
        insert(t.audit_unsealed).values(record_id=row.id),
        insert(t.audit_unsealed).values(record_id=UUID(int=6)),
    )

    found = await named(database)

    home = f"audit_record {UUID(int=5)}: has no place in the log, and does not wait for one"
    assert home in found
    queued = {one.partition(": ")[2] for one in found if one.startswith("audit_unsealed")}
    assert queued == {f"its record {id} is missing, sealed or there twice" for id in (row.id, UUID(int=6))}
    (_, kept, _) = await checkpoints(database)
    assert any("10 records for 9 places and 2 that wait" in one for one in await named(database, since=kept))


async def test_a_checkpoint_to_go_on_from_must_be_in_the_log(
    database: Database, written: list[Changeset]
) -> None:
    (_, kept, _) = await checkpoints(database)
    await tamper(database, update(t.audit_seal).where(t.audit_seal.c.batch == 2).values(frontier=bytes(64)))

    assert "audit_seal 2: the frontier is not the one of the signed root" in await named(database, since=kept)


def write_anything(table: Table, column: str, value: str) -> Way:
    """A value of any type into a column of the fourth row, past SQLAlchemy."""
    (key,) = table.primary_key.columns
    fourth = f"SELECT {key.name} FROM {table.name} ORDER BY {key.name} LIMIT 1 OFFSET 3"
    statement = f"UPDATE {table.name} SET {column} = {value} WHERE {key.name} = ({fourth})"

    async def way(forger: Forger) -> None:
        await forger.connection.execute(text(statement))

    return way


async def test_what_sqlite_takes_in_any_column_is_found_too(shelf_sqlite: Shelf) -> None:
    """PostgreSQL has types; SQLite's columns hold anything."""
    with shelf_sqlite.lent() as url:
        database = databases.connect(url)
        keys, trust = await build(database)
        missed = []
        for table in (t.audit_record, t.audit_leaf, t.audit_seal):
            for column, value in product(table.columns, ("'text'", "x'00ff'", "1.5", "-1")):
                way = write_anything(table, column.name, value)
                if not await tried(database, keys, trust, way, DICE):
                    missed.append((table.name, column.name, value))
        assert missed == []
        await database.close()


@pytest.mark.parametrize("kind", ["erasure", "pruned", "audit_pruned", "audit_key"])
@pytest.mark.parametrize(
    "canonical",
    [None, b"\xff", b"[]", b"null", b"[" * 100_000, b'{"kind":"%s","events":"x","batch":"x","sha256":1}'],
    ids=["its own", "no text", "a list", "null", "deep", "wrong types"],
)
async def test_a_record_that_pretends_to_be_one_that_verify_looks_up_is_named(
    database: Database, written: list[Changeset], kind: str, canonical: bytes | None
) -> None:
    own = written[4].audit[0]
    forged = own.canonical if canonical is None else canonical.replace(b"%s", kind.encode())
    record = t.audit_record

    await tamper(database, update(record).where(record.c.id == own.id).values(kind=kind, canonical=forged))

    assert any(one.startswith(f"audit_record {own.id}: ") for one in await named(database))


async def test_a_retired_key_verifies_what_it_signed_and_signs_no_more(
    database: Database, written: list[Changeset]
) -> None:
    newer = read_key(new_key("tests.example/log"))
    both = [TrustedKey(SIGNER.key), TrustedKey(newer.key, above=9)]
    await add(database, 1)
    await seals.seal(database, newer, limit=9)
    assert await named(database, keys=both) == []

    await add(database, 2)
    await seals.seal(database, SIGNER, limit=9)

    late = f"audit_seal 5: {SIGNER.key.label} signed it after a newer key had signed"
    assert await named(database, keys=both) == [late]
    early = [TrustedKey(SIGNER.key), TrustedKey(newer.key, above=10)]
    assert f"audit_seal 4: {newer.key.label} signs logs of more than 10 records" in await named(
        database, keys=early
    )
    assert any("no trusted key signed it" in one for one in await named(database, keys=both[:1]))


async def test_a_log_that_a_retired_key_signed_anew_is_found_without_a_checkpoint(
    database: Database, written: list[Changeset]
) -> None:
    both = [TrustedKey(SIGNER.key), TrustedKey(read_key(new_key("tests.example/log")).key, above=6)]
    unused = [TrustedKey(SIGNER.key), TrustedKey(both[1].key, above=9)]

    late = f"audit_seal 3: {SIGNER.key.label} signed it, {both[1].key.label} took over at 6 records"
    assert await named(database, keys=both) == [late]
    assert await named(database, keys=unused) == []


async def add(database: Database, number: int) -> None:
    """A record that is about no event."""
    record = noted("token_made", {"number": number}, scribe=SCRIBE, now=NOW)
    async with database.write() as connection:
        await connection.execute(insert(t.audit_record), audit_row(record))


async def test_every_record_is_proved_by_its_id_and_by_its_leaf(
    database: Database, written: list[Changeset]
) -> None:
    last = await seals.last(database)
    assert last is not None

    async with database.read() as connection:
        prover = await proofs.prover(connection)
        for changeset in written:
            (record,) = changeset.audit
            found = await prover.prove(record.id)
            assert found == await prover.prove(record.leaf)
            assert found.canonical == record.canonical
            assert merkle.is_included(leaf(found.canonical), found.sequence, last.size, found.path, last.root)


async def test_what_is_unknown_or_not_sealed_yet_has_no_proof(store: SqlStore) -> None:
    async with store.database.read() as connection:
        with pytest.raises(NotFound, match="nothing is sealed"):
            await proofs.prover(connection)
    await add(store.database, 1)
    await seals.seal(store.database, SIGNER, limit=1)
    await add(store.database, 2)

    async with store.database.read() as connection:
        prover = await proofs.prover(connection)
        waiting = (await connection.scalars(select(t.audit_unsealed.c.record_id))).one()
        with pytest.raises(Conflict, match="not sealed yet"):
            await prover.prove(waiting)
        with pytest.raises(NotFound, match=f"no audit record {UUID(int=5)}"):
            await prover.prove(UUID(int=5))
        with pytest.raises(NotFound, match="no audit record 0505"):
            await prover.prove(bytes([5]) * 32)
