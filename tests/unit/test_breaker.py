"""The circuit breaker as a table, and what holds whatever happens to an endpoint."""

import itertools
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import errors
from pipeline.breaker import MAX_FAILURES, MAX_PAUSE, MIN_PAUSE, PROBE, WINDOW, Breaker, after, probing
from pipeline.retry import FATES
from tests.builders import NOW

CLOSED = Breaker("here")
COUNTED = (errors.ModelUnavailable.reason, errors.ModelTimeout.reason)
FATAL = (errors.QuotaExhausted.reason, errors.ModelMisconfigured.reason)
SILENT = (errors.CallCancelled.reason, errors.DeadlineExceeded.reason, errors.ModelRateLimited.reason)
ANSWERS = (None, *sorted(set(FATES) - {*COUNTED, *FATAL, *SILENT}))
SECOND = timedelta(seconds=1)


def opened(*, openings: int = 1, reason: str = "model_timeout", retry_at: datetime = NOW) -> Breaker:
    return Breaker("here", MAX_FAILURES, NOW, openings, retry_at, reason)


def after_all(*failures: str | None, every: timedelta = SECOND) -> Breaker:
    """The state after calls that ended like this, one after the other."""
    breaker = CLOSED
    for number, failure in enumerate(failures):
        breaker = after(breaker, failure, probe=False, now=NOW + number * every)
    return breaker


@pytest.mark.parametrize(
    ("failures", "is_closed"),
    [
        ((), True),
        (("model_timeout",) * (MAX_FAILURES - 1), True),
        (("model_timeout",) * MAX_FAILURES, False),
        (
            ("model_timeout", "model_unavailable", "model_timeout", "model_unavailable", "model_timeout"),
            False,
        ),
        ((*("model_timeout",) * (MAX_FAILURES - 1), None, "model_timeout"), True),
        ((*("model_timeout",) * (MAX_FAILURES - 1), "unusable_output", "model_timeout"), True),
        ((*("model_timeout",) * (MAX_FAILURES - 1), "model_rate_limited", "model_timeout"), False),
        ((*("model_timeout",) * (MAX_FAILURES - 1), "cancelled", "model_timeout"), False),
        (("model_rate_limited",) * 99, True),
        (("cancelled",) * 99, True),
        ((*("model_timeout",) * (MAX_FAILURES - 1), "deadline", "model_timeout"), False),
        (("deadline",) * 99, True),
        (("model_refused",) * 99, True),
        (("quota_exhausted",), False),
        (("model_misconfigured",), False),
    ],
)
def test_what_opens_it(failures: tuple[str | None, ...], *, is_closed: bool) -> None:
    assert after_all(*failures).is_closed is is_closed


def test_failures_far_apart_do_not_add_up() -> None:
    assert after_all(*["model_timeout"] * 99, every=WINDOW).is_closed


def test_an_open_one_says_why_and_until_when() -> None:
    breaker = after_all(*["model_unavailable"] * MAX_FAILURES)

    assert breaker.reason == "model_unavailable"
    assert breaker.retry_at == NOW + (MAX_FAILURES - 1) * SECOND + MIN_PAUSE


def test_each_probe_that_fails_doubles_the_pause_up_to_a_minute() -> None:
    breaker, pauses = after(CLOSED, "model_misconfigured", probe=False, now=NOW), []
    for _ in range(6):
        breaker = after(breaker, "model_timeout", probe=True, now=NOW)
        assert breaker.retry_at is not None
        pauses.append(breaker.retry_at - NOW)

    assert pauses == [2 * MIN_PAUSE, 4 * MIN_PAUSE, 8 * MIN_PAUSE, MAX_PAUSE, MAX_PAUSE, MAX_PAUSE]


@pytest.mark.parametrize(
    ("breaker", "seconds", "is_taken"),
    [(CLOSED, 0, False), (opened(), -1, False), (opened(), 0, True), (opened(), 60, True)],
)
def test_a_probe_may_be_made_when_the_pause_is_over(
    breaker: Breaker, seconds: int, *, is_taken: bool
) -> None:
    assert (probing(breaker, now=NOW + seconds * SECOND) is not None) is is_taken


def test_a_probe_that_does_not_come_back_is_made_again() -> None:
    first = probing(opened(), now=NOW)

    assert first is not None
    assert probing(first, now=NOW + PROBE - SECOND) is None
    assert probing(first, now=NOW + PROBE) is not None


@pytest.mark.parametrize("failure", SILENT)
def test_after_a_probe_that_says_nothing_another_is_made_soon(failure: str) -> None:
    probe = probing(opened(), now=NOW)
    assert probe is not None

    again = after(probe, failure, probe=True, now=NOW + SECOND)

    assert (again.openings, again.reason) == (probe.openings, probe.reason)
    assert probing(again, now=NOW + SECOND + MIN_PAUSE) is not None
    assert probing(again, now=NOW + MIN_PAUSE) is None
    assert after(CLOSED, failure, probe=True, now=NOW) == CLOSED


ENDS = st.sampled_from([None, *sorted(FATES)])
BREAKERS = st.builds(
    Breaker,
    st.just("here"),
    st.integers(1, 9),
    st.just(NOW),
    st.integers(1, 99),
    st.just(NOW + MIN_PAUSE),
    st.sampled_from(COUNTED + FATAL),
)


def most_failures_in_a_row(ends: Sequence[str | None]) -> int:
    """Counted failures with no answer between them; what says nothing does not end the row."""
    most = row = 0
    for end in ends:
        row = row + 1 if end in COUNTED else row if end in SILENT else 0
        most = max(most, row)
    return most


@given(st.lists(ENDS, max_size=60))
def test_it_never_opens_without_cause(ends: list[str | None]) -> None:
    breaker = after_all(*ends)

    if not breaker.is_closed:
        assert most_failures_in_a_row(ends) >= MAX_FAILURES or not set(FATAL).isdisjoint(ends)


@given(BREAKERS, st.sampled_from(COUNTED + FATAL + SILENT), st.integers(0, 600))
def test_calls_under_way_that_fail_while_it_is_open_change_nothing(
    breaker: Breaker, failure: str, seconds: int
) -> None:
    assert after(breaker, failure, probe=False, now=NOW + seconds * SECOND) == breaker


@given(BREAKERS | st.just(CLOSED), st.sampled_from(ANSWERS), st.booleans())
def test_an_answer_closes_it(breaker: Breaker, answer: str | None, probe: bool) -> None:  # noqa: FBT001
    assert after(breaker, answer, probe=probe, now=NOW) == CLOSED


@given(BREAKERS, st.sampled_from(COUNTED + FATAL))
def test_a_probe_that_fails_opens_it_again_for_longer(breaker: Breaker, failure: str) -> None:
    again = after(breaker, failure, probe=True, now=NOW)

    assert again.retry_at is not None
    assert MIN_PAUSE < again.retry_at - NOW <= MAX_PAUSE
    assert (again.openings, again.reason) == (breaker.openings + 1, failure)


@given(st.lists(st.integers(0, 300), min_size=1, max_size=40))
def test_while_a_probe_is_away_nobody_makes_another(gaps: list[int]) -> None:
    breaker, now, taken = opened(), NOW, []
    for gap in gaps:
        now += gap * SECOND
        if probe := probing(breaker, now=now):
            breaker = probe
            taken.append(now)

    assert all(later - earlier >= PROBE for earlier, later in itertools.pairwise(taken))
