"""What a process says of itself: stable names and fields in, one line on stderr for each out.

A line never holds a body, a prompt, an answer or a secret. Fields are short and flat; of an error its
types and places are written, not its message, which may quote an event.
"""

import logging
import sys
import traceback
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Protocol, cast
from uuid import UUID

import structlog

from infra.settings import LogSettings
from schemas.text import clean

LogName = Literal[
    # A process, from its start to its end.
    "process.started",
    "process.ready",
    "process.unready",
    "process.stopped",
    "process.stuck",
    "process.failed",
    "source.closed",
    "child.failed",
    # An event, from its door to its outcome.
    "event.received",
    "event.accepted",
    "event.invalid",
    "event.dead",
    "event.decided",
    "event.released",
    "event.faulty",
    "lane.failed",
    "lease.lost",
    # The world: what is away, waits or comes back.
    "breaker.opened",
    "model.changed",
    "version.incompatible",
    "privacy.master_key_made",
    "retention.pruned",
    "retention.refused",
    "login.failed",
    "login.limited",
    "store.unavailable",
    "partitions.paused",
    "partitions.resumed",
    "outbox.published",
    "outbox.waiting",
    "audit.sealed",
    "audit.not_sealed",
    "audit.cut",
    # A warning or an error of a library, by way of the standard library's logging.
    "library.message",
]

Field = str | int | float | bool | UUID | BaseException | None


class Log(Protocol):
    """structlog's logger, with our names and with fields that hold no body."""

    def debug(self, event: LogName, **fields: Field) -> None: ...
    def info(self, event: LogName, **fields: Field) -> None: ...
    def warning(self, event: LogName, **fields: Field) -> None: ...
    def error(self, event: LogName, **fields: Field) -> None: ...


_Line = MutableMapping[str, Any]

_LONGEST_FIELD: Final = 500
_MOST_PLACES: Final = 30
#: Structlog's own keys, which come first in a line.
_HEAD: Final = ("timestamp", "level", "process")


def logger() -> Log:
    """The logger of a module: `log = logger()`; it may be made before `configure`."""
    return cast(Log, structlog.get_logger())


def configure(settings: LogSettings, *, process: str) -> None:
    """Set up logging once, at a process's door, before Sentry (both take the hook for the last error)."""
    terminal = sys.stderr.isatty() if settings.json_lines is None else not settings.json_lines
    renderer: Any = structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer()

    def line(_: Any, __: str, fields: _Line) -> _Line:
        return _line({**fields, "process": process}, name="event" if terminal else "name")

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            line,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(settings.level),
        logger_factory=lambda *_: structlog.WriteLogger(sys.stderr),  # whichever it is by then
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers[:] = [_Library(logging.WARNING)]
    root.setLevel(logging.WARNING)
    if not terminal:
        sys.excepthook = _last_words


@contextmanager
def bound(*, event_id: UUID, workflow: str) -> Iterator[None]:
    """Every line written inside, in this task, says which event it is about."""
    with structlog.contextvars.bound_contextvars(event_id=str(event_id), workflow=workflow):
        yield


def _line(fields: _Line, *, name: str) -> _Line:
    """One line: the head, the name, then the rest made short and flat."""
    own = fields.pop("event", "")
    line = {key: fields.pop(key) for key in _HEAD if key in fields} | {name: own}
    error = fields.pop("exc_info", None)
    if error and not isinstance(fields.get("error"), BaseException):
        fields["error"] = _exception(error)
    for key, value in fields.items():
        if isinstance(value, BaseException):
            line |= {key: type(value).__name__, f"{key}_at": places(value)}
        else:
            line[key] = _flat(value)
    return line


def _exception(value: Any) -> BaseException | None:
    """What `exc_info` stands for: an error, a triple of `sys.exc_info()`, or True for the current one."""
    if isinstance(value, BaseException):
        return value
    found = value[1] if isinstance(value, tuple) else sys.exception()
    return found if isinstance(found, BaseException) else None


def _flat(value: Any) -> Any:
    """Text is cut, and cleaned of what could forge a line; of what is no plain value, only its type."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str | UUID):
        return clean(str(value), max_length=_LONGEST_FIELD)
    return f"<{type(value).__name__}>"


def places(error: BaseException) -> list[str]:
    """Where an error came from, the first cause first: frames as `file:line function`, then the type."""
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in chain:
        chain.append(cause)
        cause = cause.__cause__ if cause.__suppress_context__ else cause.__context__
    found = []
    for one in reversed(chain):
        found += [_place(frame) for frame in traceback.extract_tb(one.__traceback__)]
        found.append(type(one).__name__)
    return found[-_MOST_PLACES:]


def _place(frame: traceback.FrameSummary) -> str:
    return f"{'/'.join(Path(frame.filename).parts[-2:])}:{frame.lineno} {frame.name}"


class _Library(logging.Handler):
    """Records of Celery, kafka-python, SQLAlchemy, uvicorn and asyncio, as lines of ours."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger().log(
            record.levelno,
            "library.message",
            logger=record.name,
            message=_told(record),
            exc_info=record.exc_info,
        )


def _told(record: logging.LogRecord) -> str:
    """The first line of what a library says, with the types of errors in place of their messages.

    With a traceback comes a text that may quote its error (Celery and asyncio do that): then the
    template alone.
    """
    text = str(record.msg)
    if record.args and not record.exc_info:
        arguments = record.args
        if isinstance(arguments, tuple):
            arguments = tuple(_without_message(one) for one in arguments)
        try:
            text %= arguments
        except (TypeError, ValueError, KeyError):  # a template that does not fit: said without arguments
            text = str(record.msg)
    return text.partition("\n")[0]


def _without_message(argument: object) -> object:
    return type(argument).__name__ if isinstance(argument, BaseException) else argument


def _last_words(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """An error that ends the process, as a line; Python's own traceback would quote it."""
    if issubclass(kind, KeyboardInterrupt):
        return
    logger().error("process.failed", error=error.with_traceback(trace))
