"""What becomes of a failed attempt: a reason in, a fate out. The one place that decides it."""

from datetime import timedelta
from enum import Enum
from typing import Final

from pipeline import errors


class Fate(Enum):
    """The next step after a failure."""

    REASK = "the same model once more, with the complaints; then the next model; then `on_failure`"
    RECHECK = "the same model once more, with the complaints; then review"
    LARGER = "the same model once with a larger limit; then the next model; then `on_failure`"
    NEXT_MODEL = "the next model; after the last, `on_failure`"
    REVIEW = "a person decides"
    END = "`on_failure`"
    RETRY = "another endpoint; then the same again later; after the last try, `on_failure`"
    WAIT = "another endpoint; then the same again later, as often as it takes"


FATES: Final[dict[str, Fate]] = {
    errors.UnusableOutput.reason: Fate.REASK,
    errors.CheckFailed.reason: Fate.RECHECK,
    errors.Truncated.reason: Fate.LARGER,
    errors.Ungrounded.reason: Fate.NEXT_MODEL,
    errors.RequestRejected.reason: Fate.NEXT_MODEL,
    errors.ModelRefused.reason: Fate.REVIEW,
    errors.ModelFiltered.reason: Fate.REVIEW,
    errors.Leaked.reason: Fate.REVIEW,
    errors.DeadlineExceeded.reason: Fate.END,
    errors.ModelUnavailable.reason: Fate.RETRY,
    errors.ModelRateLimited.reason: Fate.RETRY,
    errors.ModelTimeout.reason: Fate.RETRY,
    errors.CallCancelled.reason: Fate.WAIT,
    errors.QuotaExhausted.reason: Fate.WAIT,
    errors.ModelMisconfigured.reason: Fate.WAIT,
}

#: Tries of one class of retryable error at one endpoint, over an event's whole life: with the back-off below
#: some 40 minutes. They bound errors that come fast; slow ones use up the workflow's deadline before.
MAX_TRIES: Final = 24
#: A deadline that leaves less than this leaves no time for a call.
MIN_CALL: Final = timedelta(milliseconds=100)
#: Times that a bug (an error outside the taxonomy) may show before the event is given up.
MAX_FAULTS: Final = 3
#: Crashes after which a claim gives an event up without running it.
MAX_CRASHES: Final = 5
#: Crashes from which on only the suspects' process runs an event.
SUSPECT_CRASHES: Final = 2

BASE_DELAY: Final = timedelta(seconds=1)
MAX_DELAY: Final = timedelta(minutes=5)
WAIT_DELAY: Final = timedelta(seconds=30)
MAX_WAIT: Final = timedelta(minutes=15)
#: A wait for a breaker is spread over this time, so that its end brings no crowd.
OPEN_DELAY: Final = timedelta(seconds=10)
#: An event that a budget has no room for looks again after this time.
BUDGET_DELAY: Final = timedelta(seconds=45)
#: The same, while it is calls under way that hold the room.
BUSY_DELAY: Final = timedelta(seconds=2)


def backoff(tries: int, *, jitter: float) -> timedelta:
    """Exponential back-off with full jitter (M. Brooker, AWS, 2015); `jitter` is in [0, 1)."""
    ceiling: timedelta = min(MAX_DELAY, BASE_DELAY * int(2 ** min(tries, 16)))
    return ceiling * jitter


def delay(tries: int, *, jitter: float, retry_after_seconds: float | None) -> timedelta:
    """How long to wait before try number `tries` + 1; a server's Retry-After is a lower bound."""
    asked = timedelta(seconds=min(retry_after_seconds or 0.0, 86_400.0))
    return max(asked, backoff(tries, jitter=jitter))


def wait(times: int) -> timedelta:
    """How long to wait the `times`-th time for a person to act, at the provider or in the settings."""
    grown: timedelta = WAIT_DELAY * int(2 ** min(max(times, 1) - 1, 8))
    return min(MAX_WAIT, grown)
