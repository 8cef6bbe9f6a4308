"""What comes in by Kafka besides good events, and the topics that each outcome leaves by."""

import base64
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from infra import samples
from infra.simulator.script import text_hash
from tests.end_to_end import kcat
from tests.end_to_end.stack import AUDIT, Stack

SCANNED: Final = "receipts.scanned.v1"
EXTRACTED: Final = "receipts.extracted.v1"
DEAD: Final = f"{SCANNED}.dead"
SHOP: Final = {
    "company": {"quote": "Corner Books", "value": "Corner Books"},
    "date": {"quote": "2019-11-21", "value": "2019-11-21"},
    "address": None,
    "total": {"quote": "Total: 8.99", "value": "8.99"},
}
NOTHING: Final = dict.fromkeys(SHOP)


@pytest.fixture
def stack(running: Stack) -> Stack:
    running.script({"sha256": "*", "answer": SHOP})
    running.begin()
    return running


def paper(word: str) -> str:
    """A receipt that says what SHOP says, and a word of its own."""
    return f"Corner Books\n{word}\n2019-11-21\nTotal: 8.99"


def envelope(id: str, text: str) -> dict[str, Any]:
    """A CloudEvent in structured mode."""
    attributes = {"specversion": "1.0", "id": id, "source": "tests/scanner", "type": "receipt.scanned"}
    return {**attributes, "datacontenttype": "application/json", "data": {"text": paper(text)}}


def binary(id: str) -> Mapping[str, str]:
    """The headers of the same CloudEvent in binary mode."""
    names = ("specversion", "id", "source", "type")
    return {"content-type": "application/json"} | {f"ce_{name}": envelope(id, "")[name] for name in names}


def dead_by_key(stack: Stack, topic: str = DEAD) -> dict[str, dict[str, Any]]:
    return {message.key: message.body for message in stack.messages(topic)}


def test_bytes_that_are_no_event_go_to_the_dead_topic_as_they_came(stack: Stack, tmp_path: Path) -> None:
    malformed = samples.malformed()

    for one in malformed:
        kcat.produce_bytes(stack.servers, one.topic, one.body, key=one.id, folder=tmp_path)
    # The same key is the same partition: it goes on behind them.
    stack.send(SCANNED, [(one.id, {"text": paper("a good one")}) for one in malformed])
    stack.wait_until_done(2 * len(malformed))

    letters = {topic: dead_by_key(stack, f"{topic}.dead") for topic in {one.topic for one in malformed}}
    for one in malformed:
        letter = letters[one.topic][one.id]
        assert base64.b64decode(letter["original_base64"]) == one.body, one.id
        assert (letter["outcome"], letter["reason"]) == ("dead", "invalid_event")
        assert letter["source"].startswith("kafka:")
        assert letter["topic"] == one.topic
        place = stack.rows('SELECT partition, "offset" FROM event WHERE event_id = %s', letter["event_id"])
        assert place == [{"partition": letter["partition"], "offset": letter["offset"]}]
    assert len(stack.messages(EXTRACTED)) == len(malformed)
    assert stack.stats


def test_bytes_too_many_for_a_message_are_kept_and_told_by_their_hash(stack: Stack, tmp_path: Path) -> None:
    body = b"\xff" * 900_000

    kcat.produce_bytes(stack.servers, SCANNED, body, key="large", folder=tmp_path)
    stack.wait_until_done(1)

    letter = dead_by_key(stack)["large"]
    assert letter["original_base64"] is None
    assert letter["original"]["bytes"] == len(body)
    (content,) = stack.rows("SELECT data FROM content WHERE id = %s", letter["original"]["id"])
    assert content["data"] == body


def test_a_cloud_event_is_the_same_event_in_each_mode(stack: Stack, tmp_path: Path) -> None:
    body = json.dumps({"text": paper("a good one")}, indent=2).encode()

    stack.send(SCANNED, [("structured", envelope("mode-1", "a good one"))])
    stack.wait_until_done(1)
    kcat.produce_bytes(stack.servers, SCANNED, body, key="binary", folder=tmp_path, headers=binary("mode-1"))
    kcat.produce_bytes(stack.servers, SCANNED, body, key="binary", folder=tmp_path, headers=binary("mode-2"))
    stack.wait_until_done(2)

    extracted = {message.body["id"]: message for message in stack.messages(EXTRACTED)}
    assert {id: message.key for id, message in extracted.items()} == {
        "mode-1": "structured",
        "mode-2": "binary",
    }
    assert {message.body["source"] for message in extracted.values()} == {"tests/scanner"}
    assert stack.messages(DEAD) == []


def test_an_id_that_comes_again_is_a_duplicate_or_dead(stack: Stack) -> None:
    before = stack.stats["workflows"]["receipts"]["duplicates"]
    good = envelope("again-1", "a good one")

    stack.send(SCANNED, [("first", good)])
    stack.wait_until_done(1)
    stack.send(SCANNED, [("repeat", good), ("other", envelope("again-1", "other data"))])
    stack.wait_until_done(2)

    assert [message.key for message in stack.messages(EXTRACTED)] == ["first"]
    letters = dead_by_key(stack)
    assert list(letters) == ["other"]
    assert letters["other"]["reason"] == "id_reused"
    assert json.loads(base64.b64decode(letters["other"]["original_base64"])) == envelope(
        "again-1", "other data"
    )
    stack.wait_for(lambda: stack.stats["workflows"]["receipts"]["duplicates"] == before + 1, "the duplicate")


def test_each_outcome_leaves_by_its_topics_and_no_other(stack: Stack, tmp_path: Path) -> None:
    answers = {"accept": SHOP, "review": {**SHOP, "total": None}, "reject": NOTHING}
    stack.script(*({"sha256": text_hash(paper(text)), "answer": answer} for text, answer in answers.items()))
    before = Counter(stack.stats["outcomes"])

    stack.send(SCANNED, [(text, {"text": paper(text)}) for text in answers])
    kcat.produce_bytes(stack.servers, SCANNED, b"no event", key="die", folder=tmp_path)
    stack.wait_until_done(4)

    outcomes = Counter(stack.stats["outcomes"]) - before
    assert outcomes == Counter(succeeded=1, needs_review=1, rejected=1, dead=1)
    assert {message.key: message.body["outcome"] for message in stack.messages(EXTRACTED)} == {
        "accept": "succeeded"
    }
    letters = dead_by_key(stack)
    assert {key: (letter["outcome"], letter["reason"]) for key, letter in letters.items()} == {
        "reject": ("rejected", "policy"),
        "die": ("dead", "invalid_event"),
    }
    recorded = {
        message.key: json.loads(message.body["record"])["outcome"] for message in stack.messages(AUDIT)
    }
    assert recorded == {"accept": "succeeded", "review": "needs_review", "reject": "rejected", "die": "dead"}
    waiting = stack.rows("SELECT reasons FROM review JOIN event USING (event_id) WHERE key = %s", b"review")
    assert waiting == [{"reasons": ["the total is missing"]}]
    published = stack.new_on(EXTRACTED), stack.new_on(DEAD), stack.new_on(AUDIT)
    assert published == (1, 2, 4)
