"""`penstock workflow diff`: versions by name and by hash, and what it tells of two."""

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any, Final

import pytest

from infra import database as databases
from infra.store import administration
from pipeline.catalogue import Entry, load
from pipeline.trail import noted
from tests.builders import NOW, SCRIBE
from tests.integration.test_cli import Shell, shell_on

#: `main` reads sys.argv, on purpose; Cyclopts takes that for a slip when pytest is there.
pytestmark = pytest.mark.filterwarnings("ignore:Cyclopts application invoked without tokens")

TODAY: Final = load().named("receipts")


def before(**changes: Any) -> Entry:
    """A version of the receipts of days gone by."""
    content = json.dumps({**json.loads(TODAY.content), **changes}, sort_keys=True)
    return Entry(TODAY.workflow, "", content, hashlib.sha256(content.encode()).hexdigest())


SHORTER: Final = before(instructions="Read the receipt.")
NARROWER: Final = before(
    extraction={"type": "object", "properties": {"total": {"type": "string"}, "till": {"type": "string"}}}
)


async def register(path: Path, *entries: Entry) -> None:
    database = databases.connect(f"sqlite:///{path}")
    for entry in entries:
        record = noted("workflow_version", {}, scribe=SCRIBE, now=NOW, version=entry.version)
        await administration.register_versions(database, [entry], [record], release="0.0.0")
    await database.close()


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    shell = shell_on(tmp_path_factory.mktemp("versions"))
    assert shell.penstock("db", "upgrade").code == 0
    asyncio.run(register(shell.folder / "penstock.db", SHORTER, NARROWER))
    return shell


def test_a_changed_prompt_is_told_and_that_receivers_see_no_difference(shell: Shell) -> None:
    ended = shell.penstock("workflow", "diff", SHORTER.version[:6], "receipts")

    assert ended.code == 0
    assert ended.out.startswith(f"A  {SHORTER.version[:12]}  receipts\nB  {TODAY.version[:12]}  receipts\n")
    assert "    -Read the receipt." in ended.out
    assert f"receivers of {SHORTER.version[:12]} see no difference in {TODAY.version[:12]}" in ended.out


def test_a_changed_schema_is_told_with_what_receivers_notice(shell: Shell) -> None:
    ended = shell.penstock("workflow", "diff", NARROWER.version, TODAY.version)

    assert ended.code == 0
    assert "it needs a new topic version" in ended.out
    assert "major: till: removed" in ended.out


def test_all_of_it_is_there_as_json(shell: Shell) -> None:
    told = shell.penstock("workflow", "diff", NARROWER.version[:10], "receipts", "--json").json

    assert told["a"] == {"version": NARROWER.version, "workflow": "receipts"}
    assert told["b"] == {"version": TODAY.version, "workflow": "receipts"}
    assert told["output"]["level"] == "major"
    assert {"path": "address", "what": "added", "level": "minor"} in told["output"]["reasons"]
    assert told["prompt"] == []
    assert any(line.startswith("-") for line in told["extraction"])


def test_two_names_need_no_database(tmp_path: Path) -> None:
    ended = shell_on(tmp_path).penstock("workflow", "diff", "receipts", "receipts")

    assert ended.code == 0
    assert "are the same" in ended.out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("reference", "told"),
    [
        ("0" * 12, f"no version {'0' * 12} ran on this database"),
        ("abc", "'abc' is no workflow and no version: name one of contracts, receipts, support"),
        ("recieptz", "'recieptz' is no workflow and no version"),
    ],
)
def test_what_is_not_there_is_told(shell: Shell, reference: str, told: str) -> None:
    ended = shell.penstock("workflow", "diff", "receipts", reference)

    assert ended.code == 3
    assert told in ended.err


def test_a_beginning_that_several_versions_have_is_refused_with_their_names(shell: Shell) -> None:
    twins = [Entry(TODAY.workflow, "", TODAY.content, f"abcdef{digit * 58}") for digit in "12"]
    asyncio.run(register(shell.folder / "penstock.db", *twins))

    ended = shell.penstock("workflow", "diff", "abcdef", "receipts")

    assert ended.code == 4
    assert "abcdef11111111111111  receipts\n  abcdef22222222222222  receipts" in ended.err
