"""Relays that are killed and relays that wait: every message goes out, a repeat under its old id."""

from collections import Counter
from typing import Final

import pytest

from tests.end_to_end.events import LEDGER, LEDGER_POSTED, entry
from tests.end_to_end.process import Process
from tests.end_to_end.stack import Stack

NUMBER: Final = 200


@pytest.fixture
def stack(shaken: Stack) -> Stack:
    """Everything but a relay."""
    shaken.kill("relay")
    shaken.ensure("simulator", "ingest", "worker", "sweep")
    shaken.script()
    shaken.begin()
    return shaken


def send_entries(stack: Stack, series: str) -> list[str]:
    ids = [f"{series}-{index}" for index in range(NUMBER)]
    stack.send(LEDGER, [(id, entry(id)) for id in ids])
    return ids


def test_a_relay_that_is_killed_before_it_marks_publishes_again_under_the_same_ids(stack: Stack) -> None:
    ids = send_entries(stack, "unmarked")
    stack.wait_until_accepted(NUMBER)
    stack.wait_for(lambda: stack.count("SELECT count(*) FROM work") == 0, "the decisions")

    with stack.connect() as connection:
        # While this transaction is open, what Kafka has acknowledged cannot be marked.
        connection.execute("SELECT id FROM outbox WHERE published_at IS NULL FOR UPDATE")
        relay = stack.start("relay")
        stack.wait_for(lambda: stack.new_on(LEDGER_POSTED) >= NUMBER, "the messages to be published")
        relay.kill()
    unmarked = stack.count("SELECT count(*) FROM outbox WHERE published_at IS NULL")
    stack.start("relay")
    stack.wait_until_done(NUMBER)

    assert unmarked == 2 * NUMBER
    posted = stack.messages(LEDGER_POSTED)
    repeats = Counter(message.headers["ce_id"] for message in posted)
    assert (len(repeats), set(repeats.values())) == (NUMBER, {2})
    assert {message.body["id"] for message in posted} == set(ids)


def test_of_two_relays_one_publishes_and_the_other_takes_over(stack: Stack) -> None:
    first = stack.start("relay")
    second = stack.start("relay")

    send_entries(stack, "one")
    stack.wait_until_done(NUMBER)
    stack.wait_for(lambda: published(first) == 2 * NUMBER, "the first relay to have published all")
    assert published(second) == 0
    first.kill()
    send_entries(stack, "two")
    stack.wait_until_done(2 * NUMBER)
    stack.wait_for(lambda: published(second) == 2 * NUMBER, "the second relay to have published the rest")

    posted = [message.headers["ce_id"] for message in stack.messages(LEDGER_POSTED)]
    assert len(posted) == len(set(posted)) == 2 * NUMBER


def published(relay: Process) -> int:
    """How many messages this relay has published, by its own metrics."""
    return sum(
        int(float(line.rpartition(" ")[2]))
        for line in relay.metrics().splitlines()
        if line.startswith("penstock_messages_published_total{")
    )
