"""A request in, who calls and what they may do out: by a token, a session, or a trusted proxy's word."""

import hashlib
import hmac
import time
from dataclasses import dataclass, field
from typing import Final

from fastapi import Request

from consumers import roles
from consumers.api import origin
from consumers.api.context import ApiContext
from consumers.api.problems import Problem
from consumers.api.proxy import proxied_user
from consumers.roles import Need
from infra import tokens
from infra.store import accounts, administration, sessions
from infra.store.administration import Token
from schemas.changeset import Actor

COOKIE: Final = "penstock_session"
#: Whoever sits at this machine, in embedded mode.
LOCAL: Final = "local"
_ANY_SOURCE: Final = "*"

#: A withdrawn token is still good for this long; an account or a session ends at once.
_REMEMBER_SECONDS: Final = 3.0
_REMEMBERED: Final = 1_000


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: a name and a role; of a token, the sources it may send as.

    `csrf` is what a person's requests that change something must carry; None for a program. `owner` is who
    LOCAL is, for the audit trail.
    """

    name: str
    role: str
    sources: tuple[str, ...] = ()
    csrf: str | None = None
    is_person: bool = False
    owner: Actor | None = None

    @property
    def source(self) -> str:
        """The source of events that come without an envelope."""
        return f"user:{self.name}" if self.is_person and self.name != LOCAL else f"http:{self.name}"

    @property
    def actor(self) -> Actor:
        """Who did it, for the audit trail."""
        person = self.owner or Actor("person", f"user:{self.name}")
        return person if self.is_person else Actor("service", f"token:{self.name}")

    def may(self, need: Need) -> bool:
        return roles.may(self.role, need)

    def may_send_as(self, source: str) -> bool:
        return source == self.source or source in self.sources or _ANY_SOURCE in self.sources


@dataclass
class Callers:
    """The callers that there are. In embedded mode whoever reaches 127.0.0.1 may use the API, as admin."""

    context: ApiContext
    _known: dict[bytes, tuple[float, Token]] = field(default_factory=dict)

    async def identify(self, request: Request) -> Caller:
        """Who calls; raises Problem 401, or 403 for a request that is another web site's.

        What a person changes must come from our own page, with the CSRF token. May be called twice.
        """
        known: Caller | None = getattr(request.state, "caller", None)
        if known is None:
            known = request.state.caller = await self._identify(request)
        return known

    async def visitor(self, request: Request) -> Caller | None:
        """Who looks at a page: as `identify`, but None for nobody, and in embedded mode by session alone."""
        if getattr(request.state, "caller", None) is None:
            found = await self._find(request)
            if found is None:
                return None
            request.state.caller = found
        return await self.identify(request)

    async def is_still_in(self, request: Request) -> bool:
        """Whether a visitor may go on, asked anew: a stream outlives what was known at its start."""
        request.state.caller = None
        try:
            return await self.visitor(request) is not None
        except Problem:
            return False

    async def _identify(self, request: Request) -> Caller:
        found = await self._find(request)
        if found is not None:
            return found
        if self.context.embedded:
            return Caller(LOCAL, "admin", (_ANY_SOURCE,), is_person=True, owner=self.context.owner)
        detail = "send Authorization: Bearer <token>; `penstock token new` makes one"
        raise Problem(401, "unauthorized", detail, headers={"WWW-Authenticate": "Bearer"})

    async def _find(self, request: Request) -> Caller | None:
        if self.context.embedded:
            origin.check_host(request)
            origin.check_not_foreign(request)
        user = proxied_user(request, self.context.settings.access)
        authorization = request.headers.get("authorization")
        if authorization is not None and not self.context.embedded:
            program = await self._by_token(authorization)
            if program is not None or user is None:  # a proxy may pass on a header of its own
                return program
        found = await self._by_session(request) if user is None else await self._by_proxy(user)
        if found is not None and found.csrf is not None:
            await origin.check_csrf(request, found.csrf)
        return found

    async def _by_session(self, request: Request) -> Caller | None:
        text = request.cookies.get(COOKIE, "")
        if not text:
            return None
        session = await sessions.find_session(self.context.store.database, tokens.digest(text))
        if session is None:
            return None
        sources = (_ANY_SOURCE,) if self.context.embedded else ()
        owner = self.context.owner if session.name == LOCAL else None  # no account has that name
        return Caller(session.name, session.role, sources, session.csrf, is_person=True, owner=owner)

    async def _by_proxy(self, name: str) -> Caller:
        """Raises Problem 403 for a user who has no account and needs one, or a disabled one."""
        user = await accounts.find_user(self.context.store.database, name)
        role = self.context.settings.access.proxy_role if user is None else user.role
        if not role or (user is not None and user.disabled_at is not None):
            detail = f"the user {name!r} has no account here; an admin can add it: `penstock user add`"
            raise Problem(403, "no_account", detail)
        key = b"csrf:" + name.encode()
        csrf = hmac.new(self.context.secret, key, hashlib.sha256).hexdigest()
        return Caller(name, role, csrf=csrf, is_person=True)

    async def _by_token(self, authorization: str) -> Caller | None:
        scheme, _, text = authorization.partition(" ")
        if scheme.lower() != "bearer" or not tokens.is_token(text.strip()):
            return None
        token = await self._find_token(tokens.digest(text.strip()))
        return None if token is None else Caller(token.name, token.role, token.sources)

    async def _find_token(self, digest: bytes) -> Token | None:
        until, token = self._known.get(digest, (0.0, None))
        if token is not None and time.monotonic() < until:
            return token
        token = await administration.find_token(self.context.store.database, digest)
        if token is not None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[digest] = (time.monotonic() + _REMEMBER_SECONDS, token)
        return token
