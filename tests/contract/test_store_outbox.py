"""The outbox: what is unpublished is found by absence; the embedded topics have no gap and no repeat."""

import asyncio
from dataclasses import replace

from sqlalchemy import select

from infra import database as databases
from infra import tables as t
from infra.database import Database
from infra.store import LogPublisher, SqlStore
from infra.store.read import log_end, tail
from pipeline.ports import Placed
from schemas.changeset import OutboxMessage
from tests.builders import SCRIBE
from tests.contract.scenes import claimed, rows, succeeded


async def decide(store: SqlStore, amount: int) -> list[OutboxMessage]:
    """The messages of this many decisions, in the order in which they were written."""
    changesets = [succeeded(claim) for claim in await claimed(store, amount)]
    await store.commit(changesets)
    ordered = sorted(changesets, key=lambda changeset: changeset.event.event_id)
    return [message for changeset in ordered for message in changeset.outbox]


def placed(messages: list[OutboxMessage], offset: int = 0) -> list[Placed]:
    return [Placed(message.id, 3, offset + index) for index, message in enumerate(messages)]


async def test_messages_come_out_as_they_went_in_oldest_first_up_to_the_limit(store: SqlStore) -> None:
    written = await decide(store, 3)

    assert await store.unpublished(limit=100) == written
    assert await store.unpublished(limit=2) == written[:2]


async def test_what_was_acknowledged_is_published_and_the_rest_stays(store: SqlStore) -> None:
    written = await decide(store, 3)

    await store.published(placed([written[4], written[1]], offset=2**40))

    assert await store.unpublished(limit=100) == [written[index] for index in (0, 2, 3, 5)]
    row = next(row for row in await rows(store.database, t.outbox) if row.id == written[1].id)
    assert (row.partition, row.offset, row.published_at is not None) == (3, 2**40 + 1, True)
    await store.published([])


async def test_an_acknowledgement_may_come_twice_and_for_what_is_not_there(store: SqlStore) -> None:
    written = await decide(store, 1)

    await store.published(placed(written))
    await store.published(placed(written, offset=10))

    assert await store.unpublished(limit=100) == []
    offsets = {row.id: row.offset for row in await rows(store.database, t.outbox)}
    assert offsets == {message.id: index for index, message in enumerate(written)}


async def test_a_message_written_late_with_an_early_number_is_found(store: SqlStore) -> None:
    written = await decide(store, 2)
    await store.published(placed(written[1:]))

    # A transaction that took its number first and committed last looks like this.
    assert await store.unpublished(limit=100) == written[:1]


async def test_topics_are_appended_without_a_gap_and_each_message_once(store: SqlStore) -> None:
    written = await decide(store, 4)
    log = LogPublisher(store.database)

    first = await log.publish(written[:4])
    again = await log.publish(written)

    assert {(place.id, place.partition) for place in again} == {(message.id, 0) for message in written}
    assert set(first) <= set(again)
    for topic in ("notes.facts.v1", "audit.records.v1"):
        found = await tail(store.database, topic)
        assert [row["offset"] for row in found] == [0, 1, 2, 3]
        assert [row["outbox_id"] for row in found] == [m.id for m in written if m.topic == topic]
        assert [row["value"] for row in found] == [m.value for m in written if m.topic == topic]
        assert await log_end(store.database, topic) == 3
    assert [row["offset"] for row in await tail(store.database, "notes.facts.v1", after=1, limit=1)] == [2]
    assert await log_end(store.database, "other") == -1
    assert await log.publish([]) == []


async def test_two_relays_by_mistake_leave_no_gap_and_no_repeat(
    database: Database, database_url: str
) -> None:
    store, other = SqlStore(database, SCRIBE), databases.connect(database_url)
    written = await decide(store, 20)
    logs = [LogPublisher(database), LogPublisher(other)]

    told = await asyncio.gather(*(log.publish(written[start:]) for start in (0, 10, 5) for log in logs))

    assert {place.id for places in told for place in places} == {message.id for message in written}
    for topic in ("notes.facts.v1", "audit.records.v1"):
        found = await tail(database, topic)
        assert [row["offset"] for row in found] == list(range(20))
        assert len({row["outbox_id"] for row in found}) == 20
    await other.close()


async def test_headers_and_keys_of_any_bytes_survive(store: SqlStore) -> None:
    (claim,) = await claimed(store, 1)
    changeset = succeeded(claim)
    wild = replace(changeset.outbox[0], key=b"\x00\xff", value=b"\xfe\x00", headers={"ce_id": "Straße ✓"})
    await store.commit([replace(changeset, outbox=(wild,))])

    assert await store.unpublished(limit=1) == [wild]
    async with store.database.read() as connection:
        assert (await connection.scalars(select(t.outbox.c.headers))).all() == [{"ce_id": "Straße ✓"}]
