"""How an event's case ends: the last step of the ladder in, the changeset that says it out."""

from collections.abc import Sequence

from pipeline.case import Case, World
from pipeline.catalogue import Entry
from pipeline.claim import Claimed, Release
from pipeline.decide import decide
from pipeline.errors import Faulty, Leaked, ReturnTypeError, Suspicious
from pipeline.extract import GiveUp
from pipeline.fall_back import fall_back
from pipeline.record import decided, degraded, given_up
from pipeline.retry import MAX_FAULTS, backoff
from pipeline.sample import is_drawn
from pipeline.tab import Tab, settled
from schemas.changeset import Changeset
from schemas.decision import Decision, Outcome, Route, review
from schemas.extraction import Answer, Attempt


class Fault(Exception):
    """A bug showed on an event, ours or its workflow's; `tab` says what was spent until then."""

    def __init__(self, bug: Exception, tab: Tab) -> None:
        super().__init__(type(bug).__name__)  # its message may quote the event
        self.bug, self.tab = bug, tab


def by_policy(case: Case, attempt: Attempt, world: World) -> Changeset:
    found = case.judge(attempt, world)
    answer = Answer(found.value, tuple(case.tab.attempts), found.evidence)
    decision = decide(case.entry, case.event, answer)
    if case.is_suspicious and decision.route is Route.ACCEPT:
        decision = review(str(Suspicious()), *case.flags)
    return decided(
        case.claimed,
        case.entry,
        decision,
        answer,
        now=world.clock(),
        scribe=world.scribe,
        flags=case.flags,
        judged=case.judged,
        sampled=_is_sampled(case, decision, world),
    )


def by_failure(case: Case, reason: str, world: World) -> Changeset:
    """What the workflow wants when no model helps; what may not be published goes to a person."""
    workflow = case.entry.workflow
    if workflow.on_failure != "degraded":
        return by_person(case, GiveUp(reason, dead=workflow.on_failure == "dead"), world)
    if case.is_suspicious:
        return by_person(case, GiveUp(reason, dead=False), world, why=(str(Suspicious()), *case.flags))
    value, why = fall_back(case.entry, case.event, received_at=case.claimed.accepted_at)
    if value is None:
        return by_person(case, GiveUp(reason, dead=False), world, why=why)
    return degraded(
        case.claimed,
        case.entry,
        value,
        case.tab.attempts,
        reason=reason,
        now=world.clock(),
        scribe=world.scribe,
        flags=case.flags,
        judged=case.judged,
    )


def by_person(case: Case, end: GiveUp, world: World, *, why: tuple[str, ...] = ()) -> Changeset:
    """To a person, with the last answer as a draft, unless it gives something away."""
    judged = [case.judged[attempt.id] for attempt in case.tab.attempts if attempt.id in case.judged]
    doubted = judged[-1] if judged and judged[-1].failure != Leaked.reason else None
    return given_up(
        case.claimed,
        case.entry,
        end,
        case.tab.attempts,
        now=world.clock(),
        scribe=world.scribe,
        doubted=doubted,
        why=why,
        flags=case.flags,
        judged=case.judged,
    )


def after_fault(claimed: Claimed, entry: Entry, fault: Fault, world: World) -> Changeset | Release:
    """A bug showed on this event: again later, and after MAX_FAULTS times the event is dead.

    Only the error's type is told, its message may quote the event; but for what a function returned.
    """
    faults = claimed.faults + 1
    if faults < MAX_FAULTS:
        delay = backoff(faults + 2, jitter=world.jitter())
        return settled(Release(claimed, delay, Faulty.reason, fault=True), fault.tab)
    ours = isinstance(fault.bug, ReturnTypeError)
    what = str(fault.bug) if ours else f"{type(fault.bug).__name__} in the workflow's or Penstock's code"
    detail = f"{what}, {faults} times"
    end = dead(claimed, entry, world, reason=Faulty.reason, detail=detail, attempts=fault.tab.attempts)
    return settled(end, fault.tab)


def dead(
    claimed: Claimed,
    entry: Entry,
    world: World,
    *,
    reason: str,
    detail: str | None = None,
    attempts: Sequence[Attempt] | None = None,
) -> Changeset:
    end = GiveUp(reason, dead=True)
    now = world.clock()
    made = claimed.attempts if attempts is None else attempts
    return given_up(claimed, entry, end, made, now=now, scribe=world.scribe, detail=detail)


def _is_sampled(case: Case, decision: Decision, world: World) -> bool:
    """Is what succeeded looked at all the same?"""
    if decision.outcome is not Outcome.SUCCEEDED:
        return False
    workflow, event_id = case.entry.workflow, case.claimed.event.event_id
    return is_drawn(event_id, workflow=workflow.name, share=workflow.audit_share, key=world.guard.key)
