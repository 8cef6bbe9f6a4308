"""Failed logins, counted per name and per address for all API processes together."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, Select, case, delete, select, update

from infra import tables as t
from infra.columns import later
from infra.database import Database
from infra.store.statements import NOW, insert

WINDOW_SECONDS: Final = 900.0


async def count_try(database: Database, limits: Mapping[bytes, int]) -> float | None:
    """Count a login as failed before its password is looked at; None, or the seconds to wait.

    `limits` has the failures allowed of each scope, a digest: a name may be a password in the wrong field.
    Counting first is what holds when a thousand guesses come at once. A refused try is not counted.
    """
    try:
        await _count(database, limits)
    except _TooMany as refused:  # so that the transaction is undone
        return refused.seconds
    return None


async def forgive(database: Database, *, wholly: bytes, once: bytes) -> None:
    """The password was right: forget the failures of the name, take this try off those of the address."""
    known = t.login_failures
    async with database.write() as connection:
        await connection.execute(delete(known).where(known.c.scope == wholly))
        one_less = update(known).where(known.c.scope == once, known.c.failures > 0)
        await connection.execute(one_less.values(failures=known.c.failures - 1))


def _wait(since: datetime, now: datetime) -> float:
    return max(1.0, WINDOW_SECONDS - (now - since).total_seconds())


class _TooMany(Exception):
    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds


async def _count(database: Database, limits: Mapping[bytes, int]) -> None:
    known = t.login_failures
    old = known.c.since <= later(-WINDOW_SECONDS)
    async with database.write() as connection:
        await connection.execute(delete(known).where(known.c.scope.in_(_forgotten(old))))
        for scope in sorted(limits):  # in order: two tries that cross would else wait for each other
            statement = insert(database, known).values(scope=scope, failures=1, since=NOW)
            counted = statement.on_conflict_do_update(
                index_elements=["scope"],
                set_={
                    "failures": case((old, 1), else_=known.c.failures + 1),
                    "since": case((old, NOW), else_=known.c.since),
                },
            )
            await connection.execute(counted)
        query = select(known.c.scope, known.c.failures, known.c.since, NOW.label("now"))
        rows = (await connection.execute(query.where(known.c.scope.in_(list(limits))))).all()
        waits = [_wait(row.since, row.now) for row in rows if row.failures > limits[row.scope]]
        if waits:
            raise _TooMany(max(waits))


def _forgotten(old: ColumnElement[bool]) -> Select[tuple[bytes]]:
    """What is over; not what another try holds at this moment, which would be a wait for each other."""
    scope = t.login_failures.c.scope
    return select(scope).where(old).with_for_update(skip_locked=True)
