"""Webhooks over real HTTP: what is signed is not lost, what is not does not get in, nothing breaks."""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from consumers.api.senders import senders
from infra import tables as t
from infra.database import Database
from infra.settings import Settings
from pipeline.errors import InvalidSettingsError
from schemas.decision import Outcome
from tests.api_world import CATALOGUE, DIALECTS, JSON, OLD_SECRET, TOPIC, Api, database, running
from tests.signing import SECRETS, standard, stripe

BODY = b'{"text": "hello"}'


@pytest.fixture(params=DIALECTS)
async def rows(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    async with database(request.param, tmp_path) as made:
        yield made


@pytest.fixture
async def api(rows: Database) -> AsyncIterator[Api]:
    async with running(rows, embedded=False) as started:
        yield started


@pytest.mark.parametrize(
    ("source", "body", "headers", "id"),
    [
        ("shop", BODY, {}, "msg_1"),
        ("desk", b'{"type": "message", "message": "hello"}', {}, "msg_1"),
        ("pay", b'{"id": "evt_1", "text": "hello"}', {}, "evt_1"),
        ("hub", BODY, {"X-GitHub-Delivery": "72d3162e", "X-GitHub-Event": "issues"}, "72d3162e"),
        ("market", BODY, {"X-Shopify-Webhook-Id": "b54557e4"}, "b54557e4"),
        ("chat", b'{"event_id": "Ev1", "type": "event_callback", "text": "hello"}', {}, "Ev1"),
    ],
)
async def test_every_scheme_comes_in_under_its_own_id(
    api: Api, source: str, body: bytes, headers: dict[str, str], id: str
) -> None:
    answers = [await api.hook(source, body, headers) for _ in range(2)]

    assert [status for status, _ in answers] == [202, 200]
    assert await api.count(t.event, t.event.c.source == source, t.event.c.source_id == id) == 1
    assert api.rung == ["notes"]


async def test_an_envelope_in_a_webhook_is_data_like_any_other(api: Api) -> None:
    body = b'{"specversion": "1.0", "id": "x", "source": "other", "type": "note", "text": "hello"}'

    assert (await api.hook("shop", body))[0] == 202
    assert await api.count(t.event, t.event.c.source == "shop", t.event.c.source_id == "msg_1") == 1


async def test_during_a_rotation_the_old_secret_is_good_too(api: Api) -> None:
    assert (await api.hook("shop", BODY, secret=OLD_SECRET))[0] == 202
    assert (await api.hook("desk", BODY, secret=OLD_SECRET))[0] == 401


async def test_what_is_not_signed_is_refused_without_a_hint(api: Api) -> None:
    old = standard(SECRETS["standard"], BODY, int(time.time()) - 301)
    new = standard(SECRETS["standard"], BODY, int(time.time()) + 315)
    good = standard(SECRETS["standard"], BODY, int(time.time()))
    refused = [{}, old, new, {**good, "webhook-id": "msg_2"}, {**good, "webhook-signature": "v1"}]

    answers = [await api.send("/webhooks/shop", BODY, {**JSON, **headers}) for headers in refused]
    answers.append(await api.send("/webhooks/shop", BODY + b" ", {**JSON, **good}))

    assert {(status, found["detail"]) for status, found in answers} == {
        (401, "the signature does not hold; check secret, clock and raw body")
    }
    assert await api.count(t.event) == 0


@pytest.mark.parametrize(
    ("source", "body"),
    [
        ("shop", b'{"txt" : "hello"}'),
        ("shop", b"[1, 2]"),
        ("desk", b'{"type": "message"}'),
        ("desk", b'{"type": "message", "message": 7}'),
        ("desk", b'["message"]'),
        ("pay", b'{"id": "evt_1"}'),
    ],
)
async def test_a_signed_body_that_does_not_fit_is_kept_once_as_dead(
    api: Api, source: str, body: bytes
) -> None:
    first = await api.hook(source, body)
    again = await api.hook(source, body)

    assert (first[0], first[1]["reason"]) == (422, "invalid_event")
    assert again == first
    assert await api.count(t.content, t.content.c.data == body) == 1
    assert await api.count(t.result, t.result.c.state == Outcome.DEAD) == 1
    assert await api.count(t.work) == 0


async def test_adapts_own_bug_is_named_by_its_type_only(api: Api) -> None:
    _, problem = await api.hook("desk", b'{"type": "secret message"}')

    assert "adapt of source 'desk' failed: KeyError" in problem["detail"]
    assert "secret" not in problem["detail"]


async def test_an_accepted_id_with_a_body_that_does_not_fit_is_a_conflict(api: Api) -> None:
    await api.hook("shop", BODY)

    status, problem = await api.hook("shop", b'{"txt": "hello"}')

    assert (status, problem["reason"]) == (409, "id_reused")
    assert await api.count(t.event) == 1


async def test_signed_bytes_that_name_no_event_are_400(api: Api) -> None:
    for source, body in (("shop", b"no json"), ("pay", b'{"text": "no id"}'), ("hub", BODY)):
        assert (await api.hook(source, body))[0] == 400
    assert await api.count(t.event) == 0


async def test_signed_bytes_that_are_no_text_are_told_so_and_not_that_their_signature_is_wrong(
    api: Api,
) -> None:
    status, problem = await api.hook("shop", b'{"text": "caf\xe9"}')

    assert (status, problem["reason"]) == (400, "invalid_event")
    assert "not UTF-8" in problem["detail"]


async def test_what_is_no_event_is_counted_and_not_accepted(api: Api) -> None:
    for _ in range(2):
        assert await api.hook("desk", b'{"type": "ping"}') == (200, {"status": "ignored"})
    assert (await api.counter("ignored"), await api.counter("accepted")) == (2, 0)


async def test_slack_and_github_get_their_greetings_answered(api: Api) -> None:
    challenge = json.dumps({"type": "url_verification", "token": "x", "challenge": "3eZbrw1aB"}).encode()

    assert await api.hook("chat", challenge) == (200, {"challenge": "3eZbrw1aB"})
    greeting = {"X-GitHub-Event": "ping", "X-GitHub-Delivery": "1"}
    assert (await api.hook("hub", b'{"zen": "Keep it logically awesome."}', greeting))[0] == 200
    assert await api.count(t.event) == 0


async def test_a_form_is_415_even_when_it_is_signed(api: Api) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}

    assert (await api.hook("hub", b"payload=%7B%7D", form))[0] == 415


