"""`penstock audit`, as an operator and an auditor run it."""

import asyncio
import base64
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from consumers import trust, wiring
from infra import database as databases
from infra.lock import FileRole
from infra.settings import DatabaseSettings, Settings
from infra.signing import read_key
from infra.store import LogPublisher, SqlStore
from pipeline import checkpoint, note
from pipeline.audit import leaf
from pipeline.merkle import is_included
from tests.builders import SCRIBE
from tests.integration import test_cli
from tests.integration.test_cli import Shell, rows

pytestmark = test_cli.pytestmark
template, shell = test_cli.template, test_cli.shell


def seal(shell: Shell) -> None:
    """What `dev` does before it ends."""

    async def work() -> None:
        url = DatabaseSettings(url=shell.variables["PENSTOCK_DATABASE__URL"])
        deployment = wiring.deploy(Settings.model_construct(database=url))
        stop = asyncio.Event()
        stop.set()
        await trust.sealer(deployment, FileRole(shell.folder / "seal.lock")).run(stop)
        await deployment.close()

    asyncio.run(work())


@pytest.fixture
def sealed(shell: Shell) -> Shell:
    """Two decisions and a key's first use, sealed; what an auditor keeps is in `kept`."""
    seal(shell)
    kept = shell.folder / "kept"
    kept.mkdir()
    (kept / "keys").write_text(shell.penstock("audit", "key", "list").out)
    (kept / "checkpoints").write_text((shell.folder / "penstock.db.checkpoints").read_text())
    return shell


def audited(shell: Shell, *arguments: str) -> test_cli.Ended:
    """By someone who has the database's address and what was kept, and nothing else."""
    return shell.penstock(
        "audit", "verify", "--keys", "kept/keys", "--checkpoint", "kept/checkpoints", *arguments
    )


def forge(shell: Shell, *statements: str) -> None:
    """By the owner of the file."""
    with closing(sqlite3.connect(shell.folder / "penstock.db")) as connection:
        names = [
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        ]
        for statement in (*(f"DROP TRIGGER {name}" for name in names), *statements):
            connection.execute(statement)
        connection.commit()


def test_an_auditor_finds_an_untouched_log_whole(sealed: Shell) -> None:
    ended = audited(sealed)

    assert ended.code == 0
    assert ended.err == ""
    assert "3 records under 1 seals; 0 not sealed yet." in ended.out
    assert "Nothing differs" in ended.out
    told = audited(sealed, "--json").json
    assert (told["ok"], told["records"], told["differences"], told["named"]) == (True, 3, 0, [])


def test_without_files_from_outside_it_says_what_that_is_worth(sealed: Shell) -> None:
    ended = sealed.penstock("audit", "verify")

    assert ended.code == 0
    assert "believe them if" in ended.err
    assert "--keys FILE" in ended.err
    (sealed.folder / "penstock.db.checkpoints").unlink()
    assert "--checkpoint FILE" in sealed.penstock("audit", "verify").err


def test_a_change_is_named_and_the_exit_code_is_1(sealed: Shell) -> None:
    forge(sealed, "UPDATE audit_record SET outcome = 'approved' WHERE outcome = 'dead'")

    ended = audited(sealed)

    assert ended.code == 1
    assert "its column outcome says approved, its bytes say dead" in ended.out
    named = audited(sealed, "--json").json["named"]
    assert any(one["what"] == "its column outcome says approved, its bytes say dead" for one in named)


@pytest.mark.parametrize("bytes", ["X'FF00'", "CAST('nothing' AS BLOB)", "CAST('[]' AS BLOB)"])
def test_who_asks_for_a_record_that_says_nothing_any_more_is_told_to_verify(
    sealed: Shell, bytes: str
) -> None:
    (record, event) = rows(sealed, "SELECT id, event_id FROM audit_record WHERE outcome = 'dead'")[0]
    forge(sealed, f"UPDATE audit_record SET canonical = {bytes} WHERE outcome = 'dead'")

    for asked in (("show", record), ("show", record, "--json"), ("explain", event)):
        ended = sealed.penstock("audit", *asked)
        assert ended.code == 4, ended.err
        assert "somebody changed the bytes of record" in ended.err
        assert "penstock audit verify" in ended.err
    assert len(sealed.penstock("audit", "export").out.splitlines()) == 3
    assert audited(sealed).code == 1


def test_a_log_that_begins_anew_is_not_the_one_whose_checkpoint_was_kept(sealed: Shell) -> None:
    forge(
        sealed,
        "DELETE FROM audit_seal",
        "DELETE FROM audit_leaf",
        "DELETE FROM audit_record",
        "DELETE FROM result",
    )

    assert audited(sealed).code == 1
    assert "no seal like the one that was kept: batch 1, 3 records" in audited(sealed).out


def test_a_checkpoint_may_be_kept_as_the_topic_showed_it(sealed: Shell) -> None:
    asyncio.run(publish(sealed))
    shown = sealed.penstock("tail", "audit.checkpoints.v1", "-n", "1").out
    (sealed.folder / "kept" / "checkpoints").write_text(shown)

    assert audited(sealed).code == 0
    assert "0 records after the first 3" in audited(sealed, "--since", "kept/checkpoints").out
    (sealed.folder / "kept" / "checkpoints").write_text(shown.replace('"checkpoint"', '"other"'))
    assert audited(sealed).code == 2


