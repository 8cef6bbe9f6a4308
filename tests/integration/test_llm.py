"""The Model port over real HTTP: what becomes of every fault, what is sent, what is charged."""

import asyncio
import hashlib
import json
import os
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import httpx2
import pytest
from aiohttp import web

from infra.retry_after import retry_after_seconds
from infra.settings import ModelSettings
from infra.simulator.faults import FAULTS
from pipeline.assemble import Call, Ticket, assemble
from pipeline.breaker import MAX_FAILURES
from pipeline.catalogue import Entry
from pipeline.extract import Ask
from pipeline.ports import Model
from pipeline.spend import worst_case_micros
from schemas.extraction import Attempt, Usage
from tests.builders import GUARD, Facts, claimed, entry, received, workflow
from tests.integration.recorded import Client, Recorder, at, client, recording

TEXT: Final = "City: Oban Amount: 12.50"
PRICES: Final[dict[str, Any]] = {
    "input_price": Decimal(1),
    "cached_input_price": Decimal("0.5"),
    "output_price": Decimal(2),
}
#: Long enough for an answer, short enough to wait for.
SHORT: Final = 1.0


@pytest.fixture
async def simulator() -> AsyncIterator[Recorder]:
    async with recording() as recorder:
        yield recorder


def call(
    endpoint: str,
    text: str = TEXT,
    *,
    id: str = "note-1",
    step: int = 0,
    complaints: tuple[str, ...] = (),
    larger: bool = False,
    of: Entry | None = None,
    timeout: timedelta = timedelta(minutes=5),
) -> Call:
    ask = Ask("fast", endpoint, complaints, larger)
    return assemble(
        claimed(received(id=id)), of or entry(), text, ask, step=step, key=GUARD.key, timeout=timeout
    )


async def ask(model: Model, call: Call) -> Attempt:
    return await model.ask(model.prepare(call), Ticket(call.endpoint))


async def asked(settings: ModelSettings, **changes: Any) -> Attempt:
    """One call and what the attempt says of it."""
    async with client(settings) as made:
        return await ask(made.model, call(made.endpoint, **changes))


#: Fault: the failure, the HTTP status, whether the provider may have charged what we cannot know.
AFTER: Final[dict[str, tuple[str | None, int | None, bool]]] = {
    "400": ("request_rejected", 400, False),
    "401": ("model_misconfigured", 401, False),
    "404": ("model_misconfigured", 404, False),
    "429": ("model_rate_limited", 429, False),
    "429_retry_after": ("model_rate_limited", 429, False),
    "500": ("model_unavailable", 500, False),
    "503": ("model_unavailable", 503, False),
    "content_filter": ("model_filtered", 200, False),
    "drip": ("model_timeout", None, True),
    "extra_field": ("unusable_output", 200, False),
    "hang": ("model_timeout", None, True),
    "html": ("model_unavailable", 200, True),
    "huge": ("unusable_output", 200, True),
    "invalid_json": ("unusable_output", 200, False),
    "missing_field": ("unusable_output", 200, False),
    "nan": ("unusable_output", 200, False),
    "no_choices": ("unusable_output", 200, False),
    "no_usage": (None, 200, True),
    "not_in_text": (None, 200, False),  # judged later, by the grounding
    "nul": ("unusable_output", 200, False),
    "other_model": (None, 200, False),
    "quota": ("quota_exhausted", 429, False),
    "refusal": ("model_refused", 200, False),
    "reset": ("model_unavailable", None, True),
    "truncated": ("truncated", 200, False),
    "wrong_type": ("unusable_output", 200, False),
}


def test_no_fault_of_the_simulator_is_forgotten() -> None:
    assert set(AFTER) == FAULTS


@pytest.mark.parametrize("fault", sorted(AFTER))
async def test_a_fault_is_one_call_and_a_failure_with_a_reason(simulator: Recorder, fault: str) -> None:
    timeout = SHORT if fault in ("hang", "drip") else 10.0
    settings = at(simulator.url, f"simulated-fault-{fault}", timeout_seconds=timeout, **PRICES)

    attempt = await asked(settings)

    worst = worst_case_micros(len(simulator.bodies[0]), settings.max_output_tokens, settings.prices)
    assert (attempt.failure, attempt.status, attempt.is_unknown) == AFTER[fault]
    assert (attempt.cost_micros == worst) == attempt.is_unknown
    assert len(simulator.bodies) == 1
    assert bool(attempt.complaints) == (attempt.failure == "unusable_output")


