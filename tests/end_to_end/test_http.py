"""420 receipts by signed webhooks, and one by a token: sent over HTTP, read by kcat."""

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import pytest
from standardwebhooks import Webhook

from tests.end_to_end.receipts import NUMBER, LabelledReceipt, labelled
from tests.end_to_end.stack import AUDIT, Stack
from tests.end_to_end.web import call_json
from tests.signing import STANDARD_SECRET

SCANNED: Final = "receipts.scanned.v1"
EXTRACTED: Final = "receipts.extracted.v1"


@pytest.fixture
def stack(running: Stack) -> Stack:
    running.script()
    running.begin()
    return running


def signed(id: str, body: Mapping[str, Any]) -> dict[str, str]:
    now = int(time.time())
    signature = Webhook(STANDARD_SECRET).sign(id, datetime.fromtimestamp(now, UTC), json.dumps(body))
    return {"webhook-id": id, "webhook-timestamp": str(now), "webhook-signature": signature}


def test_420_receipts_by_signed_webhooks_come_out_once_each(stack: Stack) -> None:
    receipts: Sequence[LabelledReceipt] = labelled()
    stack.script(*(receipt.rule for receipt in receipts))

    def hook(receipt: LabelledReceipt) -> tuple[int, str]:
        status, told = call_json(
            stack.api_port, "/webhooks/scanner", receipt.data, signed(receipt.id, receipt.data)
        )
        return status, told.get("event_id", "")

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(hook, receipts))
    stack.wait_until_done(NUMBER)

    assert {status for status, _ in answers} == {202}
    extracted = stack.messages(EXTRACTED)
    assert Counter(message.body["id"] for message in extracted) == Counter(one.id for one in receipts)
    right = {receipt.id: dict(receipt.answer) for receipt in receipts}
    for message in extracted:
        assert message.body["data"] == right[message.body["id"]]
        assert message.body["source"] == "scanner"
        assert message.key == message.body["event_id"]
    results = stack.rows(
        "SELECT event_id, state FROM result WHERE event_id = ANY(%s)", [UUID(id) for _, id in answers]
    )
    assert Counter(row["state"] for row in results) == Counter(succeeded=NUMBER)
    assert stack.new_on(AUDIT) == NUMBER
    assert stack.stats["in_flight"] == 0


def test_a_webhook_that_comes_again_or_is_forged_changes_nothing(stack: Stack) -> None:
    body = {"text": "Corner Books\nTotal: 8.99"}
    before = call_json(stack.api_port, "/webhooks/scanner", body, signed("hook-1", body))

    again = call_json(stack.api_port, "/webhooks/scanner", body, signed("hook-1", body))
    forged = call_json(stack.api_port, "/webhooks/scanner", {"text": "Total: 9000"}, signed("hook-2", body))
    stack.wait_until_done(1)

    assert before[0] == 202
    assert again == (200, {"status": "duplicate", "event_id": before[1]["event_id"]})
    assert forged[0] == 401


def test_a_sender_with_a_token_sends_and_a_viewer_sees_what_became_of_it(stack: Stack) -> None:
    def token(role: str) -> dict[str, str]:
        made = json.loads(stack.run("token", "new", f"tests-{role}", "--role", role, "--json"))
        return {"Authorization": f"Bearer {made['token']}"}

    body = {"text": "Corner Books\n88 Mill Road\nDate: 21 Nov 2019\nTotal: 8.99"}
    key = {"Idempotency-Key": "sent-1"}
    status, told = call_json(stack.api_port, f"/topics/{SCANNED}/events", body, {**token("sender"), **key})
    stack.wait_until_done(1)
    event = f"/events/{told['event_id']}"
    seen = call_json(stack.api_port, event, headers=token("viewer"))

    assert status == 202
    assert call_json(stack.api_port, event)[0] == 401
    assert seen[0] == 200
    assert seen[1]["state"] == "succeeded"
    (message,) = stack.messages(EXTRACTED)
    assert (message.body["source"], message.body["id"]) == ("http:tests-sender", "sent-1")
