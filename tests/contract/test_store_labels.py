"""Golden cases from reviews: rows that refer to events, and go where their events go."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import delete, func, select

from infra import tables as t
from infra.database import Database
from infra.store import SqlStore, erasure, history, labels
from infra.store.labels import Label
from pipeline.resolve import Verdict, approve, correct, reject
from pipeline.trail import noted
from schemas import review
from schemas.changeset import Actor, AuditRecord, Changeset
from tests.builders import NOW, SCRIBE, entry
from tests.contract import private
from tests.contract.private import MARK, about, everything, live, publish, whose
from tests.contract.private import erasure as record_of
from tests.contract.scenes import LANE, claimed, succeeded

database = private.database

WHO = "os:ada@desk"
DECIDED = NOW + timedelta(hours=1)
VERDICT = Verdict(replace(SCRIBE, actor=Actor("person", WHO)), DECIDED)


@pytest.fixture
def store(database: Database) -> SqlStore:
    return SqlStore(database, SCRIBE)


def record(added: Sequence[Label]) -> AuditRecord:
    nonce = str(added[0].event_id)
    return noted("labels_added", {"cases": len(added)}, scribe=SCRIBE, now=NOW, nonce=nonce)


async def add(store: SqlStore, **options: object) -> list[Label]:
    return await labels.add(store.database, LANE, who=WHO, record=record, **options)  # type: ignore[arg-type]


async def doubted(store: SqlStore, amount: int) -> list[UUID]:
    claims = await claimed(store, amount)
    await store.commit([succeeded(claim, review("large amount")) for claim in claims])
    return [claim.event.event_id for claim in claims]


async def approved(store: SqlStore, event_id: UUID) -> Changeset:
    return approve(await history.subject(store.database, event_id), entry(), VERDICT)


async def corrected(store: SqlStore, event_id: UUID, **changes: str) -> Changeset:
    subject = await history.subject(store.database, event_id)
    return correct(subject, entry(), {**(subject.newest.data or {}), **changes}, VERDICT)


async def rejected(store: SqlStore, event_id: UUID) -> Changeset:
    return reject(await history.subject(store.database, event_id), entry(), VERDICT)


async def kept(store: SqlStore) -> int:
    async with store.database.read() as connection:
        return int((await connection.execute(select(func.count()).select_from(t.label))).scalar_one())


async def test_what_people_approved_or_corrected_is_added_once(store: SqlStore) -> None:
    yes, no, right, _ = await doubted(store, 4)
    await store.commit(
        [await approved(store, yes), await rejected(store, no), await corrected(store, right, city="Mull")]
    )

    added = await add(store)
    again = await add(store)

    assert sorted(added, key=str) == sorted([Label(yes, 2), Label(right, 2)], key=str)
    assert again == []
    found = await labels.read(store.database, await labels.standing(store.database, LANE))
    cities = {one.event.event_id: (one.result.data or {})["city"] for one in found}
    assert cities == {yes: "Oban", right: "Mull"}
    assert await labels.standing(store.database, "other") == []
    async with store.database.read() as connection:
        query = select(t.audit_record.c.kind).where(t.audit_record.c.kind == "labels_added")
        assert (await connection.scalars(query)).all() == ["labels_added"]


async def test_only_what_was_decided_since_is_added(store: SqlStore) -> None:
    (event_id,) = await doubted(store, 1)
    await store.commit([await approved(store, event_id)])

    assert await add(store, since=DECIDED + timedelta(seconds=1)) == []
    assert await add(store, since=DECIDED) == [Label(event_id, 2)]


async def test_a_later_decision_takes_a_label_back_or_its_place(store: SqlStore) -> None:
    gone, mended = await doubted(store, 2)
    await store.commit([await approved(store, gone), await approved(store, mended)])
    await add(store)

    await store.commit([await rejected(store, gone), await corrected(store, mended, city="Mull")])

    assert await labels.standing(store.database, LANE) == []
    assert await add(store) == [Label(mended, 3)]
    assert await labels.standing(store.database, LANE) == [Label(mended, 3)]


async def test_a_label_of_an_event_whose_text_was_pruned_has_no_case(store: SqlStore) -> None:
    (event_id,) = await doubted(store, 1)
    await store.commit([await approved(store, event_id)])
    (label,) = await add(store)

    async with store.database.write() as connection:
        await connection.execute(delete(t.content).where(t.content.c.event_id == event_id))

    assert await labels.read(store.database, [label]) == []


async def test_labels_of_a_subject_are_whole_for_who_reads_and_gone_with_an_erasure(store: SqlStore) -> None:
    await live(store, [about(MARK, 0)])
    event_id = about(MARK, 0).event_id
    await store.commit([await corrected(store, event_id, city=f"{MARK} Bay")])
    await publish(store)
    (label,) = await add(store)
    (case,) = await labels.read(store.database, [label])
    assert (case.result.data or {})["city"] == f"{MARK} Bay"
    assert MARK.encode() in case.event.content
    assert MARK.encode() not in await everything(store.database, without=["outbox", "topic_log"])

    await erasure.erase(store.database, whose(MARK), record_of)

    assert await kept(store) == 0
    assert await labels.read(store.database, [label]) == []
    assert await add(store) == []
