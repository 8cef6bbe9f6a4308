"""The ladder as a table: reason x history -> step; and that it always ends."""

from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.extract import Answered, Ask, GiveUp, Step, Wait, next_step
from pipeline.retry import FATES, MAX_TRIES, MAX_WAIT, WAIT_DELAY, Fate
from schemas.extraction import Attempt
from tests.builders import attempt

MODELS = ("fast", "strong")
WRONG = ("amount: not a string",)
STILL_WRONG = ("city: too long",)


def history(text: str) -> list[Attempt]:
    """`"fast:unusable_output strong:ok"` as attempts; the second unusable one has other complaints."""
    attempts: list[Attempt] = []
    for step, word in enumerate(text.split()):
        alias, _, reason = word.partition(":")
        complaints = () if reason != "unusable_output" else STILL_WRONG if attempts else WRONG
        failure = None if reason == "ok" else reason
        attempts.append(attempt(failure, alias=alias, step=step, complaints=complaints))
    return attempts


def step_after(text: str, *, resumed: bool = False) -> Step:
    return next_step(history(text), MODELS, resumed=resumed, jitter=0.5)


@pytest.mark.parametrize(
    ("attempts", "step"),
    [
        ("", Ask("fast")),
        # The answer does not fit: the same model once more, then the next, then a person.
        ("fast:unusable_output", Ask("fast", WRONG)),
        ("fast:unusable_output fast:unusable_output", Ask("strong")),
        ("fast:unusable_output fast:unusable_output strong:unusable_output", Ask("strong", STILL_WRONG)),
        (
            "fast:unusable_output fast:unusable_output strong:unusable_output strong:unusable_output",
            GiveUp("unusable_output", dead=False),
        ),
        # A stronger model may have the tokens, or take the request.
        ("fast:truncated", Ask("strong")),
        ("fast:unusable_output fast:truncated", Ask("strong")),
        ("fast:truncated strong:truncated", GiveUp("truncated", dead=False)),
        ("fast:request_rejected", Ask("strong")),
        ("fast:request_rejected strong:unusable_output", Ask("strong", STILL_WRONG)),
        ("fast:request_rejected strong:request_rejected", GiveUp("request_rejected", dead=False)),
        # A refusal is an answer: no model is played off against another.
        ("fast:model_refused", GiveUp("model_refused", dead=False)),
        ("fast:model_filtered", GiveUp("model_filtered", dead=False)),
        ("fast:truncated strong:model_refused", GiveUp("model_refused", dead=False)),
        # The endpoint's own trouble is waited out, with back-off.
        ("fast:model_unavailable", Wait(timedelta(seconds=1), "model_unavailable")),
        ("fast:model_timeout fast:model_timeout", Wait(timedelta(seconds=2), "model_timeout")),
        ("fast:model_timeout fast:model_unavailable", Wait(timedelta(seconds=1), "model_unavailable")),
        (" ".join(["fast:model_timeout"] * MAX_TRIES), GiveUp("model_timeout", dead=True)),
        (
            " ".join(["fast:model_timeout"] * 4 + ["strong:model_timeout"] * 4),
            GiveUp("model_timeout", dead=True),
        ),
        # What an operator has to mend is waited for.
        ("fast:quota_exhausted", Wait(WAIT_DELAY, "quota_exhausted")),
        (" ".join(["fast:model_misconfigured"] * 99), Wait(MAX_WAIT, "model_misconfigured")),
        # Cancelled: given back at once, and as if it had not been.
        ("fast:cancelled", Wait(timedelta(0), "cancelled")),
        ("fast:unusable_output fast:cancelled", Wait(timedelta(0), "cancelled")),
    ],
)
def test_the_step_after(attempts: str, step: Step) -> None:
    assert step_after(attempts) == step


@pytest.mark.parametrize(
    ("attempts", "step"),
    [
        ("fast:model_timeout", Ask("fast")),
        ("fast:unusable_output fast:model_timeout", Ask("fast", WRONG)),
        ("fast:truncated strong:model_timeout", Ask("strong")),
        (
            "fast:unusable_output fast:unusable_output strong:model_timeout",
            Ask("strong"),
        ),
        ("fast:quota_exhausted", Ask("fast")),
        ("fast:cancelled", Ask("fast")),
        ("fast:unusable_output fast:cancelled", Ask("fast", WRONG)),
        ("fast:unusable_output fast:cancelled fast:unusable_output", Ask("strong")),
        (" ".join(["fast:model_timeout"] * MAX_TRIES), GiveUp("model_timeout", dead=True)),
        ("fast:model_refused", GiveUp("model_refused", dead=False)),
    ],
)
def test_the_step_after_the_wait_is_over(attempts: str, step: Step) -> None:
    assert step_after(attempts, resumed=True) == step


@pytest.mark.parametrize("resumed", [False, True])
@pytest.mark.parametrize("attempts", ["fast:ok", "fast:truncated strong:ok", "fast:model_timeout fast:ok"])
def test_an_answer_ends_it(attempts: str, resumed: bool) -> None:  # noqa: FBT001
    assert step_after(attempts, resumed=resumed) == Answered(history(attempts)[-1])


def test_a_servers_retry_after_is_a_lower_bound() -> None:
    limited = attempt("model_rate_limited", retry_after_seconds=90.0)

    step = next_step([limited], MODELS, resumed=False, jitter=0.5)

    assert step == Wait(timedelta(seconds=90), "model_rate_limited")


REASONS = st.sampled_from([*sorted(FATES), "ok"])


@given(st.lists(REASONS, max_size=200), st.lists(st.sampled_from("abc"), min_size=1, max_size=3, unique=True))
def test_whatever_a_model_does_the_calls_are_bounded(replies: list[str], models: list[str]) -> None:
    """Only what waits for an operator or for a restart is asked without a bound, and never in one go."""
    attempts: list[Attempt] = []
    resumed = True
    for reply in [*replies, *["model_timeout"] * (MAX_TRIES + 1)]:
        step = next_step(attempts, models, resumed=resumed, jitter=0.5)
        if isinstance(step, Wait):
            step = next_step(attempts, models, resumed=True, jitter=0.5)
        if not isinstance(step, Ask):
            break
        failure = None if reply == "ok" else reply
        complaints = WRONG if reply == "unusable_output" else ()
        attempts.append(attempt(failure, alias=step.alias, step=len(attempts), complaints=complaints))
        resumed = False

    last = next_step(attempts, models, resumed=True, jitter=0.5)
    counts = Counter(a.failure for a in attempts)
    assert isinstance(last, GiveUp | Answered)
    assert counts["unusable_output"] <= 2 * len(models)
    assert counts["truncated"] + counts["request_rejected"] <= len(models)
    for reason, fate in FATES.items():
        assert fate is not Fate.RETRY or counts[reason] <= MAX_TRIES


@given(st.lists(REASONS.filter(lambda reason: reason != "ok"), min_size=1, max_size=20))
def test_without_a_wait_in_between_a_failed_endpoint_is_not_asked_again(reasons: list[str]) -> None:
    attempts = [attempt(reason, step=step, complaints=WRONG) for step, reason in enumerate(reasons)]

    step = next_step(attempts, MODELS, resumed=False, jitter=0.5)

    if FATES[reasons[-1]] in (Fate.RETRY, Fate.WAIT):
        assert isinstance(step, Wait | GiveUp)