async def test_a_good_answer_is_kept_with_all_that_the_provider_told(simulator: Recorder) -> None:
    async with client(at(simulator.url, **PRICES)) as made:
        attempt = await ask(made.model, call(made.endpoint))
        reading = made.model.read(entry(), attempt)

    assert reading.value == Facts.model_validate({"city": None, "amount": "12.50"})
    told = json.loads(attempt.response)
    assert (attempt.response_id, attempt.model_answered) == (told["id"], "simulated-fast")
    assert (attempt.system_fingerprint, attempt.finish_reason) == ("simulated", "stop")
    assert attempt.usage.input_tokens == told["usage"]["prompt_tokens"]
    assert attempt.cost_micros == attempt.usage.input_tokens + 2 * attempt.usage.output_tokens
    assert (attempt.alias, attempt.model_asked) == ("fast", "simulated-fast")


async def test_without_prices_nobody_knows_the_cost_of_a_call(simulator: Recorder) -> None:
    good = await asked(at(simulator.url))
    unknown = await asked(at(simulator.url, "simulated-fault-no_usage"))

    assert (good.cost_micros, good.is_unknown) == (None, False)
    assert (unknown.cost_micros, unknown.is_unknown) == (None, True)


# --- what is sent ---


async def test_the_stable_part_comes_first_and_is_the_same_bytes_for_every_event(simulator: Recorder) -> None:
    async with client(at(simulator.url)) as made:
        for number, text in enumerate([TEXT, "Another city: Iona", TEXT * 20]):
            await ask(made.model, call(made.endpoint, text, id=f"note-{number}"))
        await ask(made.model, call(made.endpoint, step=1, complaints=("city: too long",)))

    common = os.path.commonprefix([body.decode() for body in simulator.bodies])  # noqa: RUF071
    first = json.loads(simulator.bodies[0])
    system = json.dumps(first["messages"][0]["content"], ensure_ascii=False)
    assert list(first) == ["model", "max_tokens", "response_format", "messages"]
    assert common.endswith(
        f'"messages":[{{"role":"system","content":{system}}},{{"role":"user","content":"<<<DOCUMENT '
    )
    assert [message["role"] for message in first["messages"]] == ["system", "user"]


async def test_the_schema_is_strict_and_every_field_is_required(simulator: Recorder) -> None:
    await asked(at(simulator.url))

    described = json.loads(simulator.bodies[0])["response_format"]["json_schema"]
    assert described["strict"] is True
    assert described["schema"]["required"] == ["city", "amount"]
    assert described["schema"]["additionalProperties"] is False


@pytest.mark.parametrize(
    "text",
    [TEXT, 'quotes " and \\ backslashes', "NUL \0 and \x1b and \u2028", "naïve 東京 🚢", "\ud800 alone", ""],
)
async def test_the_journalled_request_is_the_bytes_that_were_sent(simulator: Recorder, text: str) -> None:
    attempt = await asked(at(simulator.url), text=text, step=1, complaints=('city: "\0" is not allowed',))

    (body,) = simulator.bodies
    assert attempt.request.body == body
    assert attempt.request_sha256 == hashlib.sha256(body).digest()
    assert len(attempt.request.texts) == 2
    messages = json.loads(body)["messages"]
    assert text.encode(errors="replace").decode() in messages[1]["content"]
    assert text not in attempt.request.skeleton.decode() or text == ""


async def test_the_same_event_and_step_are_the_same_bytes_again(simulator: Recorder) -> None:
    """Else a redelivered event could not be told from a new one."""
    settings = at(simulator.url)

    first, again, later = await asked(settings), await asked(settings), await asked(settings, step=1)

    assert first.request == again.request
    assert later.request_sha256 != first.request_sha256


async def test_a_re_ask_carries_the_complaints_and_not_the_answer(simulator: Recorder) -> None:
    await asked(at(simulator.url), step=1, complaints=("city: too long", "amount: not a string"))

    _, document, feedback = json.loads(simulator.bodies[0])["messages"]
    assert TEXT in document["content"]
    assert feedback["role"] == "user"
    assert feedback["content"].endswith("- city: too long\n- amount: not a string")


async def test_after_an_answer_that_was_cut_off_the_limit_is_larger(simulator: Recorder) -> None:
    settings = at(simulator.url, max_output_tokens=100)

    usual, larger = await asked(settings), await asked(settings, larger=True)

    assert [json.loads(body)["max_tokens"] for body in simulator.bodies] == [100, 400]
    assert (usual.larger, larger.larger) == (False, True)


# --- limits ---


@pytest.mark.parametrize("fault", ["drip", "hang"])
async def test_the_deadline_holds_for_the_whole_call(simulator: Recorder, fault: str) -> None:
    """A dripping answer keeps every single read short."""
    began = time.monotonic()

    attempt = await asked(at(simulator.url, f"simulated-fault-{fault}", timeout_seconds=SHORT))

    assert SHORT <= time.monotonic() - began < SHORT + 1.5
    assert SHORT * 1_000 <= attempt.latency_ms < SHORT * 1_000 + 1_500


