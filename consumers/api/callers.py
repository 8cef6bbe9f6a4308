"""An Authorization header in, who calls and what they may do out."""

import time
from dataclasses import dataclass, field
from typing import Final

from fastapi import Request

from consumers.api.problems import Problem
from infra import tokens
from infra.database import Database
from infra.store import administration
from infra.store.administration import Token

_READERS: Final = frozenset({"viewer", "reviewer", "operator", "admin"})
_SENDERS: Final = frozenset({"sender", "operator", "admin"})
_REVIEWERS: Final = frozenset({"reviewer", "operator", "admin"})
_ANY_SOURCE: Final = "*"

#: A withdrawn token is still good for this long.
_REMEMBER_SECONDS: Final = 3.0
_REMEMBERED: Final = 1_000


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: a token's name and role, and the sources it may send as."""

    name: str
    role: str
    sources: tuple[str, ...]

    @property
    def source(self) -> str:
        """The source of events that come without an envelope."""
        return f"http:{self.name}"

    @property
    def may_read(self) -> bool:
        return self.role in _READERS

    @property
    def may_review(self) -> bool:
        return self.role in _REVIEWERS

    @property
    def may_send(self) -> bool:
        return self.role in _SENDERS

    def may_send_as(self, source: str) -> bool:
        return source == self.source or source in self.sources or _ANY_SOURCE in self.sources


#: In embedded mode whoever reaches 127.0.0.1 may do everything.
_LOCAL: Final = Caller("local", "admin", (_ANY_SOURCE,))


@dataclass
class Callers:
    """The callers that there are: rows of `token`, remembered for seconds; only the local one if embedded."""

    database: Database
    embedded: bool
    _known: dict[bytes, tuple[float, Token]] = field(default_factory=dict)

    async def identify(self, request: Request) -> Caller:
        """Who calls; raises Problem 401."""
        if self.embedded:
            return _LOCAL
        scheme, _, text = request.headers.get("authorization", "").partition(" ")
        token = None
        if scheme.lower() == "bearer" and tokens.is_token(text.strip()):
            token = await self._find(tokens.digest(text.strip()))
        if token is None:
            detail = "send Authorization: Bearer <token>; `penstock token new` makes one"
            raise Problem(401, "unauthorized", detail, headers={"WWW-Authenticate": "Bearer"})
        return Caller(token.name, token.role, token.sources)

    async def _find(self, digest: bytes) -> Token | None:
        until, token = self._known.get(digest, (0.0, None))
        if token is not None and time.monotonic() < until:
            return token
        token = await administration.find_token(self.database, digest)
        if token is not None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[digest] = (time.monotonic() + _REMEMBER_SECONDS, token)
        return token
