"""The scores of a workflow's last evaluations: for each of its versions the last one, in figures alone.

No text and no case is kept, so that an erasure has nothing to reach here.
"""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Final

from pydantic import TypeAdapter
from sqlalchemy import select

from infra import tables as t
from infra.database import Database
from infra.store.statements import NOW, insert
from pipeline.report import Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """An evaluation in figures: what was asked with which cases, and how many had to be left out."""

    workflow: str
    version: str
    model: str
    cases_from: str
    simulated: bool
    left_out: int
    evaluated_by: str
    summary: Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept(Evaluation):
    """And when it was kept."""

    evaluated_at: datetime


async def keep(database: Database, found: Evaluation) -> None:
    """Keep it instead of the last one of the same version."""
    own = {one.name: getattr(found, one.name) for one in fields(found)}
    values = {**own, "summary": _SUMMARY.dump_json(found.summary).decode(), "evaluated_at": NOW}
    statement = insert(database, t.evaluation).values(values)
    key = ["workflow", "version"]
    changed = {name: value for name, value in values.items() if name not in key}
    async with database.write() as connection:
        await connection.execute(statement.on_conflict_do_update(index_elements=key, set_=changed))


async def of_workflow(database: Database, workflow: str) -> list[Kept]:
    """The last evaluation of each version, the newest first."""
    own = t.evaluation.c
    query = select(t.evaluation).where(own.workflow == workflow).order_by(own.evaluated_at.desc())
    async with database.read() as connection:
        rows = (await connection.execute(query)).mappings().all()
    return [Kept(**{**row, "summary": _SUMMARY.validate_json(row["summary"])}) for row in rows]


_SUMMARY: Final = TypeAdapter(Summary)
