"""An auditor's task: from a message downstream to the record that was sealed, by Kafka and two files."""

import base64
import json
from pathlib import Path

from pipeline import checkpoint, note
from pipeline.audit import leaf
from pipeline.merkle import is_included
from pipeline.publish import CHECKPOINT_TOPIC
from tests.end_to_end.stack import Stack

SCANNED = "receipts.scanned.v1"


def test_what_came_out_of_a_topic_is_proved_against_a_checkpoint_from_another(
    running: Stack, tmp_path: Path
) -> None:
    running.ensure("seal")
    running.begin()
    running.script({"sha256": "*", "answer": {"company": "Corner Books", "date": None, "total": "8.99"}})

    running.send(
        SCANNED, [(f"audit-{number}", {"text": f"Corner Books {number} 8.99"}) for number in range(20)]
    )
    running.wait_until_done(20)
    running.wait_for(
        lambda: running.count("SELECT count(*) FROM audit_unsealed") == 0, "everything to be sealed"
    )
    running.wait_for(lambda: running.new_on(CHECKPOINT_TOPIC), "a checkpoint")

    kept = running.messages(CHECKPOINT_TOPIC)
    (tmp_path / "kept").write_text("\n\n".join(one.body["checkpoint"] for one in kept))
    (tmp_path / "keys").write_text(running.run("audit", "key", "list"))
    outside = ("--keys", str(tmp_path / "keys"), "--checkpoint", str(tmp_path / "kept"))
    told = json.loads(running.run("audit", "verify", *outside, "--json"))
    assert (told["ok"], told["unsealed"]) == (True, 0)
    assert told["records"] >= 20

    carried = running.messages("audit.records.v1")[0].headers["audit_leaf"]
    proof = json.loads(running.run("audit", "verify", *outside, "--record", carried, "--json"))
    state = checkpoint.parse(note.parse(proof["checkpoint"]).text)
    path = [base64.b64decode(step) for step in proof["path"]]
    assert leaf(proof["record"].encode()).hex() == carried
    assert is_included(bytes.fromhex(carried), proof["index"], state.size, path, state.root)
