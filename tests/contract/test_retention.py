"""What is older than its kind is kept goes; the books, the holds and the versions still stand."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, update

from infra import tables as t
from infra.database import Database
from infra.store import SqlStore, administration, erasure, history, joins, retention, versions
from infra.store.holds import Hold, add_hold, holds, remove_hold
from infra.store.read import story, tail
from infra.store.status import status
from pipeline.errors import Conflict, Erased, NotFound
from pipeline.ports import Admission
from pipeline.process import process
from pipeline.retention import Terms
from pipeline.trail import noted
from pipeline.verify import Findings
from schemas.changeset import Changeset
from tests.builders import NOW, SCRIBE, FakeModel, entry, world
from tests.contract import private
from tests.contract.private import MARK, about, live, pruned, publish, whose
from tests.contract.private import erasure as record_of
from tests.contract.scenes import LANE, amount_of, balance, gave_up, note, replay_of, rows

database = private.database

#: The events of the tests were decided on in 2024.
OLD, ANCIENT = timedelta(days=1), timedelta(days=36_500)


@pytest.fixture
def store(database: Database) -> SqlStore:
    return SqlStore(database, SCRIBE)


async def prune(store: SqlStore, **terms: timedelta) -> dict[str, int]:
    return dict(await retention.prune(store.database, Terms(**terms), pruned, shard=store.shard))


async def hold(database: Database, **what: object) -> Hold:
    made = Hold(uuid4(), "a dispute", NOW, "os:ada@desk", **what)  # type: ignore[arg-type]
    await add_hold(database, made, noted("hold_added", {"hold": str(made.id)}, scribe=SCRIBE, now=NOW))
    return made


async def test_what_is_young_enough_or_has_no_term_stays(store: SqlStore, database: Database) -> None:
    await live(store, [note(1)])

    assert await prune(store) == {}
    assert await prune(store, content=ANCIENT, journal=ANCIENT, results=ANCIENT, topics=ANCIENT) == {}


async def test_texts_go_and_the_numbers_stay(store: SqlStore, database: Database) -> None:
    event = note(1)
    await live(store, [event])

    removed = await prune(store, content=OLD)
    told = await story(database, event.event_id)

    assert removed["content"] == 6  # its own, two requests of two texts that are the same twice, two answers
    assert told.content is None
    assert len(told.attempts) == 2
    assert await history.marks(database, event.event_id) == {}
    assert (await status(database, event.event_id)).data is not None
    assert await prune(store, content=OLD) == {}


async def test_of_a_subject_the_result_stays_as_long_as_results_do(
    store: SqlStore, database: Database
) -> None:
    await live(store, [about(MARK, 1)])

    await prune(store, content=OLD)

    _, result = await history.newest(database, about(MARK, 1).event_id)
    assert result is not None
    assert result.data == {"city": MARK, "amount": "12.50"}


async def test_the_journal_goes_with_the_texts_that_only_it_refers_to(
    store: SqlStore, database: Database
) -> None:
    event = about(MARK, 1)
    await live(store, [event])

    removed = await prune(store, journal=OLD)
    told = await story(database, event.event_id)

    assert removed["attempt"] == 2
    assert (told.attempts, told.content) == ((), event.content)
    assert told.results[0]["data"] == {"city": MARK, "amount": "12.50"}


async def test_results_go_whole_and_are_still_counted(store: SqlStore, database: Database) -> None:
    await live(store, [note(1), note(3), about(MARK, 5)])
    before = await balance(database)

    removed = await prune(store, results=OLD)
    after = await balance(database)

    assert removed["result"] == 3
    assert after == before
    assert after.balanced
    for table in (t.result, t.result_index, t.attempt, t.outbox, t.subject_key):
        assert await amount_of(database, table) == 0
    assert {row.event_id for row in await rows(database, t.content)} == {None}
    assert "pruned" in {row.kind for row in await rows(database, t.audit_record)}
    assert (await prune(store, results=OLD)) == {}


async def test_what_is_sent_again_after_its_result_was_pruned_is_a_repeat(
    store: SqlStore, database: Database
) -> None:
    await live(store, [note(1), about(MARK, 5)])
    await prune(store, results=OLD)

    assert await store.accept([note(1), about(MARK, 5)]) == [Admission.DUPLICATE] * 2
    assert (await status(database, note(1).event_id)).state == "pruned"
    told = await story(database, note(1).event_id)
    assert (told.state, told.results, bool(told.audit)) == ("pruned", (), True)
    left = [row for row in await rows(database, t.event) if row.event_id == about(MARK, 5).event_id]
    assert [(row.key, row.subject, row.subject_hash) for row in left] == [(b"", None, None)]
    assert (await balance(database)).balanced


async def test_a_log_whose_results_were_pruned_has_no_difference_but_one_that_was_helped_has(
    store: SqlStore, database: Database
) -> None:
    await live(store, [note(number) for number in (1, 3, 5)])
    await prune(store, results=OLD)
    await live(store, [note(9)])

    assert await missed(database) == []
    async with database.write() as connection:
        await connection.execute(delete(t.result).where(t.result.c.event_id == note(9).event_id))
    assert len(await missed(database)) == 1
    async with database.write() as connection:
        (pruning_id,) = {row.pruning_id for row in await rows(database, t.event)} - {None}
        own = t.event.c.event_id == note(9).event_id
        await connection.execute(update(t.event).where(own).values(pruning_id=pruning_id))
    assert [what for _, what in await missed(database)] == [
        f"the record {pruning_id} says that 3 events were pruned, and these are others"
    ]
    async with database.write() as connection:
        await connection.execute(update(t.event).where(own).values(pruning_id=UUID(int=1)))
    assert [what for _, what in await missed(database)] == [
        f"{note(9).event_id} says it was pruned, by no record"
    ]


async def test_an_erasure_is_believed_only_where_a_record_says_so(
    store: SqlStore, database: Database
) -> None:
    """Else one column hid whatever was done to an event's texts, and one row took them all away."""
    await live(store, [note(1), about(MARK, 3), about("Bert", 5)])
    await erasure.erase(database, whose(MARK), record_of)
    assert await missed(database) == []

    (erasure_id,) = {row.erasure_id for row in await rows(database, t.event)} - {None}
    own = t.event.c.event_id == note(1).event_id
    for forged, said in ((UUID(int=1), 0), (erasure_id, 1)):
        async with database.write() as connection:
            await connection.execute(update(t.event).where(own).values(erasure_id=forged))
        (found,) = await missed(database)
        assert f"say that the record {forged} erased them, which says {said}" in found[1]
    async with database.write() as connection:
        await connection.execute(update(t.event).where(own).values(erasure_id=None))
        await connection.execute(delete(t.subject_key).where(t.subject_key.c.subject_hash == whose("Bert")))
    assert [what for _, what in await missed(database)] == [
        f"the key of {about('Bert', 5).event_id}'s texts is gone, by no erasure"
    ]


