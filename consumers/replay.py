"""A dead event's id in, the event back at work out: by the command line and by the page."""

from uuid import UUID

from consumers import wiring
from infra.store import SqlStore, history
from pipeline.catalogue import Catalogue
from pipeline.errors import Conflict
from pipeline.ports import Written
from pipeline.resolve import reopen
from schemas.changeset import Actor, Result


async def replay(store: SqlStore, catalogue: Catalogue, event_id: UUID, *, actor: Actor) -> Result:
    """Put a dead event back to work, under today's version; raises NotFound, or Conflict when it is none."""
    event, newest = await history.newest(store.database, event_id)
    if newest is None:
        raise Conflict(f"event {event_id} is in flight, not dead; only dead letters are replayed")
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
