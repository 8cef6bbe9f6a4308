"""The whole story of one event between claim and commit, top to bottom."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from pipeline.assemble import assemble
from pipeline.case import Case, World
from pipeline.catalogue import Entry
from pipeline.claim import Claimed, Release
from pipeline.endings import Fault, by_failure, by_person, by_policy, dead
from pipeline.errors import BudgetExhausted, CallCancelled, Crashed, Erased, InvalidEvent, TooExpensive
from pipeline.extract import Answered, Ask, Exhausted, GiveUp, Step, Wait, next_step
from pipeline.recall import recalled, remember
from pipeline.receive import stored
from pipeline.record import refused
from pipeline.retry import BUDGET_DELAY, BUSY_DELAY, MAX_CRASHES
from pipeline.screen import screen
from pipeline.spend import Room
from pipeline.tab import Tab, settled
from schemas.changeset import Changeset


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
        history = case.history(world)
        is_answered = bool(history) and history[-1].failure is None  # then nobody needs to look at endpoints
        rungs = () if is_answered else world.model.rungs(entry.workflow.models)
        step: Step | None = next_step(
            history, rungs, made=tab.made, jitter=world.jitter(), left=case.time_left
        )
        if isinstance(step, Ask):
            step = None if await recalled(case, step, world) else await _ask(case, step, world)
        match step:
            case Answered(attempt):
                end = by_policy(case, attempt, world)
                await remember(case, attempt, end, world)
                return end
            case Wait(delay, reason):
                return Release(claimed, delay, reason)
            case GiveUp():
                return by_person(case, step, world)
            case Exhausted(reason):
                return by_failure(case, reason, world)


def _opened(claimed: Claimed, entry: Entry, tab: Tab, world: World) -> Case | Changeset:
    """The case; or its end at once, where no model needs to be asked."""
    if claimed.crashes > MAX_CRASHES:
        return dead(claimed, entry, world, reason=Crashed.reason)
    if claimed.event.is_erased:
        return dead(claimed, entry, world, reason=Erased.reason)
    try:
        event = stored(entry, claimed.event)
    except InvalidEvent as error:  # the schema is stricter than when the event was accepted
        return dead(claimed, entry, world, reason=error.reason, detail=str(error))
    workflow = entry.workflow
    text = workflow.text(event)
    screening = screen(text, max_tokens=workflow.max_tokens, fields=workflow.extraction.model_fields)
    if screening.refused:
        return refused(claimed, entry, screening.refused, now=world.clock(), scribe=world.scribe)
    return Case(claimed, entry, event, text, screening.flags, tab)


async def _ask(case: Case, ask: Ask, world: World) -> Wait | GiveUp | None:
    """Make a call that is paid for; or say why it cannot be made now, or ever."""
    tab = case.tab
    call = assemble(
        case.claimed,
        case.entry,
        case.text,
        ask,
        step=tab.step,
        key=world.guard.key,
        timeout=case.time_left,
    )
    prepared = world.model.prepare(call)
    if not tab.covers(prepared.worst_case_micros):
        room = await world.ledger.reserve(case.claimed, tab.reservation(prepared.worst_case_micros))
        if room is not Room.GRANTED:
            return _NO_ROOM[room]
        tab.reserved(prepared.worst_case_micros)
    ticket = await world.model.admit(prepared)
    if ticket is None:
        return None  # the next look at the rungs knows why
    tab.calling(prepared.worst_case_micros)
    attempt = await world.model.ask(prepared, ticket)
    await world.journal.journal(attempt, case.claimed.event)
    tab.called(attempt)
    return None


_NO_ROOM: Final[Mapping[Room, Wait | GiveUp]] = {
    Room.BUSY: Wait(BUSY_DELAY, BudgetExhausted.reason),
    Room.FULL: Wait(BUDGET_DELAY, BudgetExhausted.reason),
    Room.NEVER: GiveUp(TooExpensive.reason, dead=False),
    Room.LOST: Wait(timedelta(0), CallCancelled.reason),
}
