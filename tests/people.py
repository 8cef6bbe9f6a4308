"""People as the API meets them: accounts, browsers with cookies, forms from our own pages."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

import aiohttp
from sqlalchemy import select

from infra import passwords, tokens
from infra import tables as t
from infra.database import Database
from infra.store import accounts
from pipeline.trail import noted
from tests.api_world import Api
from tests.builders import SCRIBE

PASSWORD: Final = "correct horse battery"
_HASH: Final = passwords.hashed(PASSWORD)
#: What a browser adds to a form of our own.
OURS: Final = {"Sec-Fetch-Site": "same-origin"}


@dataclass
class Browser:
    """A browser of its own, which follows no redirect by itself."""

    http: aiohttp.ClientSession
    database: Database

    async def get(self, path: str, headers: Mapping[str, str] | None = None) -> aiohttp.ClientResponse:
        async with self.http.get(path, headers=headers or {}, allow_redirects=False) as answer:
            await answer.read()
            return answer

    async def post(
        self, path: str, fields: Mapping[str, str], headers: Mapping[str, str] = OURS
    ) -> aiohttp.ClientResponse:
        async with self.http.post(path, data=fields, headers=headers, allow_redirects=False) as answer:
            await answer.read()
            return answer

    async def log_in(self, name: str, password: str = PASSWORD, **more: str) -> aiohttp.ClientResponse:
        return await self.post("/login", {"name": name, "password": password, **more})

    @property
    def cookie(self) -> str:
        """The secret of the session; empty without one."""
        return next((found.value for found in self.http.cookie_jar if found.key == "penstock_session"), "")

    async def csrf(self) -> str:
        """What our pages put into their forms."""
        query = select(t.session.c.csrf).where(t.session.c.hash == tokens.digest(self.cookie))
        async with self.database.read() as connection:
            return str((await connection.execute(query)).scalar_one())


@asynccontextmanager
async def browser(api: Api) -> AsyncIterator[Browser]:
    """A new browser that looks at `api`."""
    jar = aiohttp.CookieJar(unsafe=True)  # it takes cookies from an address without a name
    async with aiohttp.ClientSession(api.url, cookie_jar=jar) as http:
        yield Browser(http, api.store.database)


async def add_user(api: Api, name: str, role: str, *, has_password: bool = True) -> None:
    """Make an account with PASSWORD."""
    await accounts.add_user(
        api.store.database,
        uuid4(),
        name=name,
        role=role,
        password_hash=_HASH if has_password else None,
        record=noted("user_added", {"user": name}, scribe=SCRIBE, now=datetime.now(UTC)),
    )


async def disable(api: Api, name: str) -> None:
    """Lock an account."""
    record = noted("user_disabled", {"user": name}, scribe=SCRIBE, now=datetime.now(UTC))
    await accounts.set_disabled(api.store.database, name, record, disabled=True)
