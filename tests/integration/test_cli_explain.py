"""An auditor's task, as the README tells it: from a message on the topic to what led to it, and its proof."""

import base64
import csv
import io
import json
import re
import sqlite3
import subprocess
import sys
from typing import Any
from uuid import UUID

import pytest

from infra import verify_export
from tests.integration.test_cli import Ended, Shell, shell_on
from tests.integration.test_cli_privacy import ANNA, BERT, TOPIC, WORKFLOWS, letter, work

pytestmark = pytest.mark.filterwarnings("ignore:Cyclopts application invoked without tokens")

PRODUCED = "letters.read.v1"


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """Five letters, decided and sealed: two of Anna's, one of Bert's, two of nobody's."""
    folder = tmp_path_factory.mktemp("explained")
    shell = Shell(folder, {**shell_on(folder).variables, "PENSTOCK_WORKFLOWS": WORKFLOWS})
    assert shell.penstock("db", "upgrade").code == 0
    letters = [letter(number, customer) for number, customer in enumerate((ANNA, BERT, ANNA, "", ""))]
    assert shell.penstock("emit", TOPIC, "-", stdin="\n".join(map(json.dumps, letters))).code == 0
    work(shell)
    (folder / "keys").write_text(shell.penstock("audit", "key", "list").out)
    return shell


def published(shell: Shell, source_id: str) -> dict[str, Any]:
    """The message that receivers have of an event."""
    lines = shell.penstock("tail", PRODUCED, "--from-beginning").out.splitlines()
    (found,) = [told for told in map(json.loads, lines) if told["value"]["id"] == source_id]
    return dict(found)


def checked(shell: Shell, export: str, *leaf: str) -> tuple[int, str]:
    """The standalone script, run by somebody who has the export and the keys."""
    (shell.folder / "export.jsonl").write_text(export)
    command = [sys.executable, "-I", verify_export.__file__, "export.jsonl", "keys", *leaf]
    ended = subprocess.run(command, cwd=shell.folder, capture_output=True, text=True, check=False)
    return ended.returncode, ended.stdout


def reads(shell: Shell, event_id: str) -> list[dict[str, Any]]:
    ended = shell.penstock("audit", "list", "--event", event_id, "--kind", "payload_read", "--json")
    return list(ended.json["records"])


def test_an_auditor_proves_what_led_to_a_message(shell: Shell) -> None:
    message = published(shell, "letter-3")
    event_id, leaf = message["value"]["event_id"], message["headers"]["audit_leaf"]

    explained = shell.penstock("audit", "explain", event_id, "--reveal")
    exported = shell.penstock(
        "audit", "export", "--event", event_id, "--kind", "decision", "--format", "proofs", "--reveal"
    )
    proof = shell.penstock("audit", "verify", "--record", leaf, "--json").json

    for told in (
        "Somebody writes letter 3.",  # what came in
        "Say what the letter is about.",  # what was asked
        "judged    good: it fits the schema, and no check complained",
        "because   the policy accepted it",
        f"revision 1 to {PRODUCED}",
    ):
        assert told in explained.out, told
    assert (exported.code, exported.err) == (0, "1 records.\n")
    assert checked(shell, exported.out, leaf)[0] == 0
    record = json.loads(exported.out.splitlines()[1])
    assert record["canonical"] == proof["record"]
    assert proof["leaf"] == leaf
    texts = [json.loads(one) for one in map(text_of, record["contents"]) if one.startswith("{")]
    assert {"customer": "", "text": "Somebody writes letter 3."} in texts
    assert any("choices" in text for text in texts)
    assert any("messages" in text for text in texts)


def test_a_proof_leads_to_the_checkpoint_that_somebody_kept(shell: Shell) -> None:
    leaf = published(shell, "letter-3")["headers"]["audit_leaf"]
    shown = shell.penstock("audit", "show", leaf, "--json").json
    (file,) = shell.folder.glob("*.checkpoints")
    written = re.findall(r"[^\n]+\n\d+\n(?:[^\n]+\n)+\n(?:[^\n]+\n)+", file.read_text())
    kept = next(one for one in written if int(one.split("\n")[1]) > shown["seal"]["place"])
    (shell.folder / "kept").write_text(kept)
    (shell.folder / "forged").write_text(kept.replace("\nsealed 2", "\nsealed 3"))

    export = shell.penstock("audit", "export", "--format", "proofs", "--checkpoint", "kept")
    proof = shell.penstock("audit", "verify", "--record", leaf, "--checkpoint", "kept", "--json").json
    refused = shell.penstock("audit", "export", "--format", "proofs", "--checkpoint", "forged")

    assert shown["leaf"] == leaf
    assert json.loads(export.out.splitlines()[0])["checkpoint"] == kept
    assert checked(shell, export.out, leaf)[0] == 0
    assert proof["checkpoint"] == kept
    assert (refused.code, "no checkpoint in it that a trusted key signed" in refused.err) == (2, True)


