"""What one process counts of its own doing, as Prometheus metrics.

`Metrics` is a value with a registry of its own, made once per process and passed along. What must be
true however many processes run is counted in SQL instead: see `infra.metrics_sql`. No id is ever a
label: labels come from closed sets, such as workflows, aliases and endpoints.
"""

from typing import Final, Literal

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from pipeline.ports import Written
from schemas.extraction import Attempt

MetricName = Literal[
    # Counted from SQL, the same in every process: aggregate with max, not with sum.
    "penstock_events_accepted_total",  # by workflow
    "penstock_events_outcome",  # by workflow and outcome; a gauge: a human may change an outcome
    "penstock_events_in_flight",  # by workflow: accepted, without an outcome
    "penstock_events_due",  # by workflow: in flight, and may be claimed now
    "penstock_events_unaccounted",  # by workflow: what `penstock stats` calls a difference; always 0
    "penstock_duplicates_total",  # by workflow
    "penstock_ignored_total",  # by workflow: webhooks whose `adapt` said IGNORED
    "penstock_outbox_unpublished",  # messages that wait for the relay
    "penstock_audit_unsealed",  # committed audit records that wait for their seal
    "penstock_audit_lag_seconds",  # how long the oldest of them has waited; above 60 something is wrong
    "penstock_reviews_waiting",  # by workflow: questions that wait for a person
    "penstock_spend_micros",  # by scope: total, workflow:NAME; spent on this UTC day, in micro-units
    "penstock_spend_cap_micros",  # by scope: the most that may be; no series where there is no cap
    "penstock_calls_lost",  # calls that a crash may have cut off; paid at their worst case
    "penstock_database_up",  # 0: the numbers above are missing from this scrape
    # Counted by each process: aggregate with sum.
    "penstock_attempts_total",  # calls of models, by alias and failure reason ("" for a valid answer)
    "penstock_attempt_seconds",  # how long they took, by alias
    "penstock_tokens_total",  # by alias and direction: input, cached_input (not in input), output
    "penstock_cache_hits_total",  # answers taken from the cache instead of a call, by workflow
    "penstock_model_changes_total",  # times that another model answered than before, by endpoint
    "penstock_slots_in_flight",  # events that this process works on
    "penstock_commits_total",  # changesets, by fate: committed, fenced, buried
    "penstock_bells_total",  # doorbells over Redis, by result: rung, failed
    "penstock_http_answers_total",  # requests to the API, by status
    "penstock_messages_published_total",  # acknowledged messages, by topic
]

_SECONDS: Final = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 120.0)


class Metrics:
    """The numbers of one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._attempts = self._counter("penstock_attempts_total", "Calls of models.", "alias", "failure")
        self._seconds = self._histogram("penstock_attempt_seconds", "Duration of model calls.", "alias")
        self._tokens = self._counter("penstock_tokens_total", "Tokens of models.", "alias", "direction")
        self._hits = self._counter("penstock_cache_hits_total", "Answers from the cache.", "workflow")
        self._changes = self._counter(
            "penstock_model_changes_total", "Answers by another model than the one before.", "endpoint"
        )
        self._slots = self._gauge("penstock_slots_in_flight", "Events that this process works on.")
        self._commits = self._counter("penstock_commits_total", "Changesets written.", "fate")
        self._bells = self._counter("penstock_bells_total", "Doorbells over Redis.", "result")
        self._answers = self._counter("penstock_http_answers_total", "Requests to the API.", "status")
        self._messages = self._counter(
            "penstock_messages_published_total", "Messages that the broker acknowledged.", "topic"
        )
        # A series that starts at its first increment loses it: `rate` needs a zero before.
        for written in Written:
            self._commits.labels(written.value)
        for result in ("rung", "failed"):
            self._bells.labels(result)

    def attempt(self, attempt: Attempt) -> None:
        """One call of a model, answered or failed."""
        usage = attempt.usage
        self._attempts.labels(attempt.alias, attempt.failure or "").inc()
        self._seconds.labels(attempt.alias).observe(attempt.latency_ms / 1000)
        for direction, tokens in (
            ("input", max(0, usage.input_tokens - usage.cached_tokens)),
            ("cached_input", max(0, usage.cached_tokens)),
            ("output", max(0, usage.output_tokens)),
        ):
            self._tokens.labels(attempt.alias, direction).inc(tokens)

    def cache_hit(self, workflow: str) -> None:
        """One answer from the cache."""
        self._hits.labels(workflow).inc()

    def endpoint_used(self, endpoint: str) -> None:
        """It is about to be called for the first time: what is counted of it begins at zero."""
        self._changes.labels(endpoint)

    def model_changed(self, endpoint: str) -> None:
        """Another model answered there than before."""
        self._changes.labels(endpoint).inc()

    def slots_in_use(self, count: int) -> None:
        self._slots.set(count)

    def committed(self, written: Written) -> None:
        """What became of one changeset."""
        self._commits.labels(written.value).inc()

    def bell_rung(self) -> None:
        self._bells.labels("rung").inc()

    def bell_failed(self) -> None:
        self._bells.labels("failed").inc()

    def answered(self, status: int) -> None:
        """One request to the API."""
        self._answers.labels(str(status)).inc()

    def published(self, topic: str, count: int = 1) -> None:
        """Messages that were acknowledged."""
        self._messages.labels(topic).inc(count)

    def text(self) -> bytes:
        """All of them in Prometheus's text format 0.0.4."""
        return generate_latest(self.registry)

    def _counter(self, name: MetricName, documentation: str, *labels: str) -> Counter:
        return Counter(name, documentation, labels, registry=self.registry)

    def _gauge(self, name: MetricName, documentation: str) -> Gauge:
        return Gauge(name, documentation, registry=self.registry)

    def _histogram(self, name: MetricName, documentation: str, *labels: str) -> Histogram:
        return Histogram(name, documentation, labels, registry=self.registry, buckets=_SECONDS)
