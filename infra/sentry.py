"""Errors and event transactions out to Sentry; off, and every function a no-op, without a DSN.

What leaves is built from a list of what may: types and places of errors, ids, names, times, token
counts. Messages of errors are not in it: a ValidationError or a database error quotes the event.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final, cast, get_args

import sentry_sdk
from sentry_sdk.integrations.atexit import AtexitIntegration
from sentry_sdk.integrations.excepthook import ExcepthookIntegration
from sentry_sdk.tracing import TransactionSource
from sentry_sdk.types import Event, Hint

from infra.logs import LogName
from infra.settings import SentrySettings
from pipeline import errors
from pipeline.claim import Claimed
from schemas.extraction import Attempt
from schemas.text import clean

#: Everything of an event that is sent; what a later SDK adds stays here.
_SENT: Final = frozenset(
    {
        "contexts",
        "dist",
        "environment",
        "event_id",
        "exception",
        "level",
        "message",
        "platform",
        "release",
        "sdk",
        "server_name",
        "spans",
        "start_timestamp",
        "tags",
        "timestamp",
        "transaction",
        "transaction_info",
        "type",
    }
)
_SENT_CONTEXTS: Final = frozenset({"trace", "runtime"})
#: The only messages that are sent: those of `warn`.
_NAMES: Final = frozenset(get_args(LogName))
_UNTOLD: Final = "(not sent: the message may quote an event)"
_LONGEST_NAME: Final = 100
_REPORTED: Final = "_penstock_reported"


def init(settings: SentrySettings, *, release: str, process: str) -> None:
    """Start Sentry when a DSN is set; once per process, at its door, after `logs.configure`."""
    dsn = settings.dsn.get_secret_value()
    if not dsn:
        return
    sentry_sdk.init(
        dsn=dsn,
        release=f"penstock@{release}",
        environment=settings.environment,
        server_name=process,  # the host's name may be a person's
        traces_sample_rate=settings.traces_sample_rate,
        before_send=_before_send,
        before_send_transaction=_before_send_transaction,
        # The default ones report a failed model call three times, quote log lines and argv, open
        # transactions for the `work` task and HTTP requests, and send trace headers to the model.
        default_integrations=False,
        auto_enabling_integrations=False,
        integrations=[AtexitIntegration(callback=_quietly), ExcepthookIntegration()],
        trace_propagation_targets=[],
        # send_default_pii stays unset, which means no: setting it is deprecated, with a warning.
        include_local_variables=False,
        include_source_context=False,  # a line of a workflow's source may be its prompt
        max_request_body_size="never",
        max_breadcrumbs=0,
        auto_session_tracking=False,
        spotlight=False,
        stream_gen_ai_spans=False,  # inside their transaction, where before_send_transaction sees them
    )
    sentry_sdk.get_global_scope().set_tag("process", process)


def flush(timeout_seconds: float = 2.0) -> None:
    """Send what waits; for ends that skip atexit. Blocks."""
    sentry_sdk.flush(timeout=timeout_seconds)


@contextmanager
def event_transaction(claimed: Claimed) -> Iterator[None]:
    """One transaction for one event, on its sender's trace, in an isolation scope of its own.

    Call `report` inside, so that the error is on the same trace. An error that passes marks the
    transaction as failed and is not reported by that.
    """
    if not sentry_sdk.is_initialized():
        yield
        return
    event = claimed.event
    with sentry_sdk.isolation_scope() as scope:
        transaction = scope.continue_trace(
            _sentry_trace(event.traceparent),
            op="penstock.event",
            name=event.workflow,
            source=TransactionSource.TASK,
        )
        scope.set_tags({"workflow": event.workflow, "event_id": str(event.event_id)})
        with sentry_sdk.start_transaction(transaction):
            yield


def record_attempt(attempt: Attempt) -> None:
    """A span for one call of a model, in the event's transaction: names and counts, no content."""
    parent = sentry_sdk.get_current_span()
    if parent is None:
        return
    usage = attempt.usage
    span = parent.start_child(
        op="gen_ai.chat", name=f"chat {attempt.model_asked}", start_timestamp=attempt.started_at
    )
    span.set_data("gen_ai.operation.name", "chat")
    span.set_data("gen_ai.request.model", attempt.model_asked)
    if attempt.model_answered:
        # The one text here that the model's server chose.
        span.set_data("gen_ai.response.model", clean(attempt.model_answered, max_length=_LONGEST_NAME))
    span.set_data("gen_ai.usage.input_tokens", usage.input_tokens)
    span.set_data("gen_ai.usage.input_tokens.cached", usage.cached_tokens)
    span.set_data("gen_ai.usage.output_tokens", usage.output_tokens)
    span.set_data("gen_ai.usage.total_tokens", usage.input_tokens + usage.output_tokens)
    span.set_data("penstock.alias", attempt.alias)
    span.set_data("penstock.step", attempt.step)
    if attempt.failure:
        span.set_data("penstock.failure", attempt.failure)
    span.set_status("internal_error" if attempt.failure else "ok")
    span.finish(end_timestamp=attempt.started_at + timedelta(milliseconds=attempt.latency_ms))


