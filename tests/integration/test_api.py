"""The API over real HTTP: every status code, whatever is sent, and one row for one event."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from infra import tables as t
from infra.database import Database, connect
from infra.store import SqlStore
from pipeline.record import decided
from schemas import accept
from schemas.decision import Outcome
from tests.api_world import DIALECTS, JSON, MAX_BODY_BYTES, TOPIC, Api, add_token, database, running, settings
from tests.builders import SCRIBE, Facts, answer_of, entry, received

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
STRUCTURED = {"Content-Type": "application/cloudevents+json"}


def envelope(**attributes: Any) -> str:
    return json.dumps(
        {"specversion": "1.0", "id": "n-1", "source": "crm", "type": "note", "data": {"text": "hi"}}
        | attributes
    )


async def decide(store: SqlStore) -> None:
    """What a worker does with all that is due."""
    answer = answer_of(Facts(city="Oban", amount=Decimal("12.50")))
    now = datetime.now(UTC) + timedelta(seconds=1)
    await store.commit(
        [
            decided(claimed, entry(), accept(), answer, now=now, scribe=SCRIBE)
            for claimed in await store.claim("notes", limit=10)
        ]
    )


@pytest.fixture(params=DIALECTS)
async def rows(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    async with database(request.param, tmp_path) as made:
        yield made


@pytest.fixture
async def api(rows: Database) -> AsyncIterator[Api]:
    async with running(rows) as started:
        yield started


@pytest.fixture
async def guarded(rows: Database) -> AsyncIterator[Api]:
    """Not embedded: with a token for each role; the sender may send as `crm`."""
    async with running(rows, embedded=False) as started:
        for role in ("sender", "viewer", "operator"):
            await add_token(started, role, "crm")
        yield started


async def test_a_new_event_is_accepted_and_a_repeat_is_a_duplicate(api: Api) -> None:
    first = await api.post(headers={"Idempotency-Key": "a", "traceparent": TRACE})
    again = await api.post('{ "text" : "hello" }', {"Idempotency-Key": "a"})

    assert (first[0], first[1]["status"]) == (202, "accepted")
    assert (again[0], again[1]["status"]) == (200, "duplicate")
    assert first[1]["event_id"] == again[1]["event_id"]
    assert await api.count(t.event, t.event.c.traceparent == TRACE, t.event.c.source == "http:local") == 1
    assert await api.count(t.work) == 1
    assert api.rung == ["notes"]


async def test_the_answer_says_where_the_event_stands(api: Api) -> None:
    async with api.http.post(f"/topics/{TOPIC}/events", json={"text": "hello"}) as answer:
        location = answer.headers["Location"]

    status, found = await api.send(location, b"", method="GET")

    assert (status, found["state"], found["outcome"], found["data"]) == (200, "in_flight", None, None)
    assert (found["topic"], found["source"], found["workflow"]) == (TOPIC, "http:local", "notes")


async def test_events_come_in_every_content_mode(api: Api) -> None:
    binary = {"ce-specversion": "1.0", "ce-id": "n-2", "ce-source": "caf%C3%A9", "ce-type": "note"}

    answers = [
        await api.post(envelope(), STRUCTURED),
        await api.post(envelope(id="n-1b")),
        await api.post('{"text":"hi"}', binary),
        await api.post('{"text":"hi"}'),
        await api.post('{"text":"hi"}'),
    ]

    assert [status for status, _ in answers] == [202] * 5
    assert await api.count(t.event, t.event.c.source == "café", t.event.c.source_id == "n-2") == 1


async def test_an_id_with_other_data_is_a_conflict(api: Api) -> None:
    await api.post('{"text":"one"}', {"Idempotency-Key": "a"})

    status, problem = await api.post('{"text":"two"}', {"Idempotency-Key": "a"})

    assert (status, problem["reason"]) == (409, "id_reused")
    assert await api.count(t.event) == 1


@pytest.mark.parametrize(
    ("status", "path", "body", "headers"),
    [
        (400, f"/topics/{TOPIC}/events", b"{", JSON),
        (400, f"/topics/{TOPIC}/events", b"", JSON),
        (400, f"/topics/{TOPIC}/events", b"\xff", JSON),
        (400, f"/topics/{TOPIC}/events", b'{"text": NaN}', JSON),
        (400, f"/topics/{TOPIC}/events", b"[" * 65 + b"]" * 65, JSON),
        (400, f"/topics/{TOPIC}/events", b"[" * 60_000, JSON),
        (400, f"/topics/{TOPIC}/events", b'{"text":"a"}', {**JSON, "ce-id": "1"}),
        (400, f"/topics/{TOPIC}/events", b'{"text":"a"}', {**JSON, "Idempotency-Key": "x" * 513}),
        (400, f"/topics/{TOPIC}/events", envelope(specversion="0.3").encode(), STRUCTURED),
        (400, f"/topics/{TOPIC}/events", envelope(time="soon").encode(), STRUCTURED),
        (401, "/webhooks/shop", b"{}", JSON),
        (404, "/topics/none.v1/events", b"{}", JSON),
        (404, "/webhooks/none", b"{}", JSON),
        (404, "/nothing", b"{}", JSON),
        (404, f"/topics/{TOPIC}/events/", b"{}", JSON),
        (405, "/events/1", b"{}", JSON),
        (413, f"/topics/{TOPIC}/events", b" " * (MAX_BODY_BYTES + 1), JSON),
        (413, "/webhooks/shop", b" " * (MAX_BODY_BYTES + 1), JSON),
        (415, f"/topics/{TOPIC}/events", b"{}", {"Content-Type": "text/plain"}),
        (415, f"/topics/{TOPIC}/events", b"[]", {"Content-Type": "application/cloudevents-batch+json"}),
        (415, f"/topics/{TOPIC}/events", b"{}", {**JSON, "Content-Encoding": "br"}),
        (422, f"/topics/{TOPIC}/events", b'{"txt":"a"}', JSON),
        (422, f"/topics/{TOPIC}/events", b"[]", JSON),
        (422, f"/topics/{TOPIC}/events", envelope(data={}).encode(), STRUCTURED),
    ],
)
async def test_what_is_wrong_is_answered_with_its_own_status(
    api: Api, status: int, path: str, body: bytes, headers: Mapping[str, str]
) -> None:
    assert (await api.send(path, body, headers))[0] == status


async def test_a_chunked_body_is_measured_as_it_comes(api: Api) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(9):
            yield b" " * (MAX_BODY_BYTES // 8)

    async with api.http.post(f"/topics/{TOPIC}/events", data=chunks(), headers=JSON) as answer:
        assert answer.status == 413
    assert await api.count(t.event) == 0


async def test_an_event_that_does_not_fit_is_kept_once_as_dead(api: Api) -> None:
    body = '{"text": 5}'

    answers = [await api.post(body, {"Idempotency-Key": "a"}) for _ in range(2)]
    answers += [await api.post(body) for _ in range(2)]
    corrected = await api.post('{"text":"five"}', {"Idempotency-Key": "a"})

    assert [(status, found["reason"]) for status, found in answers] == [(422, "invalid_event")] * 4
    assert len({found["event_id"] for _, found in answers}) == 2
    assert corrected[0] == 409
    dead = await api.send(f"/events/{answers[0][1]['event_id']}", b"", method="GET")
    assert (dead[1]["state"], dead[1]["reasons"][0][:29]) == ("dead", "does not fit notes.written.v1")
    assert await api.count(t.content, t.content.c.data == body.encode()) == 2
    assert await api.count(t.result, t.result.c.state == Outcome.DEAD) == 2
    assert await api.count(t.outbox, t.outbox.c.topic == f"{TOPIC}.dead") == 2
    assert await api.counter("accepted") == 2
    assert api.rung == []


async def test_a_thousand_duplicates_at_once_are_one_event(rows: Database) -> None:
    async with running(rows, connections=8) as api:
        answers = await asyncio.gather(*(api.post(headers={"Idempotency-Key": "a"}) for _ in range(1_000)))

        assert sorted(status for status, _ in answers) == [200] * 999 + [202]
        assert (await api.count(t.event), await api.count(t.work)) == (1, 1)
        assert (await api.counter("accepted"), await api.counter("duplicate")) == (1, 999)


async def test_dead_duplicates_at_once_are_one_event(api: Api) -> None:
    answers = await asyncio.gather(*(api.post("{}", {"Idempotency-Key": "a"}) for _ in range(50)))

    assert {status for status, _ in answers} == {422}
    assert (await api.count(t.event), await api.counter("accepted")) == (1, 1)


async def test_above_the_depth_limit_senders_are_told_to_wait(rows: Database) -> None:
    async with running(rows, found=settings(max_due=2)) as api:
        await api.store.accept([received(id=f"note-{number}") for number in range(3)])

        async with api.http.post(f"/topics/{TOPIC}/events", json={"text": "hello"}) as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
            assert "PENSTOCK_API__MAX_DUE" in (await answer.json(content_type=None))["detail"]
        assert await api.count(t.event) == 3


async def test_without_its_database_the_api_asks_to_come_back(unused_tcp_port: int) -> None:
    gone = connect(f"postgresql+psycopg://nobody@127.0.0.1:{unused_tcp_port}/none")
    async with running(gone) as api:
        for path, method in ((f"/topics/{TOPIC}/events", "POST"), ("/events/" + "0" * 32, "GET")):
            async with api.http.request(method, path, data=b'{"text":"a"}', headers=JSON) as answer:
                assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
    await gone.close()


async def test_outside_embedded_mode_a_token_is_needed(guarded: Api) -> None:
    for headers in ({}, {"Authorization": "Bearer"}, {"Authorization": "Bearer pst_" + "a" * 43}):
        async with guarded.http.post(
            f"/topics/{TOPIC}/events", data="{}", headers={**JSON, **headers}
        ) as answer:
            assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert (await guarded.send("/events/1", b"", headers, method="GET"))[0] == 401
    assert (await guarded.hook("shop", b'{"text":"signed"}'))[0] == 202


@pytest.mark.parametrize(
    ("role", "body", "status"),
    [
        ("sender", '{"text":"plain"}', 202),
        ("sender", envelope(source="crm"), 202),
        ("sender", envelope(source="http:sender-1"), 202),
        ("sender", envelope(source="shop"), 403),
        ("operator", envelope(source="crm"), 202),
        ("viewer", '{"text":"plain"}', 403),
    ],
)
async def test_a_token_sends_as_what_it_was_made_for(guarded: Api, role: str, body: str, status: int) -> None:
    assert (await guarded.post(body, guarded.bearer(role)))[0] == status


async def test_a_sender_sees_its_own_events_without_what_was_extracted(guarded: Api) -> None:
    _, own = await guarded.post('{"text":"plain"}', guarded.bearer("sender"))
    _, foreign = await guarded.hook("shop", b'{"text":"signed"}')
    await decide(guarded.store)

    seen = {
        (role, name): await guarded.send(
            f"/events/{event['event_id']}", b"", guarded.bearer(role), method="GET"
        )
        for role in ("sender", "viewer")
        for name, event in (("own", own), ("foreign", foreign))
    }

    assert {caller: status for caller, (status, _) in seen.items()} == {
        ("sender", "own"): 200,
        ("sender", "foreign"): 404,
        ("viewer", "own"): 200,
        ("viewer", "foreign"): 200,
    }
    result = seen["viewer", "own"][1]
    assert result["data"] == {"city": "Oban", "amount": "12.50"}
    assert (result["state"], result["outcome"], result["revision"]) == ("succeeded", "succeeded", 1)
    assert result["decided_at"] >= result["accepted_at"]
    assert seen["sender", "own"][1] == {**result, "data": None}


async def test_the_description_tells_every_status(api: Api) -> None:
    async with api.http.get("/openapi.json") as answer:
        paths = (await answer.json())["paths"]

    assert set(paths["/topics/{topic}/events"]["post"]["responses"]) == {
        *("200", "202", "400", "401", "403", "404", "408", "409", "413", "415", "422", "503", "default")
    }
    assert set(paths["/events/{event_id}"]["get"]["responses"]) == {"200", "401", "404", "503", "default"}
    assert "403" not in paths["/webhooks/{source}"]["post"]["responses"]
