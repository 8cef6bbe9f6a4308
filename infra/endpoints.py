"""The endpoints behind the model aliases, as one process sees them: who has room, whose breaker is open."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol
from urllib.parse import urlsplit

from infra.settings import EndpointSettings, ModelSettings
from pipeline import breaker as breakers
from pipeline.breaker import Breaker
from pipeline.errors import StoreUnavailable
from pipeline.extract import Rung


class BreakerRows(Protocol):
    """The shared rows: each method is one transaction."""

    async def breakers(self) -> list[Breaker]: ...

    async def probe(self, endpoint: str, *, now: datetime) -> Breaker | None:
        """Take the one probe of an open breaker; None when it is not ours to make."""
        ...

    async def note(self, endpoint: str, failure: str | None, *, probe: bool, now: datetime) -> Breaker: ...


def name_of(settings: EndpointSettings) -> str:
    """What tells endpoints apart: the model and where it runs. Aliases that share one share its breaker."""
    place = urlsplit(settings.base_url)
    return f"{settings.model}@{place.netloc}{place.path.rstrip('/')}"


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

    def _row(self, endpoint: str) -> Breaker:
        return self.rows.get(endpoint) or Breaker(endpoint)


@dataclass
class Endpoints:
    """Balances the calls of one process over their endpoints; lives on its loop."""

    models: Mapping[str, ModelSettings]
    rows: BreakerRows
    clock: Callable[[], datetime]
    opened: Callable[[Breaker], None] = lambda breaker: None
    _busy: dict[str, int] = field(default_factory=dict)
    _breakers: dict[str, Breaker] = field(default_factory=dict)
    _admitted: set[str] = field(default_factory=set)
    settings: dict[str, EndpointSettings] = field(init=False)

    def __post_init__(self) -> None:
        self.settings = {
            name_of(endpoint): endpoint for model in self.models.values() for endpoint in model.all_endpoints
        }

    async def refresh(self) -> None:
        """Read the shared rows."""
        self._breakers = {row.endpoint: row for row in await self.rows.breakers()}

    def rungs(self, aliases: Sequence[str]) -> tuple[Rung, ...]:
        """Per alias the endpoints that can be called now, the one with most free capacity first.

        One whose probe is due comes before them: while others answer, nobody would call it again. The
        event that finds it still failing goes on to the next.
        """
        return tuple(Rung(alias, self._usable(alias)) for alias in aliases)

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

    async def admit(self, endpoint: str) -> bool:
        """May this call be made? Closed breakers say yes at once; an open one lets one probe through."""
        before = self._breaker(endpoint)
        if before.is_closed:
            return True
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
        self._admitted.add(endpoint)
        return True

    @contextmanager
    def busy(self, endpoint: str) -> Iterator[bool]:
        """A call is under way at this endpoint; says whether it is the probe that was admitted last."""
        probe = endpoint in self._admitted
        self._admitted.discard(endpoint)
        self._busy[endpoint] = self._busy.get(endpoint, 0) + 1
        try:
            yield probe
        finally:
            self._busy[endpoint] -= 1

    async def ended(self, endpoint: str, failure: str | None, *, probe: bool) -> None:
        """Tell the breaker how a call ended, when that changes anything."""
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
        usable = [name for name in self.names(alias) if self._may_be_called(name)]
        return tuple(sorted(usable, key=lambda name: (self._breaker(name).is_closed, -self._free(name))))

    def names(self, alias: str) -> list[str]:
        """The endpoints behind an alias."""
        return list(dict.fromkeys(name_of(endpoint) for endpoint in self.models[alias].all_endpoints))

    def _free(self, name: str) -> int:
        return self.settings[name].slots - self._busy.get(name, 0)

    def _may_be_called(self, name: str) -> bool:
        retry_at = self._breaker(name).retry_at
        return retry_at is None or retry_at <= self.clock()

    def _breaker(self, name: str) -> Breaker:
        return self._breakers.get(name) or Breaker(name)
