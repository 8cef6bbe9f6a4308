"""The whole story of one event between claim and commit, top to bottom."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from pipeline.assemble import assemble
from pipeline.assess import Assessment, Guard, assess
from pipeline.catalogue import Entry
from pipeline.claim import Claimed, Release
from pipeline.decide import decide
from pipeline.errors import (
    BudgetExhausted,
    CallCancelled,
    Crashed,
    Faulty,
    InvalidEvent,
    Leaked,
    Suspicious,
    TooExpensive,
)
from pipeline.extract import Answered, Ask, GiveUp, Step, Wait, next_step
from pipeline.ports import Journal, Ledger, Model
from pipeline.receive import stored
from pipeline.record import decided, given_up, refused
from pipeline.retry import BUDGET_DELAY, MAX_CRASHES, MAX_FAULTS, backoff
from pipeline.screen import screen
from pipeline.spend import Room
from pipeline.tab import Tab, settled
from schemas.changeset import Changeset, Scribe
from schemas.decision import Route, review
from schemas.event import Event
from schemas.extraction import Answer, Attempt


@dataclass(frozen=True, slots=True)
class World:
    """What the story needs of its surroundings; `jitter` draws from [0, 1)."""

    model: Model
    journal: Journal
    ledger: Ledger
    scribe: Scribe
    clock: Callable[[], datetime]
    jitter: Callable[[], float]
    guard: Guard


class Fault(Exception):
    """A bug showed on an event, ours or its workflow's; `tab` says what was spent until then."""

    def __init__(self, bug: Exception, tab: Tab) -> None:
        super().__init__(type(bug).__name__)  # its message may quote the event
        self.bug, self.tab = bug, tab


async def process(claimed: Claimed, entry: Entry, world: World) -> Changeset | Release:
    """Bring a claimed event to its decision, or say when to try again; raises Fault for a bug."""
    tab = Tab.of(claimed)
    try:
        return settled(await _processed(claimed, entry, tab, world), tab)
    except Exception as bug:
        raise Fault(bug, tab) from bug


async def _processed(claimed: Claimed, entry: Entry, tab: Tab, world: World) -> Changeset | Release:
    case = _opened(claimed, entry, tab, world)
    if isinstance(case, Changeset):
        return case
    while True:
        rungs = world.model.rungs(entry.workflow.models)
        step: Step | None = next_step(case.history(world), rungs, made=tab.made, jitter=world.jitter())
        if isinstance(step, Ask):
            step = await _ask(case, step, world)
        match step:
            case Answered(attempt):
                return _decided(case, attempt, world)
            case Wait(delay, reason):
                return Release(claimed, delay, reason)
            case GiveUp():
                return _given_up(case, step, world)


@dataclass
class Case:
    """One event while it is worked on: its attempts, and what each answer among them is worth."""

    claimed: Claimed
    entry: Entry
    event: Event
    text: str
    flags: tuple[str, ...]
    tab: Tab
    judged: dict[UUID, Assessment] = field(default_factory=dict)

    def history(self, world: World) -> list[Attempt]:
        """The attempts as the ladder sees them.

        An answer to another version's prompt is no answer to this one's; it stays on record. An answer
        that is not good enough is a failure.
        """
        return [
            attempt if attempt.failure else self.judge(attempt, world).of(attempt)
            for attempt in self.tab.attempts
            if attempt.version == self.entry.version
        ]

    def judge(self, attempt: Attempt, world: World) -> Assessment:
        """What the answer in `attempt` is worth."""
        if attempt.id not in self.judged:
            self.judged[attempt.id] = assess(
                self.entry,
                self.event,
                world.model.read(self.entry, attempt),
                text=self.text,
                received_at=self.claimed.accepted_at,
                guard=world.guard,
            )
        return self.judged[attempt.id]


def _opened(claimed: Claimed, entry: Entry, tab: Tab, world: World) -> Case | Changeset:
    """The case; or its end at once, where no model needs to be asked."""
    if claimed.crashes > MAX_CRASHES:
        return _dead(claimed, entry, world, reason=Crashed.reason)
    try:
        event = stored(entry, claimed.event)
    except InvalidEvent as error:  # the schema is stricter than when the event was accepted
        return _dead(claimed, entry, world, reason=error.reason, detail=str(error))
    workflow = entry.workflow
    text = workflow.text(event)
    screening = screen(text, max_tokens=workflow.max_tokens, fields=workflow.extraction.model_fields)
    if screening.refused:
        return refused(claimed, entry, screening.refused, now=world.clock(), scribe=world.scribe)
    return Case(claimed, entry, event, text, screening.flags, tab)


async def _ask(case: Case, ask: Ask, world: World) -> Wait | GiveUp | None:
    """Make a call that is paid for; or say why it cannot be made now, or ever."""
    tab = case.tab
    call = assemble(case.claimed, case.entry, case.text, ask, step=tab.step, key=world.guard.key)
    prepared = world.model.prepare(call)
    if not tab.covers(prepared.worst_case_micros):
        room = await world.ledger.reserve(case.claimed, tab.reservation(prepared.worst_case_micros))
        if room is not Room.GRANTED:
            return _NO_ROOM[room]
        tab.reserved(prepared.worst_case_micros)
    if not await world.model.admit(ask.endpoint):
        return None  # somebody else probes it; the next look at the rungs knows
    tab.calling(prepared.worst_case_micros)
    attempt = await world.model.ask(prepared)
    await world.journal.journal(attempt, case.claimed.event)
    tab.called(attempt)
    return None


_NO_ROOM: Final[Mapping[Room, Wait | GiveUp]] = {
    Room.FULL: Wait(BUDGET_DELAY, BudgetExhausted.reason),
    Room.NEVER: GiveUp(TooExpensive.reason, dead=False),
    Room.LOST: Wait(timedelta(0), CallCancelled.reason),
}


def _decided(case: Case, attempt: Attempt, world: World) -> Changeset:
    found = case.judge(attempt, world)
    answer = Answer(found.value, tuple(case.tab.attempts), found.evidence)
    decision = decide(case.entry, case.event, answer)
    if case.flags and case.entry.workflow.suspicious == "review" and decision.route is Route.ACCEPT:
        decision = review(str(Suspicious()), *case.flags)
    return decided(
        case.claimed,
        case.entry,
        decision,
        answer,
        now=world.clock(),
        scribe=world.scribe,
        flags=case.flags,
    )


def _given_up(case: Case, end: GiveUp, world: World) -> Changeset:
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
    )


def after_fault(claimed: Claimed, entry: Entry, fault: Fault, world: World) -> Changeset | Release:
    """A bug showed on this event: again later, and after MAX_FAULTS times the event is dead.

    Only the error's type is told: its message may quote the event.
    """
    faults = claimed.faults + 1
    if faults < MAX_FAULTS:
        delay = backoff(faults + 2, jitter=world.jitter())
        return settled(Release(claimed, delay, Faulty.reason, fault=True), fault.tab)
    detail = f"{type(fault.bug).__name__} in the workflow's or Penstock's code, {faults} times"
    attempts = fault.tab.attempts
    dead = _dead(claimed, entry, world, reason=Faulty.reason, detail=detail, attempts=attempts)
    return settled(dead, fault.tab)


def _dead(
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