def report(error: BaseException, **tags: str) -> None:
    """Send one error; the same object is sent once, however many saw it. `tags` are names and ids."""
    if not sentry_sdk.is_initialized():
        return
    with sentry_sdk.new_scope() as scope:
        scope.set_tags(tags)
        scope.capture_exception(error)


def warn(name: LogName, **tags: str) -> None:
    """Send a warning under its name in the logs; `tags` are names and ids."""
    if not sentry_sdk.is_initialized():
        return
    with sentry_sdk.new_scope() as scope:
        scope.set_tags({tag: clean(value, max_length=_LONGEST_NAME) for tag, value in tags.items()})
        scope.capture_message(name, level="warning")


def _sentry_trace(traceparent: str | None) -> dict[str, str]:
    """W3C Trace Context as Sentry's own header, which is all that the SDK reads.

    Without the `sampled` flag: how many transactions we pay for is our setting, not the sender's.
    """
    _, trace_id, span_id, _ = (traceparent or "---").split("-")
    if not trace_id.strip("0") or not span_id.strip("0"):
        return {}
    return {"sentry-trace": f"{trace_id}-{span_id}"}


def _before_send(event: Event, hint: Hint) -> Event | None:
    error = (hint.get("exc_info") or (None, None, None))[1]
    if error is not None:
        # The SDK's own DedupeIntegration remembers per context: not across tasks, nor to the excepthook.
        if getattr(error, _REPORTED, False):
            return None
        setattr(error, _REPORTED, True)
    if "message" in event and event["message"] not in _NAMES:
        return None
    found: Any = event.get("exception") or {}
    for one in found.get("values") or ():
        one["value"] = _told(one.get("module"), one.get("type"))
    return _reduced(event)


def _before_send_transaction(event: Event, _: Hint) -> Event | None:
    return _reduced(event)


def _reduced(event: Event) -> Event:
    sent = {key: value for key, value in event.items() if key in _SENT}
    contexts: Any = sent.get("contexts") or {}
    sent["contexts"] = {name: contexts[name] for name in contexts if name in _SENT_CONTEXTS}
    return cast(Event, sent)


def _told(module: str | None, name: str | None) -> str:
    """The sentence of an error of the taxonomy. Not its detail, which may quote a sender's attribute."""
    kind = getattr(errors, name or "", None) if module == errors.__name__ else None
    if isinstance(kind, type) and issubclass(kind, errors.PipelineError):
        return f"{kind.reason}: {(kind.__doc__ or '').strip()}"
    return _UNTOLD


def _quietly(_: int, __: float) -> None:
    """The SDK's default prints to stderr, between our lines."""
