"""The pages over real HTTP: what they show, what can be done on them, and that texts stay texts."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final

import pytest

from consumers.api.headers import CONTENT_SECURITY_POLICY
from consumers.web.site import PAGES
from infra import tables as t
from infra import tokens
from infra.database import Database
from infra.store import SqlStore, administration, evaluations, sessions
from pipeline.catalogue import Entry
from pipeline.claim import Claimed
from pipeline.errors import InvalidEvent
from pipeline.record import dead_at_the_door, decided
from pipeline.trail import noted
from schemas import accept
from tests.api_world import DIALECTS, Api, add_token, database, running
from tests.builders import SCRIBE, Facts, answer_of, entry
from tests.contract.scenes import note, tried
from tests.contract.test_store_evaluations import evaluated
from tests.integration.judging import doubted, judged

BROWSER: Final = {"Accept": "text/html,application/xhtml+xml"}
ATTACK: Final = "<script>alert(document)</script> ![x](http://evil.example/x) \u202eright to left"
FIXED: Final = ["/", "/?span=hour", "/failures", "/workflows", "/workflows/notes", "/spend", "/spend?by=day"]


@pytest.fixture(params=DIALECTS)
async def rows(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    async with database(request.param, tmp_path) as made:
        yield made


@pytest.fixture
async def api(rows: Database) -> AsyncIterator[Api]:
    async with running(rows) as started:
        await started.log_in()
        yield started


async def see(api: Api, path: str, status: int = 200) -> str:
    """The text of a page."""
    async with api.http.get(path, headers=BROWSER) as answer:
        assert answer.status == status
        assert answer.content_type == "text/html"
        assert answer.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
        assert answer.headers["Cache-Control"] == "no-store"
        return await answer.text()


def ours(api: Api) -> dict[str, str]:
    """What a browser says beside a form of one of our own pages."""
    return {**BROWSER, "Origin": api.url}


async def do(api: Api, path: str, **fields: str) -> str:
    """Where a form that is posted leads to."""
    async with api.http.post(
        path, data={"csrf": api.csrf, **fields}, headers=ours(api), allow_redirects=False
    ) as answer:
        assert answer.status == 303
        return answer.headers["Location"]


def version(prompt: str) -> Entry:
    """The notes workflow with this prompt, as the register knows it."""
    content = {"instructions": prompt, "extraction": {"type": "object", "properties": {}}}
    return replace(entry(version=sha256(prompt.encode()).hexdigest()), content=json.dumps(content))


async def dead_letter(store: SqlStore, why: str = "not JSON") -> str:
    event = note(1)
    changeset = dead_at_the_door(event, entry(), InvalidEvent(why), now=datetime.now(UTC), scribe=SCRIBE)
    await store.commit([changeset])
    return str(event.event_id)


async def succeeded(store: SqlStore) -> Claimed:
    """An event with one call and an outcome."""
    await store.accept([note(2)])
    (claim,) = await store.claim("notes", limit=1)
    await store.journal([(tried(claim, started_at=datetime.now(UTC), cost_micros=12), claim.event)])
    answer = answer_of(Facts(city="Oban", amount=None))
    now = datetime.now(UTC) + timedelta(seconds=1)
    await store.commit([decided(claim, entry(), accept(), answer, now=now, scribe=SCRIBE)])
    return claim


@pytest.mark.parametrize("path", FIXED)
async def test_every_page_works_on_an_empty_database_and_on_a_full_one(api: Api, path: str) -> None:
    empty = await see(api, path)
    await dead_letter(api.store)
    await succeeded(api.store)
    full = await see(api, path)

    for text in (empty, full):
        assert "<title>" in text
        assert "The same by hand" in text
        # Nothing inline: the policy of the pages would stop it anyway.
        assert not re.search(r"<script(?![^>]* src=)|<style|\son\w+=|\sstyle=", text)
        for where, name, _ in PAGES:
            assert f'href="{where}"' in text
            assert f"<span>{name}</span>" in text


async def test_what_is_static_is_named_by_its_content_and_kept_for_ever(api: Api) -> None:
    paths = re.findall(r'(?:href|src)="(/static/[^"]+)"', await see(api, "/"))

    assert any(path.endswith("/penstock.css") for path in paths)
    for path in set(paths):
        async with api.http.get(path) as answer:
            assert answer.status == 200
            assert "immutable" in answer.headers["Cache-Control"]
            assert await answer.read()
    status, _ = await api.send("/static/0000000000000000/penstock.css", b"", method="GET")
    assert status == 404


async def test_the_theme_of_the_cookie_is_in_the_page(api: Api) -> None:
    async with api.http.get("/", cookies={"theme": "dark"}) as answer:
        assert '<html lang="en" data-theme="dark">' in await answer.text()
    async with api.http.get("/", cookies={"theme": '"><script>'}) as answer:
        assert '<html lang="en">' in await answer.text()


async def test_the_text_of_an_attack_is_text_on_every_page(api: Api) -> None:
    event_id = await dead_letter(api.store, why=ATTACK)

    failures = await see(api, "/failures")
    link = re.search(r'href="(/failures/events\?[^"]+)"', failures)
    assert link is not None
    pages = [
        failures,
        await see(api, link[1].replace("&amp;", "&")),
        await see(api, f"/events/{event_id}/story"),
    ]

    for text in pages:
        assert "&lt;script&gt;alert(document)&lt;/script&gt;" in text
        assert "<script>alert" not in text
        assert '<img src="http' not in text


async def test_a_dead_letter_is_replayed_once(api: Api) -> None:
    event_id = await dead_letter(api.store)

    where = await do(api, f"/events/{event_id}/replay")
    text = await see(api, where)

    assert "Back to work" in text
    assert "replayed by user:ada" in text
    assert api.rung == ["notes"]
    assert "No failures" in await see(api, "/failures")
    async with api.http.post(
        f"/events/{event_id}/replay", data={"csrf": api.csrf}, headers=ours(api)
    ) as answer:
        assert answer.status == 409
        assert "Too late" in await answer.text()


async def test_pause_and_resume_are_on_record_with_who_did_it(api: Api) -> None:
    assert await do(api, "/workflows/notes/pause") == "/workflows/notes?said=paused"
    assert "by user:ada" in await see(api, "/workflows/notes")
    assert "<b>notes</b> is paused by user:ada" in await see(api, "/")
    assert await do(api, "/workflows/notes/pause") == "/workflows/notes?said=unchanged"
    assert await do(api, "/workflows/notes/resume") == "/workflows/notes?said=resumed"

    for kind in ("workflow_paused", "workflow_resumed"):
        of_kind = (t.audit_record.c.kind == kind, t.audit_record.c.actor_name == "user:ada")
        assert await api.count(t.audit_record, *of_kind) == 1
    assert await administration.paused_lanes(api.store.database) == {}


async def test_a_test_event_goes_through_the_door(api: Api) -> None:
    where = await do(api, "/workflows/notes/test", data='{"text": "12.50 for the ferry"}')

    text = await see(api, where)

    assert "In flight" in text
    assert "12.50 for the ferry" not in text, "texts are not shown on the story"
    assert await api.count(t.work) == 1


@pytest.mark.parametrize(
    ("data", "status", "told"), [("{", 400, "not JSON"), ('{"text": 3}', 422, "kept as a dead letter")]
)
async def test_a_test_event_that_is_wrong_is_told_beside_the_form(
    api: Api, data: str, status: int, told: str
) -> None:
    async with api.http.post(
        "/workflows/notes/test", data={"csrf": api.csrf, "data": data}, headers=ours(api)
    ) as answer:
        text = await answer.text()

    assert answer.status == status
    assert told in text
    assert json.dumps(data)[1:-1].replace('\\"', "&#34;") in text, "what was typed is still there"


async def test_what_is_not_there_is_told_as_a_page(api: Api) -> None:
    story = f"/events/{note(9).event_id}/story"

    for path in ("/workflows/none", story, "/failures?workflow=none", "/workflows/notes?old=a&new=b"):
        assert "Not here" in await see(api, path, 404)
    for path in ("/spend?since=yesterday", "/spend?since=2026-01-02&until=2026-01-01", "/?span=year"):
        assert "invalid_request" in await see(api, path, 422)
    assert "openapi" not in await see(api, "/nothing", 404), "that is for programs"
    status, problem = await api.send("/workflows/none", b"", method="GET")
    assert (status, problem["reason"]) == (404, "not_found"), "for a program it is a problem"
    assert "Not here" in await see(
        api, "/failures/events?workflow=notes&state=dead&reason=&at=x&after=y", 404
    )


async def test_versions_are_listed_and_compared(api: Api) -> None:
    today, old = version("Find the city."), version("Read the note.")
    for one in (old, today):
        record = noted("workflow_version", {}, scribe=SCRIBE, now=datetime.now(UTC), version=one.version)
        await administration.register_versions(api.store.database, [one], [record], release="1.2.3")

    text = await see(api, f"/workflows/notes?old={old.version}&new={today.version}")

    assert "Receivers see no difference" in text
    assert '<span class="minus">-Read the note.</span>' in text


async def test_the_overview_is_live(api: Api) -> None:
    async with api.http.get("/live?span=hour") as stream:
        assert stream.content_type == "text/event-stream"
        first = await stream.content.readuntil(b"\n\n")
        await dead_letter(api.store)
        second = b""
        while b"went to a dead topic" not in second:
            second = await stream.content.readuntil(b"\n\n")

    assert b"Nothing has come in yet" in first


async def test_a_stream_ends_with_the_session(rows: Database) -> None:
    async with running(rows, embedded=False) as api:
        await api.log_in(role="viewer")
        async with api.http.get("/live") as stream:
            await stream.content.readuntil(b"\n\n")
            gone = noted("session_closed", {"user": "ada"}, scribe=SCRIBE, now=datetime.now(UTC), nonce="1")
            await sessions.close_session(rows, tokens.digest(api.session), gone)

            async with asyncio.timeout(10):
                await stream.content.read()


async def test_a_stream_ends_with_the_process(rows: Database) -> None:
    async with running(rows) as api:
        stream = await api.http.get("/live")
        await stream.content.readuntil(b"\n\n")
        began = datetime.now(UTC)

    assert datetime.now(UTC) - began < timedelta(seconds=3)


async def test_who_may_not_is_told_and_nothing_happens(rows: Database) -> None:
    async with running(rows, embedded=False) as api:
        for role in ("sender", "viewer", "operator"):
            await add_token(api, role)
        event_id = await dead_letter(api.store)
        found = {}
        for role in api.tokens:
            for method, path in (
                ("GET", "/"),
                ("POST", "/workflows/notes/pause"),
                ("POST", "/workflows/notes/test"),
                ("POST", f"/events/{event_id}/replay"),
            ):
                data = {"csrf": ""} if method == "POST" else None
                headers = api.bearer(role)
                async with api.http.request(
                    method, path, data=data, headers=headers, allow_redirects=False
                ) as answer:
                    found[role, path.rpartition("/")[2]] = answer.status
        async with api.http.get("/", allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "/login")

    assert [found["sender", what] for what in ("", "pause", "test", "replay")] == [403] * 4
    assert [found["viewer", what] for what in ("", "pause", "test", "replay")] == [200, 403, 403, 403]
    assert [found["operator", what] for what in ("", "pause", "test", "replay")] == [200, 303, 400, 303]


async def test_a_workflow_shows_the_scores_of_its_last_evaluation_and_of_which_version(api: Api) -> None:
    database, today = api.store.database, entry().version
    assert "penstock eval notes" in await see(api, "/workflows/notes")

    await evaluations.keep(database, evaluated("2" * 64))
    older = await see(api, "/workflows/notes")
    await evaluations.keep(database, evaluated(today))
    await evaluations.keep(database, evaluated("2" * 64))
    newest = await see(api, "/workflows/notes")

    assert "Today's was not evaluated yet" in older
    assert "Today's was not evaluated yet" not in newest
    assert "2 from cases.jsonl; 1 left out" in newest
    assert newest.index("total</th>") < newest.index("city</th>")


async def test_the_workflow_and_the_desk_tell_what_people_proved_of_the_signals(api: Api) -> None:
    for sampled, first in ((False, 100), (True, 200)):
        await judged(api.store, range(first, first + 31), 100, right=True, sampled=sampled)
        await judged(api.store, range(first + 40, first + 71), 91, right=False, sampled=sampled)
    event = await doubted(api.store, 300, 95)

    page = await see(api, "/workflows/notes?error=0.1")
    desk = await see(api, f"/review/{event.event_id}")

    assert "<b>62</b> judged, <b>31</b> wrong: 50.0%" in page
    assert "1.00 <small>(" in page
    assert "not shown: no better than chance" in page
    assert "· every value that needs it is in the text ·" in desk
    assert "tells right from wrong here: AUROC 1.00" in desk
    assert "judged here with a score of 91.00 or more, 31 were wrong" in desk


async def test_signals_of_few_events_mean_nothing_yet(api: Api) -> None:
    await judged(api.store, range(100, 103), 91, right=False)
    event = await doubted(api.store, 300, 95)

    page, desk = await see(api, "/workflows/notes"), await see(api, f"/review/{event.event_id}")

    assert "0 right and 3 wrong; from 30 of each on there are numbers" in page
    assert "What they mean here is not known yet: 0 right and 3 wrong" in desk
    assert "AUROC" not in desk


async def test_a_queue_is_ranked_where_the_score_deserves_it_and_says_so(api: Api) -> None:
    await judged(api.store, range(100, 131), 100, right=True)
    await judged(api.store, range(140, 171), 91, right=False)
    sure, doubtful = [await doubted(api.store, number, score) for number, score in ((300, 99), (301, 92))]

    every, ranked = await see(api, "/review"), await see(api, "/review?workflow=notes")
    oldest = await see(api, "/review?workflow=notes&order=oldest")
    first = await do(api, "/review/next", workflow="notes", order="doubted")
    await doubted(api.store, 302, 100, sampled=True)
    drawn = await see(api, "/review?workflow=notes")

    assert drawn.index("note-302") < drawn.index("note-301") < drawn.index("note-300")
    assert "Ranked by score" in ranked
    assert ranked.index("note-301") < ranked.index("note-300")
    assert "The most doubted first</a>" in oldest
    for page in (every, oldest):
        assert page.index("note-300") < page.index("note-301")
    assert first == f"/review/{doubtful.event_id}?workflow=notes&order=doubted"
    assert f'href="/review/{sure.event_id}?workflow=notes&amp;order=doubted"' in await see(api, first)


async def test_a_queue_without_a_signal_is_the_oldest_first_and_says_so(api: Api) -> None:
    await doubted(api.store, 300, 99)
    await doubted(api.store, 301, 92)

    page = await see(api, "/review?workflow=notes")

    assert "Not ranked" in page
    assert page.index("note-300") < page.index("note-301")
