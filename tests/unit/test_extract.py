"""The ladder as a table: reason x history -> step; and that it always ends."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import extract
from pipeline.errors import BreakerOpen
from pipeline.extract import Answered, Ask, Exhausted, GiveUp, Rung, Step, Wait
from pipeline.retry import FATES, MAX_TRIES, MAX_WAIT, MIN_CALL, OPEN_DELAY, WAIT_DELAY, Fate, wait
from schemas.extraction import Attempt
from tests.builders import attempt, endpoint_of, rungs

WRONG = ("amount: not a string",)
STILL_WRONG = ("city: too long",)
#: Failures that come with complaints; an ungrounded value's are for the reviewer.
COMPLAINING = ("unusable_output", "check_failed", "ungrounded")
OPEN = Wait(OPEN_DELAY * 0.75, BreakerOpen.reason)
LONG = timedelta(minutes=5)


def next_step(
    history: Sequence[Attempt],
    rungs: Sequence[Rung],
    *,
    made: int,
    jitter: float = 0.5,
    left: timedelta = LONG,
) -> Step:
    """The ladder's, with time enough."""
    return extract.next_step(history, rungs, made=made, jitter=jitter, left=left)


def asked(alias: str, complaints: tuple[str, ...] = (), *, place: str = "here", larger: bool = False) -> Ask:
    return Ask(alias, endpoint_of(alias, place), complaints, larger)


def history(text: str) -> list[Attempt]:
    """`"fast:unusable_output strong@there:ok fast!:truncated"` as attempts: `!` is one with a larger limit.

    The first bad answer has other complaints than those after it.
    """
    attempts: list[Attempt] = []
    for step, word in enumerate(text.split()):
        asking, _, reason = word.partition(":")
        alias, _, place = asking.rstrip("!").partition("@")
        attempts.append(
            attempt(
                None if reason == "ok" else reason,
                alias=alias,
                endpoint=endpoint_of(alias, place or "here"),
                larger=asking.endswith("!"),
                step=step,
                complaints=() if reason not in COMPLAINING else STILL_WRONG if attempts else WRONG,
            )
        )
    return attempts


def step_after(text: str, *places: str, made: int | None = None) -> Step:
    """The next step, all attempts but the first `made` ones being from earlier claims."""
    attempts = history(text)
    return next_step(
        attempts, rungs(("fast", "strong"), *places), made=len(attempts) if made is None else made, jitter=0.5
    )


