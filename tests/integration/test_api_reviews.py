"""The desk over HTTP: who may, what is answered, and that two people do not decide twice."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from infra import schema
from infra import tables as t
from infra.database import Database, connect
from infra.store.words import WITHHELD
from pipeline.record import decided
from schemas import review
from tests.api_world import DIALECTS, JSON, Api, add_token, database, running
from tests.builders import SCRIBE, Facts, answer_of, entry
from tests.contract.private import VAULT, about
from tests.integration.judging import doubted, judged

DATA = {"city": "Oban", "amount": "250.00"}


@pytest.fixture(params=DIALECTS)
async def rows(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    async with database(request.param, tmp_path) as made:
        yield made


@pytest.fixture
async def api(rows: Database) -> AsyncIterator[Api]:
    """Three events that wait for a person, and a token for each role."""
    async with running(rows, embedded=False) as started:
        for role in ("sender", "viewer", "reviewer", "operator"):
            await add_token(started, role, "crm")
        for number in range(3):
            await started.post(headers={**started.bearer("sender"), "Idempotency-Key": f"n-{number}"})
            await doubt(started)
        yield started


async def doubt(api: Api, *, ahead: timedelta = timedelta(seconds=1)) -> None:
    """What a worker does with a large amount."""
    answer = answer_of(Facts(city="Oban", amount=Decimal("250.00")))
    now = datetime.now(UTC) + ahead
    why = review("large amount")
    for claimed in await api.store.claim("notes", limit=1):
        await api.store.commit([decided(claimed, entry(), why, answer, now=now, scribe=SCRIBE)])


async def listed(api: Api, query: str = "") -> dict[str, Any]:
    status, page = await api.send(f"/api/reviews{query}", b"", api.bearer("viewer"), method="GET")
    assert status == 200
    return page


async def oldest(api: Api) -> str:
    return str((await listed(api))["items"][0]["event_id"])


async def decide(api: Api, what: str, body: Any, role: str = "reviewer") -> tuple[int, dict[str, Any]]:
    """On the oldest item, unless `what` is a whole path."""
    path = what if "/" in what else f"{await oldest(api)}/{what}"
    return await api.send(f"/api/reviews/{path}", json.dumps(body), {**JSON, **api.bearer(role)})


async def test_pages_walk_the_queue(api: Api) -> None:
    first = await listed(api, "?workflow=notes&limit=2")
    second = await listed(api, f"?limit=2&after={first['next'].replace('+', '%2B')}")

    assert [item["id"] for item in first["items"] + second["items"]] == ["n-0", "n-1", "n-2"]
    assert (first["items"][0]["reasons"], second["next"]) == (["large amount"], None)


async def test_a_correction_is_a_revision_that_is_published(api: Api) -> None:
    event_id = await oldest(api)
    path = f"/api/reviews/{event_id}"
    status, seen = await api.send(path, b"", api.bearer("viewer"), method="GET")
    assert (status, seen["revision"], seen["data"], seen["published"]) == (200, 1, DATA, None)

    status, found = await decide(
        api, "correct", {"revision": 1, "data": {**DATA, "amount": "2.50"}, "comment": "a slip"}
    )

    assert (status, found["state"], found["revision"], found["supersedes"]) == (200, "corrected", 2, 1)
    assert await api.count(t.outbox, t.outbox.c.topic == "notes.facts.v1") == 1
    assert await api.count(t.audit_record, t.audit_record.c.actor_name == "token:reviewer-1") == 1
    assert [item["id"] for item in (await listed(api))["items"]] == ["n-1", "n-2"]
    _, seen = await api.send(path, b"", api.bearer("viewer"), method="GET")
    assert (seen["published"], seen["item"], seen["data"]["amount"]) == (2, None, "2.50")


async def test_approve_reject_and_back(api: Api) -> None:
    word = {"revision": 1, "comment": "seen"}

    found = [(await decide(api, what, word))[1]["state"] for what in ("approve", "reject", "back")]

    assert found == ["approved", "rejected", "reopened"]
    assert (await listed(api))["items"] == []
    assert api.rung[-1] == "notes"
    assert await api.count(t.work) == 1


async def test_a_second_person_is_told_who_has_it(api: Api) -> None:
    status, mine = await decide(api, "claim", None)
    assert (status, mine["claimed_by"]) == (200, "token:reviewer-1")

    for what, body in (("claim", None), ("approve", {"revision": 1}), ("release", None)):
        status, problem = await decide(api, what, body, "operator")
        assert (status, problem["reason"]) == (409, "conflict")
        assert "is claimed by reviewer-1 since" in problem["detail"]
    status, other = await api.send("/api/reviews/next", b"", api.bearer("operator"))
    assert (status, other["id"]) == (200, "n-1")
    async with api.http.post(
        f"/api/reviews/{mine['event_id']}/release", headers=api.bearer("reviewer")
    ) as answer:
        assert answer.status == 204
    assert (await decide(api, "claim", None, "operator"))[1]["claimed_by"] == "token:operator-1"


async def test_who_saw_an_older_revision_decides_nothing(api: Api) -> None:
    event_id = await oldest(api)
    await decide(api, f"{event_id}/approve", {"revision": 1})

    status, problem = await decide(api, f"{event_id}/reject", {"revision": 1, "comment": "no"})

    assert (status, problem["reason"]) == (409, "conflict")
    assert "is approved by now, revision 2" in problem["detail"]


@pytest.mark.parametrize(
    ("what", "body", "status", "told"),
    [
        ("approve", {}, 422, "revision: Field required"),
        ("approve", [], 422, "the body: "),
        ("approve", {"revision": "1"}, 422, "revision: "),
        ("approve", {"revision": 1, "why": ""}, 422, "why: Extra inputs"),
        ("approve", {"revision": 1, "comment": "x" * 501}, 422, "comment: "),
        ("reject", {"revision": 1}, 422, "comment: Field required"),
        ("reject", {"revision": 1, "comment": " \n"}, 422, "say why"),
        ("correct", {"revision": 1, "data": {"city": "Oban"}}, 422, "amount: Field required"),
        ("correct", {"revision": 1, "data": {**DATA, "amount": 2.5}}, 422, "amount: "),
        ("correct", {"revision": 1, "data": DATA}, 422, "approve it instead"),
        ("nothing/approve", {"revision": 1}, 404, "no such event"),
        ("00000000-0000-0000-0000-000000000001/approve", {"revision": 1}, 404, "no event"),
        ("00000000-0000-0000-0000-000000000001/claim", None, 404, "does not wait"),
    ],
)
async def test_a_mistake_is_told(api: Api, what: str, body: Any, status: int, told: str) -> None:
    found, problem = await decide(api, what, body)

    assert found == status
    assert told in problem["detail"]
    assert len((await listed(api))["items"]) == 3


@pytest.mark.parametrize("query", ["?limit=0", "?limit=x", "?limit=201"])
async def test_a_wrong_parameter_is_a_problem(api: Api, query: str) -> None:
    found = await api.send(f"/api/reviews{query}", b"", api.bearer("viewer"), method="GET")

    assert (found[0], found[1]["reason"]) == (422, "invalid_request")


async def test_a_place_or_a_workflow_that_is_none_is_not_found(api: Api) -> None:
    for query in ("?after=x", "?workflow=x"):
        found = await api.send(f"/api/reviews{query}", b"", api.bearer("viewer"), method="GET")
        assert found[0] == 404


@pytest.mark.parametrize(
    ("role", "reads", "decides"),
    [("sender", 403, 403), ("viewer", 200, 403), ("reviewer", 200, 200), ("operator", 200, 200)],
)
async def test_each_role_may_what_it_may(api: Api, role: str, reads: int, decides: int) -> None:
    event_id = await oldest(api)

    for path in ("", f"/{event_id}"):
        assert (await api.send(f"/api/reviews{path}", b"", api.bearer(role), method="GET"))[0] == reads
    assert (await decide(api, f"{event_id}/claim", None, role))[0] == decides
    assert (await decide(api, f"{event_id}/approve", {"revision": 1}, role))[0] == decides
    assert (await api.send("/api/reviews", b"", method="GET"))[0] == 401


async def test_texts_are_read_on_record_by_who_may(api: Api) -> None:
    path = f"/api/reviews/{await oldest(api)}"

    async def seen(query: str, role: str) -> tuple[int, dict[str, Any]]:
        return await api.send(f"{path}{query}", b"", api.bearer(role), method="GET")

    assert (await seen("", "viewer"))[1]["text"] is None
    assert (await seen("?reveal=true", "viewer"))[0] == 403
    assert (await seen("?revel=true", "reviewer"))[0] == 422
    assert (await seen("?reveal=true", "reviewer"))[1]["text"] == "hello"
    async with api.store.database.read() as connection:
        query = select(t.audit_record.c.actor_name).where(t.audit_record.c.kind == "payload_read")
        assert (await connection.execute(query)).scalars().all() == ["token:reviewer-1"]


async def test_what_was_extracted_from_a_subject_s_event_is_one_of_its_texts(tmp_path: Path) -> None:
    made = connect(f"sqlite:///{tmp_path}/penstock.db", vault=VAULT)
    await schema.upgrade(made)
    async with running(made, embedded=False) as api:
        for role in ("sender", "viewer", "reviewer"):
            await add_token(api, role, "crm")
        await api.store.accept([about("Imogen", 1)])
        await doubt(api)
        event_id = await oldest(api)

        async def seen(path: str, role: str) -> dict[str, Any]:
            return (await api.send(path, b"", api.bearer(role), method="GET"))[1]

        for path in (f"/events/{event_id}", f"/api/reviews/{event_id}"):
            told = await seen(path, "viewer")
            assert (told["data"], told["withheld"]) == (None, ["amount", "city"])
            assert told["reasons"] == [WITHHELD]
        assert (await listed(api))["items"][0]["reasons"] == [WITHHELD]
        revealed = await seen(f"/api/reviews/{event_id}?reveal=true", "reviewer")
        assert (revealed["data"], revealed["withheld"]) == (DATA, [])
        assert revealed["reasons"] == ["large amount"]
    await made.close()


async def test_the_contract_is_in_the_description(api: Api) -> None:
    _, described = await api.send("/openapi.json", b"", method="GET")

    paths = {path.rpartition("/")[2] for path in described["paths"] if path.startswith("/api/reviews")}
    assert paths == {
        "reviews",
        "next",
        "bulk",
        "quality",
        "{event_id}",
        "claim",
        "release",
        "approve",
        "correct",
        "reject",
        "back",
    }
    body = described["paths"]["/api/reviews/{event_id}/correct"]["post"]["requestBody"]
    assert body["content"]["application/json"]["schema"]["required"] == ["revision", "data"]


async def test_a_queue_is_ranked_by_doubt_only_where_people_proved_the_score(api: Api) -> None:
    path, viewer = "/api/reviews?workflow=notes&order=doubted", api.bearer("viewer")
    status, refused = await api.send(path, b"", viewer, method="GET")
    assert (status, "from 30 of each on" in refused["detail"]) == (409, True)
    assert (await api.send("/api/reviews?order=doubted", b"", viewer, method="GET"))[0] == 409


async def test_what_people_proved_is_told_with_a_threshold(rows: Database) -> None:
    async with running(rows) as api:
        for sampled, first in ((False, 100), (True, 200)):
            await judged(api.store, range(first, first + 31), 100, right=True, sampled=sampled)
            await judged(api.store, range(first + 40, first + 71), 91, right=False, sampled=sampled)
        await doubted(api.store, 300, 95)
        await doubted(api.store, 301, 92)

        path = "/api/reviews/quality?workflow=notes&error=0.2"
        _, told = await api.send(path, b"", method="GET")
        _, ranked = await api.send("/api/reviews?workflow=notes&order=doubted", b"", method="GET")

    assert (told["is_ranked"], told["threshold"]["threshold"]) == (True, 100.0)
    assert told["measured"]["doubted"]["separation"]["score"]["value"] == 1.0
    assert [one["id"] for one in ranked["items"]] == ["note-301", "note-300"]
