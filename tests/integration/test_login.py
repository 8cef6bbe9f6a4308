"""People come in and go over real HTTP: passwords, links, sessions, a proxy, and what other sites may not."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from infra import tables as t
from infra import tokens
from infra.access_settings import AccessSettings
from infra.database import Database
from infra.settings import Settings
from infra.store import reviews, search, sessions
from infra.store.search import Search
from pipeline.errors import InvalidSettingsError
from pipeline.record import decided
from schemas import review
from tests.api_world import DIALECTS, JSON, OWNER, TOPIC, Api, add_token, database, running, settings
from tests.builders import SCRIBE, Facts, answer_of, entry
from tests.contract.scenes import note
from tests.people import OURS, PASSWORD, Browser, add_user, browser, disable

SEND: Final = f"/topics/{TOPIC}/events"
EVENT: Final = "/events/" + "0" * 32
FOREIGN: Final = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
]


@pytest.fixture(params=DIALECTS)
async def rows(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    async with database(request.param, tmp_path) as made:
        yield made


@pytest.fixture
async def api(rows: Database) -> AsyncIterator[Api]:
    """Not embedded, with an account of an operator."""
    async with running(rows, embedded=False) as started:
        await add_user(started, "anna", "operator")
        yield started


@pytest.fixture
async def alone(rows: Database) -> AsyncIterator[Api]:
    """Embedded."""
    async with running(rows) as started:
        yield started


@pytest.fixture
async def anna(api: Api) -> AsyncIterator[Browser]:
    """Her browser, logged in."""
    async with browser(api) as her:
        assert (await her.log_in("anna")).status == 303
        yield her


async def test_a_right_password_opens_a_session_and_leads_to_where_one_wanted(api: Api) -> None:
    async with browser(api) as her:
        answer = await her.log_in(" Anna ", next="/review?workflow=notes")

        assert (answer.status, answer.headers["Location"]) == (303, "/review?workflow=notes")
        assert (await her.get(EVENT)).status == 404, "she may ask; there is no such event"
        again = await her.get("/login?next=/spend")
        assert (again.status, again.headers["Location"]) == (303, "/spend")

    (cookie,) = answer.headers.getall("Set-Cookie")
    assert {"HttpOnly", "SameSite=strict", "Path=/", "Max-Age=43200"} <= set(cookie.split("; "))
    assert "Secure" not in cookie, "over http from this machine a browser would not take it"
    assert await api.count(t.audit_record, t.audit_record.c.kind == "session_opened") == 1


async def test_elsewhere_the_cookie_is_for_https_alone(api: Api) -> None:
    async with browser(api) as her:
        fields = {"name": "anna", "password": PASSWORD}
        answer = await her.post("/login", fields, {**OURS, "Host": "penstock.example"})

    assert "Secure" in answer.headers["Set-Cookie"].split("; ")


@pytest.mark.parametrize("name", ["anna", "nobody", "sso", "gone"])
async def test_what_does_not_go_together_is_told_without_telling_which(api: Api, name: str) -> None:
    await add_user(api, "sso", "admin", has_password=False)
    await add_user(api, "gone", "admin")
    await disable(api, "gone")
    async with browser(api) as her:
        answer = await her.log_in(name, PASSWORD if name != "anna" else "wrong horse battery")

        assert answer.status == 401
        assert "do not go together" in await answer.text()
        assert her.cookie == ""


@pytest.mark.parametrize(
    "goal", ["https://evil.example", "//evil.example", "/\\evil.example", "/\t/evil.example", "javascript:1"]
)
async def test_a_login_leads_to_no_other_site(api: Api, goal: str) -> None:
    async with browser(api) as her:
        assert (await her.log_in("anna", next=goal)).headers["Location"] == "/"


async def test_what_is_in_the_address_is_shown_as_text(api: Api) -> None:
    async with browser(api) as her:
        answer = await her.get("/login?next=/%22%3E%3Cscript%3Ealert(1)%3C/script%3E")

        assert "<script>" not in await answer.text()
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"


async def test_after_five_failures_the_right_password_waits_at_every_process(
    rows: Database, api: Api
) -> None:
    async with running(rows, embedded=False) as second, browser(api) as one, browser(second) as two:
        failed = [(await who.log_in("anna", "wrong" * 3)).status for who in (one, two, one, two, one)]
        answer = await two.log_in("anna")

    assert failed == [401] * 5
    assert answer.status == 429
    assert 0 < int(answer.headers["Retry-After"]) <= 901
    assert "too many failed logins" in await answer.text()


@pytest.mark.parametrize("headers", [*FOREIGN, {}])
async def test_another_site_cannot_log_somebody_in(api: Api, headers: dict[str, str]) -> None:
    async with browser(api) as her:
        answer = await her.post("/login", {"name": "anna", "password": PASSWORD}, headers)

        assert (answer.status, her.cookie) == (403, "")


async def test_a_change_needs_the_token_of_the_session(anna: Browser) -> None:
    csrf = await anna.csrf()
    body = '{"text":"hello"}'
    asked = [
        {**OURS, "X-CSRF-Token": csrf},
        {"Origin": str(anna.http._base_url).rstrip("/"), "X-CSRF-Token": csrf},
        {**OURS},
        {**OURS, "X-CSRF-Token": "x" + csrf},
        {**OURS, "X-CSRF-Token": "\xe9"},
        {"X-CSRF-Token": csrf},
        *({**foreign, "X-CSRF-Token": csrf} for foreign in FOREIGN),
    ]

    found = []
    for headers in asked:
        async with anna.http.post(SEND, data=body, headers={**JSON, **headers}) as answer:
            found.append(answer.status)

    assert found == [202, 202, *[403] * 8]


async def test_logging_out_needs_the_token_too_and_ends_the_session(api: Api, anna: Browser) -> None:
    secret, csrf = anna.cookie, await anna.csrf()

    refused = await anna.post("/logout", {})
    answer = await anna.post("/logout", {"csrf": csrf})

    assert (refused.status, answer.status, answer.headers["Location"]) == (403, 303, "/login")
    assert anna.cookie == ""
    stolen = {"Cookie": f"penstock_session={secret}"}
    assert (await api.send(EVENT, b"", stolen, method="GET"))[0] == 401
    assert await api.count(t.audit_record, t.audit_record.c.kind == "session_closed") == 1


async def test_from_another_site_the_strict_cookie_is_asked_for_once_more(api: Api) -> None:
    async with browser(api) as her:
        far = await her.get("/login?next=/spend", {"Sec-Fetch-Site": "cross-site"})
        near = await her.get("/login?next=/spend", {"Sec-Fetch-Site": "same-origin"})

        assert 'http-equiv="refresh"' in await far.text()
        assert 'http-equiv="refresh"' not in await near.text()


async def test_a_token_needs_no_origin(api: Api) -> None:
    await add_token(api, "operator")

    assert (await api.post(headers=api.bearer("operator")))[0] == 202


async def test_the_link_of_embedded_mode_works_once(alone: Api) -> None:
    await sessions.add_link(alone.store.database, tokens.digest("once"))
    async with browser(alone) as first, browser(alone) as second:
        wrong = await first.get("/login/once?t=another")
        opened = await first.get("/login/once?t=once")
        used = await second.get("/login/once?t=once")
        home = await first.get("/login")

        assert (wrong.status, opened.status, used.status) == (401, 303, 401)
        assert (home.status, home.headers["Location"]) == (303, "/")
        assert (first.cookie != "", second.cookie) == (True, "")
        assert "penstock link" in await used.text()


async def test_who_sits_at_the_machine_is_one_person_on_the_page_and_to_the_api(alone: Api) -> None:
    await sessions.add_link(alone.store.database, tokens.digest("once"))
    await alone.store.accept([note(1)])
    (claim,) = await alone.store.claim("notes", limit=1)
    why = review("a large amount")
    answer = answer_of(Facts(city="Oban", amount=None))
    await alone.store.commit([decided(claim, entry(), why, answer, now=datetime.now(UTC), scribe=SCRIBE)])
    desk = f"/review/{note(1).event_id}"
    async with browser(alone) as owner:
        await owner.get("/login/once?t=once")
        claimed = await owner.post(f"{desk}/claim", {"csrf": await owner.csrf()})
        opened = await search.page(alone.store.database, Search(kind="session_opened"))

    assert claimed.headers["Location"] == desk
    found = await reviews.find(alone.store.database, note(1).event_id)
    assert found is not None
    assert found.claimed_by == opened[0].actor_name == OWNER.name
    status, claimed_again = await alone.send(f"/api/reviews/{note(1).event_id}/claim", "{}", JSON)
    assert (status, claimed_again["claimed_by"]) == (200, OWNER.name)


async def test_outside_embedded_mode_no_link_opens_anything(api: Api) -> None:
    await sessions.add_link(api.store.database, tokens.digest("once"))
    async with browser(api) as her:
        assert (await her.get("/login/once?t=once")).status == 401


@pytest.mark.parametrize("headers", FOREIGN)
async def test_embedded_mode_takes_nothing_from_other_sites_but_signed_webhooks(
    alone: Api, headers: dict[str, str]
) -> None:
    assert (await alone.post())[0] == 202, "curl says nothing of an origin"
    assert (await alone.post(headers=headers))[1]["reason"] == "foreign_origin"
    assert (await alone.hook("shop", b'{"text":"signed"}', headers))[0] == 202


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8080", 404),
        ("localhost", 404),
        ("LOCALHOST:1", 404),
        ("[::1]:8080", 404),
        ("evil.example", 403),
        ("evil.example:8080", 403),
        ("127.0.0.1.evil.example", 403),
        ("127.0.0.1@evil.example", 403),
        ("[", 403),
    ],
)
async def test_embedded_mode_answers_to_its_own_names(alone: Api, host: str, status: int) -> None:
    assert (await alone.send(EVENT, b"", {"Host": host}, method="GET"))[0] == status


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.5", "localhost.example", ""])  # noqa: S104 - refused
async def test_embedded_mode_is_never_served_to_others(rows: Database, host: str) -> None:
    found = settings().model_copy(update={"api": settings().api.model_copy(update={"host": host})})

    with pytest.raises(InvalidSettingsError, match=r"127\.0\.0\.1 alone"):
        async with running(rows, found=found):
            pass


async def test_embedded_mode_takes_no_word_of_a_proxy(rows: Database) -> None:
    with pytest.raises(InvalidSettingsError, match="PROXY_HEADER"):
        async with running(rows, found=proxied("127.0.0.1")):
            pass


def proxied(*addresses: str, role: str = "") -> Settings:
    access = AccessSettings.model_validate(
        {"proxy_header": "X-Forwarded-User", "proxy_addresses": ",".join(addresses), "proxy_role": role}
    )
    return settings().model_copy(update={"access": access})


@pytest.mark.parametrize(
    ("address", "role", "user", "status"),
    [
        ("127.0.0.0/8", "", "anna", 404),
        ("127.0.0.1", "", "Anna", 404),
        ("127.0.0.1", "", "new@example.com", 403),
        ("127.0.0.1", "viewer", "new@example.com", 404),
        ("127.0.0.1", "viewer", "gone", 403),
        ("127.0.0.1", "viewer", "two names", 403),
        ("127.0.0.1", "viewer", None, 401),
        ("10.0.0.1", "viewer", "anna", 403),
    ],
)
async def test_a_proxy_names_the_user_where_it_is_trusted(
    rows: Database, address: str, role: str, user: str | None, status: int
) -> None:
    async with running(rows, embedded=False, found=proxied(address, role=role)) as api:
        await add_user(api, "anna", "viewer", has_password=False)
        await add_user(api, "gone", "admin")
        await disable(api, "gone")
        headers = {} if user is None else {"X-Forwarded-User": user}

        assert (await api.send(EVENT, b"", headers, method="GET"))[0] == status


async def test_a_proxy_may_pass_on_an_authorization_that_is_none_of_ours(rows: Database) -> None:
    async with running(rows, embedded=False, found=proxied("127.0.0.1", role="viewer")) as api:
        foreign = {"Authorization": "Bearer eyJ.of.another"}
        named = await api.send(EVENT, b"", {**foreign, "X-Forwarded-User": "anna"}, method="GET")

        assert named[0] == 404
        assert (await api.send(EVENT, b"", foreign, method="GET"))[0] == 401


async def test_a_user_of_a_proxy_needs_the_csrf_token_too(rows: Database) -> None:
    async with running(rows, embedded=False, found=proxied("127.0.0.1", role="admin")) as api:
        status, problem = await api.post(headers={**OURS, "X-Forwarded-User": "anna"})

    assert (status, problem["reason"]) == (403, "csrf")


async def test_who_decides_after_the_session_has_ended_comes_back_to_the_desk(api: Api) -> None:
    desk = "/review/00000000-0000-0000-0000-000000000001"
    async with browser(api) as nobody:
        decided = await nobody.post(f"{desk}/decide", {"action": "save"})
        replayed = await nobody.post("/events/00000000-0000-0000-0000-000000000001/replay", {})

    assert decided.headers["Location"] == f"/login?next={desk}"
    assert replayed.headers["Location"] == "/login"
