"""What one claim spends: its attempts, what is reserved for the next call, what is not settled yet."""

from dataclasses import dataclass, replace
from typing import TypeVar

from pipeline.claim import Claimed, Release
from pipeline.spend import Reservation, asked_of, charge_of
from schemas.changeset import Changeset
from schemas.extraction import Attempt, Charge

End = TypeVar("End", bound=Changeset | Release)


@dataclass
class Tab:
    """The attempts on an event: those of earlier claims, settled by them, and then this claim's.

    `covered` micro-units are reserved for the next call, None: nothing is. `open_call` is the worst case of
    a call that was begun and has not come back.
    """

    attempts: list[Attempt]
    covered: int | None
    before: int
    settled: int
    open_call: int | None = None

    @classmethod
    def of(cls, claimed: Claimed) -> "Tab":
        attempts = list(claimed.attempts)
        return cls(attempts, claimed.reserved, before=len(attempts), settled=len(attempts))

    @property
    def step(self) -> int:
        """The number of the next call."""
        return len(self.attempts)

    @property
    def made(self) -> int:
        """Calls of this claim."""
        return len(self.attempts) - self.before

    def covers(self, micros: int) -> bool:
        """Is the next call paid for?"""
        return self.covered is not None and micros <= self.covered

    def reservation(self, micros: int) -> Reservation:
        """What to ask of the ledger before the next call."""
        spent = charge_of(self.attempts).micros
        return Reservation(self.step, micros, spent=spent, charge=self.charge())

    def reserved(self, micros: int) -> None:
        """The ledger keeps this much for the next call, and has settled the others."""
        self.covered, self.settled = micros, len(self.attempts)

    def calling(self, micros: int) -> None:
        """A call begins; it uses the reservation up."""
        self.covered, self.open_call = None, micros

    def called(self, attempt: Attempt) -> None:
        """It came back, and is journalled."""
        self.attempts.append(attempt)
        self.open_call = None

    def recalled(self, attempt: Attempt) -> None:
        """The cache had the answer, and it is journalled in the place of the call that was reserved."""
        self.attempts.append(attempt)
        self.covered = None

    def charge(self) -> Charge:
        """What is to be settled; a call that has not come back counts as its worst case."""
        made = charge_of(self.attempts[self.settled :])
        return made if self.open_call is None else made + Charge(self.open_call, self.open_call)


def settled(end: End, tab: Tab) -> End:
    """The end of a claim with what it settles; a decision with who was asked for it, too."""
    if isinstance(end, Release):
        return replace(end, step=tab.step, charge=tab.charge())
    return replace(end, asked=asked_of(tab.attempts), charge=tab.charge())
