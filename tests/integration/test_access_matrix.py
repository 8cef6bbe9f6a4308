"""Every route for every role: what the one table in `consumers.api.needs` says, and no more."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
from fastapi import APIRouter

from consumers.api import needs
from consumers.api.needs import API, PAGES
from consumers.roles import RIGHTS, may
from tests.api_world import Api, add_token, database, running
from tests.people import OURS, Browser, add_user, browser

ANONYMOUS: Final = "anonymous"
LINES: Final = {**API, **PAGES}
#: The routes that ask for something.
GUARDED: Final = [route for route, wanted in LINES.items() if wanted]
#: What a gate answers; a route behind it has other reasons for a 401 or a 403, such as a signature.
_CLOSED: Final = (401, 403)


def expected(route: str, role: str) -> str:
    if role == ANONYMOUS:
        return "login" if route in PAGES else "401"
    return "in" if any(may(role, need) for need in LINES[route]) else "403"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with database("sqlite", tmp_path) as made, running(made, embedded=False) as started:
        yield started


async def asked(who: Browser, route: str, headers: dict[str, str]) -> str:
    method, _, path = route.partition(" ")
    path = re.sub(r"\{[^}]*\}", "1", path)
    request = who.http.request(method, path, headers=headers, data=None, allow_redirects=False)
    async with request as answer:  # unread: a page may be a stream without an end
        if answer.status == 303 and answer.headers["Location"].startswith("/login"):
            return "login"
        return str(answer.status) if answer.status in _CLOSED else "in"


@pytest.mark.parametrize("role", [ANONYMOUS, *RIGHTS])
async def test_a_token_opens_what_its_role_may(api: Api, role: str) -> None:
    if role != ANONYMOUS:
        await add_token(api, role)
    headers = {} if role == ANONYMOUS else api.bearer(role)
    async with browser(api) as program:
        found = {route: await asked(program, route, headers) for route in GUARDED}

    assert found == {route: expected(route, role) for route in GUARDED}


@pytest.mark.parametrize("role", [role for role in RIGHTS if role != "sender"])
async def test_a_session_opens_what_its_role_may(api: Api, role: str) -> None:
    await add_user(api, "anna", role)
    async with browser(api) as her:
        await her.log_in("anna")
        headers = {**OURS, "X-CSRF-Token": await her.csrf()}
        found = {route: await asked(her, route, headers) for route in GUARDED}

    assert found == {route: expected(route, role) for route in GUARDED}


async def test_every_route_is_in_the_table_and_the_table_has_no_other(api: Api) -> None:
    assert needs.undeclared(api.app) == []


async def test_a_route_under_a_prefix_cannot_borrow_the_line_of_another(api: Api) -> None:
    hidden = APIRouter()
    hidden.add_api_route("/login", lambda: "secret", methods=["GET"])

    api.app.include_router(hidden, prefix="/admin")

    assert needs.undeclared(api.app) == ["GET /admin/login (write the path out, without a prefix)"]


async def test_a_route_that_is_not_in_the_table_answers_nobody(api: Api) -> None:
    @api.app.get("/forgotten")
    async def forgotten() -> str:
        return "secret"

    await add_token(api, "admin")

    assert needs.undeclared(api.app) == ["GET /forgotten"]
    assert (await api.send("/forgotten", b"", api.bearer("admin"), method="GET"))[0] == 500
