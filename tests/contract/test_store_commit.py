"""The one write that decides: whole or not at all, fenced, and never stopped by one bad changeset."""

import asyncio
import json
from dataclasses import replace
from uuid import uuid4

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from infra import tables as t
from infra.database import Database
from infra.store import SqlStore
from pipeline import audit
from pipeline.errors import StoreUnavailable, Unstorable
from pipeline.ports import Admission, Written
from pipeline.publish import AUDIT_TOPIC
from schemas import reject, review
from schemas.changeset import Changeset, ClaimToken
from tests.contract.scenes import (
    LANE,
    amount_of,
    balance,
    by_rules,
    claimed,
    dead_on_arrival,
    expire_leases,
    gave_up,
    note,
    oversized,
    quoted,
    refuse,
    replayed,
    rows,
    states,
    succeeded,
)

COMMITTED, FENCED, BURIED = Written.COMMITTED, Written.FENCED, Written.BURIED
DEAD_TOPIC = "notes.written.v1.dead"


def stale(changeset: Changeset) -> Changeset:
    """Its claim was lost."""
    return replace(changeset, guard=ClaimToken(uuid4()))


async def letters(database: Database) -> dict[str, str]:
    """The stable reason of each dead letter, by the sender's id of the event."""
    bodies = [json.loads(row.value) for row in await rows(database, t.outbox) if row.topic == DEAD_TOPIC]
    return {body["id"]: body["reason"] for body in bodies}


async def test_a_batch_of_32_with_three_bad_ones_commits_29(store: SqlStore) -> None:
    claims = await claimed(store, 32)
    batch = [succeeded(claim) for claim in claims]
    batch[3] = succeeded(claims[3], review("large"))
    batch[4] = succeeded(claims[4], reject("no city"))
    batch[7] = stale(batch[7])
    batch[11] = succeeded(claims[11], city="O\0ban")
    batch[30] = oversized(batch[30])

    written = await store.commit(batch)

    wanted = {7: FENCED, 11: BURIED, 30: BURIED}
    assert written == [wanted.get(index, COMMITTED) for index in range(32)]
    others = {3: "needs_review", 4: "rejected", 7: None, 11: "dead", 30: "dead"}
    decided = [others.get(index, "succeeded") for index in range(32)]
    assert await states(store.database, [claim.event for claim in claims]) == decided
    assert await letters(store.database) == {
        "note-4": "policy",
        "note-11": "unstorable",
        "note-30": "message_too_large",
    }
    reasons = {row.event_id: row.reasons for row in await rows(store.database, t.result)}
    assert reasons[claims[11].event.event_id] == ["the result holds a NUL character"]
    assert reasons[claims[30].event.event_id] == ["the outgoing message is larger than 1000000 bytes"]
    assert [row.event_id for row in await rows(store.database, t.work)] == [claims[7].event.event_id]
    told = await balance(store.database)
    assert (told.accepted, told.in_flight, told.balanced) == (32, 1, True)


async def test_a_row_that_the_database_refuses_ends_its_event_dead_and_the_31_others_as_decided(
    store: SqlStore,
) -> None:
    claims = await claimed(store, 32)
    culprit = claims[20].event
    refused = f"NEW.event_id = {quoted(store.database, culprit.event_id)} AND NEW.state <> 'dead'"
    await refuse(store.database, t.result, refused)

    written = await store.commit([succeeded(claim) for claim in claims])

    assert written == [BURIED if claim.event == culprit else COMMITTED for claim in claims]
    found = await states(store.database, [claim.event for claim in claims])
    assert found == ["dead" if claim.event == culprit else "succeeded" for claim in claims]
    assert await letters(store.database) == {"note-20": "unstorable"}
    assert await amount_of(store.database, t.work) == 0
    assert (await balance(store.database)).balanced


async def test_what_cannot_even_be_buried_does_not_take_the_others_with_it(store: SqlStore) -> None:
    claims = await claimed(store, 8)
    for culprit in (claims[1], claims[6]):
        name = quoted(store.database, culprit.event.event_id)
        table = t.result if culprit is claims[1] else t.audit_record
        await refuse(store.database, table, f"NEW.event_id = {name}")

    with pytest.raises(Unstorable, match="the database refused the result"):
        await store.commit([succeeded(claim) for claim in claims])

    found = await states(store.database, [claim.event for claim in claims])
    assert found == [None if index in (1, 6) else "succeeded" for index in range(8)]
    assert await amount_of(store.database, t.work) == 2
    assert (await balance(store.database)).balanced


