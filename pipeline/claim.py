"""An event in a worker's hands: `Claimed` for one lease, given back by a `Release`."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from schemas.event import Received
from schemas.extraction import NO_CHARGE, Attempt, Charge


@dataclass(frozen=True, slots=True)
class Claimed:
    """An event in our hands for one lease. `revision` is the one that its decision will have.

    `attempts` are the journalled ones on this revision, in order; `crashes` counts this claim.
    `reserved` micro-units are kept for the next call; None: nothing is, and the call needs a reservation.
    """

    event: Received
    token: UUID
    revision: int
    accepted_at: datetime
    crashes: int = 1
    faults: int = 0
    attempts: tuple[Attempt, ...] = ()
    reserved: int | None = None


@dataclass(frozen=True, slots=True)
class Release:
    """Give an event back: due again after `delay`; `fault` counts a bug against it.

    `step` is the number of its next call; `charge` settles what the claim has reserved and not settled yet.
    """

    claimed: Claimed
    delay: timedelta
    reason: str
    fault: bool = False
    step: int = 0
    charge: Charge = NO_CHARGE
