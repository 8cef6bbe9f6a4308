"""The breakers' rows, one per endpoint and shared by all workers: written when they change, not per call."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from infra import tables as t
from infra.database import Database
from infra.store.statements import insert
from pipeline import breaker as states
from pipeline.breaker import Breaker


async def breakers(database: Database) -> list[Breaker]:
    """All rows; an endpoint without one has never failed."""
    async with database.read() as connection:
        return [_breaker(row) for row in await connection.execute(select(t.endpoint_state))]


async def probe(database: Database, endpoint: str, *, now: datetime) -> Breaker | None:
    """Take the one probe of an open breaker; None when it is not open, not yet time, or taken."""
    async with database.write() as connection:
        row = await _locked(connection, database, endpoint)
        taken = states.probing(row, now=now)
        if taken is not None:
            await _keep(connection, taken)
        return taken


async def note(
    database: Database, endpoint: str, failure: str | None, *, probe: bool, now: datetime
) -> Breaker:
    """How a call ended; returns the state that all workers now see."""
    async with database.write() as connection:
        row = await _locked(connection, database, endpoint)
        changed = states.after(row, failure, probe=probe, now=now)
        if changed != row:
            await _keep(connection, changed)
        return changed


async def _locked(connection: AsyncConnection, database: Database, endpoint: str) -> Breaker:
    new = insert(database, t.endpoint_state).values(**asdict(Breaker(endpoint)))
    await connection.execute(new.on_conflict_do_nothing())
    query = select(t.endpoint_state).where(t.endpoint_state.c.endpoint == endpoint).with_for_update()
    return _breaker((await connection.execute(query)).one())


async def _keep(connection: AsyncConnection, breaker: Breaker) -> None:
    values = asdict(breaker)
    statement = update(t.endpoint_state).where(t.endpoint_state.c.endpoint == values.pop("endpoint"))
    await connection.execute(statement.values(**values))


def _breaker(row: Any) -> Breaker:
    return Breaker(row.endpoint, row.failures, row.since, row.openings, row.retry_at, row.reason)
