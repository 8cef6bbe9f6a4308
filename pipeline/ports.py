"""The seam: what the pipeline needs of the world, as Protocols that `infra` implements."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Protocol
from uuid import UUID

from pipeline.assemble import Call, Prepared, Ticket
from pipeline.cache import Original, Parameters
from pipeline.catalogue import Entry
from pipeline.claim import Claimed, Release
from pipeline.extract import Rung
from pipeline.spend import FREE, Rate, Reservation, Room
from schemas.changeset import Changeset, OutboxMessage
from schemas.event import Received
from schemas.extraction import Attempt, Reading


class Admission(Enum):
    """What became of an event at the door."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    ID_REUSED = "id_reused"


class Written(Enum):
    """What became of a changeset."""

    COMMITTED = "committed"
    FENCED = "fenced"
    BURIED = "buried"


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a message went: the acknowledgement of one outbox row."""

    id: UUID
    partition: int
    offset: int


class Model(Protocol):
    """The models behind the aliases. `ask` never raises for a failed call: the attempt says what failed."""

    def rungs(self, aliases: Sequence[str]) -> tuple[Rung, ...]:
        """Per alias the endpoints that can be called now, the one with most room first."""
        ...

    def room(self, alias: str) -> int | None:
        """How many more events may be claimed for it; None while no endpoint may be called."""
        ...

    async def refresh(self) -> None:
        """Learn what other processes found out about the endpoints."""
        ...

    async def admit(self, prepared: Prepared) -> Ticket | None:
        """Leave to call now; None when its minute is used up, or somebody else probes its endpoint."""
        ...

    def parameters(self, endpoint: str) -> Parameters:
        """What shapes an answer there."""
        ...

    def prepare(self, call: Call) -> Prepared:
        """The bytes of a call, and the worst that it can cost."""
        ...

    async def ask(self, prepared: Prepared, ticket: Ticket) -> Attempt: ...

    def rate(self, entry: Entry, instructions: str) -> Rate:
        """What the first call for an event of this workflow costs at most, by the event's size."""
        ...

    def read(self, entry: Entry, attempt: Attempt) -> Reading:
        """The answer in an attempt without a failure."""
        ...


class Ledger(Protocol):
    """Where money is kept for calls. Returns when the reservation is durable."""

    async def reserve(self, claimed: Claimed, reservation: Reservation) -> Room:
        """Settle the last reservation of the claim and make the next one."""
        ...


class Journal(Protocol):
    """Where attempts are kept. Returns when the attempt is durable."""

    async def journal(self, attempt: Attempt, event: Received) -> None: ...


class Cache(Protocol):
    """Accepted answers to first calls, by `pipeline.cache.key`. What is lost costs a call at most."""

    async def find(self, key: bytes, *, workflow: str) -> Original | None: ...

    async def put(self, key: bytes, attempt: Attempt, *, workflow: str, ttl: timedelta) -> None:
        """Keep the answer of a journalled attempt, in place of an older one."""
        ...


class Store(Protocol):
    """The named writes that an event's life needs; each is one transaction."""

    async def accept(self, events: Sequence[Received]) -> list[Admission]: ...

    async def claim(
        self,
        lane: str,
        *,
        limit: int,
        ordered: bool = False,
        suspects: bool = False,
        rate: Rate = FREE,
    ) -> list[Claimed]:
        """Events to work on, each with what its first call costs at most reserved for it."""
        ...

    async def reserve(self, claimed: Claimed, reservation: Reservation) -> Room: ...

    async def renew(self, claims: Sequence[Claimed]) -> set[UUID]:
        """Prolong the leases; returns the ids of the events that are still ours."""
        ...

    async def release(self, releases: Sequence[Release]) -> None: ...

    async def journal(self, attempts: Sequence[tuple[Attempt, Received]]) -> None: ...

    async def commit(self, changesets: Sequence[Changeset]) -> list[Written]: ...

    async def unpublished(self, *, limit: int, without: Collection[str] = ()) -> list[OutboxMessage]:
        """The oldest messages without an acknowledgement, but for the topics in `without`."""
        ...

    async def published(self, placed: Sequence[Placed]) -> None: ...


class Publisher(Protocol):
    """A way to the topics. Returns the acknowledged ones only; the others stay in the outbox."""

    async def publish(self, messages: Sequence[OutboxMessage]) -> list[Placed]: ...
