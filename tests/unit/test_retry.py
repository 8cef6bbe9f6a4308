"""Each reason has one fate, and waits grow within bounds."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import PausedError, PermanentError, PipelineError, RetryableError
from pipeline.retry import FATES, MAX_DELAY, Fate, backoff, delay, wait

JITTER = st.floats(0, 1, exclude_max=True)


def taxonomy(base: type[PipelineError] = PipelineError) -> Iterator[type[PipelineError]]:
    for error in base.__subclasses__():
        yield error
        yield from taxonomy(error)


LEAVES = [error for error in taxonomy() if not error.__subclasses__()]


def test_no_two_errors_have_one_reason() -> None:
    reasons = [error.reason for error in LEAVES]

    assert sorted(set(reasons)) == sorted(reasons)


@pytest.mark.parametrize("error", LEAVES)
def test_an_error_without_a_detail_says_its_docstring(error: type[PipelineError]) -> None:
    assert str(error()).endswith(".")
    assert str(error("what happened")) == "what happened"


def test_a_detail_is_cleaned_and_cut() -> None:
    assert str(PermanentError("a\0\ud800" + "x" * 1_000)) == "a\ufffd\ufffd" + "x" * 497


@pytest.mark.parametrize("error", [error for error in LEAVES if error.reason in FATES])
def test_the_class_of_an_error_agrees_with_its_fate(error: type[PipelineError]) -> None:
    fate = FATES[error.reason]

    assert (fate is Fate.RETRY) <= issubclass(error, RetryableError)
    assert issubclass(error, PausedError) <= (fate is Fate.WAIT)
    assert issubclass(error, PermanentError) <= (fate not in (Fate.RETRY, Fate.WAIT))


def test_every_fate_is_the_fate_of_a_known_error() -> None:
    assert set(FATES) <= {error.reason for error in LEAVES}


@pytest.mark.parametrize(("tries", "seconds"), [(0, 0.5), (1, 1), (2, 2), (8, 128), (9, 150), (10_000, 150)])
def test_the_wait_doubles_up_to_five_minutes(tries: int, seconds: float) -> None:
    assert backoff(tries, jitter=0.5) == timedelta(seconds=seconds)


@given(st.integers(0, 10_000), JITTER)
def test_the_wait_is_spread_over_all_of_its_range(tries: int, jitter: float) -> None:
    assert timedelta(0) <= backoff(tries, jitter=jitter) <= MAX_DELAY


@given(st.integers(1, 20), JITTER, st.none() | st.floats(0, 1e12))
def test_retry_after_is_a_lower_bound_of_at_most_a_day(
    tries: int, jitter: float, asked: float | None
) -> None:
    wait = delay(tries, jitter=jitter, retry_after_seconds=asked)

    assert wait >= timedelta(seconds=min(asked or 0, 86_400))
    assert wait <= max(MAX_DELAY, timedelta(days=1))


def test_a_wait_for_a_person_grows_and_stays_bearable() -> None:
    waits = [wait(times).total_seconds() for times in (1, 2, 3, 6, 10_000)]

    assert waits == [30, 60, 120, 900, 900]
