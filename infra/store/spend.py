"""What calls of models have cost: a period in, sums by workflow, model, day or source out.

Read from the sums by day (infra/store/tally.py), not from the journal. An answer from the exact cache is no
call; a call that a crash may have cut off counts as lost, at its worst case.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

from sqlalchemy import ColumnElement, case, func, select

from infra import tables as t
from infra.database import Database
from infra.store.tally import AMOUNTS
from pipeline.errors import CallLost

By = Literal["workflow", "model", "day", "source"]

_TOTAL: Final = "total"
_KEYS: Final[Mapping[By, ColumnElement[str]]] = {
    "workflow": t.spend_day.c.workflow,
    # Nobody knows which model a lost call went to.
    "model": case((t.spend_day.c.model == "", "unknown"), else_=t.spend_day.c.model),
    "day": t.spend_day.c.day,
    "source": t.spend_day.c.source,
}


@dataclass(frozen=True, slots=True)
class Spending:
    """What was spent under one key, in micro-units.

    `cached` answers were no calls, and would have cost `saved_micros`. `decided` is how often the machine
    came to a decision after calls, on the day and with the model of the last one; `answered` of these rest
    on a model's answer, `answered_by_first` on one for which no stronger model was asked.
    """

    key: str
    calls: int = 0
    lost: int = 0
    cached: int = 0
    saved_micros: int = 0
    input_tokens: int = 0
    prompt_cached_tokens: int = 0
    output_tokens: int = 0
    cost_micros: int = 0
    unknown_micros: int = 0
    decided: int = 0
    answered: int = 0
    answered_by_first: int = 0

    @property
    def micros_per_outcome(self) -> int | None:
        """All of the cost, failed calls too, for each decision; rounded up."""
        return -(-self.cost_micros // self.decided) if self.decided else None

    @property
    def saved_share(self) -> float | None:
        """Of what all answers would have cost, the part that Penstock's own cache saved."""
        would = self.saved_micros + self.cost_micros
        return self.saved_micros / would if would else None

    @property
    def prompt_cache_share(self) -> float | None:
        """Of the input tokens, those that the provider's prompt cache served."""
        return self.prompt_cached_tokens / self.input_tokens if self.input_tokens else None

    @property
    def first_model_share(self) -> float | None:
        """Of the decisions on a model's answer, those for which the first of the chain was enough."""
        return self.answered_by_first / self.answered if self.answered else None


@dataclass(frozen=True, slots=True)
class Spent:
    """One view of a period: a line for each key, and their sum."""

    lines: tuple[Spending, ...]
    total: Spending


async def spent(database: Database, by: By, *, since: date, until: date) -> Spent:
    """What calls that began on the UTC days from `since` to `until`, both included, have cost."""
    s, key = t.spend_day.c, _KEYS[by]
    query = (
        # Sums of big integers are decimals on PostgreSQL.
        select(key.label("key"), *(func.sum(s[name]).label(name) for name in AMOUNTS))
        .where(s.day.between(since.isoformat(), until.isoformat()))
        .group_by(key)
        .order_by(key)
    )
    async with database.read() as connection:
        rows = (await connection.execute(query)).mappings().all()
    lines = tuple(Spending(row["key"], **{name: int(row[name]) for name in AMOUNTS}) for row in rows)
    return Spent(lines, _total(lines))


async def lost_calls(database: Database) -> int:
    """How many calls a crash may have cut off."""
    query = select(func.count()).where(t.attempt.c.failure == CallLost.reason)
    async with database.read() as connection:
        return int((await connection.execute(query)).scalar_one())


def _total(lines: Sequence[Spending]) -> Spending:
    return Spending(_TOTAL, **{name: sum(getattr(line, name) for line in lines) for name in AMOUNTS})
