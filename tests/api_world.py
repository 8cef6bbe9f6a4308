"""The API as its clients meet it: real uvicorn, a real database, every kind of source and token."""

import asyncio
import os
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import aiohttp
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import create_async_engine
from yarl import URL

from consumers.api.app import create_app
from consumers.api.callers import COOKIE
from consumers.api.context import ApiContext
from consumers.api.serve import serve
from infra import schema, tables, tokens
from infra.database import Database, connect
from infra.settings import ApiSettings, Settings, SourceSettings
from infra.store import SqlStore, administration, sessions
from infra.store.administration import Token
from infra.store.sessions import Opening
from pipeline import IGNORED, Ignored, Source
from pipeline.catalogue import Catalogue
from pipeline.trail import noted
from schemas.changeset import Actor
from tests.builders import SCRIBE, entry
from tests.databases import DROP, LEAVE
from tests.signing import SECRETS, SIGN

TOPIC: Final = "notes.written.v1"
JSON: Final = {"Content-Type": "application/json"}
MAX_BODY_BYTES: Final = 65_536
OLD_SECRET: Final = "whsec_" + "B" * 32

#: On another machine's PostgreSQL too, where the environment names one.
POSTGRESQL: Final = os.environ.get("PENSTOCK_DATABASE__URL", "")
DIALECTS: Final = ["sqlite", *(["postgresql"] if POSTGRESQL.startswith("postgresql") else [])]


def adapt(body: Mapping[str, Any]) -> Mapping[str, Any] | Ignored:
    """A help desk's: a ping is ignored, a message without a text is a bug here."""
    return IGNORED if body["type"] == "ping" else {"text": body["message"]}


#: Who sits at the machine that the API runs on.
OWNER: Final = Actor("person", "os:ada@desk")

CATALOGUE: Final = Catalogue(
    (entry(),),
    (
        Source(name="desk", topic=TOPIC, adapt=adapt),
        Source(name="pay", topic=TOPIC, scheme="stripe"),
        Source(name="hub", topic=TOPIC, scheme="github"),
        Source(name="market", topic=TOPIC, scheme="shopify"),
        Source(name="chat", topic=TOPIC, scheme="slack"),
    ),
)


def settings(**api: int) -> Settings:
    """Every source with its scheme's secret, `shop` by settings alone and in the middle of a rotation."""

    def source(*found: str, topic: str = "") -> SourceSettings:
        return SourceSettings(secrets=tuple(map(SecretStr, found)), topic=topic)

    named = {declared.name: source(SECRETS[declared.scheme]) for declared in CATALOGUE.sources}
    shop = source(SECRETS["standard"], OLD_SECRET, topic=TOPIC)
    limits = {"max_body_bytes": MAX_BODY_BYTES, **api}
    return Settings(sources={**named, "shop": shop}, api=ApiSettings(**limits))


@asynccontextmanager
async def database(dialect: str, folder: Path) -> AsyncIterator[Database]:
    """An empty database with our tables, gone afterwards."""
    if dialect == "sqlite":
        connected = connect(f"sqlite:///{folder}/penstock.db")
        await schema.upgrade(connected)
        yield connected
        await connected.close()
        return
    name = f"penstock_test_{secrets.token_hex(6)}"
    server = create_async_engine(POSTGRESQL, isolation_level="AUTOCOMMIT")
    async with server.connect() as connection:
        await connection.execute(text(f"CREATE DATABASE {name}"))
    connected = connect(POSTGRESQL.rpartition("/")[0] + f"/{name}")
    try:
        await schema.upgrade(connected)
        yield connected
    finally:
        await connected.close()
        async with server.connect() as connection:
            for statement in (LEAVE, DROP):
                await connection.execute(text(statement.format(name=name)))
        await server.dispose()


