"""The endpoints behind the model aliases, as one process sees them: who has room, whose breaker is open."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from infra.model_settings import EndpointSettings, ModelSettings, name_of
from infra.pace import Minutes, Pace
from pipeline import breaker as breakers
from pipeline.assemble import Ticket
from pipeline.breaker import Breaker
from pipeline.errors import BreakerOpen, MinuteFull, StoreUnavailable
from pipeline.extract import Rung
from pipeline.spend import Draw, Return


class EndpointRows(Minutes, Protocol):
    """The shared rows: each method is one transaction."""

    async def breakers(self) -> list[Breaker]: ...

    async def probe(self, endpoint: str, *, now: datetime) -> Breaker | None:
        """Take the one probe of an open breaker; None when it is not ours to make."""
        ...

    async def note(self, endpoint: str, failure: str | None, *, probe: bool, now: datetime) -> Breaker: ...


@dataclass
class Unshared:
    """The rows of one process, for as long as it lives: where there is no database."""

    rows: dict[str, Breaker] = field(default_factory=dict)

    async def breakers(self) -> list[Breaker]:
        return list(self.rows.values())

    async def probe(self, endpoint: str, *, now: datetime) -> Breaker | None:
        taken = breakers.probing(self._row(endpoint), now=now)
        if taken is not None:
            self.rows[endpoint] = taken
        return taken

    async def note(self, endpoint: str, failure: str | None, *, probe: bool, now: datetime) -> Breaker:
        self.rows[endpoint] = breakers.after(self._row(endpoint), failure, probe=probe, now=now)
        return self.rows[endpoint]

    async def draw(self, draws: Sequence[Draw], returns: Sequence[Return]) -> list[str | None]:
        """No limits: who asks alone, and now, is told by the provider."""
        return ["" for _ in draws]

    def _row(self, endpoint: str) -> Breaker:
        return self.rows.get(endpoint) or Breaker(endpoint)


@dataclass
class Endpoints:
    """Balances the calls of one process over their endpoints; lives on its loop."""

    models: Mapping[str, ModelSettings]
    rows: EndpointRows
    clock: Callable[[], datetime]
    opened: Callable[[Breaker], None] = lambda breaker: None
    _busy: dict[str, int] = field(default_factory=dict)
    _breakers: dict[str, Breaker] = field(default_factory=dict)
    _names: dict[str, tuple[str, ...]] = field(init=False)
    _closed: dict[str, Breaker] = field(init=False)
    _pace: Pace = field(init=False)
    settings: dict[str, EndpointSettings] = field(init=False)

    def __post_init__(self) -> None:
        behind = {
            alias: {name_of(endpoint): endpoint for endpoint in model.all_endpoints}
            for alias, model in self.models.items()
        }
        self.settings = {name: endpoint for named in behind.values() for name, endpoint in named.items()}
        self._names = {alias: tuple(named) for alias, named in behind.items()}
        self._closed = {name: Breaker(name) for name in self.settings}
        limits = {name: one.limits for name, one in self.settings.items() if one.limits}
        self._pace = Pace(limits, self.rows, self.clock)

    async def refresh(self) -> None:
        """Read the shared rows."""
        self._breakers = {row.endpoint: row for row in await self.rows.breakers()}

    def rungs(self, aliases: Sequence[str]) -> tuple[Rung, ...]:
        """Per alias the endpoints that can be called now, the one with most free capacity first.

        One whose probe is due comes before them: while others answer, nobody would call it again. The
        event that finds it still failing goes on to the next.
        """
        return tuple(Rung(alias, self._usable(alias), self._closed_by(alias)) for alias in aliases)

    def room(self, alias: str) -> int | None:
        """How many more events may be claimed for calls of `alias`; None while no endpoint may be called.

        This is the bulkhead: a hanging endpoint holds no more of a process than its slots. One event is
        enough for a probe.
        """
        names = [name for name in self.names(alias) if self._may_be_called(name)]
        if not names:
            return None
        closed = [name for name in names if self._breaker(name).is_closed]
        return sum(max(self._free(name), 0) for name in closed) if closed else 1

    async def admit(self, endpoint: str, tokens: int = 0) -> Ticket | None:
        """Leave for one call that needs so many tokens at most; an open breaker gives it to one probe."""
        drawn = await self._pace.draw(endpoint, tokens)
        if drawn is None:
            return None
        if not self._breaker(endpoint).is_closed and not await self._is_our_probe(endpoint):
            return None
        return Ticket(endpoint, probe=not self._breaker(endpoint).is_closed, minute=drawn, tokens=tokens)

    async def _is_our_probe(self, endpoint: str) -> bool:
        """Is the one probe of an open breaker ours to make, or has the breaker closed meanwhile?"""
        before = self._breaker(endpoint)
        now = self.clock()
        try:
            taken = await self.rows.probe(endpoint, now=now)
            if taken is None:
                await self.refresh()
                return self._breaker(endpoint).is_closed
        except StoreUnavailable:  # nobody can say whose the probe is: the event waits, as for any other
            self._breakers[endpoint] = replace(before, retry_at=now + breakers.MIN_PAUSE)
            return False
        self._breakers[endpoint] = taken
        return True

    @contextmanager
    def busy(self, endpoint: str) -> Iterator[None]:
        """A call is under way at this endpoint."""
        self._busy[endpoint] = self._busy.get(endpoint, 0) + 1
        try:
            yield
        finally:
            self._busy[endpoint] -= 1

    async def ended(self, ticket: Ticket, failure: str | None, *, tokens: int = 0) -> None:
        """Tell the breaker how a call ended, when that changes anything; `tokens` is what it has used."""
        endpoint, probe = ticket.endpoint, ticket.probe
        self._pace.used(ticket, tokens)
        before = self._breaker(endpoint)
        if not probe and breakers.after(before, failure, probe=probe, now=self.clock()) == before:
            return
        now = self.clock()
        try:
            row = await self.rows.note(endpoint, failure, probe=probe, now=now)
        except StoreUnavailable:  # the others learn it by themselves
            row = breakers.after(before, failure, probe=probe, now=now)
        known, self._breakers[endpoint] = self._breaker(endpoint), row
        if known.is_closed and not row.is_closed:
            self.opened(row)

    def _usable(self, alias: str) -> tuple[str, ...]:
        usable = tuple(name for name in self.names(alias) if self._may_be_called(name))
        if len(usable) < 2:
            return usable
        return tuple(sorted(usable, key=lambda name: (self._breaker(name).is_closed, -self._free(name))))

    def _closed_by(self, alias: str) -> str:
        """Why nothing behind it can be called, when nothing can: a full minute is over first."""
        is_full = any(self._pace.is_full(name) for name in self.names(alias))
        return MinuteFull.reason if is_full else BreakerOpen.reason

    def names(self, alias: str) -> tuple[str, ...]:
        """The endpoints behind an alias."""
        return self._names[alias]

    def _free(self, name: str) -> int:
        return self.settings[name].slots - self._busy.get(name, 0)

    def _may_be_called(self, name: str) -> bool:
        retry_at = self._breaker(name).retry_at
        is_open = retry_at is not None and retry_at > self.clock()
        return not is_open and not self._pace.is_full(name)

    def _breaker(self, name: str) -> Breaker:
        return self._breakers.get(name) or self._closed[name]