async def test_a_wrong_statement_is_a_bug_and_buries_nobody(store: SqlStore) -> None:
    claims = await claimed(store, 2)
    async with store.database.write() as connection:
        await connection.execute(text("ALTER TABLE review RENAME TO elsewhere"))

    with pytest.raises(DBAPIError):
        await store.commit([succeeded(claims[0], review("large")), succeeded(claims[1])])

    assert await amount_of(store.database, t.result) == 0


async def test_a_decision_is_written_with_all_that_follows_from_it(store: SqlStore) -> None:
    good, questionable = await claimed(store, 2)
    first, second = succeeded(good), succeeded(questionable, review("large", "unusual"))

    await store.commit([first, second])

    results = {row.event_id: row for row in await rows(store.database, t.result)}
    row = results[good.event.event_id]
    assert (row.id, row.revision, row.supersedes, row.workflow) == (first.result.id, 1, None, LANE)
    assert (row.state, row.data, row.reasons) == ("succeeded", {"city": "Oban", "amount": "12.50"}, [])
    assert (row.decided_at, row.model) == (first.result.decided_at, "fast-1-2024")
    messages = {row.id: row for row in await rows(store.database, t.outbox)}
    assert set(messages) == {message.id for message in first.outbox + second.outbox}
    message = messages[first.outbox[0].id]
    assert (message.topic, message.key, message.value) == ("notes.facts.v1", b"key-1", first.outbox[0].value)
    assert message.headers == first.outbox[0].headers
    (item,) = await rows(store.database, t.review)
    assert (item.event_id, item.reasons) == (questionable.event.event_id, ["large", "unusual"])
    assert await amount_of(store.database, t.work) == 0


async def test_a_degraded_result_is_an_outcome_with_data_and_without_a_model(store: SqlStore) -> None:
    (claim,) = await claimed(store, 1)

    assert await store.commit([by_rules(claim)]) == [COMMITTED]

    (row,) = await rows(store.database, t.result)
    assert (row.state, row.model, row.evidence) == ("degraded", None, None)
    assert row.data == {"city": "Oban", "amount": "12.50"}
    told = await balance(store.database)
    assert (told.outcomes, told.in_flight, told.balanced) == ({"degraded": 1}, 0, True)


async def test_every_audit_record_is_stored_byte_by_byte(store: SqlStore) -> None:
    claims = await claimed(store, 4)
    dead = gave_up(claims[1])
    await store.commit([succeeded(claims[0]), dead, succeeded(claims[2], review("Ünïcode \u2028 ✓"))])
    await store.commit([succeeded(claims[3], city="O\0ban"), replayed(dead)])

    records = await rows(store.database, t.audit_record)

    assert len(records) == 5
    for row in records:
        told = json.loads(row.canonical)
        assert row.leaf == audit.leaf(row.canonical)
        assert row.canonical == audit.canonical(told)
        assert (told["id"], told["kind"], told["outcome"]) == (str(row.id), row.kind, row.outcome)
        assert (told["revision"], told["event_id"]) == (row.revision, str(row.event_id))
        assert (told["actor"]["kind"], told["actor"]["name"]) == (row.actor_kind, row.actor_name)
        assert (told["workflow"], told["version"]) == (row.workflow, row.version)
        assert told["occurred_at"] == row.occurred_at.isoformat()
    topics = {row.topic: row for row in await rows(store.database, t.outbox)}
    assert AUDIT_TOPIC in topics


async def test_an_event_dead_at_the_door_exists_counts_and_is_dead_at_once(store: SqlStore) -> None:
    changesets = [dead_on_arrival(note(number, content=b"\xff not JSON")) for number in (1, 2)]

    assert await store.commit(changesets) == [COMMITTED, COMMITTED]

    told = await balance(store.database)
    assert (told.accepted, told.outcomes, told.in_flight, told.balanced) == (2, {"dead": 2}, 0, True)
    assert await amount_of(store.database, t.event) == await amount_of(store.database, t.content) == 2
    assert await letters(store.database) == {"note-1": "invalid_event", "note-2": "invalid_event"}