@dataclass
class Api:
    """A running API, a client, and what is behind it."""

    http: aiohttp.ClientSession
    store: SqlStore
    rung: list[str]
    url: str
    app: FastAPI
    tokens: dict[str, str] = field(default_factory=dict)
    session: str = ""
    csrf: str = ""

    async def log_in(self, name: str = "ada", role: str = "admin") -> None:
        """From here on the client has the cookie of a person; `csrf` is what their forms carry."""
        (self.session, digest), (self.csrf, _), (_, link) = (tokens.new_token() for _ in range(3))
        record = noted(
            "session_opened", {"user": name}, scribe=SCRIBE, now=datetime.now(UTC), nonce=self.session
        )
        database = self.store.database
        await sessions.add_link(database, link)
        await sessions.open_by_link(
            database, Opening(digest, self.csrf, 600.0), link, name=name, role=role, record=record
        )
        self.http.cookie_jar.update_cookies({COOKIE: self.session}, URL(self.url))

    async def send(
        self, path: str, body: bytes | str, headers: Mapping[str, str] | None = None, *, method: str = "POST"
    ) -> tuple[int, dict[str, Any]]:
        """Status and JSON body of an answer; a problem is checked to be one."""
        async with self.http.request(method, path, data=body, headers=headers or {}) as answer:
            found = await answer.json(content_type=None)
            if answer.status >= 400:
                assert answer.content_type == "application/problem+json"
                assert found["status"] == answer.status
                assert found["detail"]
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            return answer.status, found

    async def post(
        self, body: bytes | str = '{"text":"hello"}', headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """An event of our own senders."""
        return await self.send(f"/topics/{TOPIC}/events", body, {**JSON, **(headers or {})})

    async def hook(
        self, source: str, body: bytes, headers: Mapping[str, str] | None = None, *, secret: str | None = None
    ) -> tuple[int, dict[str, Any]]:
        """A webhook, signed as its source signs."""
        declared = {found.name: found.scheme for found in CATALOGUE.sources}
        scheme = declared.get(source, "standard")
        signed = SIGN[scheme](secret or SECRETS[scheme], body, int(time.time()))
        return await self.send(f"/webhooks/{source}", body, {**JSON, **signed, **(headers or {})})

    def bearer(self, role: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens[role]}"}

    async def count(self, table: Any, *conditions: Any) -> int:
        query = select(func.count()).select_from(table).where(*conditions)
        async with self.store.database.read() as connection:
            return int((await connection.execute(query)).scalar_one())

    async def counter(self, name: str) -> int:
        query = select(func.sum(tables.counter.c.value)).where(tables.counter.c.name == name)
        async with self.store.database.read() as connection:
            return int((await connection.execute(query)).scalar() or 0)


@asynccontextmanager
async def running(
    database: Database, *, embedded: bool = True, connections: int = 100, found: Settings | None = None
) -> AsyncIterator[Api]:
    """The API on a free port of 127.0.0.1."""
    store, rung = SqlStore(database, SCRIBE), list[str]()
    context = ApiContext(
        settings=found or settings(),
        catalogue=CATALOGUE,
        store=store,
        scribe=SCRIBE,
        secret=b"secret of the tests",
        clock=lambda: datetime.now(UTC),
        salt=lambda: secrets.token_bytes(16),
        ring=rung.append,
        embedded=embedded,
        owner=OWNER,
    )
    stop, port = asyncio.Event(), asyncio.get_running_loop().create_future()
    app = create_app(context)
    server = asyncio.create_task(serve(app, "127.0.0.1", 0, stop=stop, bound=port.set_result))
    connector = aiohttp.TCPConnector(limit=connections)
    try:
        url = f"http://127.0.0.1:{await port}"
        jar = aiohttp.CookieJar(unsafe=True)  # for an address instead of a name
        async with aiohttp.ClientSession(url, connector=connector, cookie_jar=jar) as http:
            yield Api(http, store, rung, url, app)
    finally:
        stop.set()
        await server


async def add_token(api: Api, role: str, *sources: str) -> None:
    """Make a token; `api.bearer(role)` carries it."""
    words, digest = tokens.new_token()
    name = f"{role}-1"
    record = noted("token_made", {"name": name}, scribe=SCRIBE, now=datetime.now(UTC))
    token = Token(uuid4(), name, role, sources)
    await administration.add_token(api.store.database, token, digest, record)
    api.tokens[role] = words
