"""Erasure as an operator does it: events with a subject through `penstock dev`, and nothing left of one."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from consumers import wiring
from infra import settings
from infra import tables as t
from pipeline.receive import Record
from tests.contract.scenes import rows
from tests.integration.test_cli import RUN, Shell, shell_on

pytestmark = pytest.mark.filterwarnings("ignore:Cyclopts application invoked without tokens")

TOPIC: Final = "letters.written.v1"
ANNA, BERT = "anna@planted.example", "bert@planted.example"
WORKFLOWS: Final = "infra.bench.letters"


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A database of two customers' letters, by a workflow whose events have a subject."""
    folder = tmp_path_factory.mktemp("letters")
    shell = Shell(folder, {**shell_on(folder).variables, "PENSTOCK_WORKFLOWS": WORKFLOWS})
    assert shell.penstock("db", "upgrade").code == 0
    letters = [letter(number, customer) for number, customer in enumerate((ANNA, BERT, ANNA, ""))]
    sent = shell.penstock("emit", TOPIC, "-", stdin="\n".join(map(json.dumps, letters)))
    assert sent.code == 0, sent.err
    assert "privacy.master_key_made" in sent.err
    work(shell)
    return shell


def letter(number: int, customer: str) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"letter-{number}",
        "source": "post",
        "type": "letter",
        "subject": customer or None,
        "partitionkey": customer or "nobody",
        "data": {"customer": customer, "text": f"{customer or 'Somebody'} writes letter {number}."},
    }


def work(shell: Shell) -> None:
    """Run `penstock dev` until nothing is in flight and all is published."""
    ports = {"PENSTOCK_API__PORT": "0", "PENSTOCK_SIMULATOR__PORT": "0"}
    log = shell.folder / "dev.log"
    with log.open("wb") as written:
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", RUN, "dev"],
            cwd=shell.folder,
            env=shell.environment(**ports),
            stderr=written,
        )
    try:
        until = time.monotonic() + 60
        while shell.penstock("stats", "--json").json["in_flight"] or waiting(shell):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.2)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def waiting(shell: Shell) -> int:
    told = shell.penstock("event", "show", "letter-3", "--json").json
    return sum(one["published_at"] is None for one in told["outbox"]) or not told["outbox"]


def planted(folder: Path, text: str) -> list[str]:
    """The files in which `text` stands, as bytes."""
    return [
        path.name
        for path in sorted(folder.iterdir())
        if path.is_file() and text.encode() in path.read_bytes()
    ]


def test_the_master_key_is_beside_the_database_for_its_owner_only(shell: Shell) -> None:
    path = shell.folder / "penstock.db.master_key"

    assert len(path.read_text()) == 64
    assert path.stat().st_mode & 0o777 == 0o600


def test_without_its_master_key_nothing_starts(shell: Shell) -> None:
    ended = shell.penstock("event", "show", "letter-0", PENSTOCK_PRIVACY__MASTER_KEY="0" * 64)

    assert ended.code == 2
    assert "PENSTOCK_PRIVACY__MASTER_KEY: texts are encrypted under the master key" in ended.err


def test_what_an_operator_sees_of_an_event_is_whole(shell: Shell) -> None:
    told = shell.penstock("event", "show", "letter-0", "--json").json

    assert (told["key"], told["subject"], told["erased"]) == (ANNA, ANNA, None)
    assert told["results"][0]["state"] == "succeeded"
    assert told["content"]["bytes"] > 0


def test_what_was_extracted_is_for_who_asks_for_it_on_record(shell: Shell) -> None:
    plain = shell.penstock("review", "show", "letter-2")
    told = shell.penstock("review", "show", "letter-2", "--json").json
    nobodys = shell.penstock("event", "show", "letter-3", "--json").json
    readings = ("audit", "list", "--kind", "payload_read", "--event", told["event_id"], "--json")
    before = shell.penstock(*readings).json["records"]
    revealed = shell.penstock("review", "show", "letter-2", "--reveal", "--json").json
    after = shell.penstock(*readings).json["records"]

    assert "gist: encrypted for its subject (--reveal)" in plain.out
    assert (told["data"], told["withheld"]) == (None, ["gist"])
    assert (list(revealed["data"]), revealed["withheld"]) == (["gist"], [])
    assert nobodys["results"][0]["withheld"] == []
    assert len(after) == len(before) + 1


def test_a_hold_keeps_a_subject_and_says_so(shell: Shell) -> None:
    added = shell.penstock("hold", "add", "--subject", BERT, "--reason", "a dispute", "--json")
    refused = shell.penstock("erase", "--subject", BERT, "--yes")
    listed = shell.penstock("hold", "list")
    removed = shell.penstock("hold", "remove", added.json["hold"])

    assert (added.code, listed.code, removed.code) == (0, 0, 0)
    assert refused.code == 4
    assert f"held by {added.json['hold']} (a dispute" in refused.err
    assert "a dispute" in listed.out
    assert BERT not in added.out + listed.out + refused.err
    assert shell.penstock("hold", "add", "--reason", "why").code == 2


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("erase", "--subject", "nobody@planted.example", "--yes"), 3, "the spelling counts"),
        (("erase", "--subject", BERT), 2, "1 events with all their texts will be erased"),
        (("erase", "--subject", "", "--yes"), 2, "--subject is empty"),
        (("hold", "remove", "00000000-0000-0000-0000-000000000001"), 3, "penstock hold list"),
    ],
)
def test_what_cannot_be_erased_is_told_in_words(
    shell: Shell, arguments: tuple[str, ...], code: int, told: str
) -> None:
    ended = shell.penstock(*arguments)

    assert (ended.code, told in ended.err) == (code, True), ended.err