NAMES = (
    b"webhook-id webhook-timestamp webhook-signature stripe-signature x-hub-signature-256 x-slack-signature"
    b" x-slack-request-timestamp x-shopify-hmac-sha256 ce-id ce-time ce-source ce-type ce-specversion"
    b" content-type content-encoding authorization traceparent idempotency-key expect"
).split()
PIECES = b"v1, t= v0= \xe9 \xff \xc3\xa9 %00 %ED%A0%80 = , 1e9 nan 1.0 Bearer application/json \t".split(b" ")


def _header(chance: random.Random) -> bytes:
    value = b"".join(chance.choices([*PIECES, b" ", b"A" * 600, b"9" * 30], k=chance.randint(0, 4)))
    return chance.choice(NAMES) + b": " + value + b"\r\n"


def _body(chance: random.Random) -> bytes:
    whole = (
        b'{"id":"a","source":"\\ud800","specversion":"1.0","type":"\\u0000","time":"0001-01-01T00:00:00Z"}'
    )
    choices = [whole, b"", b"\xff\xfe", b"[" * 3_000, b"1e999", b"9" * 5_000, b'"\\ud800"', b"null", b"NaN"]
    body = bytearray(chance.choice(choices))
    for _ in range(chance.randint(0, 2) if body else 0):
        body[chance.randrange(len(body))] = chance.randrange(256)
    return bytes(body)


async def _status(host: str, port: int, request: bytes) -> int:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(request)
        line = await asyncio.wait_for(reader.readline(), timeout=20)
        return int(line.split()[1])
    finally:
        writer.close()
        await writer.wait_closed()


async def test_nothing_that_is_sent_is_our_fault(api: Api, rows: Database) -> None:
    chance = random.Random(20240517)  # noqa: S311 - the same requests each time
    paths = [f"/webhooks/{name}" for name in ("shop", "desk", "pay", "hub", "market", "chat", "%ff", "%00")]
    async with running(rows) as open_api:
        targets = [api, open_api]
        for _ in range(400):
            path = chance.choice(
                [*paths, f"/topics/{TOPIC}/events", f"/topics/{TOPIC}/events", "/topics/%ED%A0%80/events"]
            )
            body = _body(chance)
            headers = chance.choice([b"Content-Type: application/json\r\n"] * 4 + [b""])
            headers += b"".join(_header(chance) for _ in range(chance.randint(0, 5)))
            lines = b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n" % (path.encode(), len(body))
            url = chance.choice(targets).http._base_url
            assert url is not None

            status = await _status("127.0.0.1", url.port or 0, lines + headers + b"\r\n" + body)

            assert 400 <= status < 500 or status in (200, 202), (status, path, headers, body)


async def test_signed_fuzz_is_accepted_or_refused_and_never_our_fault(api: Api) -> None:
    chance = random.Random(7)  # noqa: S311
    for number in range(200):
        body = _body(chance)
        signed = stripe(SECRETS["stripe"], body, int(time.time()))
        status, _ = await api.send("/webhooks/pay", body, {**JSON, **signed, "traceparent": "0" * number})
        assert status in (200, 202, 400, 409, 422)


@pytest.mark.parametrize(
    ("changes", "variable"),
    [
        ({"desk": {"secrets": ["plain"]}}, "PENSTOCK_SOURCES__DESK__SECRETS: secret 1 does not start"),
        ({"hub": {"secrets": ["good", ""]}}, "PENSTOCK_SOURCES__HUB__SECRETS: secret 2 is empty"),
        ({"new": {"secrets": ["x"]}}, "PENSTOCK_SOURCES__NEW__TOPIC: no source 'new' in code"),
        ({"new": {"topic": "none.v1", "secrets": ["x"]}}, "PENSTOCK_SOURCES__NEW__TOPIC: no workflow"),
        ({"desk": {"topic": TOPIC}}, "PENSTOCK_SOURCES__DESK__TOPIC: the topic is declared in code"),
    ],
)
def test_a_source_that_cannot_work_is_named_at_start_up(changes: dict[str, object], variable: str) -> None:
    sources = {found.name: {"secrets": [SECRETS[found.scheme]]} for found in CATALOGUE.sources}
    found = Settings.model_validate({"sources": {**sources, **changes}})

    with pytest.raises(InvalidSettingsError) as caught:
        senders(found, CATALOGUE)

    assert str(caught.value).startswith(variable)
