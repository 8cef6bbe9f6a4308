"""Searching the audit trail: what each filter takes, and that page, count and export never disagree."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from infra import tables as t
from infra.database import Database
from infra.store import SqlStore, administration, search
from infra.store.search import Count, Found, Place, Search
from pipeline.errors import NotFound
from pipeline.record import decided
from pipeline.trail import noted
from schemas import accept, review
from schemas.changeset import Actor
from tests.builders import NOW, SCRIBE, Facts, answer_of, attempt, entry, workflow
from tests.contract.scenes import claimed, dead, gave_up, replayed, rows

INDEXED = entry(workflow(indexed=("city", "amount")))
WEEK = timedelta(days=7)


async def decide(store: SqlStore, cities: list[str], **options: Any) -> list[UUID]:
    """An accepted event per city, a second apart; returns the events."""
    claims = await claimed(store, len(cities))
    for number, (claim, city) in enumerate(zip(claims, cities, strict=True)):
        facts = Facts.model_validate({"city": city, "amount": "12.50"})
        decision = options.get("decision", accept())
        model = replace(attempt(), model_answered=f"model-{city.casefold()}")
        answer = answer_of(facts, [model])
        now = NOW + timedelta(seconds=number)
        await store.commit([decided(claim, INDEXED, decision, answer, now=now, scribe=SCRIBE)])
    return [claim.event.event_id for claim in claims]


async def found(store: SqlStore, **wanted: Any) -> list[Found]:
    """A page of all; count and export are checked to say the same."""
    asked = Search(**wanted)
    page = await search.page(store.database, asked, limit=1_000)
    assert await search.count(store.database, asked) == Count(len(page), is_more=False)
    exported = [row async for rows in search.export(store.database, asked) for row in rows]
    assert exported == page[::-1]
    return page


async def events(store: SqlStore, **wanted: Any) -> list[UUID | None]:
    """The events of what is found, the oldest first."""
    return [row.event_id for row in reversed(await found(store, **wanted))]


async def test_without_a_filter_every_record_is_found_the_newest_first(store: SqlStore) -> None:
    decisions = await decide(store, ["Oban", "Mallaig"])
    await administration.write_record(
        store.database, noted("workflow_paused", {}, scribe=SCRIBE, now=NOW - WEEK)
    )

    page = await found(store)

    assert [row.event_id for row in page] == [decisions[1], decisions[0], None]
    assert [row.kind for row in page] == ["decision", "decision", "workflow_paused"]


async def test_each_filter_takes_what_it_names(store: SqlStore) -> None:
    oban, mallaig = await decide(store, ["Oban", "Mallaig"])
    (row, _) = await found(store)

    cases: list[tuple[dict[str, Any], list[UUID]]] = [
        ({"since": NOW + timedelta(seconds=1)}, [mallaig]),
        ({"until": NOW + timedelta(seconds=1)}, [oban]),
        ({"kind": "workflow_paused"}, []),
        ({"event_id": oban}, [oban]),
        ({"workflow": "notes"}, [oban, mallaig]),
        ({"workflow": "Notes"}, []),
        ({"version": "5" * 12}, [oban, mallaig]),
        ({"version": "6"}, []),
        ({"outcome": "succeeded"}, [oban, mallaig]),
        ({"outcome": "dead"}, []),
        ({"model": "model-oban"}, [oban]),
        ({"actor": "work"}, [oban, mallaig]),
        ({"actor": "WORK"}, []),
        ({"reason": "policy"}, [oban, mallaig]),
        ({"reason": "polic"}, []),
        ({"fields": (("city", "OBAN"),)}, [oban]),
        ({"fields": (("city", "oban"), ("amount", "12.50"))}, [oban]),
        ({"fields": (("city", "oban"), ("amount", "13.00"))}, []),
        ({"fields": (("amount", "12.50"),)}, [oban, mallaig]),
        ({"fields": (("town", "oban"),)}, []),
        ({"text": "NOTE-1"}, [mallaig]),
        ({"text": str(oban).upper()}, [oban]),
        ({"text": str(row.id)}, [mallaig]),
        ({"text": "llai"}, [mallaig]),
        ({"text": "worker"}, [oban, mallaig]),
        ({"text": "%"}, []),
        ({"text": "note_1"}, []),
        ({"workflow": "notes", "text": "oban", "outcome": "dead"}, []),
    ]
    for wanted, expected in cases:
        assert await events(store, **wanted) == expected, wanted


async def test_a_reason_is_a_code_or_a_part_of_it_in_words(store: SqlStore) -> None:
    (doubted,) = await decide(store, ["Oban"], decision=review("the Amount is  100% STRASSE", "no date"))

    for text in ("100% straße", "the amount", "no date", "policy", "100%"):
        assert await events(store, reason=text) == [doubted], text
    for text in ("100_", "note-0", "worker", "amount no date"):
        assert await events(store, reason=text) == [], text


async def test_what_people_did_and_what_is_about_no_event_is_found_by_who_did_it(store: SqlStore) -> None:
    await store.commit([replayed(await dead(store), Actor("token", "Ada's desk"))])
    made = noted("token_made", {"name": "till-7"}, scribe=SCRIBE, now=NOW)
    await administration.write_record(store.database, made)

    (replay,) = await found(store, actor="Ada's")
    (token,) = await found(store, text="TILL-7")

    assert (replay.kind, replay.outcome, replay.revision, replay.actor_kind) == (
        "replay",
        "reopened",
        2,
        "token",
    )
    assert (token.id, token.event_id) == (made.id, None)
    assert [row.kind for row in await found(store, text="ada's DESK")] == ["replay"]


async def test_a_search_that_names_an_events_field_finds_the_revision_that_had_it(store: SqlStore) -> None:
    (claim,) = await claimed(store, 1)
    await store.commit([gave_up(claim)])
    await store.commit([replayed(gave_up(claim))])
    (again,) = await store.claim("notes", limit=1)
    facts = answer_of(Facts.model_validate({"city": "Oban", "amount": None}))
    await store.commit([decided(again, INDEXED, accept(), facts, now=NOW, scribe=SCRIBE)])

    (hit,) = await found(store, fields=(("city", "oban"),))

    assert (hit.revision, hit.outcome) == (3, "succeeded")
    assert await found(store, fields=(("amount", "null"),)) == []
    index = await rows(store.database, t.result_index)
    assert [(row.revision, row.workflow, row.field, row.value) for row in index] == [
        (3, "notes", "city", "oban")
    ]


async def test_pages_follow_each_other_without_a_gap_though_records_come_meanwhile(store: SqlStore) -> None:
    wanted = await decide(store, ["a", "b", "c", "d", "e"])
    same = [noted("workflow_paused", {"at": number}, scribe=SCRIBE, now=NOW) for number in range(4)]
    for made in same:
        await administration.write_record(store.database, made)
    whole = await found(store)

    seen: list[Found] = []
    while page := await search.page(
        store.database, Search(), after=seen[-1].place if seen else None, limit=2
    ):
        seen += page
        late = noted("workflow_resumed", {"at": len(seen)}, scribe=SCRIBE, now=NOW + WEEK)
        await administration.write_record(store.database, late)

    assert seen == whole
    assert {row.event_id for row in seen} == {None, *wanted}


async def test_counting_ends_where_a_number_says_no_more(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await decide(store, ["a", "b", "c"])
    monkeypatch.setattr(search, "MAX_COUNT", 2)

    assert await search.count(store.database, Search()) == Count(2, is_more=True)
    assert await search.count(store.database, Search(text="note-1")) == Count(1, is_more=False)


async def test_an_export_of_several_pages_is_all_of_it(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = await decide(store, ["a", "b", "c", "d"])
    monkeypatch.setattr(search, "_PAGE", 2)

    pages = [page async for page in search.export(store.database, Search())]

    assert [[row.event_id for row in page] for page in pages] == [wanted[:2], wanted[2:]]


async def test_one_record_is_found_by_its_id(store: SqlStore) -> None:
    await decide(store, ["Oban"])
    (wanted,) = await found(store)

    assert await search.one(store.database, wanted.id) == wanted
    with pytest.raises(NotFound, match="no audit record"):
        await search.one(store.database, UUID(int=1))


def test_a_place_is_read_back_from_its_text() -> None:
    place = Place(datetime(2024, 5, 17, 12, 30, 1, 5, tzinfo=UTC), UUID(int=7))

    assert str(place) == f"2024-05-17T12:30:01.000005Z_{UUID(int=7)}"
    assert Place.parse(str(place)) == place


@pytest.mark.parametrize("text", ["", "x", "2024-05-17", f"2024-05-17T12:30:00_{UUID(int=7)}"])
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Place.parse(text)


async def test_a_record_is_found_by_its_leaf_through_an_index(database: Database) -> None:
    """Who has a message asks by its `audit_leaf`; the whole trail would be read else."""
    explain = "EXPLAIN QUERY PLAN " if database.dialect == "sqlite" else "EXPLAIN "
    none = "x'00'" if database.dialect == "sqlite" else r"'\x00'"
    async with database.read() as connection:
        if database.dialect == "postgresql":
            await connection.execute(sa.text("SET LOCAL enable_seqscan = off"))
        query = f"{explain}SELECT canonical FROM audit_record WHERE leaf = {none}"
        plan = " ".join(map(str, (await connection.execute(sa.text(query))).all()))

    assert "audit_record_leaf" in plan