def test_nothing_is_left_of_an_erased_subject(shell: Shell) -> None:
    before = planted(shell.folder, ANNA)
    looked = shell.penstock("erase", "--subject", ANNA, "--dry-run", "--json")
    erased = shell.penstock("erase", "--subject", "-", "--yes", "--json", stdin=f"{ANNA}\n")
    shown = shell.penstock("event", "show", "letter-0")
    tailed = shell.penstock("tail", "letters.read.v1", "--from-beginning").out.splitlines()
    explained = shell.penstock("audit", "explain", "letter-2").out

    assert "because   The event's texts were erased" in explained
    assert "--reveal" not in explained
    assert "penstock.db" in before  # embedded topics are open, as Kafka's are
    assert looked.json == {**erased.json, "erased": False}
    assert {name: erased.json[name] for name in ("events", "results", "obstacles", "kafka")} == {
        "events": 2,
        "results": 2,
        "obstacles": [],
        "kafka": [],
    }
    assert planted(shell.folder, ANNA) == []
    assert planted(shell.folder, BERT) == ["penstock.db"]
    assert "erased    at " in shown.out
    assert " by os:" in shown.out
    assert sorted(json.loads(line)["value"] is None for line in tailed) == [False, False, True]
    assert shell.penstock("stats").code == 0
    assert shell.penstock("erase", "--subject", ANNA, "--yes").code == 3


def test_copies_on_kafka_are_listed_with_their_keys_and_their_end(shell: Shell) -> None:
    own = {"SECRET": "secret", "PRIVACY__MASTER_KEY": "master_key"}
    variables = {
        f"PENSTOCK_{name}": (shell.folder / f"penstock.db.{suffix}").read_text()
        for name, suffix in own.items()
    }
    variables |= {"PENSTOCK_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1", "PENSTOCK_KAFKA__RETENTION_HOURS": "48"}

    told = shell.penstock("erase", "--subject", BERT, "--dry-run", **variables)
    copies = shell.penstock("erase", "--subject", BERT, "--dry-run", "--json", **variables).json["kafka"]

    (published,) = [
        one["published_at"]
        for one in shell.penstock("event", "show", "letter-1", "--json").json["outbox"]
        if one["topic"] == "letters.read.v1"
    ]
    assert [(one["topic"], one["messages"], one["keys"]) for one in copies] == [
        ("audit.records.v1", 1, [BERT]),
        ("letters.read.v1", 1, [BERT]),
    ]
    until = datetime.fromisoformat(copies[1]["until"])
    assert until - datetime.fromisoformat(published) == timedelta(hours=48)
    assert "unless a topic has its own retention" in told.out


def test_rotation_goes_by_the_order_of_the_keys(shell: Shell) -> None:
    old = (shell.folder / "penstock.db.master_key").read_text()
    new = shell.penstock("privacy", "key").out.strip()

    rotated = shell.penstock("privacy", "rotate", "--json", PENSTOCK_PRIVACY__MASTER_KEY=f"{new},{old}")
    shown = shell.penstock("event", "show", "letter-1", "--json", PENSTOCK_PRIVACY__MASTER_KEY=new)

    assert rotated.json == {"rewrapped": 1}
    assert shown.json["content"]["bytes"] > 0
    back = shell.penstock("privacy", "rotate", "--json", PENSTOCK_PRIVACY__MASTER_KEY=f"{old},{new}")
    assert back.json == {"rewrapped": 1}


def test_prune_does_nothing_unless_a_setting_says_so(shell: Shell) -> None:
    kept = shell.penstock("prune")
    young = shell.penstock("prune", "--json", PENSTOCK_RETENTION__CONTENT_DAYS="30")

    assert (kept.code, kept.out) == (0, "Nothing.\n")
    assert "everything is kept" in kept.err
    assert young.json == {"removed": {}, "holds": 0}


async def test_a_bug_in_subject_loses_no_event(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shell.folder)
    for name in [name for name in os.environ if name.startswith("PENSTOCK_")]:
        monkeypatch.delenv(name)
    for name, value in shell.variables.items():
        monkeypatch.setenv(name, value)
    deployment = wiring.deploy(settings.load())
    body = json.dumps({"customer": BERT, "text": "a bug"}).encode()

    await wiring.door(deployment, lambda lane: None).accept([Record("c", TOPIC, 0, 7, None, body, ())])

    (dead,) = [row for row in await rows(deployment.database, t.result) if row.state == "dead"]
    assert dead.reasons == ["subject of 'letters' failed: KeyError"]
    await deployment.close()
