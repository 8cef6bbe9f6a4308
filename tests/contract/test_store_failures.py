"""Failures by cause, the events of a cause by pages, and the index that both are read from."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text, update

from infra import tables as t
from infra.database import Database
from infra.store import SqlStore
from infra.store.failures import Group, Page, Place, events, failed_calls, groups, shape
from pipeline.errors import InvalidEvent
from pipeline.record import dead_at_the_door
from schemas import reject
from schemas.changeset import Changeset
from tests.builders import NOW, SCRIBE, entry
from tests.contract.scenes import LANE, claimed, dead, note, replayed, succeeded, tried


def broken(number: int, why: str) -> Changeset:
    """An event that came in broken, a second after the one before it."""
    now = NOW + timedelta(seconds=number)
    return dead_at_the_door(note(number), entry(), InvalidEvent(why), now=now, scribe=SCRIBE)


async def page(store: SqlStore, reason: str, *, limit: int, after: Place | None = None) -> Page:
    return await events(store.database, workflow=LANE, state="dead", reason=reason, after=after, limit=limit)


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("not JSON: line 1, column 12", "not JSON: line #, column #"),
        ("a refund of 5,000.00 EUR is above 100", "a refund of # EUR is above #"),
        ("does not fit notes.v1: send UTF-8", "does not fit notes.v1: send UTF-8"),
        (None, ""),
    ],
)
def test_reasons_are_alike_when_only_numbers_differ(reason: str | None, expected: str) -> None:
    assert shape(reason) == expected


async def test_failures_are_grouped_by_cause_the_most_first(store: SqlStore) -> None:
    await store.commit([broken(1, "no city"), *(broken(n, f"bad at byte {n}") for n in (2, 3, 4))])

    found = await groups(store.database)

    first, second = NOW + timedelta(seconds=2), NOW + timedelta(seconds=4)
    assert found.looked_at == 4
    assert found.groups == (
        Group(LANE, "dead", "bad at byte #", 3, first, second),
        Group(LANE, "dead", "no city", 1, NOW + timedelta(seconds=1), NOW + timedelta(seconds=1)),
    )
    assert (await groups(store.database, workflow="letters")).groups == ()


async def test_what_a_policy_rejects_is_there_too_and_what_succeeds_is_not(store: SqlStore) -> None:
    one, two = await claimed(store, 2)
    await store.commit([succeeded(one), succeeded(two, reject("no city"))])

    found = await groups(store.database)

    assert [(group.state, group.reason, group.count) for group in found.groups] == [
        ("rejected", "no city", 1)
    ]


async def test_a_replayed_event_leaves_its_group(store: SqlStore) -> None:
    letter = await dead(store)
    assert (await groups(store.database)).looked_at == 1

    await store.commit([replayed(letter)])

    assert (await groups(store.database)).looked_at == 0


async def test_pages_walk_through_all_events_of_a_group_and_no_others(store: SqlStore) -> None:
    await store.commit([broken(n, f"bad at byte {n}" if n % 2 else "no city") for n in range(11)])

    found, place = [], None
    for _ in range(3):
        one = await page(store, "bad at byte #", limit=2, after=place)
        found += [row["source_id"] for row in one.rows]
        place = one.next

    assert found == ["note-9", "note-7", "note-5", "note-3", "note-1"]
    assert place is None


async def test_pages_of_one_moment_are_told_apart_by_id(store: SqlStore) -> None:
    await store.commit([broken(n, "no city") for n in range(5)])
    async with store.database.write() as connection:
        await connection.execute(update(t.result).values(decided_at=NOW))

    one = await page(store, "no city", limit=3)
    two = await page(store, "no city", limit=3, after=one.next)

    ids = [row["event_id"] for row in (*one.rows, *two.rows)]
    assert len(set(ids)) == 5
    assert two.next is None


async def test_calls_that_failed_are_counted_by_model_and_what_happened(store: SqlStore) -> None:
    one, two = await claimed(store, 2)
    now = datetime.now(UTC)
    await store.journal(
        [
            (tried(one, 0, "model_timeout", started_at=now), one.event),
            (tried(one, 1, started_at=now), one.event),
            (tried(two, 0, "model_timeout", started_at=now), two.event),
            (tried(two, 1, "truncated", started_at=now - timedelta(days=3)), two.event),
        ]
    )

    (found,) = await failed_calls(store.database, within=timedelta(days=1))

    assert (found.failure, found.count) == ("model_timeout", 2)


async def test_failures_are_read_from_their_index(database: Database) -> None:
    """However many results there are: without the index each page would read them all."""
    query = (
        "SELECT event_id FROM result WHERE state IN ('dead', 'refused_input', 'rejected') "
        "ORDER BY decided_at DESC, event_id DESC LIMIT 10"
    )
    explain = "EXPLAIN QUERY PLAN " if database.dialect == "sqlite" else "EXPLAIN "
    async with database.read() as connection:
        if database.dialect == "postgresql":
            await connection.execute(text("SET LOCAL enable_seqscan = off"))
        plan = " ".join(map(str, (await connection.execute(text(explain + query))).all()))

    assert "result_failed" in plan
