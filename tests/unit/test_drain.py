"""A drain that lost a lease: its call ends, and it gives back what is no longer its own."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import cast
from uuid import UUID

from consumers.drain import Drains
from infra.metrics import Metrics
from infra.settings import WorkerSettings
from infra.store import SqlStore
from pipeline.assemble import Prepared, Ticket
from pipeline.catalogue import Catalogue
from pipeline.claim import Claimed, Release
from pipeline.spend import Rate
from schemas.extraction import Attempt
from tests.builders import FakeModel, attempt, claimed, entry, world


class Hanging(FakeModel):
    """Never answers; a cancelled call comes back as a failure, like the real model's."""

    def room(self, alias: str) -> int:
        return 1

    async def ask(self, prepared: Prepared, ticket: Ticket) -> Attempt:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if task := asyncio.current_task():
                task.uncancel()
        return attempt("cancelled", alias=prepared.call.alias, step=prepared.call.step)


@dataclass
class Forgetful:
    """A store in which somebody else took the only event over."""

    waiting: list[Claimed]
    released: list[Release] = field(default_factory=list)

    async def claim(
        self, lane: str, *, limit: int, ordered: bool, suspects: bool, rate: Rate
    ) -> list[Claimed]:
        taken, self.waiting = self.waiting[:limit], self.waiting[limit:]
        return taken

    async def renew(self, claims: Sequence[Claimed]) -> set[UUID]:
        return set()

    async def release(self, releases: Sequence[Release]) -> None:
        self.released += releases

    async def commit(self, changesets: Sequence[object]) -> list[object]:
        raise AssertionError("nothing was decided")


def drains_on(store: Forgetful) -> Drains:
    return Drains(
        catalogue=Catalogue((entry(),)),
        store=cast(SqlStore, store),
        world=world(Hanging()),
        settings=WorkerSettings(renew_seconds=0.02, grace_seconds=0),
        metrics=Metrics(),
    )


async def test_an_event_that_its_own_process_claims_again_is_worked_on_once() -> None:
    first, again = claimed(), replace(claimed(), token=UUID(int=7))
    store = Forgetful([first])
    drains = drains_on(store)

    await drains.answer(entry().workflow.name)
    store.waiting = [again]
    await drains.answer(entry().workflow.name)
    async with asyncio.timeout(5):
        while not store.released:  # noqa: ASYNC110 - the store is what is looked at
            await asyncio.sleep(0.01)

    assert [release.claimed.token for release in store.released] == [first.token]
    assert not drains.is_idle
    await drains.stop()
    assert [release.claimed.token for release in store.released] == [first.token, again.token]
    assert drains.is_idle


async def test_a_call_whose_lease_is_lost_is_cancelled() -> None:
    store = Forgetful([claimed()])
    drains = drains_on(store)
    leases = asyncio.create_task(drains.keep_leases())

    await drains.answer(entry().workflow.name)
    async with asyncio.timeout(5):
        while not store.released:  # noqa: ASYNC110 - the store is what is looked at
            await asyncio.sleep(0.01)
    leases.cancel()

    assert [release.reason for release in store.released] == ["cancelled"]
