"""An ordered workflow: many accounts at once, each account's entries one after the other."""

import random
from collections import defaultdict
from datetime import datetime
from itertools import pairwise
from typing import Final

import pytest

from infra.simulator.script import text_hash
from tests.end_to_end.events import LEDGER, LEDGER_POSTED, entry
from tests.end_to_end.stack import Stack

ACCOUNTS: Final = 12
ENTRIES: Final = 15


@pytest.fixture
def stack(shaken: Stack) -> Stack:
    shaken.ensure("simulator", "ingest", "worker", "relay", "sweep")
    shaken.script()
    shaken.begin()
    return shaken


def test_entries_of_an_account_come_out_in_the_order_they_went_in(stack: Stack) -> None:
    draw = random.Random(7)  # noqa: S311 - the same latencies in every run
    sent = [
        (f"account-{account}", f"{account}/{number}")
        for number in range(ENTRIES)
        for account in range(ACCOUNTS)
    ]
    # Later entries are often answered faster than earlier ones.
    stack.script(
        *(
            {"sha256": text_hash(entry(id)["data"]["text"]), "latency_ms": draw.choice((1, 50, 400))}
            for _, id in sent
        )
    )

    stack.start("worker")  # a second one
    stack.send(LEDGER, [(key, entry(id)) for key, id in sent])
    stack.wait_until_done(len(sent))

    posted: defaultdict[str, list[str]] = defaultdict(list)
    for message in sorted(stack.messages(LEDGER_POSTED), key=lambda message: message.offset):
        posted[message.key].append(message.body["id"])
    wanted: defaultdict[str, list[str]] = defaultdict(list)
    for key, id in sent:
        wanted[key].append(id)
    assert posted == wanted
    assert calls_at_once(stack) > 1
    assert stack.stats["in_flight"] == 0


def calls_at_once(stack: Stack) -> int:
    """The most calls that were in flight at one moment, after checking that no account had two."""
    calls = stack.rows(
        "SELECT key, started_at AS began, started_at + latency_ms * interval '1 ms' AS ended"
        " FROM attempt JOIN event USING (event_id) WHERE topic = %s AND source_id LIKE '%%/%%'",
        LEDGER,
    )
    for key in {call["key"] for call in calls}:
        own = sorted((call["began"], call["ended"]) for call in calls if call["key"] == key)
        assert all(ended <= began for (_, ended), (began, _) in pairwise(own)), key
    spans: list[tuple[datetime, datetime]] = [(call["began"], call["ended"]) for call in calls]
    return max(sum(began <= moment < ended for began, ended in spans) for moment, _ in spans)