@pytest.mark.parametrize(
    ("attempts", "step"),
    [
        ("", asked("fast")),
        # The answer does not fit: the same model once more, then the next, then a person.
        ("fast:unusable_output", asked("fast", WRONG)),
        ("fast:unusable_output fast:unusable_output", asked("strong")),
        ("fast:unusable_output fast:unusable_output strong:unusable_output", asked("strong", STILL_WRONG)),
        (
            "fast:unusable_output fast:unusable_output strong:unusable_output strong:unusable_output",
            Exhausted("unusable_output"),
        ),
        # A check does not hold: the one re-ask, then a person; no other model knows better.
        ("fast:check_failed", asked("fast", WRONG)),
        ("fast:check_failed fast:check_failed", GiveUp("check_failed", dead=False)),
        ("fast:unusable_output fast:check_failed", GiveUp("check_failed", dead=False)),
        ("fast:check_failed fast:unusable_output", asked("strong")),
        ("fast:truncated fast!:truncated strong:check_failed", asked("strong", STILL_WRONG)),
        # A value that is not in the text: the next model looks with its own eyes.
        ("fast:ungrounded", asked("strong")),
        ("fast:unusable_output fast:ungrounded", asked("strong")),
        ("fast:ungrounded strong:ungrounded", Exhausted("ungrounded")),
        ("fast:leaked", GiveUp("leaked", dead=False)),
        # Cut off: once with a larger limit, then the next model.
        ("fast:truncated", asked("fast", larger=True)),
        ("fast:unusable_output fast:truncated", asked("fast", WRONG, larger=True)),
        ("fast:truncated fast!:unusable_output", asked("fast", STILL_WRONG, larger=True)),
        ("fast:truncated fast!:truncated", asked("strong")),
        ("fast:truncated fast!:truncated strong:truncated", asked("strong", larger=True)),
        (
            "fast:truncated fast!:truncated strong:truncated strong!:truncated",
            Exhausted("truncated"),
        ),
        # A stronger model may take the request.
        ("fast:request_rejected", asked("strong")),
        ("fast:request_rejected strong:unusable_output", asked("strong", STILL_WRONG)),
        ("fast:request_rejected strong:request_rejected", Exhausted("request_rejected")),
        # A refusal is an answer: no model is played off against another.
        ("fast:model_refused", GiveUp("model_refused", dead=False)),
        ("fast:model_filtered", GiveUp("model_filtered", dead=False)),
        ("fast:ungrounded strong:model_refused", GiveUp("model_refused", dead=False)),
        # The endpoint's own trouble is waited out, with back-off.
        ("fast:model_unavailable", Wait(timedelta(seconds=1), "model_unavailable")),
        ("fast:model_timeout fast:model_timeout", Wait(timedelta(seconds=2), "model_timeout")),
        ("fast:model_timeout fast:model_unavailable", Wait(timedelta(seconds=1), "model_unavailable")),
        (" ".join(["fast:model_timeout"] * MAX_TRIES), Exhausted("model_timeout")),
        # Each endpoint has its own tries: what one has used up is not taken from the next.
        (
            " ".join(["fast:model_timeout"] * (MAX_TRIES - 4) + ["strong:model_timeout"] * 4),
            Wait(timedelta(seconds=8), "model_timeout"),
        ),
        # A call that the event's deadline cut short.
        ("fast:deadline", Exhausted("deadline")),
        ("fast:ungrounded strong:deadline", Exhausted("deadline")),
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
        # The endpoint's own trouble: another endpoint first, with the same request.
        ("fast:model_unavailable", asked("fast", place="there")),
        ("fast:model_rate_limited", asked("fast", place="there")),
        ("fast:quota_exhausted", asked("fast", place="there")),
        ("fast:model_misconfigured", asked("fast", place="there")),
        ("fast@there:model_timeout", asked("fast")),
        ("fast:unusable_output fast:model_timeout", asked("fast", WRONG, place="there")),
        ("fast:truncated fast!:model_timeout", asked("fast", place="there", larger=True)),
        ("fast:ungrounded strong:model_timeout", asked("strong", place="there")),
        # All have failed: later.
        ("fast:model_timeout fast@there:model_unavailable", Wait(timedelta(seconds=1), "model_unavailable")),
        ("fast:quota_exhausted fast@there:quota_exhausted", Wait(wait(1), "quota_exhausted")),
        # An endpoint whose answer is bad has not failed.
        ("fast@there:unusable_output fast:model_timeout", asked("fast", WRONG, place="there")),
        ("fast:unusable_output", asked("fast", WRONG)),
        ("fast:cancelled", Wait(timedelta(0), "cancelled")),
    ],
)
def test_another_endpoint_first(attempts: str, step: Step) -> None:
    assert step_after(attempts, "here", "there") == step


def test_what_failed_before_the_wait_may_be_called_again() -> None:
    step = step_after("fast:model_timeout fast@there:model_timeout", "here", "there", made=0)

    assert step == asked("fast")


@pytest.mark.parametrize("attempts", ["", "fast:unusable_output", "fast:model_timeout", "fast:cancelled"])
def test_while_every_breaker_is_open_an_event_waits(attempts: str) -> None:
    closed = [Rung("fast", ()), Rung("strong", (endpoint_of("strong"),))]

    assert next_step(history(attempts), closed, made=0, jitter=0.5) == OPEN


def test_the_reason_of_a_wait_is_the_failure_that_opened_the_breaker() -> None:
    closed = [Rung("fast", ()), Rung("strong", ())]

    step = next_step(history("fast:model_misconfigured"), closed, made=1, jitter=0.5)

    assert step == Wait(WAIT_DELAY, "model_misconfigured")


