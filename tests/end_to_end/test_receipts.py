"""420 receipts by Kafka: sent by kcat, read by kcat, looked up in SQL."""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from typing import Final
from uuid import UUID

import pytest
import rfc8785

from pipeline.workflows.receipts import Receipt
from schemas.messages import ResultMessage
from tests.end_to_end import places
from tests.end_to_end.kcat import Message
from tests.end_to_end.receipts import NUMBER, LabelledReceipt, labelled
from tests.end_to_end.stack import AUDIT, Stack

SCANNED: Final = "receipts.scanned.v1"
EXTRACTED: Final = "receipts.extracted.v1"
DEAD: Final = "receipts.scanned.v1.dead"
TRACE: Final = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def stack(running: Stack) -> Stack:
    running.begin()
    return running


@pytest.fixture(scope="module")
def receipts() -> Sequence[LabelledReceipt]:
    return labelled()


def test_420_receipts_come_out_once_each(stack: Stack, receipts: Sequence[LabelledReceipt]) -> None:
    stack.script(*(receipt.rule for receipt in receipts))

    stack.send(SCANNED, [(receipt.id, receipt.data) for receipt in receipts], {"traceparent": TRACE})
    stack.wait_until_done(NUMBER)

    extracted = stack.messages(EXTRACTED)
    assert Counter(message.key for message in extracted) == Counter(receipt.id for receipt in receipts)
    assert stack.messages(DEAD) == []
    right = {receipt.id: dict(receipt.answer) for receipt in receipts}
    for message in extracted:
        assert message.body["data"] == right[message.key]
        check_headers(message)
    check_rows(stack, extracted)
    check_audit(stack, extracted)
    check_offsets(stack)
    assert stack.stats["workflows"]["receipts"]["in_flight"] == 0


def check_headers(message: Message) -> None:
    body = ResultMessage[Receipt].model_validate_json(message.value)
    headers = message.headers
    assert headers["ce_specversion"] == "1.0"
    assert headers["ce_id"] == headers["id"]
    assert headers["ce_source"] == "penstock"
    assert headers["ce_type"] == headers["type"] == "penstock.result"
    assert headers["ce_subject"] == str(body.event_id)
    assert headers["ce_dataschema"] == headers["schema"] == f"penstock:contracts/{EXTRACTED}.json"
    assert headers["content-type"] == "application/json"
    assert headers["traceparent"] == TRACE


def ids(messages: Sequence[Message]) -> list[UUID]:
    return [UUID(message.body["event_id"]) for message in messages]


def check_rows(stack: Stack, extracted: Sequence[Message]) -> None:
    """One result of each event, and it is what was published."""
    query = "SELECT event_id, revision, state, data, version FROM result WHERE event_id = ANY(%s)"
    results = stack.rows(query, ids(extracted))
    by_event = {row["event_id"]: row for row in results}
    assert len(results) == len(by_event) == len(extracted)
    for message in extracted:
        row = by_event[UUID(message.body["event_id"])]
        assert (row["revision"], row["state"]) == (1, "succeeded")
        assert (row["data"], row["version"]) == (message.body["data"], message.body["version"])


def check_audit(stack: Stack, extracted: Sequence[Message]) -> None:
    """One record of each event, in SQL and on the topic, whose bytes give the leaf that is told."""
    told = {message.body["id"]: message for message in stack.messages(AUDIT)}
    query = "SELECT id, event_id, canonical, leaf FROM audit_record WHERE event_id = ANY(%s)"
    records = stack.rows(query, ids(extracted))
    assert len(records) == len(told) == len(extracted)
    leaves = {}
    for record in records:
        body = told[str(record["id"])].body
        canonical = body["record"].encode()
        assert canonical == record["canonical"] == rfc8785.dumps(json.loads(canonical))
        leaf = hashlib.sha256(b"\0" + canonical).digest()
        assert leaf == record["leaf"] == bytes.fromhex(body["leaf"])
        leaves[str(record["event_id"])] = leaf.hex()
    assert all(message.headers["audit_leaf"] == leaves[message.body["event_id"]] for message in extracted)


def check_offsets(stack: Stack) -> None:
    """The group has passed everything that was sent."""

    def passed() -> bool:
        standing = places.committed(stack.servers, stack.group)
        ends = places.ends(stack.servers)
        return all(standing[place] == end for place, end in ends.items() if place[0] == SCANNED)

    stack.wait_for(passed, "the offsets to be committed")
