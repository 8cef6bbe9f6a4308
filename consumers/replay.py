"""A dead event's id in, the event back at work out: by the command line and by the page."""

from uuid import UUID

from consumers import wiring
from infra.store import SqlStore, history
from pipeline.catalogue import Catalogue
from pipeline.errors import Conflict
from pipeline.ports import Written
from pipeline.resolve import reopen
from schemas.changeset import Actor, Result


async def replay(
    store: SqlStore, catalogue: Catalogue, event_id: UUID, *, actor: Actor, revision: int | None = None
) -> Result:
    """Put a dead event back to work, under today's version; `revision` is the one that somebody saw.

    Raises NotFound, or Conflict when the event is not dead, or not that revision any more.
    """
    event, newest = await history.newest(store.database, event_id)
    if newest is None:
        raise Conflict(f"event {event_id} is in flight, not dead; only dead letters are replayed")
    if revision not in (None, newest.revision):
        raise Conflict(f"event {event_id} is {newest.state} by now, revision {newest.revision}")
    changeset = reopen(
        event,
        newest,
        version=catalogue.named(event.workflow).version,
        actor=actor,
        release=wiring.release(),
        now=wiring.clock(),
    )
    (written,) = await store.commit([changeset])
    if written is Written.FENCED:
        raise Conflict(f"somebody else has just put event {event_id} back to work; see penstock event show")
    return changeset.result
