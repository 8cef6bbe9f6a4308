"""The whole story of one event between claim and commit, top to bottom."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from pipeline.assemble import assemble
from pipeline.catalogue import Entry
from pipeline.claim import Claimed, Release
from pipeline.decide import decide
from pipeline.errors import Crashed, Faulty, InvalidEvent
from pipeline.extract import Answered, Ask, GiveUp, Wait, next_step
from pipeline.ports import Journal, Model
from pipeline.receive import stored
from pipeline.record import decided, given_up
from pipeline.retry import MAX_CRASHES, MAX_FAULTS, backoff
from schemas.changeset import Changeset, Scribe
from schemas.extraction import Answer


@dataclass(frozen=True, slots=True)
class World:
    """What the story needs of its surroundings; `jitter` draws from [0, 1)."""

    model: Model
    journal: Journal
    scribe: Scribe
    clock: Callable[[], datetime]
    jitter: Callable[[], float]


async def process(claimed: Claimed, entry: Entry, world: World) -> Changeset | Release:
    """Bring a claimed event to its decision, or say when to try again."""
    if claimed.crashes > MAX_CRASHES:
        return _dead(claimed, entry, world, reason=Crashed.reason)
    try:
        event = stored(entry, claimed.event)
    except InvalidEvent as error:  # the schema is stricter than when the event was accepted
        return _dead(claimed, entry, world, reason=error.reason, detail=str(error))

    attempts = list(claimed.attempts)
    made = 0
    while True:
        # An answer to another version's prompt is no answer to this one's; it stays on record.
        history = [attempt for attempt in attempts if attempt.version == entry.version]
        rungs = world.model.rungs(entry.workflow.models)
        match next_step(history, rungs, made=made, jitter=world.jitter()):
            case Ask() as ask:
                if not await world.model.admit(ask.endpoint):
                    continue
                attempt = await world.model.ask(assemble(claimed, entry, event, ask, step=len(attempts)))
                await world.journal.journal(attempt, claimed.event)
                attempts.append(attempt)
                made += 1
            case Answered(attempt):
                answer = Answer(world.model.read(entry, attempt), tuple(attempts))
                decision = decide(entry, event, answer)
                return decided(claimed, entry, decision, answer, now=world.clock(), scribe=world.scribe)
            case Wait(delay, reason):
                return Release(claimed, delay, reason)
            case GiveUp() as end:
                return given_up(claimed, entry, end, attempts, now=world.clock(), scribe=world.scribe)


def after_fault(claimed: Claimed, entry: Entry, error: Exception, world: World) -> Changeset | Release:
    """A bug showed on this event: again later, and after MAX_FAULTS times the event is dead.

    Only the error's type is told: its message may quote the event.
    """
    faults = claimed.faults + 1
    if faults < MAX_FAULTS:
        return Release(claimed, backoff(faults + 2, jitter=world.jitter()), Faulty.reason, fault=True)
    detail = f"{type(error).__name__} in the workflow's or Penstock's code, {faults} times"
    return _dead(claimed, entry, world, reason=Faulty.reason, detail=detail)


def _dead(
    claimed: Claimed, entry: Entry, world: World, *, reason: str, detail: str | None = None
) -> Changeset:
    end = GiveUp(reason, dead=True)
    now = world.clock()
    return given_up(claimed, entry, end, claimed.attempts, now=now, scribe=world.scribe, detail=detail)
