"""An endpoint in, the model that answered there last out, as far back as a short look goes."""

from typing import Final

from sqlalchemy import select

from infra import tables as t
from infra.database import Database

#: The journal has no index by endpoint, which every call would pay for: a workflow's newest results lead
#: to its newest attempts.
_RESULTS: Final = 1_000


async def last_answered(database: Database, endpoint: str, workflow: str) -> str | None:
    """By the newest answer among the attempts of the workflow's last results; None where there is none."""
    newest = (
        select(t.result.c.event_id, t.result.c.revision)
        .where(t.result.c.workflow == workflow)
        .order_by(t.result.c.decided_at.desc())
        .limit(_RESULTS)
        .subquery()
    )
    on = (t.attempt.c.event_id == newest.c.event_id) & (t.attempt.c.revision == newest.c.revision)
    answers = (
        select(t.attempt.c.model_answered)
        .join(newest, on)
        .where(
            t.attempt.c.endpoint == endpoint,
            t.attempt.c.failure.is_(None),
            t.attempt.c.model_answered.is_not(None),
            t.attempt.c.original_id.is_(None),  # one from the cache answered long ago
        )
        .order_by(t.attempt.c.started_at.desc())
        .limit(1)
    )
    async with database.read() as connection:
        return (await connection.execute(answers)).scalar()