async def test_an_erased_event_whose_results_were_pruned_is_no_difference(
    store: SqlStore, database: Database
) -> None:
    await live(store, [about(MARK, 1), about(MARK, 3)])
    await erasure.erase(database, whose(MARK), record_of)
    await prune(store, results=OLD)

    assert await missed(database) == []


async def missed(database: Database) -> list[tuple[str, str]]:
    """What a verification says of records and results."""
    findings = Findings()
    async with database.read() as connection:
        await joins.joins(connection, findings, first=0)
    return [(one.where, one.what) for one in findings.named]


async def test_more_than_a_batch_goes_in_several(
    store: SqlStore, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_BATCH", 2)
    await live(store, [note(number) for number in (1, 3, 5, 7, 9)])

    removed = await prune(store, content=OLD, results=OLD, topics=OLD)

    assert removed["result"] == 5
    assert [row.kind for row in await rows(database, t.audit_record)].count("pruned") == 3


async def test_what_waits_for_somebody_stays(store: SqlStore, database: Database) -> None:
    reviewed, working, unpublished = note(2), note(3), note(5)
    await live(store, [reviewed])
    await store.accept([unpublished])
    (claim,) = await store.claim(LANE, limit=1)
    await store.commit([gave_up(claim)])
    await store.accept([working])

    assert await prune(store, content=OLD, journal=OLD, results=OLD) == {}


async def test_a_replay_of_what_is_no_longer_kept_is_dead(store: SqlStore, database: Database) -> None:
    await store.accept([note(1)])
    (claim,) = await store.claim(LANE, limit=1)
    await store.commit([gave_up(claim)])
    await publish(store)
    await prune(store, content=OLD)
    event, newest = await history.newest(database, claim.event.event_id)
    assert newest is not None
    await store.commit([replay_of(event, newest)])

    (again,) = await store.claim(LANE, limit=1)
    end = await process(again, entry(), world(FakeModel()))

    assert isinstance(end, Changeset)
    assert end.result.reasons == (str(Erased()),)


async def test_an_embedded_topic_goes_on_counting_its_offsets(store: SqlStore, database: Database) -> None:
    await live(store, [note(1), note(3)])
    topic = "notes.facts.v1"

    await publish_again(database)
    removed = await prune_topics(store, database)
    left = await tail(database, topic)

    assert removed["topic_log"] > 0
    assert [(row["offset"], row["value"]) for row in left] == [(1, b"")]
    await live(store, [note(5)])
    assert [row["offset"] for row in await tail(database, topic)] == [1, 2]


async def publish_again(database: Database) -> None:
    """As if everything had been published long ago."""
    async with database.write() as connection:
        await connection.execute(t.outbox.update().values(published_at=NOW))


async def prune_topics(store: SqlStore, database: Database) -> dict[str, int]:
    return await prune(store, topics=OLD)


@pytest.mark.parametrize("by", ["subject_hash", "event_id", "workflow"])
async def test_a_hold_keeps_from_pruning_and_erasure_until_it_is_removed(
    store: SqlStore, database: Database, by: str
) -> None:
    event = about(MARK, 1)
    await live(store, [event, note(3)])
    await publish_again(database)
    kept = {"subject_hash": whose(MARK), "event_id": event.event_id, "workflow": LANE}
    made = await hold(database, **{by: kept[by]})

    removed = await prune(store, content=OLD, journal=OLD, results=OLD, topics=OLD)
    with pytest.raises(Conflict, match=rf"held by {made.id} \(a dispute, by os:ada@desk\)"):
        await erasure.erase(database, whose(MARK), record_of)

    assert removed.get("result", 0) == (0 if by == "workflow" else 1)
    assert (await story(database, event.event_id)).content == event.content
    assert await holds(database) == [made]
    await remove_hold(database, made.id, noted("hold_removed", {}, scribe=SCRIBE, now=NOW))
    assert (await erasure.erase(database, whose(MARK), record_of)).events == 1
    assert {"hold_added", "hold_removed"} <= {row.kind for row in await rows(database, t.audit_record)}


async def test_a_hold_that_is_not_there_is_not_removed(database: Database) -> None:
    with pytest.raises(NotFound, match="penstock hold list"):
        await remove_hold(database, UUID(int=1), noted("hold_removed", {}, scribe=SCRIBE, now=NOW))


async def test_a_version_binds_its_successors_without_its_results(
    store: SqlStore, database: Database
) -> None:
    registered = entry()
    record = noted("workflow_version", {}, scribe=SCRIBE, now=NOW)
    await administration.register_versions(database, [registered], [record], release="1")
    async with database.write() as connection:
        await connection.execute(t.workflow_version.update().values(first_seen_at=NOW))
    assert await versions.published(database, "notes.facts.v1") == []
    await live(store, [note(1)])
    (before,) = await versions.published(database, "notes.facts.v1")

    await prune(store, results=OLD)

    (after,) = await versions.published(database, "notes.facts.v1")
    assert replace(after, pruned_at=None) == before
    assert await versions.published(database, "another.v1") == []