async def test_an_event_dead_at_the_door_is_new_only_once(store: SqlStore) -> None:
    changeset, other = dead_on_arrival(note(1)), dead_on_arrival(note(2))
    await store.accept([note(3)])

    written = await store.commit([changeset, other, changeset, dead_on_arrival(note(3))])

    assert written == [COMMITTED, COMMITTED, FENCED, FENCED]
    assert await store.commit([changeset]) == [FENCED]
    assert await store.accept([note(1)]) == [Admission.DUPLICATE]
    told = await balance(store.database)
    assert (told.accepted, told.outcomes, told.in_flight, told.balanced) == (3, {"dead": 2}, 1, True)


async def test_a_dead_letter_from_the_door_that_is_too_large_is_buried(store: SqlStore) -> None:
    assert await store.commit([oversized(dead_on_arrival(note(1)))]) == [BURIED]

    assert await letters(store.database) == {"note-1": "message_too_large"}


async def test_a_commit_that_is_repeated_is_fenced(store: SqlStore) -> None:
    (claim,) = await claimed(store, 1)
    await store.commit([succeeded(claim)])

    assert await store.commit([succeeded(claim)]) == [FENCED]

    assert await amount_of(store.database, t.outbox) == 2


async def test_of_two_changesets_on_one_event_in_one_batch_the_one_with_the_claim_is_written(
    store: SqlStore,
) -> None:
    (lost,) = await claimed(store, 1)
    await expire_leases(store.database)
    (held,) = await store.claim(LANE, limit=1)

    written = await store.commit([gave_up(lost), succeeded(held)])

    assert written == [FENCED, COMMITTED]
    assert await states(store.database, [held.event]) == ["succeeded"]


async def test_nothing_is_written_from_an_empty_batch(store: SqlStore) -> None:
    assert await store.commit([]) == []


async def test_a_commit_that_loses_the_database_is_written_whole_or_not_at_all(store: SqlStore) -> None:
    claims = await claimed(store, 16)
    batch = [succeeded(claim, review("large")) for claim in claims]

    with pytest.raises(StoreUnavailable):
        await commit_and_lose_the_database(store, batch)

    for table in (t.result, t.audit_record, t.outbox, t.review):
        assert await amount_of(store.database, table) == 0
    assert await amount_of(store.database, t.work) == 16
    assert set(await store.commit(batch)) == {COMMITTED}


async def commit_and_lose_the_database(store: SqlStore, batch: list[Changeset]) -> None:
    """PostgreSQL ends the session after most rows are written; SQLite's disk is full by then."""
    if store.database.dialect == "sqlite":
        async with store.database.writer.connect() as connection:
            pages = (await connection.execute(text("PRAGMA page_count"))).scalar_one()
            await connection.execute(text(f"PRAGMA max_page_count = {pages + 4}"))
        try:
            await store.commit(batch)
        finally:
            async with store.database.writer.connect() as connection:
                await connection.execute(text("PRAGMA max_page_count = 1000000"))
        return
    async with store.database.write() as blocking:
        await blocking.execute(text("LOCK TABLE review"))
        committing = asyncio.create_task(store.commit(batch))
        await end_the_session_that_waits(store.database)
    await committing


async def end_the_session_that_waits(database: Database) -> None:
    ended = select(func.pg_terminate_backend(text("pid"))).select_from(text("pg_stat_activity"))
    waits = ended.where(text("datname = current_database() AND wait_event_type = 'Lock'"))
    for _ in range(500):
        await asyncio.sleep(0.01)
        async with database.read() as connection:
            if (await connection.execute(waits)).first() is not None:
                return
    pytest.fail("no session waits for the lock")


async def test_a_commit_that_is_cancelled_is_whole_or_nothing_and_leaves_the_connection_usable(
    store: SqlStore,
) -> None:
    claims = await claimed(store, 40)

    for index in range(0, 40, 4):
        part = [succeeded(claim) for claim in claims[index : index + 4]]
        committing = asyncio.create_task(store.commit(part))
        await asyncio.sleep(index / 4_000)
        committing.cancel()
        await asyncio.gather(committing, return_exceptions=True)

    for claim in claims:
        state = (await states(store.database, [claim.event]))[0]
        assert (state == "succeeded") != any(
            row.event_id == claim.event.event_id for row in await rows(store.database, t.work)
        )
    told = await balance(store.database)
    assert told.balanced
    assert await amount_of(store.database, t.outbox) == 2 * (40 - told.in_flight)
