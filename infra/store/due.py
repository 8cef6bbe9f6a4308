"""What is due: the one condition for claims, bells and the depth that holds senders back."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import and_, exists, func, literal, or_, select

from infra import tables as t
from infra.database import Database
from infra.store.statements import NOW
from pipeline.retry import SUSPECT_CRASHES


def is_due(*, suspects: bool) -> Any:
    """Work rows that may be claimed: due, not leased, in no paused lane.

    `suspects` picks the rows that crashed their process repeatedly, else the others.
    """
    crashed = t.work.c.crashes >= SUSPECT_CRASHES
    return and_(
        t.work.c.due_at <= NOW,
        or_(t.work.c.lease_until.is_(None), t.work.c.lease_until < NOW),
        crashed if suspects else ~crashed,
        ~_is_paused(),
    )


def _is_paused() -> Any:
    return exists().where(t.lane.c.name == t.work.c.lane, t.lane.c.paused_at.is_not(None))


async def due_lanes(database: Database, lanes: Sequence[str], *, suspects: bool) -> list[str]:
    """Those of `lanes` that have an event to claim; stops looking at the first one of each."""
    if not lanes:
        return []
    checks = [
        exists().where(t.work.c.lane == lane, is_due(suspects=suspects)).label(f"lane_{index}")
        for index, lane in enumerate(lanes)
    ]
    async with database.read() as connection:
        row = (await connection.execute(select(*checks))).one()
    return [lane for lane, due in zip(lanes, row, strict=True) if due]


async def depth(database: Database, *, at_most: int) -> int:
    """How many events are due, counted up to `at_most`; those of paused lanes hold nobody up."""
    some = select(literal(1)).where(t.work.c.due_at <= NOW, ~_is_paused()).limit(at_most).subquery()
    async with database.read() as connection:
        return int((await connection.execute(select(func.count()).select_from(some))).scalar_one())
