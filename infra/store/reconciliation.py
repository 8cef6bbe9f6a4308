"""The reconciliation: accepted = sum of outcomes + in flight, from three sources that are counted apart."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from infra import tables as t
from infra.database import Database
from schemas.decision import REOPENED

#: Counters of this name and an outcome's hold the outcomes whose results were pruned.
PRUNED_OUTCOME: Final = "outcome:"
#: A difference names this many events; its count says how many there are.
NAMED_EVENTS = 10

_IN_NEITHER = "event without outcome and not in flight"
_IN_BOTH = "event with an outcome and in flight"
#: By how much such an event makes `accepted` differ from the other two.
_GAPS = {_IN_NEITHER: 1, _IN_BOTH: -1}


@dataclass(frozen=True, slots=True)
class Difference:
    """Why the three sources do not add up: what is missing, how often, and on which events."""

    workflow: str
    what: str
    count: int
    events: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Balance:
    """accepted = sum of outcomes + in flight, from counter, result and work rows.

    Outcomes whose results were pruned are counted by the roll-up that pruning writes.
    """

    accepted: int = 0
    outcomes: Mapping[str, int] = field(default_factory=dict)
    in_flight: int = 0
    duplicates: int = 0
    ignored: int = 0
    differences: tuple[Difference, ...] = ()

    @property
    def balanced(self) -> bool:
        return not self.differences


async def balances(database: Database, *, workflows: Iterable[str] = ()) -> dict[str, Balance]:
    """The reconciliation by workflow, all from one view of the database."""
    async with database.read() as connection:
        counters = await _counters(connection)
        outcomes = await _outcomes(connection)
        _add_pruned(outcomes, counters)
        working = await in_flight(connection)
        differences = await _differences(connection)
        names = {*workflows, *outcomes, *working, *(name for _, name in counters)}
        return {
            name: _balance(name, counters, outcomes[name], working[name], differences)
            for name in sorted(names)
        }


def total(balances: Iterable[Balance]) -> Balance:
    """The sum over all workflows."""
    listed = list(balances)
    outcomes: Counter[str] = Counter()
    for balance in listed:
        outcomes.update(balance.outcomes)
    return Balance(
        accepted=sum(balance.accepted for balance in listed),
        outcomes=dict(outcomes),
        in_flight=sum(balance.in_flight for balance in listed),
        duplicates=sum(balance.duplicates for balance in listed),
        ignored=sum(balance.ignored for balance in listed),
        differences=tuple(difference for balance in listed for difference in balance.differences),
    )


def _balance(
    name: str,
    counters: Mapping[tuple[str, str], int],
    outcomes: Mapping[str, int],
    in_flight: int,
    found: Sequence[Difference],
) -> Balance:
    accepted = counters.get(("accepted", name), 0)
    differences = [difference for difference in found if difference.workflow == name]
    gap = accepted - sum(outcomes.values()) - in_flight
    explained = sum(_GAPS.get(difference.what, 0) * difference.count for difference in differences)
    if gap != explained:
        what = "accepted counter is too high" if gap > explained else "accepted counter is too low"
        differences.append(Difference(name, what, abs(gap - explained)))
    return Balance(
        accepted=accepted,
        outcomes=dict(outcomes),
        in_flight=in_flight,
        duplicates=counters.get(("duplicate", name), 0),
        ignored=counters.get(("ignored", name), 0),
        differences=tuple(differences),
    )


async def _counters(connection: AsyncConnection) -> dict[tuple[str, str], int]:
    query = select(t.counter.c.name, t.counter.c.workflow, func.sum(t.counter.c.value)).group_by(
        t.counter.c.name, t.counter.c.workflow
    )
    return {(name, workflow): int(value) for name, workflow, value in await connection.execute(query)}


def newest() -> Any:
    """Results that no later revision supersedes."""
    later_result = t.result.alias()
    return ~(
        select(later_result.c.event_id)
        .where(later_result.c.event_id == t.result.c.event_id, later_result.c.revision > t.result.c.revision)
        .exists()
    )


async def _outcomes(connection: AsyncConnection) -> defaultdict[str, dict[str, int]]:
    query = (
        select(t.result.c.workflow, t.result.c.state, func.count())
        .where(newest(), t.result.c.state != REOPENED)
        .group_by(t.result.c.workflow, t.result.c.state)
    )
    outcomes: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for workflow, state, number in await connection.execute(query):
        outcomes[workflow][state] = number
    return outcomes


def _add_pruned(outcomes: defaultdict[str, dict[str, int]], counters: Mapping[tuple[str, str], int]) -> None:
    for (name, workflow), value in counters.items():
        if name.startswith(PRUNED_OUTCOME):
            state = name.removeprefix(PRUNED_OUTCOME)
            outcomes[workflow][state] = outcomes[workflow].get(state, 0) + value


async def in_flight(connection: AsyncConnection) -> Counter[str]:
    query = select(t.work.c.lane, func.count()).group_by(t.work.c.lane)
    return Counter(dict((await connection.execute(query)).all()))


async def _differences(connection: AsyncConnection) -> list[Difference]:
    """Events in none, or in two, of the places where an accepted event must be in exactly one."""
    outcome = (
        select(t.result.c.event_id)
        .where(t.result.c.event_id == t.event.c.event_id, newest(), t.result.c.state != REOPENED)
        .exists()
    )
    work = select(t.work.c.event_id).where(t.work.c.event_id == t.event.c.event_id).exists()
    found = []
    for what, condition in (
        (_IN_NEITHER, ~outcome & ~work & t.event.c.pruning_id.is_(None)),
        (_IN_BOTH, outcome & work),
    ):
        found += await _named(connection, t.event.c.workflow, t.event.c.event_id, what, condition)
    known = select(t.event.c.event_id)
    lost = t.work.c.event_id.not_in(known)
    found += await _named(connection, t.work.c.lane, t.work.c.event_id, "work without its event", lost)
    lost = t.result.c.event_id.not_in(known)
    return found + await _named(
        connection, t.result.c.workflow, t.result.c.event_id, "result without its event", lost
    )


async def _named(
    connection: AsyncConnection, workflow: Any, event_id: Any, what: str, condition: Any
) -> list[Difference]:
    rows = (await connection.execute(select(workflow, event_id).where(condition))).all()
    by_workflow: defaultdict[str, list[UUID]] = defaultdict(list)
    for name, lost in rows:
        by_workflow[name].append(lost)
    return [
        Difference(name, what, len(lost), tuple(map(str, sorted(lost)[:NAMED_EVENTS])))
        for name, lost in by_workflow.items()
    ]
