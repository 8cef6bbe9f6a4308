"""Accepting: what is new becomes rows once, what is not is told apart, the counter is exact."""

import asyncio
import hashlib
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from infra import database as databases
from infra import tables as t
from infra.database import Database
from infra.store import SqlStore
from pipeline.ports import Admission
from schemas.event import Origin, Received
from tests.builders import SCRIBE
from tests.contract.scenes import LANE, amount_of, balance, note, notes, rows

NEW, AGAIN, REUSED = Admission.ACCEPTED, Admission.DUPLICATE, Admission.ID_REUSED


async def test_a_new_event_is_accepted_and_comes_out_of_a_claim_as_it_went_in(store: SqlStore) -> None:
    event = replace(
        note(
            1, key=b"\x00\xff", origin=Origin(3, 2**40), traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01"
        ),
        subject="Straße 7",
        time=datetime(1, 1, 1, tzinfo=UTC),
        content=b"\x00 any bytes \xff",
    )

    admissions = await store.accept([event])

    (claim,) = await store.claim(LANE, limit=5)
    assert admissions == [NEW]
    assert claim.event == event
    assert (claim.revision, claim.crashes, claim.faults, claim.attempts) == (1, 1, 0, ())
    assert abs(claim.accepted_at - datetime.now(UTC)) < timedelta(minutes=1)


async def test_the_same_event_is_a_duplicate_and_other_data_under_its_id_is_not(store: SqlStore) -> None:
    await store.accept([note(1), note(2)])

    admissions = await store.accept([note(2), note(3), note(1, content=b"other"), note(1)])

    assert admissions == [AGAIN, NEW, REUSED, AGAIN]
    told = await balance(store.database)
    assert (told.accepted, told.duplicates, told.in_flight, told.balanced) == (3, 2, 3, True)


async def test_the_first_of_equal_events_in_one_batch_is_accepted(store: SqlStore) -> None:
    admissions = await store.accept([note(1), note(1), note(1, content=b"other"), note(2), note(1)])

    assert admissions == [NEW, AGAIN, REUSED, NEW, AGAIN]
    (first, _) = await store.claim(LANE, limit=5)
    assert first.event == note(1)
    assert await amount_of(store.database, t.content) == 2


async def test_a_batch_is_worked_on_in_the_order_in_which_it_came(store: SqlStore) -> None:
    batch = notes(20)

    await store.accept(batch)

    queued = sorted(await rows(store.database, t.work), key=lambda row: int(row.seq))
    assert [row.event_id for row in queued] == [event.event_id for event in batch]


async def test_nothing_is_accepted_from_an_empty_batch(store: SqlStore) -> None:
    assert await store.accept([]) == []


async def test_events_of_two_workflows_are_counted_apart(store: SqlStore) -> None:
    letter = replace(note(9), workflow="letters")

    await store.accept([note(1), letter, note(2)])

    counted = {(row.name, row.workflow): row.value for row in await rows(store.database, t.counter)}
    assert counted == {("accepted", "notes"): 2, ("accepted", "letters"): 1}


#: Nothing that an index could compress.
WILD = b"".join(hashlib.sha256(bytes([number])).digest() for number in range(256))


@pytest.mark.parametrize("key", [b"", b"k" * 100_000, WILD], ids=["empty", "long", "wild"])
async def test_any_key_that_kafka_takes_is_accepted(store: SqlStore, key: bytes) -> None:
    await store.accept([note(1, key=key)])

    (claim,) = await store.claim(LANE, limit=1, ordered=True)
    assert claim.event.key == key


async def test_the_longest_identity_is_accepted(store: SqlStore) -> None:
    # 512 characters of four bytes each, no two alike.
    wild = "".join(chr(0x20000 + 7 * index) for index in range(512))
    event = note(1, id=wild, source=wild[::-1])

    assert await store.accept([event]) == [NEW]
    assert await store.accept([event]) == [AGAIN]


async def test_1000_concurrent_duplicates_over_several_connections_are_one_event(
    database: Database, database_url: str
) -> None:
    other = databases.connect(database_url)
    stores = [SqlStore(database, SCRIBE, shard=1), SqlStore(other, SCRIBE, shard=2)]

    def batches(store: SqlStore) -> list[list[Received]]:
        # The same events in another order each time: whoever locks in the order of arrival deadlocks.
        return [[note((start + index) % 10) for index in range(10)] for start in range(50)]

    answers = await asyncio.gather(*(store.accept(batch) for store in stores for batch in batches(store)))

    told = Counter(admission for answer in answers for admission in answer)
    assert told == {NEW: 10, AGAIN: 990}
    found = await balance(database)
    assert (found.accepted, found.duplicates, found.in_flight, found.balanced) == (10, 990, 10, True)
    assert await amount_of(database, t.event) == 10
    assert await amount_of(database, t.content) == 10
    await other.close()
