"""What a process says of itself: one JSON line each, with stable names and without a body."""

import asyncio
import json
import logging
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
import structlog

from infra.logs import Log, bound, configure, logger
from infra.settings import LogSettings
from pipeline.errors import StoreUnavailable

SECRET = "Dear Ms Oduya, your IBAN is DE02120300000000202051"
EVENT_ID = UUID(int=5)

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[Lines]:
    root = logging.getLogger()
    kept = list(root.handlers), root.level, sys.excepthook
    configure(LogSettings(level="info", json_lines=True), process="worker")
    yield lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    root.handlers[:], sys.excepthook = kept[0], kept[2]
    root.setLevel(kept[1])
    structlog.reset_defaults()


@pytest.fixture
def log() -> Log:
    return logger()


def raised() -> StoreUnavailable:
    try:
        try:
            raise ValueError(SECRET)
        except ValueError as error:
            raise StoreUnavailable(SECRET) from error
    except StoreUnavailable as error:
        return error


def test_a_line_has_its_time_level_process_name_and_fields(log: Log, lines: Lines) -> None:
    log.info("event.accepted", event_id=EVENT_ID, workflow="notes", bytes=12)

    (line,) = lines()
    assert datetime.fromisoformat(line.pop("timestamp")).utcoffset() is not None
    assert line == {
        "level": "info",
        "process": "worker",
        "name": "event.accepted",
        "event_id": str(EVENT_ID),
        "workflow": "notes",
        "bytes": 12,
    }


def test_what_is_below_the_level_is_not_written(log: Log, lines: Lines) -> None:
    log.debug("event.accepted")

    assert lines() == []


async def test_each_task_binds_its_own_event(log: Log, lines: Lines) -> None:
    async def work(event_id: UUID) -> None:
        with bound(event_id=event_id, workflow="notes"):
            await asyncio.sleep(0)
            log.info("event.decided")

    await asyncio.gather(work(UUID(int=1)), work(UUID(int=2)))
    log.info("process.stopped")

    assert [line.get("event_id") for line in lines()] == [str(UUID(int=1)), str(UUID(int=2)), None]


def test_an_error_is_told_by_types_and_places_without_its_message(log: Log, lines: Lines) -> None:
    log.error("event.faulty", error=raised())

    (line,) = lines()
    assert line["error"] == "StoreUnavailable"
    assert line["error_at"][-1] == "StoreUnavailable"
    assert "ValueError" in line["error_at"]
    assert any("test_logs.py" in place and place.endswith(" raised") for place in line["error_at"])
    assert SECRET not in json.dumps(line)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (SECRET.encode(), "<bytes>"),
        ({"body": SECRET}, "<dict>"),
        (LogSettings(), "<LogSettings>"),
        ("x" * 9_000, "x" * 500),
        ("a\x1b[2Jb", "a\ufffd[2Jb"),
        (1.5, 1.5),
        (None, None),
    ],
)
def test_a_field_is_a_short_plain_value(value: Any, written: Any, log: Log, lines: Lines) -> None:
    log.info("event.accepted", field=value)

    (line,) = lines()
    assert line["field"] == written


def test_warnings_of_libraries_come_as_lines_of_ours(lines: Lines) -> None:
    kafka = logging.getLogger("kafka.client")

    kafka.info("connecting to %s", "broker-1")
    kafka.warning("node %s failed: %s", "broker-1", OSError(SECRET))

    (line,) = lines()
    assert (line["name"], line["level"], line["logger"]) == ("library.message", "warning", "kafka.client")
    assert line["message"] == "node broker-1 failed: OSError"


def test_a_librarys_traceback_does_not_quote_its_error(lines: Lines) -> None:
    error = raised()

    logging.getLogger("celery.app.trace").error(
        "Task %(name)s raised: %(exc)s", {"name": "work", "exc": repr(error)}, exc_info=error
    )

    (line,) = lines()
    assert line["message"] == "Task %(name)s raised: %(exc)s"
    assert line["error"] == "StoreUnavailable"
    assert SECRET not in json.dumps(line)


async def test_a_forgotten_tasks_error_does_not_quote_the_event(lines: Lines) -> None:
    error = raised()

    asyncio.get_running_loop().call_exception_handler(
        {"message": "Task exception was never retrieved", "exception": error, "future": repr(error)}
    )

    (line,) = lines()
    assert line["message"] == "Task exception was never retrieved"
    assert SECRET not in json.dumps(line)


def test_a_librarys_template_that_does_not_fit_is_still_told(lines: Lines) -> None:
    record = logging.LogRecord("kombu", logging.WARNING, "mixins.py", 1, "%d of %d", ("one",), None)

    # Not by its logger: pytest's own handler stands beside ours and raises.
    next(one for one in logging.getLogger().handlers if type(one).__module__ == "infra.logs").handle(record)

    (line,) = lines()
    assert line["message"] == "%d of %d"


def test_the_last_error_of_a_process_is_a_line_too(lines: Lines) -> None:
    error = raised()

    sys.excepthook(type(error), error, error.__traceback__)

    (line,) = lines()
    assert (line["name"], line["error"]) == ("process.failed", "StoreUnavailable")
    assert SECRET not in json.dumps(line)


def test_a_terminal_gets_words_instead_of_json(
    lines: Lines, log: Log, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(LogSettings(json_lines=False), process="dev")

    log.error("event.faulty", error=raised())

    written = capsys.readouterr().err
    assert "event.faulty" in written
    assert "StoreUnavailable" in written
    assert SECRET not in written
