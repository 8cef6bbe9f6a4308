"""A workflow in, how good its answers are as people found them out: for command line, API and pages."""

import asyncio
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from infra.database import Database
from infra.store import judgements
from pipeline.confidence import CHANCE, Estimate, Quality, quality
from pipeline.errors import Conflict
from pipeline.judged import judged

#: So old may a measure be that pages show: it is of the newest 10,000 events, which takes a second to read.
_FRESH_SECONDS: Final = 300.0
#: What a queue can be ordered by: the answer's `score`.
_RANKS: Final = "score"


@dataclass(frozen=True, slots=True)
class Measured:
    """A workflow's two groups; `waiting` are of the sample and not decided yet."""

    workflow: str
    sampled: Quality
    doubted: Quality
    waiting: int

    @property
    def ranking(self) -> Estimate | None:
        """How well the score tells right from wrong among the doubted; None where it is not shown to."""
        found = self.doubted.separation.get(_RANKS)
        return found if found and found.low > CHANCE else None

    def must_rank(self) -> None:
        """Raises Conflict unless the score is shown to tell right from wrong among the doubted."""
        if self.ranking is None:
            few = self.doubted.too_few
            why = few or "as far as people's decisions show, its score is no better than chance"
            raise Conflict(f"the queue of {self.workflow!r} cannot be ranked by doubt: {why}")


@dataclass
class Measures:
    """Measures of one process, each kept for a while; the same question at the same time is asked once."""

    database: Database
    _kept: dict[str, tuple[float, Measured]] = field(default_factory=dict)
    _measuring: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def of(self, workflow: str) -> Measured:
        async with self._measuring:
            good_until, found = self._kept.get(workflow, (0.0, None))
            if found is None or time.monotonic() > good_until:
                found = await measure(self.database, workflow)
                self._kept[workflow] = time.monotonic() + _FRESH_SECONDS, found
            return found


async def measure(database: Database, workflow: str, *, since: datetime | None = None) -> Measured:
    """What people found of the newest 10,000 events that they decided on (since then)."""
    histories = await judgements.reviewed(database, workflow, since=since)
    found = [one for one in map(judged, histories) if one is not None]
    groups = [[one for one in found if one.sampled is sampled] for sampled in (True, False)]
    # In a thread: other requests need not wait for the arithmetic.
    sampled, doubted = [await asyncio.to_thread(quality, group) for group in groups]
    return Measured(
        workflow,
        sampled=sampled,
        doubted=doubted,
        waiting=await judgements.sample_waiting(database, workflow),
    )
