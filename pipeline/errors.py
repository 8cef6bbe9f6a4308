"""What can go wrong with an event: each error is a stable reason and a sentence.

The docstring is the default message. What becomes of an event with such an error is decided in
`pipeline.retry`, nowhere else.
"""

from collections.abc import Collection
from typing import ClassVar

from schemas.decision import MAX_REASON_LENGTH
from schemas.text import clean


class PipelineError(Exception):
    """Something kept an event from its outcome."""

    reason: ClassVar[str] = "error"

    def __init__(self, detail: str | None = None) -> None:
        # A detail may quote a sender's attribute name, and goes to a database, a topic and a browser.
        message = detail or (type(self).__doc__ or "").strip()
        super().__init__(clean(message, max_length=MAX_REASON_LENGTH))


class RetryableError(PipelineError):
    """The same input may work later."""


class ModelUnavailable(RetryableError):
    """The model's server failed, refused the connection or sent no JSON."""

    reason = "model_unavailable"


class ModelRateLimited(RetryableError):
    """The model's server asks us to slow down."""

    reason = "model_rate_limited"


class ModelTimeout(RetryableError):
    """The model did not finish its answer within the deadline of one call."""

    reason = "model_timeout"


class StoreUnavailable(RetryableError):
    """The database cannot be reached or did not take the transaction."""

    reason = "store_unavailable"


class CallCancelled(RetryableError):
    """The call was cancelled because the process stops or lost its claim."""

    reason = "cancelled"


class PausedError(PipelineError):
    """Nothing is wrong with the event: it waits, and the wait is not counted."""


class QuotaExhausted(PausedError):
    """The provider's quota is used up; raise it there."""

    reason = "quota_exhausted"


class ModelMisconfigured(PausedError):
    """The endpoint refuses our key or does not know the model; check PENSTOCK_MODELS__*."""

    reason = "model_misconfigured"


class BreakerOpen(PausedError):
    """Every endpoint of the model fails; a probe looks whether one is back."""

    reason = "breaker_open"


class BudgetExhausted(PausedError):
    """A cap on spending is reached; it goes on with the next day (UTC) or a higher cap."""

    reason = "budget_exhausted"


class MinuteFull(PausedError):
    """The endpoint's requests or tokens of this minute are used up; it goes on with the next."""

    reason = "minute_full"


class PermanentError(PipelineError):
    """The same input will always fail."""


class InvalidEvent(PermanentError):
    """The bytes are no event of this topic."""

    reason = "invalid_event"


class SubjectUnknown(InvalidEvent):
    """The workflow's `subject` failed on the event, so nobody knows whose texts these are."""

    reason = "subject_unknown"


class Erased(PermanentError):
    """The event's texts were erased, or are no longer kept."""

    reason = "erased"


class IdReused(PermanentError):
    """An event with this source and id exists, with other data."""

    reason = "id_reused"


class InputRefused(PermanentError):
    """The text is not one that a model should read: empty, binary or too large."""

    reason = "input_refused"


class Suspicious(PermanentError):
    """The text looks as if it spoke to the model."""

    reason = "suspicious"


class ModelRefused(PermanentError):
    """The model refused to answer."""

    reason = "model_refused"


class ModelFiltered(PermanentError):
    """The provider's content filter stopped the answer."""

    reason = "model_filtered"


class RequestRejected(PermanentError):
    """The model's server calls the request wrong (HTTP 400, 413 or 422)."""

    reason = "request_rejected"


class UnusableOutput(PermanentError):
    """The answer does not fit the schema, and asking again did not help."""

    reason = "unusable_output"


class CheckFailed(PermanentError):
    """A check of the workflow does not hold for the answer, and asking again did not help."""

    reason = "check_failed"


class Ungrounded(PermanentError):
    """A value that needs evidence is not what the text says."""

    reason = "ungrounded"


class Leaked(PermanentError):
    """The answer holds a secret or a piece of the instructions."""

    reason = "leaked"


class Truncated(PermanentError):
    """The answer was cut off at the token limit."""

    reason = "truncated"


class DeadlineExceeded(PermanentError):
    """The calls for the event took as long as its workflow allows, without an answer that is good enough."""

    reason = "deadline"


class Crashed(PermanentError):
    """The event ended the process that worked on it, five times."""

    reason = "crashed"


class Faulty(PermanentError):
    """Our code or the workflow's failed on this event, three times; Sentry and the logs have the error."""

    reason = "faulty"


class TooExpensive(PermanentError):
    """The next call could cost more than a cap allows for this event, or in a whole day."""

    reason = "too_expensive"


class CallLost(PermanentError):
    """The process ended before the answer was stored; the provider may have charged for it."""

    reason = "lost"


class Unstorable(PermanentError):
    """The database cannot hold the result."""

    reason = "unstorable"


class MessageTooLarge(PermanentError):
    """The outgoing message is larger than `kafka.max_message_bytes`."""

    reason = "message_too_large"


class InvalidWorkflowError(Exception):
    """A workflow's declaration is wrong; raised at start-up, with the file, the field and the cure."""

    def __init__(self, file: str, field: str, problem: str, cure: str) -> None:
        super().__init__(f"{file}: {field}: {problem}. {cure}")
        self.file, self.field, self.problem, self.cure = file, field, problem, cure


class ReturnTypeError(TypeError):
    """A function of a workflow returned what it must not: names the two and the type, and quotes no event."""

    def __init__(self, function: str, workflow: str, returned: object) -> None:
        super().__init__(f"{function} of {workflow!r} returned {type(returned).__name__}")


class InvalidSettingsError(Exception):
    """A setting is missing or wrong; raised at start-up, with the variable to set."""


class NotFound(Exception):
    """No such event, workflow, topic or token."""


class Conflict(Exception):
    """Somebody else was faster, or the event is not in a state that allows this."""


class InvalidCorrection(Exception):
    """What a person wrote does not fit the workflow's schema; names the fields, not their values."""

    def __init__(self, told: str, *, fields: Collection[str] = ()) -> None:
        super().__init__(told)
        self.fields = frozenset(fields)
