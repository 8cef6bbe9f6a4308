"""Texts of events with a subject: sealed in the rows, whole for who reads, gone after an erasure."""

import asyncio
import json
from dataclasses import replace

import pytest
from sqlalchemy import select, update

from consumers.door import Door
from infra import database as databases
from infra import tables as t
from infra.database import Database
from infra.store import SqlStore, contents, erasure, history, read, rotation
from infra.store.status import status
from infra.store.words import WITHHELD
from infra.vault import opened, vault
from pipeline.catalogue import Catalogue
from pipeline.errors import Conflict, Erased, InvalidSettingsError, NotFound
from pipeline.ports import Admission
from pipeline.process import process
from pipeline.publish import AUDIT_TOPIC
from pipeline.receive import Record
from schemas.changeset import Changeset
from tests.builders import NOW, SCRIBE, STAMP, FakeModel, entry, workflow, world
from tests.conftest import Shelf
from tests.contract import private
from tests.contract.private import (
    MARK,
    NEW_KEY,
    OLD_KEY,
    VAULT,
    about,
    everything,
    files,
    live,
    publish,
    whose,
)
from tests.contract.private import (
    erasure as record_of,
)
from tests.contract.scenes import LANE, amount_of, balance, gave_up, note, replay_of, rows, tried

database = private.database


@pytest.fixture
def store(database: Database) -> SqlStore:
    return SqlStore(database, SCRIBE)


async def test_a_row_tells_nothing_of_a_subject(store: SqlStore, database: Database) -> None:
    await live(store, [about(MARK, 1), about(MARK, 2)])

    # The topics of embedded mode are as open as Kafka's.
    assert MARK.encode() not in await everything(database, without=["topic_log"])
    assert {row.salt for row in await rows(database, t.content) if row.subject_hash} == {b""}


async def test_who_reads_finds_what_was_written(store: SqlStore, database: Database) -> None:
    event = about(MARK, 1)
    await store.accept([event])

    (claim,) = await store.claim(LANE, limit=1)

    assert claim.event == event


async def test_a_journal_is_read_back_with_its_complaints(store: SqlStore) -> None:
    await store.accept([about(MARK, 1)])
    (claim,) = await store.claim(LANE, limit=1)
    failed = tried(claim, 0, "check_failed", complaints=(f"{MARK} is no city",))
    await store.journal([(failed, claim.event)])
    await store.forget()

    (again,) = await store.claim(LANE, limit=1)

    assert again.attempts == (replace(failed, request_sha256=b""),)


async def test_only_indexed_fields_stay_in_the_row_of_a_result(store: SqlStore, database: Database) -> None:
    event = about(MARK, 2)
    await live(store, [event], indexed=("amount",))

    (row,) = await rows(database, t.result)
    _, result = await history.newest(database, event.event_id)
    stands = await status(database, event.event_id)
    story = await read.story(database, event.event_id)

    assert (row.data, row.reasons) == ({"amount": "12.50"}, [])
    assert result is not None
    for data, reasons in (
        (result.data, result.reasons),
        (story.results[0]["data"], tuple(story.results[0]["reasons"])),
    ):
        assert (data, reasons) == ({"amount": "12.50", "city": MARK}, (f"{MARK} is unknown",))
    assert (stands.data, stands.withheld, stands.reasons) == (None, ("amount", "city"), (WITHHELD,))
    assert story.review[0]["reasons"] == [f"{MARK} is unknown"]
    assert (story.event["key"], story.event["subject"]) == (event.key, event.subject)
    assert story.content == event.content


async def test_a_published_message_opens_with_the_subjects_key(store: SqlStore, database: Database) -> None:
    await live(store, [about(MARK, 1)])

    (message,) = [row for row in await rows(database, t.outbox) if row.topic != AUDIT_TOPIC]
    async with database.read() as connection:
        keys = await contents.data_keys(connection, {whose(MARK)})

    text = opened(keys[whose(MARK)], message.value, about=message.id.bytes)
    assert text is not None
    assert MARK.encode() in text
    assert message.key == b""


async def test_a_text_cannot_take_anothers_place(store: SqlStore, database: Database) -> None:
    first, second = about(MARK, 1), about(MARK, 3)
    await store.accept([first, second])
    found = {row.event_id: row for row in await rows(database, t.event)}
    ids = [found[one.event_id].content_id for one in (first, second)]
    async with database.write() as connection:
        moved = select(t.content.c.data).where(t.content.c.id == ids[0]).scalar_subquery()
        await connection.execute(update(t.content).where(t.content.c.id == ids[1]).values(data=moved))

    async with database.read() as connection:
        assert await contents.read_contents(connection, ids) == {ids[0]: first.content}


