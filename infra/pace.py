"""Requests and tokens per minute of an endpoint: shared by all processes, drawn before each call."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

from infra.batch import Batcher
from pipeline.assemble import Ticket
from pipeline.errors import StoreUnavailable
from pipeline.spend import Draw, Limits, Return

_LIMIT: Final = 64
_LINGER_SECONDS: Final = 0.005
_MINUTE: Final = timedelta(minutes=1)
#: When the database is away, nobody knows what is left.
_AWAY: Final = timedelta(seconds=5)


class Minutes(Protocol):
    """The shared windows; a call is one transaction."""

    async def draw(self, draws: Sequence[Draw], returns: Sequence[Return]) -> list[str | None]:
        """For each draw the minute that it came out of, None where there was no room."""
        ...


@dataclass
class Pace:
    """What one process may still call; `limits` names the endpoints that have any."""

    limits: Mapping[str, Limits]
    minutes: Minutes
    clock: Callable[[], datetime]
    _full: dict[str, datetime] = field(default_factory=dict)
    _returns: list[Return] = field(default_factory=list)
    _draws: Batcher[Draw, str | None] = field(init=False)

    def __post_init__(self) -> None:
        self._draws = Batcher(self._draw, limit=_LIMIT, linger_seconds=_LINGER_SECONDS)

    def is_full(self, endpoint: str) -> bool:
        """Is this minute known to be used up?"""
        until = self._full.get(endpoint)
        return until is not None and until > self.clock()

    async def draw(self, endpoint: str, tokens: int) -> str | None:
        """Take one request and the most tokens that it can need; "" where there is no limit.

        None: there is no room, and the endpoint is full until the next minute.
        """
        limits = self.limits.get(endpoint)
        if limits is None:
            return ""
        # A call larger than a whole minute's tokens goes out alone: the provider decides.
        needed = tokens if limits.tokens is None else min(tokens, limits.tokens)
        now = self.clock()
        try:
            minute = await self._draws.submit(Draw(endpoint, needed, limits))
        except StoreUnavailable:
            self._full[endpoint] = now + _AWAY
            return None
        if minute is None:
            self._full[endpoint] = now.replace(second=0, microsecond=0) + _MINUTE
        return minute

    def used(self, ticket: Ticket, tokens: int) -> None:
        """Give back what a call did not need; it is written with the next draw."""
        limits = self.limits.get(ticket.endpoint)
        if limits and limits.tokens is not None:
            drawn = min(ticket.tokens, limits.tokens)
            self._returns.append(Return(ticket.endpoint, ticket.minute, drawn, tokens))

    async def _draw(self, draws: Sequence[Draw]) -> list[str | None]:
        returns, self._returns = self._returns, []
        try:
            return await self.minutes.draw(draws, returns)
        except StoreUnavailable:
            self._returns += returns
            raise
