"""Events as somebody saw them and one decision in, each decided by itself out: for pages, API, command line.

One by one, each in its own transaction with its own audit record, guarded by the revision that was seen.
What has changed since, or is somebody else's, is left out and named; so a second go does nothing twice.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal
from uuid import UUID

from consumers.desk import Desk, Said
from consumers.replay import replay
from infra.store import reviews
from pipeline.errors import Conflict, InvalidCorrection, InvalidEvent, NotFound, StoreUnavailable
from schemas.changeset import Result

#: In one go: a page that a person can look through, and an answer within a minute.
MAX_EVENTS: Final = 500

Action = Literal["approve", "reject", "back"]
#: As a page or a message names them.
ACTIONS: Final[tuple[Action, ...]] = ("approve", "reject", "back")


@dataclass(frozen=True, slots=True)
class Chosen:
    """An event, and the revision that somebody saw."""

    event_id: UUID
    revision: int


@dataclass(frozen=True, slots=True)
class Skipped:
    """An event that was left as it is."""

    event_id: UUID
    why: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of all of them."""

    done: tuple[Result, ...]
    skipped: tuple[Skipped, ...]

    @property
    def lanes(self) -> set[str]:
        """The workflows that have work again, or have none."""
        return {one.workflow for one in self.done}


async def resolve(desk: Desk, action: Action, chosen: Sequence[Chosen], *, comment: str = "") -> Outcome:
    """One decision on what waits for a person; raises InvalidCorrection for a rejection that says no why."""
    if action == "reject" and not comment.strip():
        raise InvalidCorrection("say why: receivers of the dead topic are told")
    decide = {"approve": desk.approve, "reject": desk.reject, "back": desk.send_back}[action]

    async def one(seen: Chosen) -> Result:
        item = await reviews.find(desk.store.database, seen.event_id)
        if item is None:
            raise reviews.missing(seen.event_id)
        if item.sampled:
            raise Conflict("a random sample drew it: it is to be looked at by itself")
        return await decide(seen.event_id, Said(comment, seen.revision, in_bulk=True))

    return await _each(chosen, one)


async def replay_all(desk: Desk, chosen: Sequence[Chosen]) -> Outcome:
    """Dead events back to work, under today's version."""

    async def one(seen: Chosen) -> Result:
        actor, revision = desk.scribe.actor, seen.revision
        return await replay(desk.store, desk.catalogue, seen.event_id, actor=actor, revision=revision)

    return await _each(chosen, one)


async def _each(chosen: Sequence[Chosen], decide: Callable[[Chosen], Awaitable[Result]]) -> Outcome:
    done, skipped = [], []
    is_away = ""
    for seen in chosen[:MAX_EVENTS]:
        if is_away:
            skipped.append(Skipped(seen.event_id, is_away))
            continue
        try:
            done.append(await decide(seen))
        except (NotFound, Conflict, InvalidCorrection, InvalidEvent) as error:
            skipped.append(Skipped(seen.event_id, str(error)))
        except StoreUnavailable as error:
            is_away = f"not tried, for the database is away: {error}"
            skipped.append(Skipped(seen.event_id, f"perhaps decided, perhaps not; look at it: {error}"))
    return Outcome(tuple(done), tuple(skipped))
