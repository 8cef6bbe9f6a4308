"""The budgets and the endpoints' minutes as they stand now, by the database's clock; written by `budget`."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import or_, select

from infra import tables as t
from infra.database import Database
from infra.store import budget
from infra.store.statements import NOW
from pipeline.retry import BUDGET_DELAY
from pipeline.spend import TOTAL

#: Events without room come again after each BUDGET_DELAY, and are refused again: longer ago, none waits.
_RECENT: Final = 4 * BUDGET_DELAY


@dataclass(frozen=True, slots=True)
class Budget:
    """What today has cost in one scope, in micro-units; `limit` None: no cap. `holds` events up now."""

    scope: str
    limit: int | None
    spent: int
    reserved: int
    unknown: int
    holds: bool

    @property
    def is_reached(self) -> bool:
        """Has it refused somebody just now, or is nothing left?"""
        return self.holds or (self.limit is not None and self.spent + self.reserved >= self.limit)


async def budgets(database: Database, scopes: Collection[str] | None = None) -> list[Budget]:
    """Those of the UTC day, by scope: `total`, `workflow:NAME` and `source:NAME`; all, unless told which."""
    w = t.budget_window.c
    is_money = or_(w.scope == TOTAL, w.scope.startswith("workflow:"), w.scope.startswith("source:"))
    wanted = is_money if scopes is None else w.scope.in_(scopes)
    async with database.read() as connection:
        now = (await connection.execute(select(NOW))).scalar_one()
        query = select(t.budget_window).where(wanted, w.window == budget.day(now)).order_by(w.scope)
        return [_budget(row, now) for row in await connection.execute(query)]


async def full_minutes(database: Database) -> list[str]:
    """The scopes of endpoints, `requests:NAME` or `tokens:NAME`, that have no room this minute."""
    w = t.budget_window.c
    is_endpoint = or_(w.scope.startswith("requests:"), w.scope.startswith("tokens:"))
    is_full = or_(w.refused_at.is_not(None), w.reserved + w.settled >= w.limit)
    async with database.read() as connection:
        now = (await connection.execute(select(NOW))).scalar_one()
        this = w.window == budget.minute(now)
        query = select(w.scope).where(is_endpoint, is_full, this).order_by(w.scope)
        return list((await connection.execute(query)).scalars())


def _budget(row: Any, now: datetime) -> Budget:
    return Budget(
        scope=row.scope,
        limit=row.limit,
        spent=row.settled,
        reserved=row.reserved,
        unknown=row.unknown,
        holds=row.refused_at is not None and now - row.refused_at < _RECENT,
    )
