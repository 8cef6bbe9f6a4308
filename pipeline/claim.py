"""An event in a worker's hands: `Claimed` for one lease, given back by a `Release`."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from schemas.event import Received
from schemas.extraction import Attempt


@dataclass(frozen=True, slots=True)
class Claimed:
    """An event in our hands for one lease. `revision` is the one that its decision will have.

    `attempts` are the journalled ones on this revision, in order; `crashes` counts this claim.
    """

    event: Received
    token: UUID
    revision: int
    accepted_at: datetime
    crashes: int = 1
    faults: int = 0
    attempts: tuple[Attempt, ...] = ()


@dataclass(frozen=True, slots=True)
class Release:
    """Give an event back: due again after `delay`; `fault` counts a bug against it."""

    claimed: Claimed
    delay: timedelta
    reason: str
    fault: bool = False