async def test_an_erasure_leaves_no_value_behind(
    store: SqlStore, database: Database, database_url: str
) -> None:
    await live(store, [about(MARK, 1), about(MARK, 2)], indexed=("city",))
    await live(store, [about("Ferdinand", 5), note(6)], name="Ferdinand")
    before = await everything(database)

    found = await erasure.erase(database, whose(MARK), record_of)
    after = await everything(database)

    assert (found.events, found.results, found.obstacles) == (2, 2, [])
    assert MARK.encode() in before
    assert MARK.encode() not in after
    if database.dialect == "sqlite":
        assert MARK.encode() not in files(database_url)
    assert (await balance(database)).balanced
    stands = await status(database, about("Ferdinand", 5).event_id)
    assert (stands.data, stands.withheld) == (None, ("amount", "city"))


async def test_no_page_of_the_file_keeps_what_was_erased(shelf_sqlite: Shelf) -> None:
    url = shelf_sqlite.make()
    database = databases.connect(url, vault=VAULT)
    store = SqlStore(database, SCRIBE)
    names = [f"marked-{number:03}-person" for number in range(40)]
    for number, name in enumerate(names):
        await live(store, [about(name, number)], name=name, indexed=("city",))

    for name in names[::2]:
        await erasure.erase(database, whose(name), record_of)

    left = files(url)
    await database.close()
    assert [name for name in names[::2] if name.encode() in left] == []
    assert [name for name in names[1::2] if name.encode() not in left] == []


async def test_the_story_of_an_erased_event_says_by_whom(store: SqlStore, database: Database) -> None:
    event = about(MARK, 2)
    await live(store, [event])
    await erasure.erase(database, whose(MARK), record_of)

    story = await read.story(database, event.event_id)

    assert story.erasure is not None
    assert (story.erasure["kind"], story.erasure["actor_name"]) == ("erasure", SCRIBE.actor.name)
    assert (story.content, story.event["key"], story.event["subject"]) == (None, b"", None)
    assert [(one["data"], one["reasons"]) for one in story.results] == [(None, [str(Erased())])]
    assert await history.marks(database, event.event_id) == {}
    assert await store.find_answer(story.attempts[1]["id"].bytes) is None


async def test_a_subject_is_erased_once_and_an_unknown_one_not_at_all(
    store: SqlStore, database: Database
) -> None:
    await live(store, [about(MARK, 1)])
    await erasure.erase(database, whose(MARK), record_of)

    for name in (MARK, "Nobody"):
        with pytest.raises(NotFound, match="the spelling counts"):
            await erasure.erase(database, whose(name), record_of)


async def test_what_is_in_flight_or_not_yet_published_is_not_erased(
    store: SqlStore, database: Database
) -> None:
    await store.accept([about(MARK, 1)])
    (claim,) = await store.claim(LANE, limit=1)
    with pytest.raises(Conflict, match=f"in flight: {claim.event.event_id}; wait"):
        await erasure.erase(database, whose(MARK), record_of)

    await store.commit([gave_up(claim)])
    with pytest.raises(Conflict, match="2 messages wait for the relay"):
        await erasure.erase(database, whose(MARK), record_of)

    await publish(store)
    assert (await erasure.erase(database, whose(MARK), record_of)).events == 1


async def test_an_erased_event_that_is_replayed_is_dead(store: SqlStore, database: Database) -> None:
    await store.accept([about(MARK, 1)])
    (claim,) = await store.claim(LANE, limit=1)
    await store.commit([gave_up(claim)])
    await publish(store)
    await erasure.erase(database, whose(MARK), record_of)
    event, newest = await history.newest(database, claim.event.event_id)
    assert newest is not None
    await store.commit([replay_of(event, newest)])

    (again,) = await store.claim(LANE, limit=1)
    end = await process(again, entry(), world(FakeModel()))

    assert isinstance(end, Changeset)
    assert (end.result.state, end.result.reasons) == ("dead", (str(Erased()),))
    await store.commit([end])
    assert (await balance(database)).balanced
    assert MARK.encode() not in await everything(database)


async def test_an_erased_event_sent_again_does_not_come_back(store: SqlStore, database: Database) -> None:
    await live(store, [about(MARK, 1)])
    await erasure.erase(database, whose(MARK), record_of)

    assert await store.accept([about(MARK, 1)]) == [Admission.DUPLICATE]
    assert MARK.encode() not in await everything(database)