def text_of(content: dict[str, str]) -> str:
    return base64.b64decode(content["bytes"]).decode()


def test_a_text_that_is_not_the_one_that_was_sealed_is_found(shell: Shell) -> None:
    event_id = published(shell, "letter-3")["value"]["event_id"]
    export = shell.penstock("audit", "export", "--event", event_id, "--format", "proofs", "--reveal").out
    head, line, *rest = export.splitlines(keepends=True)
    forged = json.loads(line)
    forged["contents"][0]["bytes"] = "e30="

    code, told = checked(shell, "".join([head, json.dumps(forged) + "\n", *rest]))

    assert (code, "names no such text" in told) == (1, True)


def test_a_text_or_a_result_that_was_changed_beside_its_record_is_named(shell: Shell) -> None:
    event_id = published(shell, "letter-4")["value"]["event_id"]
    assert "DIFFERS" not in shell.penstock("audit", "explain", event_id).out
    own = UUID(event_id).hex
    with sqlite3.connect(shell.folder / "penstock.db") as connection:
        for table in ("content", "result"):
            connection.execute(f"CREATE TEMPORARY TABLE was_{table} AS SELECT * FROM {table}")
        connection.execute("UPDATE content SET data = x'7b7d' WHERE event_id = ?", (own,))
        connection.execute("""UPDATE result SET data = '{"gist": "other"}' WHERE event_id = ?""", (own,))
        connection.commit()

        told = shell.penstock("audit", "explain", event_id, "--json").json["deviations"]
        silent = shell.penstock("audit", "verify", "--keys", "keys")
        verified = shell.penstock("audit", "verify", "--keys", "keys", "--texts")

        for table in ("content", "result"):
            columns = f"data = (SELECT data FROM was_{table} WHERE was_{table}.id = {table}.id)"
            connection.execute(f"UPDATE {table} SET {columns} WHERE event_id = ?", (own,))
    connection.close()
    assert (silent.code, verified.code) == (0, 1)
    assert f"event {event_id}: the event's text is not what its record names" in verified.out
    assert shell.penstock("audit", "verify", "--keys", "keys", "--texts").code == 0
    assert told == [
        "the event's text",
        "the request of call 1, revision 1",
        "the response of call 1, revision 1",
        "the result of revision 1",
    ]


@pytest.mark.parametrize(
    ("table", "column", "forged", "named"),
    [
        ("result", "reasons", '["so it was decided"]', "the reasons in the result of revision 1"),
        ("result", "decided_at", "2020-01-01T00:00:00.000000Z", "the time of the result of revision 1"),
        ("attempt", "model_answered", "a better one", "the model_answered of call 1, revision 1"),
        ("attempt", "latency_ms", 987_654, "the latency_ms of call 1, revision 1"),
        ("event", "source_id", "another-letter", "the event's id"),
        ("attempt", "text_ids", "[]", "a row of it, which cannot be read"),
    ],
)
def test_what_stands_beside_a_record_and_was_changed_is_named(
    shell: Shell, table: str, column: str, forged: str | int, named: str
) -> None:
    """Not only texts: why, when, by which model and whose; and a row that nobody can read ends nothing."""
    event_id = published(shell, "letter-4")["value"]["event_id"]
    change = f"UPDATE {table} SET {column} = ? WHERE event_id = ?"
    with sqlite3.connect(shell.folder / "penstock.db") as connection:
        own = UUID(event_id).hex
        query = f"SELECT {column} FROM {table} WHERE event_id = ?"
        (before,) = connection.execute(query, (own,)).fetchone()
        connection.execute(change, (forged, own))
        connection.commit()

        verified = shell.penstock("audit", "verify", "--keys", "keys", "--texts")

        connection.execute(change, (before, own))
    connection.close()
    assert verified.code == 1
    assert f"event {event_id}: {named}" in verified.out


def test_an_encrypted_text_that_was_written_over_is_named(shell: Shell) -> None:
    """It does not open, as an erased one; but nobody has erased it."""
    event_id = published(shell, "letter-1")["value"]["event_id"]
    own = UUID(event_id).hex
    change = "UPDATE content SET data = ? WHERE id = (SELECT content_id FROM event WHERE event_id = ?)"
    with sqlite3.connect(shell.folder / "penstock.db") as connection:
        query = "SELECT data FROM content WHERE id = (SELECT content_id FROM event WHERE event_id = ?)"
        (before,) = connection.execute(query, (own,)).fetchone()
        connection.execute(change, (b"forged", own))
        connection.commit()

        verified = shell.penstock("audit", "verify", "--keys", "keys", "--texts")

        connection.execute(change, (before, own))
    connection.close()
    assert verified.code == 1
    assert f"event {event_id}: a text of it, which does not open" in verified.out
    assert shell.penstock("audit", "verify", "--keys", "keys", "--texts").code == 0


