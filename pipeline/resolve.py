"""What a person decides about an event, as a changeset guarded by the revision they saw."""

from dataclasses import replace
from datetime import datetime

from pipeline.errors import Conflict
from pipeline.trail import about
from schemas.changeset import Actor, Changeset, ExpectedRevision, Result
from schemas.decision import REOPENED, Outcome
from schemas.event import Received, derived_id


def reopen(
    event: Received, newest: Result, *, version: str, actor: Actor, release: str, now: datetime
) -> Changeset:
    """Put a dead event back to work, under today's `version`; raises Conflict when it is not dead.

    The new revision is `reopened`: it supersedes, publishes nothing and is no outcome.
    """
    if newest.outcome is not Outcome.DEAD:
        raise Conflict(f"event {event.event_id} is {newest.state}, not dead; only dead letters are replayed")
    result = replace(
        newest,
        id=derived_id(event.event_id, newest.revision + 1, "result"),
        revision=newest.revision + 1,
        supersedes=newest.revision,
        state=REOPENED,
        reasons=(f"replayed by {actor.name}",),
        decided_at=now,
        version=version,
        data=None,
        model=None,
        cost_micros=None,
    )
    body = {"reasons": list(result.reasons), "supersedes": newest.revision}
    record = about(result, event, kind="replay", body=body, actor=actor, release=release)
    return Changeset(
        event=event,
        guard=ExpectedRevision(newest.revision),
        result=result,
        audit=(record,),
        reopen=True,
    )
