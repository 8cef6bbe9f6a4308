"""Counts of the whole deployment, read from SQL, as Prometheus text: true however many workers run."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from prometheus_client import Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from infra.database import Database
from infra.metrics import MetricName
from infra.store.read import Queues, queues
from infra.store.reconciliation import Balance, balances
from infra.store.spend import lost_calls
from infra.store.windows import Budget, budgets
from pipeline.errors import StoreUnavailable
from pipeline.spend import TOTAL
from schemas.decision import Outcome

_FRESH_SECONDS: Final = 2.0
#: The reconciliation counts rows: on a large database it takes a while, and may not take all the time.
_REST: Final = 20
#: Prometheus gives a scrape ten seconds unless told otherwise.
_TIMEOUT_SECONDS: Final = 5.0


@dataclass
class SqlMetrics:
    """Reads at most once in two seconds, and no more than a twentieth of the time.

    `workflows` are shown with zeros from the start. Lives on the loop that the database is used on.
    """

    database: Database
    workflows: Sequence[str] = ()
    clock: Callable[[], float] = time.monotonic
    _text: bytes = b""
    _fresh_until: float = float("-inf")
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def text(self) -> bytes:
        """The counts in Prometheus's text format; only `penstock_database_up 0` when SQL does not answer."""
        async with self._turn:
            started = self.clock()
            if started >= self._fresh_until:
                self._text = _text(await self._read())
                ended = self.clock()
                self._fresh_until = ended + max(_FRESH_SECONDS, _REST * (ended - started))
            return self._text

    async def _read(self) -> list[Metric]:
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                counted = await balances(self.database, workflows=self.workflows)
                waiting = await queues(self.database)
                today = await budgets(self.database, _scopes(counted))
                lost = await lost_calls(self.database)
        except (StoreUnavailable, SQLAlchemyError, TimeoutError):
            return [_up(0)]
        spending = _of_budgets(today, counted)
        return [*_of_balances(counted), *_of_queues(waiting, counted), *spending, _lost(lost), _up(1)]


@dataclass(frozen=True, slots=True)
class _Listed(Collector):
    """prometheus-client's collectors cannot await, so the numbers are read before it asks."""

    metrics: Sequence[Metric]

    def collect(self) -> Iterable[Metric]:
        return self.metrics


def _text(metrics: Sequence[Metric]) -> bytes:
    return generate_latest(_Listed(metrics))


def _of_balances(counted: Mapping[str, Balance]) -> list[Metric]:
    outcomes = _gauge("penstock_events_outcome", "Events by where they ended.", "workflow", "outcome")
    for workflow, balance in counted.items():
        for outcome in Outcome:
            outcomes.add_metric([workflow, outcome.value], balance.outcomes.get(outcome, 0))
    return [
        outcomes,
        _counter(
            "penstock_events_accepted_total",
            "Events accepted.",
            {workflow: balance.accepted for workflow, balance in counted.items()},
        ),
        _counter(
            "penstock_duplicates_total",
            "Events that were there already.",
            {workflow: balance.duplicates for workflow, balance in counted.items()},
        ),
        _counter(
            "penstock_ignored_total",
            "Webhooks that are no event of ours.",
            {workflow: balance.ignored for workflow, balance in counted.items()},
        ),
        _by_workflow(
            "penstock_events_in_flight",
            "Events accepted, without an outcome.",
            {workflow: balance.in_flight for workflow, balance in counted.items()},
        ),
        _by_workflow(
            "penstock_events_unaccounted",
            "Events whose numbers do not add up; see penstock stats.",
            {
                workflow: sum(difference.count for difference in balance.differences)
                for workflow, balance in counted.items()
            },
        ),
    ]


def _of_queues(waiting: Queues, counted: Mapping[str, Balance]) -> list[Metric]:
    unpublished = _gauge("penstock_outbox_unpublished", "Messages that wait for the relay.")
    unpublished.add_metric([], waiting.unpublished)
    unsealed = _gauge("penstock_audit_unsealed", "Audit records that wait for their seal.")
    unsealed.add_metric([], waiting.unsealed)
    lag = _gauge("penstock_audit_lag_seconds", "How long the oldest audit record has waited for its seal.")
    lag.add_metric([], waiting.lag_seconds)
    none = dict.fromkeys(counted, 0)
    return [
        unpublished,
        unsealed,
        lag,
        _by_workflow("penstock_events_due", "Events that may be claimed now.", {**none, **waiting.due}),
        _by_workflow(
            "penstock_reviews_waiting", "Questions that wait for a person.", {**none, **waiting.reviews}
        ),
    ]


def _scopes(counted: Iterable[str]) -> list[str]:
    """Sources are left out: anybody may send a new one."""
    return [TOTAL, *(f"workflow:{workflow}" for workflow in counted)]


def _of_budgets(today: Sequence[Budget], counted: Iterable[str]) -> list[Metric]:
    spent = _gauge("penstock_spend_micros", "Spent on this UTC day, in micro-units.", "scope")
    caps = _gauge("penstock_spend_cap_micros", "The most that a UTC day may cost, in micro-units.", "scope")
    known = {budget.scope: budget.spent for budget in today}
    for scope in _scopes(counted):
        spent.add_metric([scope], known.get(scope, 0))
    for budget in today:
        if budget.limit is not None:
            caps.add_metric([budget.scope], budget.limit)
    return [spent, caps]


def _lost(count: int) -> Metric:
    family = _gauge("penstock_calls_lost", "Calls that a crash may have cut off.")
    family.add_metric([], count)
    return family


def _up(value: int) -> Metric:
    family = _gauge("penstock_database_up", "Did the database answer this scrape?")
    family.add_metric([], value)
    return family


def _by_workflow(name: MetricName, documentation: str, values: Mapping[str, int]) -> Metric:
    family = _gauge(name, documentation, "workflow")
    for workflow, value in values.items():
        family.add_metric([workflow], value)
    return family


def _counter(name: MetricName, documentation: str, values: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(name, documentation, labels=["workflow"])
    for workflow, value in values.items():
        family.add_metric([workflow], value)
    return family


def _gauge(name: MetricName, documentation: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, documentation, labels=labels)