def test_texts_are_told_by_their_hashes_until_somebody_reveals_them_on_record(shell: Shell) -> None:
    event_id = published(shell, "letter-4")["value"]["event_id"]

    plain = shell.penstock("audit", "explain", event_id)
    assert "letter 4" not in plain.out
    assert reads(shell, event_id) == []
    shown = shell.penstock("audit", "explain", event_id, "--reveal", "--json").json

    assert "letter 4" in shown["came_in"]["content"]["text"]
    (record,) = reads(shell, event_id)
    assert record["actor"].startswith("os:")
    assert shell.penstock("audit", "show", record["id"], "--json").json["record"]["contents"]


def test_list_count_and_export_find_the_same_records(shell: Shell) -> None:
    for filters in (
        (),
        ("--workflow", "letters"),
        ("--outcome", "needs_review"),
        ("--actor", "penstock/"),
        ("--text", "LETTER-2"),
        ("--kind", "configuration"),
        ("--since", "2030-01-01"),
    ):
        listed = shell.penstock("audit", "list", "--limit", "1000", "--json", *filters).json
        lines = shell.penstock("audit", "export", *filters).out.splitlines()
        table = shell.penstock("audit", "export", "--format", "csv", *filters).out

        ids = [one["id"] for one in listed["records"]]
        assert sorted(json.loads(line)["id"] for line in lines) == sorted(ids), filters
        assert [row["id"] for row in csv.DictReader(io.StringIO(table))] == [*reversed(ids)], filters
        assert (listed["count"], listed["next"]) == (len(ids), None)


def test_a_page_goes_on_behind_the_last(shell: Shell) -> None:
    whole = shell.penstock("audit", "list", "--json").json["records"]
    first = shell.penstock("audit", "list", "--limit", "2", "--json").json
    second = shell.penstock("audit", "list", "--limit", "2", "--after", first["next"], "--json").json

    assert [*first["records"], *second["records"]] == whole[:4]


def test_a_start_with_other_settings_is_on_record_and_one_with_the_same_is_not(shell: Shell) -> None:
    def changes() -> list[dict[str, Any]]:
        found = shell.penstock("audit", "list", "--kind", "configuration", "--json").json["records"]
        return [shell.penstock("audit", "show", one["id"], "--json").json["record"] for one in found]

    (first,) = changes()
    assert (first["process"], first["actor"]["kind"]) == ("dev", "service")
    assert first["changed"]["PENSTOCK_WORKFLOWS"] == {"from": None, "to": WORKFLOWS}


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("export", "--reveal"), 2, "add --format proofs"),
        (("list", "--after", "yesterday"), 2, "take what `--json` gives as next"),
        (("list", "--field", "city"), 2, "write NAME=VALUE"),
        (("list", "--kind", "reading"), 2, "payload_read"),
        (("list", "--outcome", "deed"), 2, "needs_review"),
        (("explain", "nobody"), 3, "nobody"),
        (("show", "00000000-0000-0000-0000-000000000001"), 3, "no audit record"),
        (("show", "0" * 64), 3, "no audit record"),
        (("show", "letter-3"), 2, "no leaf (64 hex digits)"),
        (("export", "--checkpoint", "kept"), 2, "add --format proofs"),
    ],
)
def test_what_cannot_be_answered_is_told(
    shell: Shell, arguments: tuple[str, ...], code: int, told: str
) -> None:
    ended: Ended = shell.penstock("audit", *arguments)

    assert (ended.code, told in ended.err) == (code, True), ended.err


def test_an_erasure_names_the_exports_and_the_story_says_that_it_was_erased(shell: Shell) -> None:
    event_id = published(shell, "letter-0")["value"]["event_id"]
    filters = ("--event", event_id, "--kind", "decision", "--format", "proofs", "--reveal")
    before = shell.penstock("audit", "export", *filters)
    assert ANNA in "".join(map(text_of, json.loads(before.out.splitlines()[1])["contents"]))

    erased = shell.penstock("erase", "--subject", ANNA, "--yes", "--json").json

    (export,) = erased["exports"]
    assert export["by"].startswith("os:")
    told = shell.penstock("audit", "explain", event_id, "--reveal")
    assert "its texts are gone, this record stays" in told.out
    assert "of its texts gone, empty here)" in told.out
    assert ANNA not in told.out
    after = shell.penstock("audit", "export", *filters)
    assert "contents" not in json.loads(after.out.splitlines()[1])
    assert checked(shell, after.out)[0] == checked(shell, before.out)[0] == 0


def test_an_erasure_names_the_training_data_that_the_subject_is_in(shell: Shell) -> None:
    assert shell.penstock("review", "approve", "letter-1").code == 0
    assert shell.penstock("eval", "add-from-reviews", "letters").code == 0
    before = shell.penstock("erase", "--subject", BERT, "--dry-run", "--json").json["exports"]

    assert "1 cases written" in shell.penstock("export", "training", "letters", "--out", "train.jsonl").err

    told = shell.penstock("erase", "--subject", BERT, "--dry-run", "--json").json["exports"]
    assert len(told) == len(before) + 1
