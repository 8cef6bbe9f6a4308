"""Many events at once over HTTP: only what was seen, each by itself, and what changed meanwhile is named."""

import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import select

from infra import tables as t
from infra.database import Database
from infra.store import labels, reviews
from tests.api_world import DIALECTS, JSON, Api, add_token, database, running
from tests.contract.scenes import dead_on_arrival, gave_up, note, notes, states, succeeded
from tests.integration.test_api_reviews import doubt

ROLES = ("viewer", "reviewer", "operator")


@pytest.fixture(params=DIALECTS)
async def rows(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    async with database(request.param, tmp_path) as made:
        yield made


@pytest.fixture
async def api(rows: Database) -> AsyncIterator[Api]:
    """Four events that wait for a person, and a token for each role."""
    async with running(rows, embedded=False) as started:
        for role in ROLES:
            await add_token(started, role)
        await started.store.accept(notes(4))
        for _ in range(4):
            await doubt(started)
        yield started


async def found(api: Api, query: str = "", *, what: str = "reviews") -> dict[str, Any]:
    path = f"/api/{what}/bulk{query}"
    status, page = await api.send(path, b"", api.bearer("operator"), method="GET")
    assert status == 200
    return page


def seen(page: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"event_id": one["event_id"], "revision": one["revision"]} for one in page["rows"]]


async def post(api: Api, body: Any, *, what: str = "reviews", role: str = "operator") -> Any:
    return await api.send(f"/api/{what}/bulk", json.dumps(body), {**JSON, **api.bearer(role)})


async def codes(api: Api, kind: str) -> Sequence[str | None]:
    own = t.audit_record.c
    async with api.store.database.read() as connection:
        return (await connection.scalars(select(own.code).where(own.kind == kind))).all()


async def test_what_a_search_finds_is_decided_one_by_one(api: Api) -> None:
    page = await found(api, "?workflow=notes&reason=large&limit=3")
    assert (len(page["rows"]), page["count"]) == (3, {"records": 4, "is_more": False})
    assert page["rows"][0]["data"] == {"city": "Oban", "amount": "250.00"}

    body = {"action": "approve", "comment": "checked by sums", "events": seen(page)}
    status, told = await post(api, body, role="reviewer")

    assert (status, [one["state"] for one in told["done"]], told["skipped"]) == (200, ["approved"] * 3, [])
    assert await codes(api, "review") == ["in_bulk"] * 3
    assert (await found(api))["count"]["records"] == 1
    assert api.rung == ["notes"]


async def test_what_changed_meanwhile_or_is_anothers_is_left_out_and_named(api: Api) -> None:
    chosen = seen(await found(api))
    ids = [one["event_id"] for one in chosen]
    await api.send(f"/api/reviews/{ids[0]}/approve", '{"revision": 1}', {**JSON, **api.bearer("reviewer")})
    await api.send(f"/api/reviews/{ids[1]}/claim", b"", api.bearer("reviewer"))
    chosen[2]["revision"] = 7

    _, told = await post(api, {"action": "back", "events": chosen})

    assert [one["event_id"] for one in told["done"]] == ids[3:]
    whys = {one["event_id"]: one["why"] for one in told["skipped"]}
    assert list(whys) == ids[:3]
    assert "does not wait" in whys[ids[0]]
    assert "is claimed by reviewer" in whys[ids[1]]
    assert "you saw revision 7" in whys[ids[2]]


async def test_a_second_go_does_nothing_twice(api: Api) -> None:
    body = {"action": "reject", "comment": "all a test", "events": seen(await found(api))}
    await post(api, body)

    _, told = await post(api, body)

    assert (told["done"], len(told["skipped"])) == ([], 4)
    assert len(await codes(api, "review")) == 4


async def test_a_rejection_says_why_and_500_are_the_most(api: Api) -> None:
    events = seen(await found(api))

    for body in (
        {"action": "reject", "events": events},
        {"action": "approve", "events": events[:1] * 501},
        {"action": "correct", "events": events},
        {"action": "approve", "events": []},
    ):
        assert (await post(api, body))[0] == 422
    assert (await found(api))["count"]["records"] == 4


async def test_a_random_sample_is_looked_at_one_by_one(api: Api) -> None:
    await api.store.accept(notes(5)[4:])
    (claim,) = await api.store.claim("notes", limit=1)
    await api.store.commit([succeeded(claim, sampled=True)])
    drawn = {"event_id": str(claim.event.event_id), "revision": 1}

    _, told = await post(api, {"action": "approve", "events": [drawn]})

    assert "looked at by itself" in told["skipped"][0]["why"]
    assert drawn not in seen(await found(api))
    assert await reviews.find(api.store.database, claim.event.event_id) is not None


async def test_dead_events_go_back_to_work(api: Api) -> None:
    late = notes(7)[4:]
    await api.store.accept(late)
    await api.store.commit([gave_up(claim) for claim in await api.store.claim("notes", limit=3)])
    page = await found(api, "?workflow=notes", what="failures")
    assert page["count"]["records"] == 3
    first, *others = seen(page)
    await post(api, {"events": [first]}, what="failures")

    status, told = await post(api, {"events": [first, *others]}, what="failures")

    assert (status, [one["state"] for one in told["done"]]) == (200, ["reopened"] * 2)
    assert [one["event_id"] for one in told["skipped"]] == [first["event_id"]]
    assert await states(api.store.database, late) == ["reopened"] * 3
    assert (await found(api, what="failures"))["rows"] == []


async def test_of_an_event_that_was_dead_before_the_newest_revision_is_listed(api: Api) -> None:
    late = notes(5)[4:]
    await api.store.accept(late)
    await api.store.commit([gave_up(claim) for claim in await api.store.claim("notes", limit=1)])
    await post(api, {"events": seen(await found(api, what="failures"))}, what="failures")
    await api.store.commit([gave_up(claim) for claim in await api.store.claim("notes", limit=1)])

    page = await found(api, what="failures")

    assert seen(page) == [{"event_id": str(late[0].event_id), "revision": 3}]
    assert page["count"] == {"records": 1, "is_more": False}


async def test_a_cause_of_the_failures_finds_its_events_whatever_their_numbers(api: Api) -> None:
    await api.store.commit([dead_on_arrival(note(number), f"line {number}: not JSON") for number in (8, 9)])

    async def number(reason: str) -> int:
        page = await found(api, f"?reason={quote(reason)}", what="failures")
        return int(page["count"]["records"])

    assert [await number(reason) for reason in ("line #: not JSON", "line 8: not", "line #: JSON")] == [
        2,
        1,
        0,
    ]


async def test_what_was_approved_at_once_is_no_golden_case(api: Api) -> None:
    def record(_: object) -> Any:
        raise AssertionError("nothing is added")

    await post(api, {"action": "approve", "events": seen(await found(api))})

    assert await labels.add(api.store.database, "notes", who="ada", record=record) == []
