"""The audit trail over HTTP: one search behind pages, count and export; proofs; readings on record."""

import base64
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest

from infra.database import Database
from infra.signing import new_key, read_key
from infra.store import seals
from pipeline import checkpoint, merkle, note
from pipeline.audit import leaf
from tests.api_world import DIALECTS, Api, add_token, database, running
from tests.integration.test_api_reviews import doubt

SIGNER = read_key(new_key("tests.example/log"))


@pytest.fixture(params=DIALECTS)
async def rows(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    async with database(request.param, tmp_path) as made:
        yield made


@pytest.fixture
async def api(rows: Database) -> AsyncIterator[Api]:
    """Three decisions, and a token for each role, whose making is on record too."""
    async with running(rows, embedded=False) as started:
        for role in ("sender", "viewer", "reviewer"):
            await add_token(started, role, "crm")
        for number in range(3):
            await started.post(headers={**started.bearer("sender"), "Idempotency-Key": f"n-{number}"})
            await doubt(started, ahead=timedelta(0))
        yield started


async def get(api: Api, path: str, role: str = "viewer") -> tuple[int, dict[str, Any]]:
    return await api.send(f"/api/audit/{path}", b"", api.bearer(role), method="GET")


async def export(api: Api, query: str, role: str = "viewer") -> list[str]:
    async with api.http.get(f"/api/audit/export?{query}", headers=api.bearer(role)) as answer:
        assert answer.status == 200
        assert "attachment" in answer.headers["Content-Disposition"]
        return (await answer.text()).splitlines()


async def decisions(api: Api) -> list[dict[str, Any]]:
    return list((await get(api, "records?kind=decision"))[1]["records"])


@pytest.mark.parametrize(
    "query",
    ["", "kind=decision", "workflow=notes&outcome=needs_review", "text=N-1", "actor=tests", "kind=replay"],
)
async def test_pages_count_and_export_find_the_same_records(api: Api, query: str) -> None:
    found, after = list[str](), ""
    while True:
        _, page = await get(api, f"records?limit=2&{query}{after}")
        found += [one["id"] for one in page["records"]]
        if page["next"] is None:
            break
        after = f"&after={quote(page['next'])}"

    exported = [json.loads(line)["id"] for line in await export(api, query)]
    table = await export(api, f"format=csv&{query}")

    assert [*reversed(exported)] == found
    assert [line.partition(",")[0] for line in table[1:]] == exported
    assert (await get(api, f"count?{query}"))[1] == {"records": len(found), "is_more": False}


@pytest.mark.parametrize(
    "path",
    [
        "records?since=0001-01-01T00:00:00%2B14:00",
        "count?until=9999-12-31T23:59:59-14:00",
        f"records?after=0001-01-01T00:00:00%2B14:00_{UUID(int=1)}",
        f"export?format=proofs&size={2**63}",
        f"records/{UUID(int=1)}/proof?size={2**63}",
    ],
)
async def test_what_no_database_can_be_asked_is_refused(api: Api, path: str) -> None:
    assert (await get(api, path))[0] == 422


async def test_a_record_is_proved_under_a_signed_checkpoint_once_it_is_sealed(
    api: Api, rows: Database
) -> None:
    record = (await decisions(api))[1]
    path = f"records/{record['id']}"
    assert (await get(api, f"{path}/proof"))[0] == 404  # nothing is sealed at all
    await seals.seal(rows, SIGNER, limit=100)

    status, proof = await get(api, f"{path}/proof")
    _, whole = await get(api, path)

    state = checkpoint.parse(note.parse(proof["checkpoint"]).text)
    steps = [base64.b64decode(step) for step in proof["path"]]
    own = leaf(proof["record"].encode())
    assert (status, proof["leaf"], proof["record"]) == (200, record["leaf"], whole["canonical"])
    assert merkle.is_included(own, proof["index"], state.size, steps, state.root)


async def test_what_came_after_the_tree_was_read_is_proved_too(api: Api, rows: Database) -> None:
    await seals.seal(rows, SIGNER, limit=100)
    first = (await decisions(api))[0]["id"]
    assert (await get(api, f"records/{first}/proof"))[0] == 200
    await api.post(headers={**api.bearer("sender"), "Idempotency-Key": "later"})
    await doubt(api, ahead=timedelta(0))
    newest = (await decisions(api))[0]["id"]

    waiting = await get(api, f"records/{newest}/proof")
    await seals.seal(rows, SIGNER, limit=100)
    sealed = await get(api, f"records/{newest}/proof")

    assert (waiting[0], waiting[1]["reason"]) == (409, "conflict")
    assert (sealed[0], sealed[1]["index"]) == (200, 6)


async def test_a_record_is_proved_under_a_checkpoint_that_somebody_kept(api: Api, rows: Database) -> None:
    first = await seals.seal(rows, SIGNER, limit=3)
    assert first is not None
    await seals.seal(rows, SIGNER, limit=100)
    ids = [one["id"] for one in (await get(api, "records"))[1]["records"]]
    at = {(await get(api, f"records/{one}/proof"))[1]["index"]: one for one in ids}
    inside, outside = at[0], at[3]

    status, proof = await get(api, f"records/{inside}/proof?size=3")
    late = await get(api, f"records/{outside}/proof?size=3")
    lines = [json.loads(line) for line in await export(api, "format=proofs&size=3")]

    state = checkpoint.parse(note.parse(proof["checkpoint"]).text)
    steps = [base64.b64decode(step) for step in proof["path"]]
    assert (status, proof["checkpoint"]) == (200, first.note)
    assert merkle.is_included(leaf(proof["record"].encode()), proof["index"], state.size, steps, state.root)
    assert (late[0], "sealed at place" in late[1]["detail"]) == (409, True)
    assert (lines[0]["checkpoint"], sorted(one["sequence"] for one in lines[1:])) == (first.note, [0, 1, 2])
    assert (await get(api, f"records/{inside}/proof?size=2"))[0] == 404
    assert (await get(api, "export?size=3"))[0] == 422


async def test_texts_are_for_reviewers_and_that_they_were_read_is_on_record(api: Api, rows: Database) -> None:
    event_id = (await decisions(api))[0]["event_id"]
    await seals.seal(rows, SIGNER, limit=100)

    told = (await get(api, f"events/{event_id}"))[1]
    refused = await get(api, f"events/{event_id}?reveal=true")
    shown = await get(api, f"events/{event_id}?reveal=true", "reviewer")
    lines = await export(api, f"event={event_id}&kind=decision&format=proofs&reveal=true", "reviewer")

    assert "text" not in told["came_in"]["content"]
    assert refused[0] == 403
    assert json.loads(shown[1]["came_in"]["content"]["text"]) == {"text": "hello"}
    (content, *_) = json.loads(lines[1])["contents"]
    assert json.loads(base64.b64decode(content["bytes"])) == {"text": "hello"}
    reads = (await get(api, "records?kind=payload_read"))[1]["records"]
    assert [(one["actor"], one["event_id"]) for one in reads] == [("token:reviewer-1", event_id)] * 2


@pytest.mark.parametrize(
    ("path", "role", "status", "told"),
    [
        ("records", "sender", 403, "may not do this"),
        ("records/x", "viewer", 404, "GET /api/audit/records"),
        ("records?since=yesterday", "viewer", 422, "since: "),
        ("records?colour=red", "viewer", 422, "colour: "),
        ("records?limit=501", "viewer", 422, "limit: "),
        ("records?after=x", "viewer", 422, "`next`"),
        ("count?field=city", "viewer", 422, "write NAME=VALUE"),
        ("count?text=%00", "viewer", 422, "text: "),
        ("count?kind=nothing", "viewer", 422, "kind: "),
        ("count?outcome=deed", "viewer", 422, "needs_review"),
        ("export?reveal=true", "reviewer", 422, "format=proofs"),
        ("export?format=proofs", "viewer", 404, "nothing is sealed yet"),
        ("export?format=xml", "viewer", 422, "format: "),
        ("events/00000000-0000-0000-0000-000000000001", "viewer", 404, "no event"),
    ],
)
async def test_what_cannot_be_answered_says_why(
    api: Api, path: str, role: str, status: int, told: str
) -> None:
    found = await get(api, path, role)

    assert (found[0], told in found[1]["detail"]) == (status, True), found
