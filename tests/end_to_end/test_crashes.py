"""Workers that are killed, events that kill, and a worker that is asked to stop: nothing is lost or doubled."""

import os
import signal
import time
from collections import Counter
from typing import Any, Final

import pytest

from tests.end_to_end.stack import Stack

ORDERS: Final = "acme.orders.v1"
READ: Final = "acme.orders.read.v1"
NUMBER: Final = 420
SLOW: Final = {"sha256": "*", "latency_ms": 1_000}
#: 420 calls of a second take seven seconds.
SLOTS: Final = {"PENSTOCK_WORKER__SLOTS": "64", "PENSTOCK_WORKER__LANE_SLOTS": "64"}


@pytest.fixture
def stack(shaken: Stack) -> Stack:
    """Everything but a worker."""
    shaken.kill("worker")
    shaken.ensure("simulator", "ingest", "relay", "sweep")
    shaken.script()
    shaken.begin()
    return shaken


def order(id: str, *, deadly: bool = False) -> dict[str, Any]:
    attributes = {"specversion": "1.0", "id": id, "source": "tests/shop", "type": "order.placed"}
    return {**attributes, "data": {"text": f"Order {id}. Total: 12.50", "deadly": deadly}}


def send_orders(stack: Stack, series: str, number: int = NUMBER) -> None:
    orders = [f"{series}-{index}" for index in range(number)]
    stack.send(ORDERS, [(id, order(id)) for id in orders])


def wait_until_decided(stack: Stack, series: str, number: int) -> None:
    query = "SELECT count(*) FROM result JOIN event USING (event_id) WHERE source_id LIKE %s"
    stack.wait_for(lambda: stack.count(query, f"{series}-%") >= number, f"{number} decisions")


def check_each_once(stack: Stack, series: str, number: int = NUMBER) -> None:
    """One result of each event, one message by its id, one answer that was paid for."""
    ids = Counter(f"{series}-{index}" for index in range(number))
    pattern = f"{series}-%"
    results = stack.rows(
        "SELECT source_id, state FROM result JOIN event USING (event_id) WHERE source_id LIKE %s", pattern
    )
    assert Counter(row["source_id"] for row in results) == ids
    assert {row["state"] for row in results} == {"succeeded"}
    answers = stack.rows(
        "SELECT source_id FROM attempt JOIN event USING (event_id) WHERE source_id LIKE %s AND failure IS NULL",
        pattern,
    )
    assert Counter(row["source_id"] for row in answers) == ids
    sent = {(message.body["id"], message.headers["ce_id"]) for message in stack.messages(READ)}
    assert Counter(id for id, _ in sent) == ids
    assert stack.stats["in_flight"] == 0


def test_a_worker_that_is_killed_loses_and_doubles_nothing(stack: Stack) -> None:
    worker = stack.start("worker", **SLOTS)
    stack.script(SLOW)

    send_orders(stack, "killed")
    wait_until_decided(stack, "killed", 100)
    worker.kill()
    left = stack.count("SELECT count(*) FROM work WHERE token IS NOT NULL")
    stack.script()
    stack.start("worker")
    stack.wait_until_done(NUMBER)

    assert left > 0
    check_each_once(stack, "killed")


def test_a_supervisor_starts_a_killed_worker_again(stack: Stack) -> None:
    worker = stack.start("worker", **SLOTS)
    stack.script(SLOW)

    send_orders(stack, "child")
    wait_until_decided(stack, "child", 100)
    (child,) = worker.children
    os.kill(child, signal.SIGKILL)
    stack.script()
    stack.wait_until_done(NUMBER)

    assert worker.is_running
    assert child not in worker.children
    check_each_once(stack, "child")


def test_an_event_that_kills_its_process_ends_alone(stack: Stack) -> None:
    worker = stack.start("worker")
    orders = [(f"bad-{index}", order(f"bad-{index}", deadly=index == 500)) for index in range(1_000)]

    stack.send(ORDERS, orders)
    stack.wait_until_done(1_000, seconds=90)

    results = stack.rows(
        "SELECT source_id, state, decided_at FROM result JOIN event USING (event_id) WHERE source_id LIKE 'bad-%%'"
    )
    assert Counter(row["state"] for row in results) == Counter(succeeded=999, dead=1)
    (dead,) = [row for row in results if row["state"] == "dead"]
    assert dead["source_id"] == "bad-500"
    (letter,) = stack.messages(f"{ORDERS}.dead")
    assert (letter.body["id"], letter.body["reason"]) == ("bad-500", "crashed")
    assert Counter(message.body["outcome"] for message in stack.messages(READ)) == Counter(succeeded=999)
    # The others did not wait for it: nearly all were done while it was still killing.
    assert sum(row["decided_at"] < dead["decided_at"] for row in results) > 900
    assert worker.is_running
    assert stack.stats["in_flight"] == 0


def test_a_worker_that_is_asked_to_stop_ends_its_calls(stack: Stack) -> None:
    worker = stack.start("worker", **SLOTS)
    stack.script(SLOW)

    send_orders(stack, "asked")
    wait_until_decided(stack, "asked", 100)
    asked = time.monotonic()
    code = worker.stop()
    took = time.monotonic() - asked

    assert (code, took < 30) == (0, True)
    left = stack.rows("SELECT token, lease_until, crashes FROM work")
    assert 0 < len(left) < NUMBER
    assert {tuple(row.values()) for row in left} == {(None, None, 0)}
    stack.script()
    stack.start("worker")
    stack.wait_until_done(NUMBER)
    check_each_once(stack, "asked")


def test_calls_that_outlast_the_stop_are_cancelled_and_given_back(stack: Stack) -> None:
    worker = stack.start("worker", PENSTOCK_WORKER__GRACE_SECONDS="1")
    stack.script({"sha256": "*", "latency_ms": 50_000})

    send_orders(stack, "long", 20)
    stack.wait_for(
        lambda: stack.count("SELECT count(*) FROM work WHERE token IS NOT NULL") == 20, "20 claims"
    )
    assert worker.stop() == 0

    left = stack.rows("SELECT token, lease_until, crashes, faults, waits_for FROM work")
    assert [tuple(row.values()) for row in left] == [(None, None, 0, 0, "cancelled")] * 20
    cancelled = "SELECT count(*) FROM attempt JOIN event USING (event_id) WHERE source_id LIKE 'long-%%' AND failure = 'cancelled'"
    assert stack.count(cancelled) == 20
    stack.script()
    stack.start("worker")
    stack.wait_until_done(20)
    check_each_once(stack, "long", 20)
