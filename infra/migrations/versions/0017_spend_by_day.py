"""Spend by day: what the journal holds so far is added up once, later calls as they are stored."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op

from infra.columns import UtcTime, utc_day

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_AMOUNTS = (
    "calls",
    "lost",
    "cached",
    "saved_micros",
    "input_tokens",
    "prompt_cached_tokens",
    "output_tokens",
    "cost_micros",
    "unknown_micros",
    "decided",
    "answered",
    "answered_by_first",
)

_event = sa.table("event", sa.column("event_id"), sa.column("workflow"), sa.column("source"))
_result = sa.table("result", sa.column("event_id"), sa.column("revision"))
_attempt = sa.table(
    "attempt",
    *map(sa.column, ("id", "event_id", "revision", "step", "alias", "model_asked", "failure", "original_id")),
    *map(sa.column, ("input_tokens", "output_tokens", "cached_tokens", "cost_micros", "is_unknown")),
    sa.column("started_at", UtcTime()),
)

_Amounts = Mapping[str, sa.ColumnElement[Any]]


def upgrade() -> None:
    made = op.create_table(
        "spend_day",
        sa.Column("day", sa.String(), nullable=False),
        sa.Column("workflow", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("shard", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in _AMOUNTS),
        sa.PrimaryKeyConstraint("day", "workflow", "source", "model", "shard"),
    )
    op.execute(
        made.insert().from_select(["day", "workflow", "source", "model", "shard", *_AMOUNTS], summed())
    )


def summed() -> sa.Select[Any]:
    """What the journal says, in one shard."""
    every = sa.union_all(_calls(), _decisions()).subquery()
    sums = [sa.cast(sa.func.sum(every.c[name]), sa.BigInteger()).label(name) for name in _AMOUNTS]
    place = (every.c.day, every.c.workflow, every.c.source, every.c.model)
    return sa.select(*place, sa.literal_column("0"), *sums).group_by(*place)


def _calls() -> sa.Select[Any]:
    a, original = _attempt.c, _attempt.alias("original")
    is_call, is_lost = a.original_id.is_(None), sa.func.coalesce(a.failure, "") == "lost"
    cost = sa.func.coalesce(a.cost_micros, 0)
    amounts: _Amounts = {
        "calls": sa.case((is_call & ~is_lost, 1), else_=0),
        "lost": sa.case((is_lost, 1), else_=0),
        "cached": sa.case((is_call, 0), else_=1),
        "saved_micros": sa.case((is_call, 0), else_=sa.func.coalesce(original.c.cost_micros, 0)),
        "input_tokens": sa.case((is_call, a.input_tokens), else_=0),
        "prompt_cached_tokens": sa.case((is_call, a.cached_tokens), else_=0),
        "output_tokens": sa.case((is_call, a.output_tokens), else_=0),
        "cost_micros": sa.case((is_call, cost), else_=0),
        "unknown_micros": sa.case((is_call & a.is_unknown, cost), else_=0),
    }
    return (
        sa.select(*_place(a), *_named(amounts))
        .join(_event, _event.c.event_id == a.event_id)
        .outerjoin(original, original.c.id == a.original_id)
    )


def _decisions() -> sa.Select[Any]:
    """Each revision that models were asked for, with its last call."""
    a = _attempt.c
    is_call = a.original_id.is_(None) & (a.alias != "")
    decision = (a.event_id, a.revision)
    ranked = sa.select(
        *(a.event_id, a.revision, a.started_at, a.model_asked),
        sa.func.row_number()
        .over(partition_by=decision, order_by=(a.step.desc(), a.started_at.desc()))
        .label("age"),
        sa.func.max(sa.case((is_call & a.failure.is_(None), 1), else_=0))
        .over(partition_by=decision)
        .label("answered"),
        sa.func.min(sa.case((is_call, a.alias))).over(partition_by=decision).label("least"),
        sa.func.max(sa.case((is_call, a.alias))).over(partition_by=decision).label("most"),
    ).subquery("ranked")
    r = ranked.c
    amounts: _Amounts = {
        "decided": sa.literal_column("1"),
        "answered": r.answered,
        "answered_by_first": sa.case((r.least == r.most, r.answered), else_=0),
    }
    return (
        sa.select(*_place(r), *_named(amounts))
        .join(_event, _event.c.event_id == r.event_id)
        .join(_result, (_result.c.event_id == r.event_id) & (_result.c.revision == r.revision))
        .where(r.age == 1)
    )


def _place(call: Any) -> list[sa.ColumnElement[Any]]:
    day = utc_day(call.started_at).label("day")
    return [day, _event.c.workflow, _event.c.source, call.model_asked.label("model")]


def _named(amounts: _Amounts) -> list[sa.ColumnElement[Any]]:
    return [amounts.get(name, sa.literal_column("0")).label(name) for name in _AMOUNTS]
