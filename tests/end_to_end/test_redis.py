"""Redis away for a minute: doorbells are lost, so events wait a little longer, and nothing else happens."""

import time
from typing import Any, Final

import pytest

from tests.end_to_end.events import ORDERS, ORDERS_READ, order
from tests.end_to_end.redis_server import Redis
from tests.end_to_end.stack import Stack

AWAY_SECONDS: Final = 60.0
BATCH: Final = 20
LOOK_SECONDS: Final = 15.0


@pytest.fixture
def stack(shaken: Stack) -> Stack:
    """One worker, which looks so rarely that a fast answer is a bell's."""
    shaken.kill("worker")
    shaken.ensure("simulator", "ingest", "relay", "sweep")
    shaken.start("worker", PENSTOCK_WORKER__LOOK_SECONDS=str(LOOK_SECONDS))
    shaken.script()
    shaken.begin()
    return shaken


def orders(series: str) -> list[tuple[str, dict[str, Any]]]:
    return [(series, order(f"{series}-{index}")) for index in range(BATCH)]


def test_a_minute_without_redis_costs_latency_only(stack: Stack, redis: Redis) -> None:
    (worker,) = stack.serving("worker")
    children = worker.children
    redis.stop()
    away = time.monotonic()
    sent = 0

    while time.monotonic() < away + AWAY_SECONDS:
        stack.send(ORDERS, orders(f"away-{sent}"))
        sent += BATCH
        stack.wait_until_done(sent, seconds=LOOK_SECONDS + 10)
    redis.start()
    stack.wait_for(lambda: redis.listeners() > 0, "the worker to listen for bells again", 60)
    # The worker's own looks could answer one of these at most.
    for series in ("back-1", "back-2", "back-3"):
        stack.send(ORDERS, orders(series))
        sent += BATCH
        stack.wait_until_done(sent, seconds=LOOK_SECONDS / 3)

    assert len({message.headers["ce_id"] for message in stack.messages(ORDERS_READ)}) == sent
    assert stack.new_on(ORDERS_READ) == sent
    assert worker.children == children
    assert all(stack.serving(role) for role in ("ingest", "relay", "sweep"))
    assert stack.stats["in_flight"] == 0