@pytest.mark.parametrize("fault", ["drip", "hang"])
async def test_the_events_deadline_ends_a_call_before_its_own_does(simulator: Recorder, fault: str) -> None:
    settings = at(simulator.url, f"simulated-fault-{fault}", timeout_seconds=30.0, **PRICES)

    attempt = await asked(settings, timeout=timedelta(seconds=SHORT))

    worst = worst_case_micros(len(simulator.bodies[0]), settings.max_output_tokens, settings.prices)
    assert (attempt.failure, attempt.is_unknown, attempt.cost_micros) == ("deadline", True, worst)
    assert SHORT * 1_000 <= attempt.latency_ms < SHORT * 1_000 + 1_500


async def test_a_call_that_had_all_of_the_deadline_had_time_enough(simulator: Recorder) -> None:
    """Or a deadline below the timeout would keep a hanging endpoint's breaker closed."""
    settings = at(simulator.url, "simulated-fault-hang", timeout_seconds=30.0)
    whole = timedelta(milliseconds=200)

    attempt = await asked(settings, of=entry(workflow(deadline=whole)), timeout=whole)

    assert attempt.failure == "model_timeout"
    assert attempt.latency_ms >= 200


async def test_a_call_that_the_deadline_cut_short_is_not_held_against_the_endpoint(
    simulator: Recorder,
) -> None:
    async with client(at(simulator.url, "simulated-fault-hang", timeout_seconds=30.0)) as made:
        for step in range(MAX_FAILURES):
            await ask(made.model, call(made.endpoint, step=step, timeout=timedelta(milliseconds=100)))

        assert made.model.room("fast") is not None


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    while True:
        await response.write(b" " * 65_536)


async def test_an_answer_without_an_end_is_cut_at_the_cap() -> None:
    app = web.Application()
    app.router.add_post("/v1/chat/completions", endless)

    async with recording(app) as server:
        attempt = await asked(at(server.url, max_response_bytes=100_000, timeout_seconds=30.0))

    assert attempt.failure == "unusable_output"
    assert attempt.complaints == ("the answer is far too long",)
    assert attempt.response == b""
    assert attempt.latency_ms < 10_000


async def test_an_error_without_an_end_is_read_no_further_than_its_beginning() -> None:
    written = 0

    async def fail(request: web.Request) -> web.StreamResponse:
        nonlocal written
        response = web.StreamResponse(status=503, headers={"Content-Type": "application/json"})
        await response.prepare(request)
        while True:
            await response.write(b" " * 65_536)
            written += 65_536

    app = web.Application()
    app.router.add_post("/v1/chat/completions", fail)

    async with recording(app) as server:
        attempt = await asked(at(server.url, timeout_seconds=3.0))

    assert (attempt.failure, attempt.status) == ("model_unavailable", 503)
    assert written < 50_000_000


async def test_an_answer_as_long_as_the_cap_is_read(simulator: Recorder) -> None:
    long = await asked(at(simulator.url, "simulated-fault-huge", max_response_bytes=20_000_000))

    assert long.complaints != ("the answer is far too long",)
    assert len(long.response) > 5_000_000


async def test_a_connection_that_was_never_made_is_not_charged() -> None:
    async with recording() as server:
        gone = at(server.url, **PRICES)

    attempt = await asked(gone)

    assert (attempt.failure, attempt.is_unknown, attempt.cost_micros) == ("model_unavailable", False, None)


async def test_a_cancelled_call_comes_back_as_an_attempt_at_its_worst_case(simulator: Recorder) -> None:
    settings = at(simulator.url, "simulated-fault-hang", **PRICES)
    async with client(settings) as made:
        task = asyncio.create_task(ask(made.model, call(made.endpoint)))
        await simulator.asked.wait()
        task.cancel()
        attempt = await task

    worst = worst_case_micros(len(simulator.bodies[0]), settings.max_output_tokens, settings.prices)
    assert (attempt.failure, attempt.is_unknown, attempt.cost_micros) == ("cancelled", True, worst)


# --- what the server says ---