def test_while_the_next_models_breaker_is_open_an_event_waits_for_it() -> None:
    closed = [Rung("fast", (endpoint_of("fast"),)), Rung("strong", ())]

    assert next_step(history("fast:ungrounded"), closed, made=1, jitter=0.5) == OPEN


@given(st.floats(0, 1, exclude_max=True))
def test_waits_for_a_breaker_are_spread(jitter: float) -> None:
    step = next_step([], [Rung("fast", ())], made=0, jitter=jitter)

    assert isinstance(step, Wait)
    assert OPEN_DELAY / 2 <= step.delay <= OPEN_DELAY


@pytest.mark.parametrize(
    ("attempts", "step"),
    [
        ("fast:model_timeout", asked("fast")),
        ("fast:unusable_output fast:model_timeout", asked("fast", WRONG)),
        ("fast:truncated fast!:model_timeout", asked("fast", larger=True)),
        ("fast:truncated fast!:truncated strong:model_timeout", asked("strong")),
        ("fast:check_failed fast:model_timeout", asked("fast", WRONG)),
        (
            "fast:unusable_output fast:unusable_output strong:model_timeout",
            asked("strong"),
        ),
        ("fast:quota_exhausted", asked("fast")),
        ("fast:cancelled", asked("fast")),
        ("fast:unusable_output fast:cancelled", asked("fast", WRONG)),
        ("fast:unusable_output fast:cancelled fast:unusable_output", asked("strong")),
        (" ".join(["fast:model_timeout"] * MAX_TRIES), Exhausted("model_timeout")),
        ("fast:model_refused", GiveUp("model_refused", dead=False)),
    ],
)
def test_the_step_after_the_wait_is_over(attempts: str, step: Step) -> None:
    assert step_after(attempts, made=0) == step


@pytest.mark.parametrize("made", [0, 1])
@pytest.mark.parametrize("attempts", ["fast:ok", "fast:ungrounded strong:ok", "fast:model_timeout fast:ok"])
def test_an_answer_ends_it(attempts: str, made: int) -> None:
    assert step_after(attempts, made=made) == Answered(history(attempts)[-1])


def test_a_servers_retry_after_is_a_lower_bound() -> None:
    limited = attempt("model_rate_limited", retry_after_seconds=90.0)

    step = next_step([limited], rungs(), made=1, jitter=0.5)

    assert step == Wait(timedelta(seconds=90), "model_rate_limited")


@pytest.mark.parametrize("endpoints", [1, 2, 3])
def test_one_round_over_all_endpoints_is_one_try(endpoints: int) -> None:
    places = ["here", "there", "yonder"][:endpoints]
    round_ = " ".join(f"fast@{place}:model_unavailable" for place in places)

    last_but_one = step_after(" ".join([round_] * (MAX_TRIES - 1)), *places)
    last = step_after(" ".join([round_] * MAX_TRIES), *places)

    assert isinstance(last_but_one, Wait)
    assert last == Exhausted("model_unavailable")


@pytest.mark.parametrize(
    ("attempts", "made"), [("", 0), ("fast:ungrounded", 1), ("fast:model_timeout", 1), ("fast:cancelled", 0)]
)
def test_when_no_time_is_left_for_a_call_the_ladder_ends(attempts: str, made: int) -> None:
    short = MIN_CALL - timedelta(milliseconds=1)

    assert next_step(history(attempts), rungs(), made=made, left=short) == Exhausted("deadline")
    assert next_step(history(attempts), rungs(), made=made, left=MIN_CALL) == step_after(attempts, made=made)


def test_while_every_breaker_is_open_an_event_without_time_does_not_wait() -> None:
    assert next_step([], [Rung("fast", ())], made=0, left=timedelta(0)) == Exhausted("deadline")


