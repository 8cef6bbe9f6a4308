"""A workflow in, how good its answers are as people found them out: for the command line and pages."""

from dataclasses import dataclass
from datetime import datetime

from infra.database import Database
from infra.store import judgements
from pipeline.confidence import Quality, quality
from pipeline.judged import judged


@dataclass(frozen=True, slots=True)
class Measured:
    """A workflow's two groups; `waiting` are of the sample and not decided yet."""

    workflow: str
    sampled: Quality
    doubted: Quality
    waiting: int


async def measure(database: Database, workflow: str, *, since: datetime | None = None) -> Measured:
    """What people found of the newest 10,000 events that they decided on (since then)."""
    histories = await judgements.reviewed(database, workflow, since=since)
    found = [one for one in map(judged, histories) if one is not None]
    return Measured(
        workflow,
        sampled=quality([one for one in found if one.sampled]),
        doubted=quality([one for one in found if not one.sampled]),
        waiting=await judgements.sample_waiting(database, workflow),
    )
