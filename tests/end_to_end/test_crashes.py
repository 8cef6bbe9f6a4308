"""Workers that are killed, events that kill, workers that are asked to stop: nothing is lost or doubled."""

import os
import signal
import time
from collections import Counter
from typing import Any, Final, LiteralString

import pytest

from tests.end_to_end.events import ORDERS, ORDERS_READ, order
from tests.end_to_end.stack import Stack

NUMBER: Final = 420
SLOW: Final = {"sha256": "*", "latency_ms": 1_000}
ENDLESS: Final = {"sha256": "*", "latency_ms": 50_000}
#: 420 calls of a second take seven seconds.
SLOTS: Final = {"PENSTOCK_WORKER__SLOTS": "64", "PENSTOCK_WORKER__LANE_SLOTS": "64"}
HELD: LiteralString = "SELECT count(*) FROM work WHERE token IS NOT NULL"
#: By the sums of days, and by the journal itself; `calls` with those that a crash may have cut off.
SPENT: LiteralString = """
    SELECT sum(calls + lost) AS calls, sum(cost_micros) AS micros, sum(decided) AS decided FROM spend_day
"""
JOURNALLED: LiteralString = """
    SELECT count(*) AS calls, sum(attempt.cost_micros) AS micros,
           count(DISTINCT result.id) AS decided
    FROM attempt LEFT JOIN result USING (event_id, revision)
"""


@pytest.fixture
def stack(shaken: Stack) -> Stack:
    """Everything but a worker."""
    shaken.kill("worker")
    shaken.ensure("simulator", "ingest", "relay", "sweep")
    shaken.script()
    shaken.begin()
    return shaken


def send_orders(stack: Stack, series: str, number: int = NUMBER) -> None:
    orders = [f"{series}-{index}" for index in range(number)]
    stack.send(ORDERS, [(id, order(id)) for id in orders])


def results(stack: Stack, series: str) -> list[dict[str, Any]]:
    """The results of a series, each with the id of its event."""
    query: LiteralString = "SELECT * FROM result JOIN event USING (event_id) WHERE source_id LIKE %s"
    return stack.rows(query, f"{series}-%")


def attempts(stack: Stack, series: str) -> list[dict[str, Any]]:
    """The calls for a series, each with the id of its event."""
    query: LiteralString = "SELECT * FROM attempt JOIN event USING (event_id) WHERE source_id LIKE %s"
    return stack.rows(query, f"{series}-%")


def wait_until_decided(stack: Stack, series: str, number: int) -> None:
    stack.wait_for(lambda: len(results(stack, series)) >= number, f"{number} decisions")


def check_each_once(stack: Stack, series: str, number: int = NUMBER) -> None:
    """One result of each event, one message by its id, one answer that was paid for; sums that say so."""
    ids = Counter(f"{series}-{index}" for index in range(number))
    assert Counter(row["source_id"] for row in results(stack, series)) == ids
    assert {row["state"] for row in results(stack, series)} == {"succeeded"}
    answers = [row["source_id"] for row in attempts(stack, series) if row["failure"] is None]
    assert Counter(answers) == ids
    sent = {(message.body["id"], message.headers["ce_id"]) for message in stack.messages(ORDERS_READ)}
    assert Counter(id for id, _ in sent) == ids
    assert stack.stats["in_flight"] == 0
    assert stack.rows(SPENT) == stack.rows(JOURNALLED)


def test_a_worker_that_is_killed_loses_and_doubles_nothing(stack: Stack) -> None:
    worker = stack.start("worker", **SLOTS)
    stack.script(SLOW)

    send_orders(stack, "killed")
    wait_until_decided(stack, "killed", 100)
    worker.kill()
    left = stack.count(HELD)
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

    decided = results(stack, "bad")
    assert Counter(row["state"] for row in decided) == Counter(succeeded=999, dead=1)
    (dead,) = [row for row in decided if row["state"] == "dead"]
    assert dead["source_id"] == "bad-500"
    (letter,) = stack.messages(f"{ORDERS}.dead")
    assert (letter.body["id"], letter.body["reason"]) == ("bad-500", "crashed")
    assert Counter(message.body["outcome"] for message in stack.messages(ORDERS_READ)) == Counter(
        succeeded=999
    )
    # The others did not wait for it: nearly all were done while it was still killing.
    assert sum(row["decided_at"] < dead["decided_at"] for row in decided) > 900
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


def test_a_claim_on_its_way_when_the_stop_comes_is_given_back(stack: Stack) -> None:
    waiting: LiteralString = "SELECT count(*) FROM pg_locks WHERE relation = 'work'::regclass AND NOT granted"
    # No lease may run out while the table is locked: that is another story.
    worker = stack.start("worker", PENSTOCK_WORKER__LEASE_SECONDS="30")
    stack.script({"sha256": "*", "latency_ms": 5_000})
    stack.send(ORDERS, [("first", order("claimed-0"))])
    stack.wait_for(lambda: stack.count(HELD) == 1, "a call in flight")
    stack.run("workflow", "pause", "orders")
    stack.send(ORDERS, [(f"claimed-{index}", order(f"claimed-{index}")) for index in range(1, 100)])
    stack.wait_until_accepted(100)

    with stack.connect() as connection:
        connection.execute("LOCK TABLE work IN EXCLUSIVE MODE")  # readers pass, claims and renewals wait
        stack.run("workflow", "resume", "orders")
        stack.wait_for(lambda: stack.count(waiting) >= 2, "the claim to wait")
        worker.popen.terminate()
        time.sleep(1)  # the worker knows by now; had it not known, this test would prove less, not fail
    assert worker.stop() == 0

    left = stack.rows("SELECT token, lease_until, crashes FROM work")
    assert {tuple(row.values()) for row in left} <= {(None, None, 0)}
    stack.script()
    stack.start("worker")
    stack.wait_until_done(100)
    check_each_once(stack, "claimed", 100)


def test_calls_that_outlast_the_stop_are_cancelled_and_given_back(stack: Stack) -> None:
    stack.script(ENDLESS)
    send_orders(stack, "long", 20)
    stack.wait_until_accepted(20)

    worker = stack.start("worker", PENSTOCK_WORKER__GRACE_SECONDS="1")
    stack.wait_for(lambda: stack.count(HELD) == 20, "20 claims")
    assert worker.stop() == 0

    left = stack.rows("SELECT token, lease_until, crashes, faults, waits_for FROM work")
    assert [tuple(row.values()) for row in left] == [(None, None, 0, 0, "cancelled")] * 20
    assert [row["failure"] for row in attempts(stack, "long")] == ["cancelled"] * 20
    stack.script()
    stack.start("worker")
    stack.wait_until_done(20)
    check_each_once(stack, "long", 20)


def test_a_suspect_is_given_back_too(stack: Stack) -> None:
    stack.script(ENDLESS)
    send_orders(stack, "suspect", 3)
    stack.wait_until_accepted(3)
    with stack.connect() as connection:
        connection.execute("UPDATE work SET crashes = 2")

    worker = stack.start("worker", PENSTOCK_WORKER__GRACE_SECONDS="1")
    stack.wait_for(lambda: stack.count(HELD) == 1, "one claim")
    assert worker.stop() == 0

    left = stack.rows("SELECT token, crashes FROM work ORDER BY crashes")
    assert [tuple(row.values()) for row in left] == [(None, 0), (None, 2), (None, 2)]
    stack.script()
    stack.start("worker")
    stack.wait_until_done(3)
    check_each_once(stack, "suspect", 3)