async def test_a_subject_that_comes_back_has_a_new_key(store: SqlStore, database: Database) -> None:
    await live(store, [about(MARK, 1)])
    (before,) = await rows(database, t.subject_key)
    await erasure.erase(database, whose(MARK), record_of)
    (gone,) = await rows(database, t.subject_key)
    await live(store, [about(MARK, 3)])

    (after,) = await rows(database, t.subject_key)

    assert (gone.wrapped_key, gone.master_key_id) == (None, None)
    assert gone.erased_at is not None
    assert after.wrapped_key not in (None, before.wrapped_key)
    assert (await status(database, about(MARK, 3).event_id)).withheld
    assert not (await status(database, about(MARK, 1).event_id)).withheld


async def test_what_comes_after_an_erasure_is_written_without_its_text(
    store: SqlStore, database: Database
) -> None:
    """A process that lost its lease may still journal a call."""
    await store.accept([about(MARK, 1)])
    (claim,) = await store.claim(LANE, limit=1)
    await store.commit([gave_up(claim)])
    await publish(store)
    await erasure.erase(database, whose(MARK), record_of)

    await store.journal([(tried(claim, 0, response=MARK.encode()), claim.event)])

    assert MARK.encode() not in await everything(database)


async def test_events_of_a_subject_that_is_being_erased_are_whole_or_refuse_it(
    store: SqlStore, database: Database, database_url: str
) -> None:
    others = [databases.connect(database_url, vault=VAULT) for _ in range(3)]
    await live(store, [about(MARK, 1)])

    erased, *admitted = await asyncio.gather(
        erasure.erase(database, whose(MARK), record_of),
        *(
            SqlStore(other, SCRIBE).accept([about(MARK, number)])
            for number, other in enumerate(others, start=7)
        ),
        return_exceptions=True,
    )

    assert admitted == [[Admission.ACCEPTED]] * 3
    assert not isinstance(erased, BaseException) or isinstance(erased, Conflict)
    claims = await store.claim(LANE, limit=10)
    assert sorted(claim.event.content for claim in claims) == sorted(
        about(MARK, n).content for n in (7, 8, 9)
    )
    await asyncio.gather(*(other.close() for other in others))


async def test_rotation_changes_the_wrapping_and_no_text(
    store: SqlStore, database: Database, database_url: str
) -> None:
    await live(store, [about(MARK, 1), about("Ferdinand", 3)])
    both = databases.connect(database_url, vault=vault(f"{NEW_KEY}\n{OLD_KEY}\n"))
    texts = [row.data for row in await rows(database, t.content)]

    number = await rotation.rewrap(both, lambda body: record_of(replace(FOUND, events=body["keys"])))
    new = databases.connect(database_url, vault=vault(NEW_KEY))
    await contents.check_master_keys(new)

    assert number == 2
    assert [row.data for row in await rows(new, t.content)] == texts
    assert (await read.story(new, about(MARK, 1).event_id)).content == about(MARK, 1).content
    with pytest.raises(InvalidSettingsError, match="which is not there"):
        await contents.check_master_keys(database)
    with pytest.raises(InvalidSettingsError, match="MASTER_KEY"):
        await read.story(database, about(MARK, 1).event_id)
    await both.close()
    await new.close()


async def test_without_a_subject_there_is_no_key_and_no_need_of_one(database_url: str) -> None:
    database = databases.connect(database_url)
    store = SqlStore(database, SCRIBE)
    await contents.check_master_keys(database)

    await live(store, [note(1)])

    assert await rows(database, t.subject_key) == []
    with pytest.raises(InvalidSettingsError, match="PENSTOCK_PRIVACY__MASTER_KEY"):
        await store.accept([about(MARK, 3)])
    await database.close()


FOUND = erasure.Found(
    events=0,
    contents=0,
    results=0,
    messages=0,
    answers=0,
    copies=(),
    exports=(),
    keys=(),
    working=(),
    unpublished=0,
    holds=(),
)


async def test_an_id_that_is_reused_with_other_data_is_kept_as_its_subjects(
    store: SqlStore, database: Database
) -> None:
    catalogue = Catalogue((entry(workflow(subject=lambda note: MARK)),))
    door = Door(store, catalogue, SCRIBE, STAMP.secret, lambda: NOW, lambda lane: None)
    event = {"specversion": "1.0", "id": "1", "source": "post", "type": "note"}
    bodies = [json.dumps({**event, "data": {"text": f"{MARK} {word}"}}).encode() for word in "ab"]

    await door.accept(
        [Record("c", "notes.written.v1", 0, place, None, body, ()) for place, body in enumerate(bodies)]
    )

    assert await amount_of(database, t.event) == 2
    assert {row.subject_hash for row in await rows(database, t.event)} == {whose(MARK)}
    kept = await everything(database, without=["outbox"])  # its dead letter has not gone out yet
    assert MARK.encode() not in kept
