"""The whole story of one event between claim and commit, top to bottom."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from pipeline import cache
from pipeline.assemble import assemble
from pipeline.assess import Assessment, Guard, assess
from pipeline.catalogue import Entry
from pipeline.claim import Claimed, Release
from pipeline.decide import decide
from pipeline.errors import Crashed, Faulty, InvalidEvent, Leaked, Suspicious
from pipeline.extract import Answered, Ask, GiveUp, Wait, next_step
from pipeline.ports import Cache, Journal, Model
from pipeline.receive import stored
from pipeline.record import decided, given_up, refused
from pipeline.retry import MAX_CRASHES, MAX_FAULTS, backoff
from pipeline.screen import screen
from schemas.changeset import Changeset, Scribe
from schemas.decision import Outcome, Route, review
from schemas.event import Event
from schemas.extraction import Answer, Attempt


@dataclass(frozen=True, slots=True)
class World:
    """What the story needs of its surroundings; `jitter` draws from [0, 1)."""

    model: Model
    journal: Journal
    scribe: Scribe
    clock: Callable[[], datetime]
    jitter: Callable[[], float]
    guard: Guard
    cache: Cache = cache.UNCACHED


async def process(claimed: Claimed, entry: Entry, world: World) -> Changeset | Release:
    """Bring a claimed event to its decision, or say when to try again."""
    work = _opened(claimed, entry, world)
    if isinstance(work, Changeset):
        return work
    while True:
        rungs = world.model.rungs(entry.workflow.models)
        match next_step(work.history(world), rungs, made=work.made, jitter=world.jitter()):
            case Ask() as ask:
                if not await _recalled(work, ask, world):
                    await _ask(work, ask, world)
            case Answered(attempt):
                end = _decided(work, attempt, world)
                await _remember(work, attempt, end, world)
                return end
            case Wait(delay, reason):
                return Release(claimed, delay, reason)
            case GiveUp() as last:
                return _given_up(work, last, world)


@dataclass
class Case:
    """One event while it is worked on: its attempts, and what each answer among them is worth.

    `key` is the cache's for the last ask, None unless that was the first one.
    """

    claimed: Claimed
    entry: Entry
    event: Event
    text: str
    flags: tuple[str, ...]
    attempts: list[Attempt]
    made: int = 0
    judged: dict[UUID, Assessment] = field(default_factory=dict)
    key: bytes | None = None

    def history(self, world: World) -> list[Attempt]:
        """The attempts as the ladder sees them.

        An answer to another version's prompt is no answer to this one's; it stays on record. An answer
        that is not good enough is a failure.
        """
        return [
            attempt if attempt.failure else self.judge(attempt, world).of(attempt)
            for attempt in self.attempts
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


def _opened(claimed: Claimed, entry: Entry, world: World) -> Case | Changeset:
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
    return Case(claimed, entry, event, text, screening.flags, list(claimed.attempts))


async def _recalled(case: Case, ask: Ask, world: World) -> bool:
    """Answer the first ask of a version from the cache, if that knows the answer.

    A person who replays an event wants a fresh answer; it takes the place of the one that is kept. Two
    events with one text that are in flight together both call.
    """
    workflow, case.key = case.entry.workflow, None
    if workflow.cache is None or case.history(world):
        return False
    asked, version = world.model.parameters(ask.endpoint), case.entry.version
    case.key = cache.key(version, asked, case.text, release=world.scribe.release, secret=world.guard.key)
    if case.claimed.revision > 1:
        return False
    original = await world.cache.find(case.key, workflow=workflow.name)
    if original is None:
        return False
    step, now = len(case.attempts), world.clock()
    attempt = cache.hit(original, case.claimed, case.entry, ask, asked, step=step, now=now)
    await world.journal.journal(attempt, case.claimed.event)
    case.attempts.append(attempt)
    case.made += 1
    return True


async def _remember(case: Case, attempt: Attempt, end: Changeset, world: World) -> None:
    """Keep what a call gave on the first ask, once the policy accepts it. Not the cache's own answers:
    they end when their time is over, however often they are found."""
    key, workflow = case.key, case.entry.workflow
    if key is None or workflow.cache is None or attempt.original_id is not None:
        return
    if end.result.outcome is Outcome.SUCCEEDED:
        await world.cache.put(key, attempt, workflow=workflow.name, ttl=workflow.cache)


async def _ask(case: Case, ask: Ask, world: World) -> None:
    if not await world.model.admit(ask.endpoint):
        return  # somebody else probes it; the next look at the rungs knows
    call = assemble(case.claimed, case.entry, case.text, ask, step=len(case.attempts), key=world.guard.key)
    attempt = await world.model.ask(call)
    await world.journal.journal(attempt, case.claimed.event)
    case.attempts.append(attempt)
    case.made += 1


def _decided(case: Case, attempt: Attempt, world: World) -> Changeset:
    found = case.judge(attempt, world)
    answer = Answer(found.value, tuple(case.attempts), found.evidence)
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
    judged = [case.judged[attempt.id] for attempt in case.attempts if attempt.id in case.judged]
    doubted = judged[-1] if judged and judged[-1].failure != Leaked.reason else None
    return given_up(
        case.claimed,
        case.entry,
        end,
        case.attempts,
        now=world.clock(),
        scribe=world.scribe,
        doubted=doubted,
    )


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
