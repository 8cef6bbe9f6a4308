"""What calls cost and what they came to, added up by UTC day in the transaction that stores them.

So a year is read as fast as a day, and is known when the journal of it has been pruned. The rows are spread
over shards, so that processes seldom wait for each other; they are locked in the order of their key, before
those of the ledger.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from infra import tables as t
from infra.database import Database
from infra.store.statements import insert_for
from pipeline.errors import CallLost
from schemas.changeset import Changeset
from schemas.event import Received
from schemas.extraction import Attempt

_KEY: Final = tuple(column.name for column in t.spend_day.primary_key)
#: The columns that are added to.
AMOUNTS: Final = tuple(column.name for column in t.spend_day.c if column.name not in _KEY)

_Place = tuple[str, str, str, str]


async def tally_calls(
    connection: AsyncConnection, database: Database, calls: Sequence[tuple[Attempt, Received]], *, shard: int
) -> None:
    """Add attempts that have just been stored, each on the day it began."""
    originals = {attempt.original_id for attempt, _ in calls if attempt.original_id}
    costs = await _costs(connection, originals)
    placed = [
        (_place(event, attempt.model_asked, attempt.started_at), _amounts(attempt, costs))
        for attempt, event in calls
    ]
    await _add(connection, database, placed, shard=shard)


async def tally_decisions(
    connection: AsyncConnection, database: Database, changesets: Iterable[Changeset], *, shard: int
) -> None:
    """Add decisions that models were asked for, each with the last call for it."""
    placed = [
        (
            _place(changeset.event, asked.model, asked.at),
            {
                "decided": 1,
                "answered": int(asked.answered),
                "answered_by_first": int(asked.answered_by_first),
            },
        )
        for changeset in changesets
        if (asked := changeset.asked)
    ]
    await _add(connection, database, placed, shard=shard)


def _place(event: Received, model: str, at: datetime) -> _Place:
    return at.date().isoformat(), event.workflow, event.identity.source, model


def _amounts(attempt: Attempt, costs: Mapping[UUID, int]) -> dict[str, int]:
    """An answer from the exact cache is no call; one that a crash may have cut off is lost, and costs."""
    if attempt.original_id:
        return {"cached": 1, "saved_micros": costs.get(attempt.original_id, 0)}
    cost = attempt.cost_micros or 0
    return {
        "lost" if attempt.failure == CallLost.reason else "calls": 1,
        "input_tokens": attempt.usage.input_tokens,
        "prompt_cached_tokens": attempt.usage.cached_tokens,
        "output_tokens": attempt.usage.output_tokens,
        "cost_micros": cost,
        "unknown_micros": cost if attempt.is_unknown else 0,
    }


async def _costs(connection: AsyncConnection, attempts: Collection[UUID]) -> dict[UUID, int]:
    if not attempts:
        return {}
    a = t.attempt.c
    found = await connection.execute(select(a.id, a.cost_micros).where(a.id.in_(attempts)))
    return {row.id: row.cost_micros or 0 for row in found}


async def _add(
    connection: AsyncConnection,
    database: Database,
    placed: Iterable[tuple[_Place, Mapping[str, int]]],
    *,
    shard: int,
) -> None:
    sums: dict[_Place, Counter[str]] = defaultdict(Counter)
    for place, amounts in placed:
        sums[place].update(amounts)
    if not sums:
        return
    rows = [
        {**dict(zip(_KEY, (*place, shard), strict=True)), **{name: sums[place][name] for name in AMOUNTS}}
        for place in sorted(sums)
    ]
    await connection.execute(_upsert(database.dialect), rows)


@cache
def _upsert(dialect: str) -> Any:
    """Made once: it takes longer to make than to run."""
    statement = insert_for(dialect, t.spend_day)
    added = {name: t.spend_day.c[name] + statement.excluded[name] for name in AMOUNTS}
    return statement.on_conflict_do_update(index_elements=_KEY, set_=added)