def saying(status: int = 200, headers: dict[str, str] | None = None, **body: Any) -> web.Application:
    async def say(_: web.Request) -> web.Response:
        return web.json_response(body, status=status, headers=headers)

    app = web.Application()
    app.router.add_post("/v1/chat/completions", say)
    return app


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("1.5", 1.5), ("0", 0.0), ("-1", None), ("inf", None), ("nan", None), ("soon", None), ("", None)],
)
async def test_a_retry_after_that_is_a_number_of_seconds_is_read(said: str, seconds: float | None) -> None:
    async with recording(saying(429, {"Retry-After": said})) as server:
        attempt = await asked(at(server.url))

    assert (attempt.failure, attempt.retry_after_seconds) == ("model_rate_limited", seconds)


@pytest.mark.parametrize(
    ("date", "seconds"),
    [
        ({}, 90.0),
        ({"Date": "Sat, 14 Mar 2026 09:31:10 GMT"}, 20.0),
        ({"Date": "Sat, 14 Mar 2026 11:00:00 GMT"}, 0.0),
        ({"Date": "yesterday"}, 90.0),
    ],
)
def test_a_retry_after_that_is_a_date_counts_from_the_servers_own(
    date: dict[str, str], seconds: float
) -> None:
    headers = httpx2.Headers({"Retry-After": "Sat, 14 Mar 2026 09:31:30 GMT", **date})

    assert retry_after_seconds(headers, now=datetime(2026, 3, 14, 9, 30, tzinfo=UTC)) == seconds


async def test_a_retry_after_that_is_a_date_is_read() -> None:
    refusal = {"Date": "Sat, 14 Mar 2026 09:30:00 GMT", "Retry-After": "Sat, 14 Mar 2026 12:30:00 GMT"}
    async with recording(saying(429, refusal)) as server:
        attempt = await asked(at(server.url))

    assert attempt.retry_after_seconds == 3 * 3600


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        (403, "model_misconfigured"),
        (408, "model_timeout"),
        (409, "model_unavailable"),
        (413, "request_rejected"),
        (422, "request_rejected"),
        (502, "model_unavailable"),
        (402, "quota_exhausted"),
        (529, "model_unavailable"),
    ],
)
async def test_other_statuses_have_their_reasons_too(status: int, failure: str) -> None:
    async with recording(saying(status, error={"message": "no"})) as server:
        attempt = await asked(at(server.url))

    assert (attempt.failure, attempt.status) == (failure, status)
    assert len(server.bodies) == 1


async def test_cached_tokens_are_read_and_cost_less() -> None:
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    completion: dict[str, Any] = {
        "id": "c-1",
        "object": "chat.completion",
        "created": 0,
        "model": "other-than-asked",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": '{"city": null, "amount": null}'},
            }
        ],
        "usage": {**usage, "prompt_tokens_details": {"cached_tokens": 60}},
    }
    async with recording(saying(**completion)) as server:
        attempt = await asked(at(server.url, **PRICES))

    assert attempt.usage == Usage(100, 10, 60)
    assert attempt.cost_micros == 40 + 30 + 20
    assert (attempt.model_asked, attempt.model_answered) == ("simulated-fast", "other-than-asked")


async def test_an_event_cannot_make_the_server_answer_for_another_version(simulator: Recorder) -> None:
    """Skeletons are kept by version: a new prompt is a new request."""
    other = entry(workflow(prompt="Find the town."), version="6" * 64)
    async with client(at(simulator.url)) as made:
        await ask(made.model, call(made.endpoint))
        await ask(made.model, call(made.endpoint, of=other))

    said = [json.loads(body)["messages"][0]["content"] for body in simulator.bodies]
    assert ["Find the city" in one for one in said] == [True, False]
    assert ["Find the town." in one for one in said] == [False, True]


# --- the breaker ---


async def refused(made: Client) -> bool:
    return await made.model.admit(made.model.prepare(call(made.endpoint))) is None


async def test_five_failures_close_the_way_to_an_endpoint_and_nobody_calls_it(simulator: Recorder) -> None:
    async with client(at(simulator.url, "simulated-fault-500")) as made:
        for _ in range(4):
            await ask(made.model, call(made.endpoint))
        assert not await refused(made)
        await ask(made.model, call(made.endpoint))

        assert await refused(made)
        assert made.model.rungs(["fast"])[0].endpoints == ()
        assert made.model.room("fast") is None


async def test_a_key_that_is_refused_closes_the_way_at_once(simulator: Recorder) -> None:
    async with client(at(simulator.url, "simulated-fault-401")) as made:
        await ask(made.model, call(made.endpoint))

        assert await refused(made)


async def test_a_call_under_way_takes_room(simulator: Recorder) -> None:
    async with client(at(simulator.url, "simulated-fault-hang", slots=3)) as made:
        task = asyncio.create_task(ask(made.model, call(made.endpoint)))
        await simulator.asked.wait()
        assert made.model.room("fast") == 2

        task.cancel()
        await task
        assert made.model.room("fast") == 3
