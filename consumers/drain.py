"""Due events in, finished ones out: keeps a process's slots full, lane by lane, until all is dry.

A drain claims as many events as there are slots for, runs them side by side, refills as they end and
commits in small batches. A slow event holds its own slot and nobody else's.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from infra import sentry
from infra.batch import Batcher, until_stored
from infra.logs import bound, logger
from infra.metrics import Metrics
from infra.settings import WorkerSettings
from infra.store import SqlStore
from pipeline.assemble import instructions
from pipeline.case import World
from pipeline.catalogue import Catalogue
from pipeline.claim import Claimed, Release
from pipeline.endings import Fault, after_fault
from pipeline.errors import StoreUnavailable
from pipeline.ports import Written
from pipeline.process import process
from pipeline.slots import Slots
from pipeline.spend import Rate
from schemas.changeset import Changeset

log = logger()

_COMMIT_LIMIT: Final = 32
_COMMIT_LINGER_SECONDS: Final = 0.005
#: Ends that come close together are refilled by one claim.
_GATHER_SECONDS: Final = 0.005
#: A claim that takes longer than this when the process stops is left to its lease.
_LAST_CLAIM_SECONDS: Final = 3.0
#: After this a drain hands over to the next bell, so that no Celery task runs for ever.
_MAX_DRAIN_SECONDS: Final = 30.0


@dataclass(slots=True)
class _Held:
    claimed: Claimed
    task: asyncio.Task[None]


@dataclass
class Drains:
    """All drains of one process; lives on the process's loop.

    `ring_others` asks other processes to look at a lane; `suspects` works on events that crashed
    their process, and on nothing else.
    """

    catalogue: Catalogue
    store: SqlStore
    world: World
    settings: WorkerSettings
    metrics: Metrics
    ring_others: Callable[[str], None] = lambda lane: None
    suspects: bool = False
    slots: Slots = field(init=False)
    _held: dict[UUID, _Held] = field(default_factory=dict)
    _rates: dict[str, Rate] = field(default_factory=dict)
    _running: set[str] = field(default_factory=set)
    _again: set[str] = field(default_factory=set)
    _hungry: set[str] = field(default_factory=set)
    _freed: asyncio.Event = field(default_factory=asyncio.Event)
    _stopping: bool = False
    _background: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        total = 1 if self.suspects else self.settings.slots
        per_lane = min(total, self.settings.lane_slots)
        self.slots = Slots(total, per_lane, lanes=len(self.catalogue.entries))
        self._commits: Batcher[Changeset, Written] = Batcher(
            self.store.commit, limit=_COMMIT_LIMIT, linger_seconds=_COMMIT_LINGER_SECONDS
        )
        self._releases: Batcher[Release, None] = Batcher(
            self._release, limit=_COMMIT_LIMIT, linger_seconds=_COMMIT_LINGER_SECONDS
        )

    async def answer(self, lane: str) -> None:
        """Answer a bell: drain the lane, or make the drain that runs look again."""
        if lane not in self.catalogue.by_name or self._stopping:
            return
        if lane in self._running:
            self._again.add(lane)
            self._freed.set()
            return
        self._running.add(lane)
        try:
            await self._drain(lane)
        except StoreUnavailable as error:
            log.warning("store.unavailable", workflow=lane, error=error)
        except Exception as error:  # noqa: BLE001 - the next look tries again
            sentry.report(error, workflow=lane)
            log.error("lane.failed", workflow=lane, error=error)
        finally:
            self._running.discard(lane)
            self._hungry.discard(lane)

    async def look(self) -> list[str]:
        """Start a drain for each lane with due events, without waiting for it; returns these lanes."""
        await self.world.model.refresh()
        lanes = sorted(self.catalogue.by_name)
        due = await self.store.due_lanes(lanes, suspects=self.suspects)
        for lane in due:
            self._later(lane)
        return due

    @property
    def is_idle(self) -> bool:
        return not self._held and not self._running

    async def keep_looking(self, seconds: float) -> None:
        """Look every `seconds`, bell or not, so that a lost bell costs latency only."""
        while not self._stopping:
            try:
                await self.look()
            except StoreUnavailable as error:
                log.warning("store.unavailable", error=error)
            await asyncio.sleep(seconds)

    async def keep_leases(self) -> None:
        """Renew what is held; what was lost to another process is cancelled."""
        while True:
            await asyncio.sleep(self.settings.renew_seconds)
            before = dict(self._held)
            try:
                kept = await self.store.renew([held.claimed for held in before.values()])
            except StoreUnavailable as error:
                log.warning("store.unavailable", error=error)
                continue
            for event_id, held in before.items():
                if event_id not in kept and self._held.get(event_id) is held:
                    log.warning("lease.lost", event_id=event_id)
                    held.task.cancel()

    async def stop(self) -> None:
        """Claim no more; give calls in flight their time; then cancel them and give the events back."""
        self._stopping = True
        self._freed.set()
        await self._claims_arrived()
        tasks = [held.task for held in self._held.values()]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=self.settings.grace_seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _claims_arrived(self) -> None:
        """Wait for claims that are on their way: what they bring is ours to end, too."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_CLAIM_SECONDS):
                while self._running:  # noqa: ASYNC110 - drains end by themselves, within milliseconds
                    await asyncio.sleep(_GATHER_SECONDS)

    async def _drain(self, lane: str) -> None:
        deadline = time.monotonic() + _MAX_DRAIN_SECONDS
        while not self._stopping:
            self._again.discard(lane)
            self._freed.clear()
            limit = self._limit(lane)
            if limit is None:
                return  # its breakers are open: events wait, and nothing is counted against them
            if await self._claim(lane, limit) < limit and lane not in self._again:
                return
            if lane not in self._hungry and self.slots.free == 0:
                self.ring_others(lane)
            self._hungry.add(lane)
            if time.monotonic() > deadline:
                self.ring_others(lane)
                return
            if limit == 0:
                await self._slot_freed()
            await asyncio.sleep(_GATHER_SECONDS)

    async def _claim(self, lane: str, limit: int) -> int:
        """Claim and start up to `limit` events; returns how many there were."""
        if limit == 0:
            return 0
        ordered = self.catalogue.by_name[lane].workflow.ordered
        claimed = await self.store.claim(
            lane, limit=limit, ordered=ordered, suspects=self.suspects, rate=self._rate(lane)
        )
        for one in claimed:
            self._start(lane, one)
        return len(claimed)

    def _rate(self, lane: str) -> Rate:
        """What to reserve for each event."""
        if lane not in self._rates:
            entry = self.catalogue.by_name[lane]
            said = instructions(entry, key=self.world.guard.key)
            self._rates[lane] = self.world.model.rate(entry, said)
        return self._rates[lane]

    def _limit(self, lane: str) -> int | None:
        """How many events may be claimed now; None while the lane's model cannot be called."""
        room = self.world.model.room(self.catalogue.by_name[lane].workflow.models[0])
        return None if room is None else min(self.slots.share(lane, self._hungry), room)

    async def _slot_freed(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await self._freed.wait()

    def _start(self, lane: str, claimed: Claimed) -> None:
        lost = self._held.get(claimed.event.event_id)
        if (
            lost is not None
        ):  # its lease ran out before it could be renewed, and we were first to claim it again
            log.warning("lease.lost", event_id=claimed.event.event_id)
            lost.task.cancel()
        self.slots.take(lane)
        task = asyncio.create_task(self._run(lane, claimed))
        self._held[claimed.event.event_id] = _Held(claimed, task)
        self.metrics.slots_in_use(self.slots.total - self.slots.free)

    async def _run(self, lane: str, claimed: Claimed) -> None:
        event_id = claimed.event.event_id
        try:
            with bound(event_id=event_id, workflow=lane):
                await self._finish(await self._process(lane, claimed))
        except Exception as error:  # noqa: BLE001 - its lease runs out, and counts as a crash
            sentry.report(error, workflow=lane, event_id=str(event_id))
            log.error("event.faulty", error=error, faults=claimed.faults + 1)
        finally:
            held = self._held.get(event_id)
            if held is not None and held.claimed is claimed:
                del self._held[event_id]
            self.slots.give_back(lane)
            self.metrics.slots_in_use(self.slots.total - self.slots.free)
            self._freed.set()
            if self.catalogue.by_name[lane].workflow.ordered:
                self._later(lane)  # the next event of the key may be claimed now

    async def _process(self, lane: str, claimed: Claimed) -> Changeset | Release:
        entry = self.catalogue.by_name[lane]
        with sentry.event_transaction(claimed):
            try:
                return await process(claimed, entry, self.world)
            except Fault as fault:  # a bug: reported, counted, in the end a dead letter
                sentry.report(fault.bug)
                log.error("event.faulty", error=fault.bug, faults=claimed.faults + 1)
                return after_fault(claimed, entry, fault, self.world)

    async def _finish(self, end: Changeset | Release) -> None:
        if isinstance(end, Release):
            log.info("event.released", reason=end.reason, delay_seconds=end.delay.total_seconds())
            await until_stored(lambda: self._releases.submit(end))
            return
        written = await until_stored(lambda: self._commits.submit(end))
        self.metrics.committed(written)
        log.info("event.decided", outcome=end.result.state, written=written.value)

    async def _release(self, releases: Sequence[Release]) -> list[None]:
        await self.store.release(releases)
        return [None] * len(releases)

    def _later(self, lane: str) -> None:
        task = asyncio.create_task(self.answer(lane))
        self._background.add(task)
        task.add_done_callback(self._background.discard)
