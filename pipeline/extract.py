"""The ladder: the attempts so far in, the next step out. It owns every call, the re-ask too."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from pipeline.errors import CallCancelled, UnusableOutput
from pipeline.retry import FATES, MAX_TRIES, Fate, delay, wait
from schemas.extraction import Attempt


@dataclass(frozen=True, slots=True)
class Ask:
    """Call the model behind `alias`; `complaints` say what was wrong with its last answer."""

    alias: str
    complaints: tuple[str, ...] = ()


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
    """The ladder ends: to a person (`dead` false) or to the dead topic."""

    reason: str
    dead: bool


Step = Ask | Answered | Wait | GiveUp


def next_step(history: Sequence[Attempt], models: Sequence[str], *, resumed: bool, jitter: float) -> Step:
    """What to do after `history`, the attempts on one event in order.

    `resumed` is true when the event was claimed after its last attempt: a wait is then over.
    """
    if history and history[-1].failure == CallCancelled.reason and not resumed:
        return Wait(timedelta(0), CallCancelled.reason)
    history = [attempt for attempt in history if attempt.failure != CallCancelled.reason]
    if not history:
        return Ask(models[0])
    last = history[-1]
    if last.failure is None:
        return Answered(last)
    match FATES[last.failure]:
        case Fate.REASK if not _was_reask(history):
            return Ask(last.alias, last.complaints)
        case Fate.REASK | Fate.NEXT_MODEL:
            return _next_model(last, models)
        case Fate.REVIEW:
            return GiveUp(last.failure, dead=False)
        case Fate.RETRY | Fate.WAIT as fate:
            return _again(history, fate, resumed=resumed, jitter=jitter)


def _was_reask(history: Sequence[Attempt]) -> bool:
    """Did the last attempt already carry complaints: is one before it, on the same model, invalid too?"""
    last = history[-1]
    return any(
        attempt.alias == last.alias and attempt.failure == UnusableOutput.reason for attempt in history[:-1]
    )


def _next_model(last: Attempt, models: Sequence[str]) -> Step:
    place = models.index(last.alias) + 1 if last.alias in models else 0
    return Ask(models[place]) if place < len(models) else GiveUp(last.failure or "", dead=False)


def _again(history: Sequence[Attempt], fate: Fate, *, resumed: bool, jitter: float) -> Step:
    last = history[-1]
    reason = last.failure or ""
    tries = sum(attempt.failure == reason for attempt in history)
    if fate is Fate.RETRY and tries >= MAX_TRIES:
        return GiveUp(reason, dead=True)
    if resumed:
        return Ask(last.alias, _complaints_before(history))
    if fate is Fate.WAIT:
        return Wait(wait(tries), reason)
    return Wait(delay(tries, jitter=jitter, retry_after_seconds=last.retry_after_seconds), reason)


def _complaints_before(history: Sequence[Attempt]) -> tuple[str, ...]:
    """The complaints that the failed call carried, so that its repeat carries them too."""
    alias = history[-1].alias
    invalid = [a for a in history if a.alias == alias and a.failure == UnusableOutput.reason]
    return invalid[-1].complaints if invalid else ()
