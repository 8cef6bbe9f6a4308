"""A name and a password, or the text of a link, in; the secret of a new session out."""

import asyncio
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field, replace
from typing import Final

from fastapi import Request

from consumers.api import origin
from consumers.api.callers import LOCAL
from consumers.api.context import ApiContext
from consumers.api.problems import Problem
from consumers.api.proxy import client_address
from infra import passwords, tokens
from infra.logs import logger
from infra.store import accounts, logins, sessions
from infra.store.accounts import User
from infra.store.sessions import Opening
from pipeline.trail import noted
from schemas.changeset import Actor, AuditRecord
from schemas.kinds import RecordKind

log = logger()

#: Failures in a quarter of an hour; many people may share an address.
_PER_NAME: Final = 5
_PER_ADDRESS: Final = 30
#: Passwords looked at together in one process: each takes 64 MiB.
_TOGETHER: Final = 2


@dataclass
class Entrance:
    """Where sessions begin and end, each on record."""

    context: ApiContext
    _looking: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_TOGETHER))
    _nobodys: str = field(default_factory=passwords.nobodys)

    async def by_password(self, request: Request, name: str, password: str) -> str | None:
        """The secret of a new session; None for a wrong name or password, which are not told apart.

        Raises Problem 429 after too many.
        """
        name = name.strip().lower()
        address = client_address(request, self.context.settings.access)
        by_name, by_address = self._scope("name", name), self._scope("address", address)
        database = self.context.store.database
        wait = await logins.count_try(database, {by_name: _PER_NAME, by_address: _PER_ADDRESS})
        if wait is not None:
            log.warning("login.limited", address=address)
            raise _too_many(wait)
        user = await accounts.find_user(database, name)
        expected = user.password_hash if user and user.password_hash else self._nobodys
        async with self._looking:
            is_right = await asyncio.to_thread(passwords.is_right, password, expected)
        if user is None or not is_right or user.disabled_at is not None:
            log.warning("login.failed", address=address)
            return None
        text = await self._open(user)
        if text is not None:
            await logins.forgive(database, wholly=by_name, once=by_address)
        return text

    async def by_link(self, request: Request, link: str) -> str | None:
        """The secret of a new session of the local admin; None outside embedded mode."""
        if not self.context.embedded:
            return None
        origin.check_host(request)
        text, opening = self._opening()
        is_open = await sessions.open_by_link(
            self.context.store.database,
            opening,
            tokens.digest(link),
            name=LOCAL,
            role="admin",
            record=self._record("session_opened", LOCAL, opening.digest, by="link"),
        )
        return text if is_open else None

    async def close(self, text: str, name: str) -> None:
        """End the session that has this secret."""
        digest = tokens.digest(text)
        record = self._record("session_closed", name, digest)
        await sessions.close_session(self.context.store.database, digest, record)

    @property
    def seconds(self) -> float:
        """How long a session lasts."""
        return self.context.settings.access.session_hours * 3_600

    async def _open(self, user: User) -> str | None:
        text, opening = self._opening()
        record = self._record("session_opened", user.name, opening.digest, by="password")
        is_open = await sessions.open_session(self.context.store.database, opening, user, record)
        return text if is_open else None

    def _opening(self) -> tuple[str, Opening]:
        text = secrets.token_urlsafe(32)
        return text, Opening(tokens.digest(text), secrets.token_urlsafe(32), self.seconds)

    def _record(self, kind: RecordKind, name: str, digest: bytes, **body: str) -> AuditRecord:
        actor = self.context.owner if name == LOCAL else Actor("person", f"user:{name}")
        scribe = replace(self.context.scribe, actor=actor)
        now = self.context.clock()
        return noted(kind, {"user": name, **body}, scribe=scribe, now=now, nonce=digest.hex())

    def _scope(self, kind: str, text: str) -> bytes:
        # Keyed: what is typed into the field for the name may be a password.
        return hmac.new(self.context.secret, f"{kind}:{text}".encode(), hashlib.sha256).digest()


def _too_many(seconds: float) -> Problem:
    wait = int(seconds) + 1
    detail = f"too many failed logins; try again in {-(-wait // 60)} minutes"
    return Problem(429, "too_many_logins", detail, headers={"Retry-After": str(wait)})
