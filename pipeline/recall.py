"""The exact cache beside the ladder: the first ask answered from it, an accepted answer put into it."""

from pipeline import cache
from pipeline.case import Case, World
from pipeline.extract import Ask
from schemas.changeset import Changeset
from schemas.decision import Outcome
from schemas.extraction import Attempt


async def recalled(case: Case, ask: Ask, world: World) -> bool:
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
    now = world.clock()
    attempt = cache.hit(original, case.claimed, case.entry, ask, asked, step=case.tab.step, now=now)
    await world.journal.journal(attempt, case.claimed.event)
    case.tab.recalled(attempt)
    return True


async def remember(case: Case, attempt: Attempt, end: Changeset, world: World) -> None:
    """Keep what a call gave on the first ask, once the policy accepts it.

    Not the cache's own answers: they end when their time is over, however often they are found.
    """
    key, workflow = case.key, case.entry.workflow
    if key is None or workflow.cache is None or attempt.original_id is not None:
        return
    if end.result.outcome is Outcome.SUCCEEDED:
        await world.cache.put(key, attempt, workflow=workflow.name, ttl=workflow.cache)
