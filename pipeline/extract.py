"""The ladder: the attempts so far in, the next step out. It owns every call, the re-ask too."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta

from pipeline.errors import BreakerOpen, CallCancelled, DeadlineExceeded
from pipeline.retry import FATES, MAX_TRIES, MIN_CALL, OPEN_DELAY, Fate, delay, wait
from schemas.extraction import Attempt


@dataclass(frozen=True, slots=True)
class Rung:
    """A model alias and its endpoints that can be called now, the one with the most room first.

    `closed_by` is why there are none, where there are none.
    """

    alias: str
    endpoints: tuple[str, ...]
    closed_by: str = BreakerOpen.reason


@dataclass(frozen=True, slots=True)
class Ask:
    """Call `alias` at `endpoint`; `complaints` say what was wrong with its last answer.

    `larger` asks for more output tokens than usual, after an answer that was cut off.
    """

    alias: str
    endpoint: str
    complaints: tuple[str, ...] = ()
    larger: bool = False


@dataclass(frozen=True, slots=True)
class Answered:
    """The last attempt is a valid answer."""

    attempt: Attempt


@dataclass(frozen=True, slots=True)
class Wait:
    """Try again after `delay`; until then the event holds no slot."""

    delay: timedelta
    reason: str


@dataclass(frozen=True, slots=True)
class GiveUp:
    """It ends without an answer: to a person (`dead` false) or to the dead topic."""

    reason: str
    dead: bool


@dataclass(frozen=True, slots=True)
class Exhausted:
    """The ladder has no more steps: what becomes of the event is for its workflow's `on_failure` to say."""

    reason: str


Step = Ask | Answered | Wait | GiveUp | Exhausted


def next_step(
    history: Sequence[Attempt], rungs: Sequence[Rung], *, made: int, jitter: float, left: timedelta
) -> Step:
    """What to do after `history`, the attempts on one event in order.

    `made` of them were made since the event was claimed: with none, a wait is over. `left` is the time
    that the event's deadline leaves for calls: without any there is nothing to wait for, either.
    """
    if made and history[-1].failure == CallCancelled.reason:
        return Wait(timedelta(0), CallCancelled.reason)
    step = _step(history, rungs, made=made, jitter=jitter)
    if left < MIN_CALL and isinstance(step, Ask | Wait):
        return Exhausted(DeadlineExceeded.reason)
    return step


def _step(history: Sequence[Attempt], rungs: Sequence[Rung], *, made: int, jitter: float) -> Step:
    now = [attempt for attempt in history[len(history) - made :] if _is_the_endpoints(attempt)]
    history = [attempt for attempt in history if attempt.failure != CallCancelled.reason]
    if not history:
        return _ask(rungs[0], jitter=jitter)
    last = history[-1]
    if last.failure is None:
        return Answered(last)
    return _after_failure(
        last, history, rungs, failed={attempt.endpoint for attempt in now}, made=made, jitter=jitter
    )


def _is_the_endpoints(attempt: Attempt) -> bool:
    """Did the endpoint fail, rather than the model that answers there?"""
    return FATES.get(attempt.failure or "") in (Fate.RETRY, Fate.WAIT)


def _after_failure(
    last: Attempt,
    history: Sequence[Attempt],
    rungs: Sequence[Rung],
    *,
    failed: Collection[str],
    made: int,
    jitter: float,
) -> Step:
    rung = next((rung for rung in rungs if rung.alias == last.alias), rungs[0])
    match FATES[last.failure or ""]:
        case Fate.REASK | Fate.RECHECK if not _was_reask(history):
            return _ask(rung, complaints=last.complaints, larger=last.larger, jitter=jitter)
        case Fate.LARGER if not last.larger:
            return _ask(rung, complaints=_carried(history), larger=True, jitter=jitter)
        case Fate.REASK | Fate.LARGER | Fate.NEXT_MODEL:
            return _next_rung(last, rungs, jitter=jitter)
        case Fate.RECHECK | Fate.REVIEW:
            return GiveUp(last.failure or "", dead=False)
        case Fate.END:
            return Exhausted(last.failure or "")
        case Fate.RETRY | Fate.WAIT as fate:
            return _again(history, rung, fate, failed=failed, made=made, jitter=jitter)


def _ask(
    rung: Rung,
    *,
    jitter: float,
    complaints: tuple[str, ...] = (),
    larger: bool = False,
    avoid: Collection[str] = (),
) -> Ask | Wait:
    """A call at the best endpoint; without one the event waits, and nothing is counted against it."""
    usable = [endpoint for endpoint in rung.endpoints if endpoint not in avoid]
    if not usable:
        return Wait(OPEN_DELAY * (0.5 + jitter / 2), rung.closed_by)
    return Ask(rung.alias, usable[0], complaints, larger)


def _was_reask(history: Sequence[Attempt]) -> bool:
    """Did the last attempt already carry complaints: did one before it, of the same model, earn some?"""
    last = history[-1]
    return any(attempt.alias == last.alias and attempt.complaints for attempt in history[:-1])


def _next_rung(last: Attempt, rungs: Sequence[Rung], *, jitter: float) -> Step:
    place = [rung.alias for rung in rungs].index(last.alias) + 1 if _is_among(last, rungs) else 0
    return _ask(rungs[place], jitter=jitter) if place < len(rungs) else Exhausted(last.failure or "")


def _is_among(attempt: Attempt, rungs: Sequence[Rung]) -> bool:
    return any(rung.alias == attempt.alias for rung in rungs)


def _again(
    history: Sequence[Attempt], rung: Rung, fate: Fate, *, failed: Collection[str], made: int, jitter: float
) -> Step:
    last = history[-1]
    reason = last.failure or ""
    # Those of one endpoint: one round over several of them is one try.
    tries = sum((attempt.failure, attempt.endpoint) == (reason, last.endpoint) for attempt in history)
    if fate is Fate.RETRY and tries >= MAX_TRIES:
        return Exhausted(reason)
    again = _ask(rung, complaints=_carried(history), larger=last.larger, avoid=failed, jitter=jitter)
    if isinstance(again, Ask) or not made:
        return again
    if fate is Fate.WAIT:
        return Wait(wait(tries), reason)
    return Wait(delay(tries, jitter=jitter, retry_after_seconds=last.retry_after_seconds), reason)


def _carried(history: Sequence[Attempt]) -> tuple[str, ...]:
    """The complaints that the last call carried, so that its repeat carries them too."""
    alias = history[-1].alias
    earned = [attempt.complaints for attempt in history if attempt.alias == alias and attempt.complaints]
    return earned[-1] if earned else ()