async def publish(shell: Shell) -> None:
    database = databases.connect(shell.variables["PENSTOCK_DATABASE__URL"])
    store = SqlStore(database, SCRIBE)
    await LogPublisher(database).publish(await store.unpublished(limit=10))
    await database.close()


def test_only_what_came_after_a_checkpoint_is_verified(sealed: Shell) -> None:
    sealed.penstock("workflow", "pause", "support")
    seal(sealed)

    ended = audited(sealed, "--since", "kept/checkpoints")

    assert ended.code == 0
    assert "1 records after the first 3 under 1 seals" in ended.out


def test_a_record_is_proved_by_the_leaf_that_its_message_carries(sealed: Shell) -> None:
    ((carried,),) = rows(
        sealed, "SELECT headers ->> 'audit_leaf' FROM outbox WHERE topic = 'receipts.extracted.v1'"
    )

    written = audited(sealed, "--record", carried)

    assert written.code == 0
    head, _, signed = written.out.partition("\n\n")
    _, extra, index, *path = head.split("\n")
    state = checkpoint.parse(note.parse(signed).text)
    content = base64.b64decode(extra.removeprefix("extra "))
    steps = [base64.b64decode(step) for step in path]
    assert leaf(content).hex() == carried
    assert is_included(leaf(content), int(index.removeprefix("index ")), state.size, steps, state.root)
    assert audited(sealed, "--record", carried, "--json").json["leaf"] == carried


@pytest.mark.parametrize(
    ("record", "code"), [("12", 2), ("00000000-0000-0000-0000-000000000000", 3), ("0" * 64, 3)]
)
def test_what_has_no_proof_is_told_in_words(sealed: Shell, record: str, code: int) -> None:
    ended = audited(sealed, "--record", record)

    assert (ended.code, ended.out) == (code, "")


def test_a_forged_record_gets_no_proof(sealed: Shell) -> None:
    ((record,),) = rows(sealed, "SELECT id FROM audit_record WHERE outcome = 'dead'")
    forge(sealed, "UPDATE audit_record SET canonical = CAST('{}' AS BLOB) WHERE outcome = 'dead'")

    ended = audited(sealed, "--record", record)

    assert (ended.code, ended.out) == (1, "")
    assert "are not those at place" in ended.err


@pytest.mark.parametrize("option", ["--keys", "--checkpoint", "--since"])
def test_a_file_without_what_it_should_hold_is_named(sealed: Shell, option: str) -> None:
    (sealed.folder / "empty").write_text("\n")

    ended = sealed.penstock("audit", "verify", option, "empty")

    assert ended.code == 2
    assert "empty" in ended.err
    assert sealed.penstock("audit", "verify", option, "nowhere").code == 3


def test_the_doctor_tells_that_nobody_seals(shell: Shell) -> None:
    several = {"PENSTOCK_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1", "PENSTOCK_SECRET": "0" * 64}

    assert "penstock serve seal" in shell.separate("doctor", **several).out
    assert "for its seal" not in shell.separate("doctor").out  # embedded: sealed while `dev` runs

    seal(shell)
    assert "for its seal" not in shell.separate("doctor", **several).out


@pytest.mark.parametrize("option", ["--keys", "--checkpoint", "--since"])
def test_a_file_that_cannot_be_read_is_no_difference(sealed: Shell, option: str) -> None:
    ended = sealed.penstock("audit", "verify", option, str(sealed.folder))

    assert (ended.code, f"{sealed.folder} cannot be read" in ended.err) == (2, True)


def test_before_the_first_key_it_says_who_makes_one(shell: Shell) -> None:
    ended = shell.penstock("audit", "verify")

    assert ended.code == 2
    assert "penstock audit key new" in ended.err
    assert not (shell.folder / "penstock.db.audit-key").exists()


def test_a_key_is_printed_once_for_a_variable(shell: Shell) -> None:
    ended = shell.penstock("audit", "key", "new", "acme.example/log")

    key = read_key(ended.out).key
    assert key.name == "acme.example/log"
    assert str(key) in ended.err
    listed = shell.penstock("audit", "key", "list", PENSTOCK_AUDIT__KEY=ended.out.strip())
    assert listed.out == f"{key} 0\n"
    rotated = shell.penstock("audit", "key", "rotate", PENSTOCK_AUDIT__KEY=ended.out.strip())
    assert rotated.code == 2
    assert "PENSTOCK_AUDIT__KEY_FILE" in rotated.err
    assert shell.penstock("audit", "key", "new", "two words").code == 2


def test_a_key_in_a_file_is_made_once_and_rotated_on_record(shell: Shell, tmp_path: Path) -> None:
    variables = {"PENSTOCK_AUDIT__KEY_FILE": str(tmp_path / "key")}

    made = shell.penstock("audit", "key", "new", "acme.example/log", **variables)
    again = shell.penstock("audit", "key", "new", "acme.example/log", **variables)
    rotated = shell.penstock("audit", "key", "rotate", "--json", **variables)
    listed = shell.penstock("audit", "key", "list", "--json", **variables)

    assert (made.code, again.code, rotated.code) == (0, 4, 0)
    assert [one["key"] for one in listed.json] == [made.out.strip(), rotated.json["public"]]
    ((written, actor),) = rows(
        shell, "SELECT CAST(canonical AS TEXT), actor_name FROM audit_record WHERE kind = 'audit_key'"
    )
    assert rotated.json["public"] in written
    assert actor.startswith("os:")
