"""What leaves for Sentry, read from the envelopes that arrive over HTTP: enough to find a bug, no secret."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import sentry_sdk
from pydantic import SecretStr

import infra.celery
from consumers.observed import Observed
from consumers.wiring import clock
from infra import sentry
from infra.answering import Answering
from infra.endpoints import Endpoints, Unshared
from infra.ledger import NoLedger
from infra.llm import OpenAIModel
from infra.metrics import Metrics
from infra.settings import ModelSettings, RedisSettings, SentrySettings
from infra.simulator.server import Options, serve
from pipeline.case import World
from pipeline.catalogue import Entry
from pipeline.claim import Claimed, Release
from pipeline.endings import Fault
from pipeline.errors import InvalidEvent, StoreUnavailable
from pipeline.process import process
from pipeline.workflow import AnyWorkflow
from schemas import Answer, Decision
from schemas.changeset import Changeset
from tests.builders import GUARD, NOTES, SCRIBE, Facts, FakeJournal, Note, attempt, claimed, entry, received
from tests.integration.sentry_project import Project, project_of_the_test

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT_ID = "00f067aa0ba902b7"
TEXT = "City: Tobermory Amount: 4815162.34 Paid by: Ottoline Quill"
API_KEY = "sk-planted-7f3a"
PROMPT = "Planted instructions: find the city and the amount."
LOCAL = "planted-local-variable"
SECRETS = (TEXT, "Tobermory", "Ottoline", API_KEY, "Planted instructions", "4815162.34", LOCAL)


@pytest.fixture
async def project() -> AsyncIterator[Project]:
    async with project_of_the_test() as kept:
        yield kept


def start(project: Project, *, traces_sample_rate: float = 1.0) -> None:
    settings = SentrySettings(dsn=SecretStr(project.dsn), traces_sample_rate=traces_sample_rate)
    sentry.init(settings, release="0.0.0", process="worker")


def traced(number: int = 1, flags: str = "01") -> Claimed:
    return claimed(
        received(
            {"text": TEXT},
            id=f"note-{number}",
            traceparent=f"00-{TRACE_ID[:-1]}{number:x}-{PARENT_ID}-{flags}",
        )
    )


def failing(note: Note, answer: Answer[Facts]) -> Decision:
    local = LOCAL + note.text
    raise ValueError(f"{local} {answer.value.city}")


async def nothing_recorded(endpoint: str, workflow: str) -> str | None:
    return None


@asynccontextmanager
async def model_named(name: str) -> AsyncIterator[World]:
    async with serve(Options()) as url:
        settings = ModelSettings(base_url=f"{url}/v1", model=name, api_key=SecretStr(API_KEY))
        endpoints = Endpoints({"fast": settings, "strong": settings}, Unshared(), clock)
        inner = OpenAIModel(endpoints, clock)
        seen = Observed(inner, Metrics(), Answering(Metrics(), nothing_recorded))
        yield World(seen, FakeJournal(), NoLedger(), SCRIBE, clock=clock, jitter=random.random, guard=GUARD)
        await inner.close()


def prompted(declaration: AnyWorkflow) -> Entry:
    return replace(entry(declaration), instructions=PROMPT)


async def work_on(
    claimed: Claimed, world: World, declaration: AnyWorkflow = NOTES
) -> Changeset | Release | None:
    """One event as a drain works on it; None when a bug showed."""
    with sentry.event_transaction(claimed):
        try:
            return await process(claimed, prompted(declaration), world)
        except Fault as fault:
            logging.getLogger("celery.app.trace").exception("it failed: %s", TEXT)
            sentry.report(fault.bug, fault="1")
            return None


async def test_a_bug_is_one_error_on_the_events_trace_without_any_secret(project: Project) -> None:
    start(project)

    async with model_named("simulated-fast") as world:
        await work_on(traced(), world, replace(NOTES, policy=failing))

    (error,) = await project.items("event")
    (transaction,) = await project.items("transaction")
    assert project.holds(*SECRETS) == []
    (value,) = error["exception"]["values"]
    assert (value["type"], value["value"]) == ("ValueError", "(not sent: the message may quote an event)")
    frames = value["stacktrace"]["frames"]
    assert frames[-1]["function"] == "failing"
    assert not any({"vars", "context_line", "pre_context", "post_context"} & frame.keys() for frame in frames)
    assert error["contexts"]["trace"]["trace_id"] == transaction["contexts"]["trace"]["trace_id"]
    assert error["tags"] == {
        "process": "worker",
        "workflow": "notes",
        "event_id": str(traced().event.event_id),
        "fault": "1",
    }
    assert error["server_name"] == "worker"


async def test_a_transaction_continues_the_senders_trace_and_holds_a_span_per_attempt(
    project: Project,
) -> None:
    start(project)

    async with model_named("simulated-fast") as world:
        await work_on(traced(), world)

    (transaction,) = await project.items("transaction")
    assert await project.items("event") == []
    assert project.holds(*SECRETS) == []
    trace = transaction["contexts"]["trace"]
    assert (trace["op"], transaction["transaction"]) == ("penstock.event", "notes")
    assert (trace["trace_id"], trace["parent_span_id"]) == (f"{TRACE_ID[:-1]}1", PARENT_ID)
    (span,) = transaction["spans"]
    assert (span["op"], span["description"], span["status"]) == ("gen_ai.chat", "chat simulated-fast", "ok")
    assert span["data"]["gen_ai.request.model"] == "simulated-fast"
    assert span["data"]["gen_ai.usage.input_tokens"] > 0
    assert span["data"]["penstock.alias"] == "fast"
    assert not any("tool" in name or "messages" in name for name in span["data"])


async def test_a_failed_call_of_a_model_is_a_failed_span_and_no_error(project: Project) -> None:
    start(project)

    async with model_named("simulated-fault-500") as world:
        ended = await work_on(traced(), world)

    (transaction,) = await project.items("transaction")
    assert isinstance(ended, Release)
    assert await project.items("event") == []
    (span,) = transaction["spans"]
    assert (span["status"], span["data"]["penstock.failure"]) == ("internal_error", "model_unavailable")
    assert project.holds(*SECRETS) == []


async def test_events_side_by_side_have_one_transaction_each_and_the_work_task_has_none(
    project: Project,
) -> None:
    start(project)
    app = infra.celery.create_app(RedisSettings())

    async def drain() -> None:
        async with model_named("simulated-fast") as world:
            await asyncio.gather(*(work_on(traced(number), world) for number in range(1, 6)))

    infra.celery.register(app, lambda lane: asyncio.run(drain()))
    await asyncio.to_thread(lambda: app.tasks[infra.celery.TASK].apply(args=("notes",)).get())

    transactions = await project.items("transaction")
    found = {(one["contexts"]["trace"]["trace_id"], one["tags"]["event_id"]) for one in transactions}
    assert len(transactions) == 5
    assert found == {
        (f"{TRACE_ID[:-1]}{number}", str(traced(number).event.event_id)) for number in range(1, 6)
    }
    assert all(len(one["spans"]) == 1 for one in transactions)
    assert await project.items("event") == []


async def test_events_without_a_trace_do_not_share_one(project: Project) -> None:
    start(project)

    for _ in range(2):
        with sentry.event_transaction(claimed()):
            pass

    first, second = await project.items("transaction")
    assert first["contexts"]["trace"]["trace_id"] != second["contexts"]["trace"]["trace_id"]


async def test_the_share_of_transactions_is_our_setting_not_the_senders_flag(project: Project) -> None:
    start(project, traces_sample_rate=0.0)

    with sentry.event_transaction(traced(flags="01")):
        sentry.record_attempt(attempt())
        sentry.report(RuntimeError())

    assert await project.items("transaction") == []
    (error,) = await project.items("event")
    assert error["contexts"]["trace"]["trace_id"] == f"{TRACE_ID[:-1]}1"


async def test_one_error_that_many_saw_is_sent_once(project: Project) -> None:
    start(project)
    error = RuntimeError(TEXT)

    async def see() -> None:
        with sentry.event_transaction(claimed()):
            sentry.report(error)

    await asyncio.gather(see(), see())
    sentry.report(error)

    assert len(await project.items("event")) == 1


def quoting() -> StoreUnavailable:
    error = StoreUnavailable(TEXT)
    error.__cause__ = InvalidEvent(f"not a CloudEvent: {TEXT}")
    error.__cause__.__cause__ = OSError(TEXT)
    error.add_note(TEXT)
    return error


async def test_of_our_own_errors_the_sentence_is_sent_without_the_detail(project: Project) -> None:
    start(project)

    sentry.report(quoting())

    (error,) = await project.items("event")
    assert [value["value"].partition(":")[0] for value in error["exception"]["values"]] == [
        "(not sent",
        "invalid_event",
        "store_unavailable",
    ]
    assert project.holds(*SECRETS) == []


async def test_nothing_else_leaves(project: Project) -> None:
    start(project)
    sentry_sdk.set_user({"email": TEXT})
    sentry_sdk.set_extra("body", TEXT)
    sentry_sdk.set_context("event", {"body": TEXT})
    sentry_sdk.add_breadcrumb(message=TEXT)

    with sentry.event_transaction(claimed()):
        sentry.report(RuntimeError(TEXT))

    assert await project.kinds() == {"event", "transaction"}
    assert project.holds(*SECRETS) == []


def test_without_a_dsn_nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTRY_DSN", "http://public@127.0.0.1:1/1")

    sentry.init(SentrySettings(), release="0.0.0", process="worker")
    with sentry.event_transaction(claimed()):
        sentry.record_attempt(attempt())
        sentry.report(RuntimeError())

    assert not sentry_sdk.is_initialized()


async def test_a_warning_is_sent_under_its_name_and_no_other_message_is(project: Project) -> None:
    start(project)

    sentry.warn("model.changed", endpoint="m@here", before="m-1", after="m-2")
    sentry_sdk.capture_message(f"of a library: {TEXT}", level="warning")

    (warning,) = await project.items("event")
    assert (warning["message"], warning["level"]) == ("model.changed", "warning")
    assert warning["tags"] == {"process": "worker", "endpoint": "m@here", "before": "m-1", "after": "m-2"}
    assert project.holds(*SECRETS) == []
