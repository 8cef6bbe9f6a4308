"""The circuit breaker of one endpoint, as a value: what happened in, the next state out.

M. Nygard's pattern ("Release It!", 2007): closed, open, half-open with one probe.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from pipeline import errors

#: This many failures within WINDOW, with no answer between them, open the breaker.
MAX_FAILURES: Final = 5
WINDOW: Final = timedelta(seconds=30)
#: The first pause; each failed probe doubles it.
MIN_PAUSE: Final = timedelta(seconds=5)
MAX_PAUSE: Final = timedelta(minutes=1)
#: A probe that has not come back by then is taken for lost, and another one is made.
PROBE: Final = timedelta(minutes=2)

#: These open it at once: no repeat can help before somebody acts.
_FATAL: Final = frozenset({errors.QuotaExhausted.reason, errors.ModelMisconfigured.reason})
_COUNTED: Final = frozenset({errors.ModelUnavailable.reason, errors.ModelTimeout.reason})
#: These say nothing about the endpoint.
_SILENT: Final = frozenset(
    {errors.CallCancelled.reason, errors.DeadlineExceeded.reason, errors.ModelRateLimited.reason}
)


@dataclass(frozen=True, slots=True)
class Breaker:
    """One row, shared by all workers. `retry_at` is None while closed, else when a probe may be made."""

    endpoint: str
    failures: int = 0
    since: datetime | None = None
    openings: int = 0
    retry_at: datetime | None = None
    reason: str | None = None

    @property
    def is_closed(self) -> bool:
        return self.retry_at is None


def after(breaker: Breaker, failure: str | None, *, probe: bool, now: datetime) -> Breaker:
    """The state after a call came back with `failure`; any other answer than a failing endpoint's closes it.

    Calls that were under way when it opened change nothing: only the probe does. One that says nothing, such
    as a probe of a process that stops, leaves another one to make soon.
    """
    if failure in _SILENT:
        is_ours = probe and not breaker.is_closed
        return replace(breaker, retry_at=now + MIN_PAUSE) if is_ours else breaker
    if failure not in _FATAL and failure not in _COUNTED:
        return Breaker(breaker.endpoint)
    if not breaker.is_closed and not probe:
        return breaker
    if probe or failure in _FATAL:
        return _open(breaker, failure or "", now)
    since = breaker.since
    if since is None or now - since > WINDOW:
        return replace(breaker, failures=1, since=now)
    failures = breaker.failures + 1
    if failures >= MAX_FAILURES:
        return _open(breaker, failure or "", now)
    return replace(breaker, failures=failures)


def probing(breaker: Breaker, *, now: datetime) -> Breaker | None:
    """The state while one process probes; None when it is closed, or too early, or somebody does."""
    if breaker.retry_at is None or breaker.retry_at > now:
        return None
    return replace(breaker, retry_at=now + PROBE)


def _open(breaker: Breaker, reason: str, now: datetime) -> Breaker:
    pause = min(MAX_PAUSE, MIN_PAUSE * int(2 ** min(breaker.openings, 8)))
    return Breaker(
        breaker.endpoint,
        failures=breaker.failures + 1,
        since=breaker.since or now,
        openings=breaker.openings + 1,
        retry_at=now + pause,
        reason=reason,
    )
