"""`SqlStore`: the Store port on SQL; the modules beside it do the work.

Each method is one transaction. A write that is cancelled is still written whole or not at all.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from infra.database import Database, whole
from infra.store import accept, budget, cache, claims, commit, due, endpoints, journal, lease, outbox
from infra.store.cache import Kept
from pipeline.breaker import Breaker
from pipeline.cache import Original
from pipeline.claim import Claimed, Release
from pipeline.ports import Admission, Placed, Written
from pipeline.spend import FREE, UNCAPPED, Caps, Draw, Rate, Reservation, Return, Room
from schemas.changeset import Changeset, OutboxMessage, Scribe
from schemas.event import Received
from schemas.extraction import Attempt


@dataclass(frozen=True, slots=True)
class SqlStore:
    """The rows of one deployment. `shard` is this process's counter shard, out of 16."""

    database: Database
    scribe: Scribe
    shard: int = 0
    lease_seconds: float = 60.0
    caps: Caps = UNCAPPED

    async def accept(self, events: Sequence[Received]) -> list[Admission]:
        return await whole(accept.accept(self.database, events, shard=self.shard))

    async def claim(
        self,
        lane: str,
        *,
        limit: int,
        ordered: bool = False,
        suspects: bool = False,
        rate: Rate = FREE,
    ) -> list[Claimed]:
        claiming = claims.claim(
            self.database,
            lane,
            limit=limit,
            ordered=ordered,
            suspects=suspects,
            lease_seconds=self.lease_seconds,
            caps=self.caps,
            rate=rate,
            shard=self.shard,
        )
        return await whole(claiming)

    async def reserve(self, claimed: Claimed, reservation: Reservation) -> Room:
        return await whole(budget.reserve(self.database, claimed, reservation, caps=self.caps))

    async def draw(self, draws: Sequence[Draw], returns: Sequence[Return]) -> list[str | None]:
        return await whole(budget.draw(self.database, draws, returns))

    async def renew(self, claimed: Sequence[Claimed]) -> set[UUID]:
        return await whole(lease.renew(self.database, claimed, lease_seconds=self.lease_seconds))

    async def release(self, releases: Sequence[Release]) -> None:
        await whole(lease.release(self.database, releases))

    async def forget(self) -> None:
        await lease.forget(self.database)

    async def due_lanes(self, lanes: Sequence[str], *, suspects: bool = False) -> list[str]:
        return await due.due_lanes(self.database, lanes, suspects=suspects)

    async def depth(self, *, at_most: int) -> int:
        return await due.depth(self.database, at_most=at_most)

    async def journal(self, attempts: Sequence[tuple[Attempt, Received]]) -> None:
        await whole(journal.journal(self.database, attempts, shard=self.shard))

    async def commit(self, changesets: Sequence[Changeset]) -> list[Written]:
        return await whole(commit.commit(self.database, changesets, scribe=self.scribe, shard=self.shard))

    async def find_answer(self, key: bytes) -> Original | None:
        return await whole(cache.find_answer(self.database, key))

    async def keep_answers(self, answers: Sequence[Kept]) -> None:
        await whole(cache.keep_answers(self.database, answers))

    async def breakers(self) -> list[Breaker]:
        return await endpoints.breakers(self.database)

    async def probe(self, endpoint: str, *, now: datetime) -> Breaker | None:
        return await endpoints.probe(self.database, endpoint, now=now)

    async def note(self, endpoint: str, failure: str | None, *, probe: bool, now: datetime) -> Breaker:
        return await endpoints.note(self.database, endpoint, failure, probe=probe, now=now)

    async def unpublished(self, *, limit: int, without: Collection[str] = ()) -> list[OutboxMessage]:
        return await outbox.unpublished(self.database, limit=limit, without=without)

    async def published(self, placed: Sequence[Placed]) -> None:
        await whole(outbox.published(self.database, placed))


@dataclass(frozen=True, slots=True)
class LogPublisher:
    """The Publisher port of embedded mode: topics are rows of the same database."""

    database: Database

    async def publish(self, messages: Sequence[OutboxMessage]) -> list[Placed]:
        return await whole(outbox.append_to_log(self.database, messages))