@pytest.mark.parametrize(
    ("attempts", "step"),
    [
        ("fast:ok", Answered(history("fast:ok")[0])),
        ("fast:model_refused", GiveUp("model_refused", dead=False)),
        ("fast:check_failed fast:check_failed", GiveUp("check_failed", dead=False)),
        ("fast:ungrounded strong:ungrounded", Exhausted("ungrounded")),
        ("fast:cancelled", Wait(timedelta(0), "cancelled")),
    ],
)
def test_an_end_without_time_is_the_same_end(attempts: str, step: Step) -> None:
    ended = history(attempts)

    assert next_step(ended, rungs(), made=len(ended), left=timedelta(0)) == step


REASONS = st.sampled_from([*sorted(FATES), "ok"])
ALIASES = st.lists(st.sampled_from("abc"), min_size=1, max_size=3, unique=True)
PLACES = st.lists(st.sampled_from(["here", "there"]), min_size=1, max_size=2, unique=True)


def climb(replies: list[str], ladder: Sequence[Rung]) -> list[Attempt]:
    """The attempts on an event whose calls end as in `replies`; what has to wait is claimed again."""
    attempts: list[Attempt] = []
    made = 0
    for reply in [*replies, *["model_timeout"] * (MAX_TRIES * sum(len(rung.endpoints) for rung in ladder))]:
        step = next_step(attempts, ladder, made=made, jitter=0.5)
        if isinstance(step, Wait):
            made = 0
            step = next_step(attempts, ladder, made=made, jitter=0.5)
        if not isinstance(step, Ask):
            break
        attempts.append(
            attempt(
                None if reply == "ok" else reply,
                alias=step.alias,
                endpoint=step.endpoint,
                larger=step.larger,
                step=len(attempts),
                complaints=WRONG if reply in COMPLAINING else (),
            )
        )
        made += 1
    return attempts


@given(st.lists(REASONS, max_size=200), ALIASES, PLACES)
def test_whatever_a_model_does_the_calls_are_bounded(
    replies: list[str], models: list[str], places: list[str]
) -> None:
    """Only what waits for an operator or for a restart is asked without a bound, and never in one go."""
    ladder = rungs(models, *places)

    attempts = climb(replies, ladder)

    last = next_step(attempts, ladder, made=0, jitter=0.5)
    counts = Counter(one.failure for one in attempts)
    by_endpoint = Counter((one.endpoint, one.failure) for one in attempts)
    by_model = Counter((one.alias, one.failure) for one in attempts)
    assert isinstance(last, GiveUp | Exhausted | Answered)
    for (_, reason), count in by_model.items():
        fate = FATES.get(reason or "")
        assert fate not in (Fate.REASK, Fate.LARGER) or count <= 2
        assert fate not in (Fate.NEXT_MODEL, Fate.REVIEW, Fate.END) or count == 1
    assert counts["check_failed"] <= 2 * len(models)
    for (_, reason), count in by_endpoint.items():
        assert FATES.get(reason or "") is not Fate.RETRY or count <= MAX_TRIES


@given(st.lists(REASONS, max_size=60), ALIASES)
def test_a_larger_limit_is_asked_for_only_after_an_answer_that_was_cut_off(
    replies: list[str], models: list[str]
) -> None:
    attempts = climb(replies, rungs(models))

    for place, one in enumerate(attempts):
        cut_off = [before for before in attempts[:place] if before.failure == "truncated"]
        assert one.larger == any(before.alias == one.alias for before in cut_off)


@given(st.lists(REASONS.filter(lambda reason: reason != "ok"), min_size=1, max_size=20), PLACES)
def test_without_a_wait_in_between_a_failed_endpoint_is_not_asked_again(
    reasons: list[str], places: list[str]
) -> None:
    attempts = [attempt(reason, step=step, complaints=WRONG) for step, reason in enumerate(reasons)]

    step = next_step(attempts, rungs(("fast", "strong"), *places), made=len(attempts), jitter=0.5)

    if FATES[reasons[-1]] in (Fate.RETRY, Fate.WAIT):
        failed = {one.endpoint for one in attempts}
        assert not isinstance(step, Ask) or step.endpoint not in failed
