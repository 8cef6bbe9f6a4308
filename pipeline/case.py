"""One event in the worker's hands: what is known of it, and the surroundings it is worked on in."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from pipeline.assess import Assessment, Guard, assess
from pipeline.cache import UNCACHED
from pipeline.catalogue import Entry
from pipeline.claim import Claimed
from pipeline.ports import Cache, Journal, Ledger, Model
from pipeline.tab import Tab
from schemas.changeset import Scribe
from schemas.event import Event
from schemas.extraction import Attempt


@dataclass(frozen=True, slots=True)
class World:
    """What the story needs of its surroundings; `jitter` draws from [0, 1)."""

    model: Model
    journal: Journal
    ledger: Ledger
    scribe: Scribe
    clock: Callable[[], datetime]
    jitter: Callable[[], float]
    guard: Guard
    cache: Cache = UNCACHED


@dataclass
class Case:
    """One event while it is worked on: its attempts, and what each answer among them is worth.

    `key` is the cache's for the last ask, None unless that was the first one.
    """

    claimed: Claimed
    entry: Entry
    event: Event
    text: str
    flags: tuple[str, ...]
    tab: Tab
    judged: dict[UUID, Assessment] = field(default_factory=dict)
    key: bytes | None = None

    def history(self, world: World) -> list[Attempt]:
        """The attempts as the ladder sees them.

        An answer to another version's prompt is no answer to this one's; it stays on record. An answer
        that is not good enough is a failure.
        """
        return [
            attempt if attempt.failure else self.judge(attempt, world).of(attempt)
            for attempt in self.tab.attempts
            if attempt.version == self.entry.version
        ]

    @property
    def time_left(self) -> timedelta:
        """What the event's deadline leaves for calls; nothing but calls takes from it."""
        spent = sum(attempt.latency_ms for attempt in self.tab.attempts)
        return self.entry.workflow.deadline - timedelta(milliseconds=spent)

    @property
    def is_suspicious(self) -> bool:
        """Did the screening notice what the workflow wants a person to see?"""
        return bool(self.flags) and self.entry.workflow.suspicious == "review"

    def judge(self, attempt: Attempt, world: World) -> Assessment:
        """What the answer in `attempt` is worth."""
        if attempt.id not in self.judged:
            self.judged[attempt.id] = assess(
                self.entry,
                self.event,
                world.model.read(self.entry, attempt),
                text=self.text,
                received_at=self.claimed.accepted_at,
                guard=world.guard,
            )
        return self.judged[attempt.id]
