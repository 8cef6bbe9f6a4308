"""What becomes of an event: the closed set of outcomes, and the decision that a policy returns."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from schemas.text import clean


class Outcome(StrEnum):
    """Where an event can end. Every accepted event has exactly one."""

    SUCCEEDED = "succeeded"
    NEEDS_REVIEW = "needs_review"
    APPROVED = "approved"
    CORRECTED = "corrected"
    REJECTED = "rejected"
    DEGRADED = "degraded"
    REFUSED_INPUT = "refused_input"
    DEAD = "dead"

    @property
    def may_be_acted_on(self) -> bool:
        """Does its result go to the topic that the workflow produces?"""
        return self in _ACTED_ON

    @property
    def is_dead_letter(self) -> bool:
        """Does it go to `<consumes>.dead`?"""
        return self in _DEAD_LETTERS


_ACTED_ON = frozenset({Outcome.SUCCEEDED, Outcome.DEGRADED, Outcome.APPROVED, Outcome.CORRECTED})
_DEAD_LETTERS = frozenset({Outcome.REJECTED, Outcome.REFUSED_INPUT, Outcome.DEAD})

MAX_REASON_LENGTH = 500

#: The revision state of a reopened event: publishes nothing and is no outcome.
REOPENED = "reopened"
#: Every state that a revision can be in.
STATES: Final[tuple[str, ...]] = (*Outcome, REOPENED)


class Route(StrEnum):
    """Where a policy can send an event."""

    ACCEPT = "accept"
    REVIEW = "review"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class Decision:
    """A route and, in words that a person reads, why. Made by `accept`, `review` or `reject`.

    Reasons may quote the event, so they are cleaned and cut to MAX_REASON_LENGTH characters.
    """

    route: Route
    reasons: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        reasons = tuple(clean(reason, max_length=MAX_REASON_LENGTH) for reason in self.reasons)
        object.__setattr__(self, "reasons", reasons)

    @property
    def outcome(self) -> Outcome:
        return _OUTCOMES[self.route]


_OUTCOMES = {
    Route.ACCEPT: Outcome.SUCCEEDED,
    Route.REVIEW: Outcome.NEEDS_REVIEW,
    Route.REJECT: Outcome.REJECTED,
}


def accept() -> Decision:
    """The answer stands: publish it."""
    return Decision(Route.ACCEPT)


def review(reason: str, *more: str) -> Decision:
    """A person decides; publish nothing yet."""
    return Decision(Route.REVIEW, (reason, *more))


def reject(reason: str, *more: str) -> Decision:
    """Not to be acted on: it goes to the dead topic with its reasons."""
    return Decision(Route.REJECT, (reason, *more))
