"""`penstock`, run as a person or a script runs it: what it prints, where, and with which exit code."""

import asyncio
import io
import json
import logging
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import pytest
import structlog

from consumers.cli import main
from infra import database as databases
from infra.store import LogPublisher, SqlStore
from pipeline import receive, record
from pipeline.catalogue import Entry, load
from pipeline.claim import Claimed
from pipeline.errors import InvalidEvent
from pipeline.spend import asked_of
from pipeline.workflows.receipts import Receipt
from schemas import Answer, accept
from schemas.changeset import Changeset
from schemas.event import Identity, Received
from tests.builders import NOW, SCRIBE, STAMP, attempt

#: `main` reads sys.argv, on purpose; Cyclopts takes that for a slip when pytest is there.
pytestmark = pytest.mark.filterwarnings("ignore:Cyclopts application invoked without tokens")

ROOT: Final = Path(__file__).resolve().parents[2]
TOPIC: Final = "receipts.scanned.v1"
RESULTS: Final = "receipts.extracted.v1"
RUN: Final = "from consumers.cli import main; raise SystemExit(main())"
#: Must not come out where texts are not shown.
TEXT, ANSWER = "planted in the event", "planted in the raw answer"
#: Turns the reading direction of a terminal, and may stand in a sender's id.
OVERRIDE: Final = "\u202e"


@dataclass(frozen=True)
class Ended:
    """A command's end."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Shell:
    """A folder with a database, and `penstock` in it."""

    folder: Path
    variables: Mapping[str, str]

    def penstock(self, *arguments: str, stdin: str = "", **variables: str) -> Ended:
        """Run it in this process: a new one would spend two seconds on imports, each time."""
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, logging_restored():
            for name in [name for name in os.environ if name.startswith("PENSTOCK_")]:
                patch.delenv(name)
            for name, value in {**self.variables, **variables}.items():
                patch.setenv(name, value)
            patch.chdir(self.folder)
            patch.setattr(sys, "argv", ["penstock", *arguments])
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
            with redirect_stdout(out), redirect_stderr(err):
                code = main()
        return Ended(code, out.getvalue(), err.getvalue())

    def separate(self, *arguments: str, stdin: str = "", **variables: str) -> Ended:
        """Run it in a process of its own, as everybody does."""
        ended = subprocess.run(
            [sys.executable, "-P", "-c", RUN, *arguments],
            input=stdin,
            cwd=self.folder,
            env=self.environment(**variables),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    def environment(self, **variables: str) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PENSTOCK_")}
        path = os.pathsep.join([str(self.folder), str(ROOT)])
        return {**inherited, "PYTHONPATH": path, **self.variables, **variables}


@contextmanager
def logging_restored() -> Iterator[None]:
    """A command sets up logging for its process; here other tests come after it."""
    root, hook, ours = logging.getLogger(), sys.excepthook, structlog.get_config()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.getLogger("kafka").setLevel(logging.NOTSET)
        structlog.configure(**ours)
        sys.excepthook = hook


def shell_on(path: Path) -> Shell:
    url = f"sqlite:///{path / 'penstock.db'}"
    return Shell(path, {"PENSTOCK_DATABASE__URL": url, "PENSTOCK_LOG__LEVEL": "warning"})


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with one event of each kind that the tests ask about."""
    shell = shell_on(tmp_path_factory.mktemp("template"))
    assert shell.penstock("db", "upgrade").code == 0
    asyncio.run(fill(shell.folder / "penstock.db"))
    return shell.folder / "penstock.db"


@pytest.fixture
def shell(template: Path, tmp_path: Path) -> Shell:
    shutil.copy(template, tmp_path / "penstock.db")
    return shell_on(tmp_path)


def event(id: str, *, source: str = "shop", content: bytes | None = None) -> Received:
    identity = Identity(TOPIC, source, id)
    body = receive.canonical({"text": TEXT}) if content is None else content
    return Received(
        event_id=identity.event_id,
        identity=identity,
        workflow="receipts",
        type="scan",
        key=b"till-7",
        content=body,
        salt=STAMP.salt,
        fingerprint=STAMP.fingerprint(body),
    )


DONE, DEAD = event("done-1"), event("dead-1", content=b"\xff\x1b[2J")


async def fill(path: Path) -> None:
    """One event done and published, one dead at the door, two in flight that share their sender's id."""
    entry = load().named("receipts")
    database = databases.connect(f"sqlite:///{path}")
    store = SqlStore(database, SCRIBE)
    await store.accept([DONE])
    (claimed,) = await store.claim("receipts", limit=1)
    await store.commit([await decided(store, claimed, entry)])
    bad = record.dead_at_the_door(DEAD, entry, InvalidEvent(), now=NOW, scribe=SCRIBE)
    await store.commit([bad])
    await store.published(await LogPublisher(database).publish(await store.unpublished(limit=10)))
    await store.accept([event("twin", source="a"), event("twin", source=f"b{OVERRIDE}")])
    await database.close()


async def decided(store: SqlStore, claimed: Claimed, entry: Entry) -> Changeset:
    failed = attempt("unusable_output", complaints=("total: not a string",), version=entry.version)
    good = attempt(step=1, version=entry.version)
    attempts = [
        replace(one, event_id=claimed.event.event_id, response=ANSWER.encode()) for one in (failed, good)
    ]
    await store.journal([(one, claimed.event) for one in attempts])
    found = Receipt(company=f"Harbour {OVERRIDE}Cafe", date=None, address=None, total=None)
    answer = Answer(found, tuple(attempts))
    changeset = record.decided(claimed, entry, accept(), answer, now=NOW, scribe=SCRIBE)
    return replace(changeset, asked=asked_of(attempts))


def rows(shell: Shell, query: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(shell.folder / "penstock.db")
    try:
        found = connection.execute(query).fetchall()
        connection.commit()
    finally:
        connection.close()
    return found


def test_help_is_fast_because_it_imports_no_command() -> None:
    check = f"import sys; from consumers.cli import main; main(); {BUSY} print(busy); sys.exit(bool(busy))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    ended = subprocess.run(
        [sys.executable, "-P", "-c", check, "--help"], env=environment, capture_output=True, check=False
    )

    assert ended.returncode == 0, ended.stdout
    assert b"workflow" in ended.stdout


BUSY: Final = (
    "busy = [m for m in ('openai', 'sqlalchemy', 'kafka', 'celery', 'fastapi') if m in sys.modules];"
)


def test_emit_accepts_once_and_tells_duplicates_and_reused_ids(shell: Shell) -> None:
    first = shell.penstock("emit", TOPIC, "-", "--id", "till-1", "--json", stdin='{"text": "a"}')
    again = shell.penstock("emit", TOPIC, "-", "--id", "till-1", "--json", stdin=' { "text":"a" } ')
    other = shell.penstock("emit", TOPIC, "-", "--id", "till-1", "--json", stdin='{"text": "b"}')

    assert [(one.code, one.json[0]["status"]) for one in (first, again, other)] == [
        (0, "accepted"),
        (0, "duplicate"),
        (1, "id_reused"),
    ]
    assert {one.json[0]["event_id"] for one in (first, again, other)} == {
        str(Identity(TOPIC, "emit", "till-1").event_id)
    }


def test_emit_sends_nothing_unless_every_line_is_an_event(shell: Shell) -> None:
    (shell.folder / "good.jsonl").write_text('{"text": "a"}\n{"text": "b"}\n')
    (shell.folder / "bad.jsonl").write_text('{"text": "c"}\n{"txt": "d"}\n')
    before = rows(shell, "SELECT count(*) FROM event")

    refused = shell.penstock("emit", TOPIC, "good.jsonl", "bad.jsonl")

    assert refused.code == 2
    assert "bad.jsonl, line 2: does not fit receipts.scanned.v1: text: Field required" in refused.err
    assert refused.out == ""
    assert rows(shell, "SELECT count(*) FROM event") == before


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("emit", TOPIC), 2, "name files"),
        (("emit", TOPIC, "nothing.json"), 3, "nothing.json: No such file"),
        (("emit", "nothing.v1", "-"), 3, "topics: contracts.received.v1, receipts.scanned.v1"),
        (("emit", TOPIC, "--jsno", "-"), 2, "--help"),
        (("tail", TOPIC), 3, "penstock tail receipts.extracted.v1"),
        (("tail", "nothing.v1"), 3, "no workflow writes to"),
        (("event", "show", "nothing"), 3, "no event 'nothing'"),
        (("event", "show", str(UUID(int=1))), 3, "no event"),
        (("dlq", "replay", "done-1"), 4, "is succeeded, not dead"),
        (("dlq", "list", "--workflow", "nothing"), 3, "there are: contracts, receipts, support"),
        (("workflow", "pause", "nothing"), 3, "no workflow 'nothing'"),
        (("workflow", "new", "Not-A-Name"), 2, "cannot be used"),
        (("workflow", "new", "receipts"), 4, "exists; choose another name"),
        (("token", "new", "Bad Name", "--role", "sender"), 2, "is no name for a token"),
        (("token", "new", "me", "--role", "king"), 2, '"sender"'),
    ],
)
def test_a_mistake_is_told_in_words_with_its_exit_code(
    shell: Shell, arguments: tuple[str, ...], code: int, told: str
) -> None:
    ended = shell.penstock(*arguments, stdin='{"text": "a"}')

    assert ended.code == code
    assert told in ended.err + ended.out
    assert "Traceback" not in ended.err


def test_without_tables_a_command_says_which_command_makes_them(tmp_path: Path) -> None:
    (tmp_path / "penstock.db").touch()

    ended = shell_on(tmp_path).penstock("stats")

    assert ended.code == 2
    assert "penstock db upgrade" in ended.err


@pytest.mark.parametrize("command", ["stats", "dlq list", "event show one", f"tail {RESULTS}"])
def test_a_question_in_the_wrong_folder_makes_no_database(tmp_path: Path, command: str) -> None:
    ended = Shell(tmp_path, {}).penstock(*command.split())

    assert ended.code == 3
    assert "no database at .penstock/penstock.db" in ended.err
    assert "PENSTOCK_DATABASE__URL" in ended.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["penstock.txt", ":memory:", "", ".", "penstock.txt/penstock.db"])
def test_what_cannot_be_a_database_is_told_in_one_line(tmp_path: Path, path: str) -> None:
    (tmp_path / "penstock.txt").write_text("This is a text, and long enough to be looked at. " * 10)

    ended = Shell(tmp_path, {}).penstock("db", "upgrade", PENSTOCK_DATABASE__URL=f"sqlite:///{path}")

    assert ended.code == 2
    assert ended.err.startswith("penstock: PENSTOCK_DATABASE__URL: ")
    assert ended.err.count("\n") == 1


def test_dev_on_a_port_that_is_taken_says_so_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = shell_on(tmp_path).separate("dev", PENSTOCK_API__PORT=port, PENSTOCK_SIMULATOR__PORT="0")

    assert ended.code == 2
    assert f"penstock: PENSTOCK_API__PORT: cannot listen on 127.0.0.1:{port}" in ended.err
    assert "Traceback" not in ended.err


def test_a_process_does_not_start_without_a_price_and_who_asks_needs_none(shell: Shell) -> None:
    aliases = ("FAST", "STRONG", "SPARE")
    variables = {f"PENSTOCK_MODELS__{alias}__BASE_URL": "http://127.0.0.1:1/v1" for alias in aliases}
    variables |= {f"PENSTOCK_MODELS__{alias}__MODEL": "m" for alias in aliases}
    variables["PENSTOCK_MODELS__STRONG__MODEL"] = "free"
    variables |= {f"PENSTOCK_MODELS__STRONG__{price}_PRICE": "0" for price in ("INPUT", "OUTPUT")}

    ended = shell.penstock("dev", **variables)

    assert ended.code == 2
    assert ended.err.splitlines() == [
        "penstock: there is no list price of 'm' at its address; set PENSTOCK_MODELS__FAST__INPUT_PRICE "
        "and PENSTOCK_MODELS__FAST__OUTPUT_PRICE, per million tokens, 0 where it costs nothing"
    ]
    assert shell.penstock("stats", **variables).code == 0
    assert "PENSTOCK_MODELS__FAST__INPUT_PRICE" in shell.separate("doctor", **variables).out


def test_a_cap_for_a_workflow_that_is_not_there_is_refused_at_the_start(shell: Shell) -> None:
    ended = shell.penstock("dev", PENSTOCK_SPEND__WORKFLOWS='{"reciepts": "5.00"}')

    assert ended.code == 2
    assert "PENSTOCK_SPEND__WORKFLOWS: there is no workflow 'reciepts'; there are contracts, " in ended.err


def test_tail_prints_the_newest_messages_as_lines_of_json(shell: Shell) -> None:
    ended = shell.penstock("tail", RESULTS, "-n", "1")
    message = ended.json

    assert ended.code == 0
    assert message["topic"] == RESULTS
    assert (message["partition"], message["offset"], message["key"]) == (0, 0, "till-7")
    assert message["headers"]["ce_id"] == message["headers"]["id"]
    assert message["value"]["data"]["company"] == f"Harbour {OVERRIDE}Cafe"
    assert OVERRIDE not in ended.out


def test_tail_takes_the_last_ones_or_all(shell: Shell) -> None:
    audit = "audit.records.v1"

    newest = shell.penstock("tail", audit, "-n", "1").out.splitlines()
    everything = shell.penstock("tail", audit, "--from-beginning").out.splitlines()

    assert [json.loads(line)["offset"] for line in everything] == [0, 1]
    assert newest == everything[-1:]


def test_tail_of_an_empty_topic_says_so_on_stderr(shell: Shell) -> None:
    ended = shell.penstock("tail", "support.tickets.v1")

    assert (ended.code, ended.out) == (0, "")
    assert "No messages" in ended.err


def test_tail_follows_until_it_is_stopped(shell: Shell) -> None:
    arguments = [sys.executable, "-P", "-c", RUN, "tail", "-f", "-n", "1", "audit.records.v1"]
    with subprocess.Popen(
        arguments, env=shell.environment(), cwd=shell.folder, stdout=subprocess.PIPE
    ) as following:
        watch = threading.Timer(60, following.kill)
        watch.start()
        assert following.stdout is not None
        old = following.stdout.readline()
        rows(shell, _COPY_OF_THE_LAST)
        new = following.stdout.readline()
        following.terminate()
        watch.cancel()

    assert [json.loads(line)["offset"] for line in (old, new)] == [1, 2]


_COPY_OF_THE_LAST: Final = f"""
    INSERT INTO topic_log (topic, "offset", outbox_id, "key", headers, value, published_at)
    SELECT topic, 2, '{uuid4().hex}', "key", headers, value, published_at FROM topic_log
    WHERE topic = 'audit.records.v1' AND "offset" = 1
"""


def test_the_story_of_an_event_has_everything_but_its_texts(shell: Shell) -> None:
    ended = shell.penstock("event", "show", "done-1", "--json")
    story = ended.json

    assert story["event_id"] == str(DONE.event_id)
    assert story["state"] == "succeeded"
    assert story["content"]["bytes"] == len(DONE.content)
    assert story["content"]["sha256"] == DONE.salted(DONE.content).hex()
    assert [one["failure"] for one in story["attempts"]] == ["unusable_output", None]
    assert story["attempts"][0]["complaints"] == ["total: not a string"]
    assert story["attempts"][1]["response"]["bytes"] == len(ANSWER)
    assert story["results"][0]["data"]["company"] == f"Harbour {OVERRIDE}Cafe"
    assert [one["topic"] for one in story["outbox"]] == [RESULTS, "audit.records.v1"]
    assert all(one["published_at"] for one in story["outbox"])
    assert story["audit"][0]["record"]["input"]["sha256"] == story["content"]["sha256"]
    assert TEXT not in ended.out
    assert ANSWER not in ended.out


def test_the_story_is_readable_and_drives_no_terminal(shell: Shell) -> None:
    ended = shell.penstock("event", "show", str(DONE.event_id))

    assert ended.code == 0
    for told in ("succeeded", "unusable_output", "total: not a string", "fast-1", RESULTS, "decision by"):
        assert told in ended.out
    assert not {OVERRIDE, "\x1b"} & set(ended.out)
    assert TEXT not in ended.out
    assert ANSWER not in ended.out


def test_an_id_that_two_senders_use_lists_both(shell: Shell) -> None:
    ended = shell.penstock("event", "show", "twin")

    assert ended.code == 4
    assert str(event("twin", source="a").event_id) in ended.err
    assert OVERRIDE not in ended.err


def test_a_dead_letter_is_listed_shown_and_replayed_once(shell: Shell) -> None:
    (letter,) = shell.penstock("dlq", "list", "--json").json
    shown = shell.penstock("dlq", "show", "dead-1")
    replayed = shell.penstock("dlq", "replay", "dead-1", "--json")
    again = shell.penstock("dlq", "replay", "dead-1")

    assert (letter["event_id"], letter["id"]) == (str(DEAD.event_id), "dead-1")
    assert "The bytes are no event of this topic" in shown.out
    assert "\x1b" not in shown.out
    assert (replayed.code, replayed.json["revision"]) == (0, 2)
    assert again.code == 4
    assert shell.penstock("dlq", "list", "--json").json == []
    actors = rows(shell, "SELECT actor_name FROM audit_record WHERE kind = 'replay'")
    assert actors[0][0].startswith("os:")


def test_stats_add_up_in_total_and_by_workflow(shell: Shell) -> None:
    ended = shell.penstock("stats", "--json")
    told = ended.json

    assert ended.code == 0
    assert (told["accepted"], told["in_flight"], told["balanced"], told["differences"]) == (4, 2, True, [])
    assert told["outcomes"] == {"dead": 1, "succeeded": 1}
    assert set(told["workflows"]) == {"contracts", "receipts", "support"}
    assert told["workflows"]["receipts"]["accepted"] == 4
    assert "receipts" in shell.penstock("stats").out


@pytest.mark.parametrize(
    ("removed", "told"),
    [
        ("DELETE FROM work WHERE seq = (SELECT max(seq) FROM work)", "event without outcome"),
        ("DELETE FROM result WHERE state = 'dead'", "event without outcome"),
        ("UPDATE counter SET value = value - 1 WHERE name = 'accepted'", "counter is too low by 1"),
    ],
)
def test_stats_name_what_is_missing_and_exit_with_1(shell: Shell, removed: str, told: str) -> None:
    rows(shell, removed)

    as_json, as_text = shell.penstock("stats", "--json"), shell.penstock("stats")

    assert (as_json.code, as_text.code) == (1, 1)
    assert as_json.json["balanced"] is False
    assert [one["workflow"] for one in as_json.json["differences"]] == ["receipts"]
    assert told in as_text.out


def test_a_cap_that_holds_events_up_is_told_and_is_no_imbalance(shell: Shell) -> None:
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.000000Z}"
    budgets = {"total": 2_000_000, "workflow:receipts": 1_000_000, "source:shop": 1_001_000, "source:b": None}
    for scope, cap in budgets.items():
        is_held = scope in ("workflow:receipts", "source:shop")
        window(shell, scope, now[:10], cap, refused_at=now if is_held else None)
    named = {"PENSTOCK_SPEND__WORKFLOWS": '{"receipts": "1.00"}'}

    told = shell.penstock("stats", PENSTOCK_SPEND__PER_WORKFLOW="1.00")
    as_json = shell.penstock("stats", "--json", **named)

    spent = "(0.98 spent, 0.02 reserved)"
    says = f"workflow receipts waits: its cap of 1.00 a day is reached {spent}; it goes on at "
    assert (told.code, as_json.code) == (0, 0)
    assert f"{says}00:00 UTC or when PENSTOCK_SPEND__PER_WORKFLOW is raised" in told.out.splitlines()
    shop, cap = as_json.json["caps"]
    assert (
        "source shop waits: its cap of 1.001 a day has less left than the next call may cost" in shop["told"]
    )
    assert (cap["scope"], cap["limit"], cap["spent"]) == ("workflow:receipts", 1_000_000, 980_000)
    assert cap["told"] == f"{says}00:00 UTC or when PENSTOCK_SPEND__WORKFLOWS is raised"


def window(shell: Shell, scope: str, window: str, limit: int | None, *, refused_at: str | None) -> None:
    """0.98 of a budget are spent, and 0.02 reserved."""
    values = (scope, window, limit, 20_000, 980_000, 0, refused_at)
    written = ", ".join("NULL" if one is None else repr(one) for one in values)
    columns = 'scope, window, "limit", reserved, settled, unknown, refused_at'
    rows(shell, f"INSERT INTO budget_window ({columns}) VALUES ({written})")


def test_what_was_spent_is_told_by_workflow_with_the_caps_of_today(shell: Shell) -> None:
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    window(shell, "total", today, 1_000_000, refused_at=None)
    window(shell, "workflow:receipts", today, None, refused_at=None)

    told = shell.penstock("spend", "--since", "2000-01-01")
    as_json = shell.penstock("spend", "--since", "2000-01-01", "--by", "model", "--json").json
    nothing = shell.penstock("spend", "--until", "2000-01-01")
    wrong = shell.penstock("spend", "--since", "2000-01-02", "--until", "2000-01-01")

    assert told.code == 0
    assert [
        line.split()[:2] for line in told.out.splitlines() if line.startswith(("receipts", "total "))
    ] == [
        ["receipts", "2"],
        ["total", "2"],
        ["total", "1.00"],
    ]
    assert (as_json["by"], as_json["since"], as_json["until"]) == ("model", "2000-01-01", today)
    assert (as_json["total"]["calls"], as_json["total"]["decided"]) == (2, 1)
    assert as_json["total"]["micros_per_outcome"] == as_json["total"]["cost_micros"]
    assert [(cap["scope"], cap["reached"]) for cap in as_json["caps_today"]] == [
        ("total", True),
        ("workflow:receipts", False),
    ]
    assert nothing.out.startswith("2000-01-01, UTC: no model was called.")
    assert (wrong.code, wrong.err) == (2, "penstock: --since 2000-01-02 is after --until 2000-01-01\n")


def test_a_pause_is_kept_told_and_on_record(shell: Shell) -> None:
    paused = shell.penstock("workflow", "pause", "receipts", "--json")
    again = shell.penstock("workflow", "pause", "receipts", "--json")
    shown = shell.penstock("workflow", "show", "receipts", "--json")
    stats = shell.penstock("stats", "--json")
    resumed = shell.penstock("workflow", "resume", "receipts", "--json")

    assert paused.json == {"workflow": "receipts", "state": "paused", "changed": True}
    assert again.json["changed"] is False
    assert shown.json["paused_by"].startswith("os:")
    assert list(stats.json["paused"]) == ["receipts"]
    assert resumed.json["changed"] is True
    kinds = rows(shell, "SELECT kind FROM audit_record WHERE event_id IS NULL ORDER BY occurred_at")
    assert kinds == [("workflow_paused",), ("workflow_resumed",)]


def test_workflows_are_listed_without_a_database(tmp_path: Path) -> None:
    told = shell_on(tmp_path).penstock("workflow", "list", "--json").json

    assert [one["name"] for one in told] == ["receipts", "contracts", "support"]
    assert set(told[0]) == {"name", "version", "consumes", "produces", "models"}
    assert not (tmp_path / "penstock.db").exists()


def test_a_new_workflow_works_at_once_in_a_package_of_ones_own(shell: Shell) -> None:
    package = shell.folder / "acme" / "workflows"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text('"""Ours."""\n\nWORKFLOWS = ()\n')
    ours = {"PENSTOCK_WORKFLOWS": "acme.workflows"}

    made = shell.separate("workflow", "new", "purchase-orders", "--json", **ours)
    listed = shell.separate("workflow", "list", "--json", **ours)
    checked = shell.separate("workflow", "contracts", "--check", **ours)
    sent = shell.separate("emit", "purchase-orders.received.v1", "-", stdin='{"text": "total 9"}', **ours)
    pytest_alone = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "-W", "ignore")
    tests = subprocess.run(
        [sys.executable, *pytest_alone, "--rootdir", str(package), str(package)],
        env=shell.environment(),
        capture_output=True,
        text=True,
        check=False,
    )

    assert made.code == 0, made.err
    names = ["purchase_orders.py", "purchase_orders.md", "test_purchase_orders.py"]
    assert [Path(name).name for name in made.json["files"]] == names
    assert [one["consumes"] for one in listed.json] == ["purchase-orders.received.v1"]
    assert checked.code == 0, checked.out
    assert sent.code == 0, sent.err
    assert tests.returncode == 0, tests.stdout


def test_a_workflow_that_does_not_load_is_taken_back(shell: Shell) -> None:
    package = shell.folder / "acme"
    package.mkdir()
    before = "from acme import broken\n\nWORKFLOWS = (broken.workflow,)\n"
    (package / "__init__.py").write_text(before)
    (package / "broken.py").write_text("workflow = None\n")

    made = shell.separate("workflow", "new", "orders", PENSTOCK_WORKFLOWS="acme")

    assert made.code == 2
    assert (package / "__init__.py").read_text() == before
    assert sorted(path.name for path in package.glob("*.*")) == ["__init__.py", "broken.py"]


def test_contracts_that_differ_are_named_and_written(tmp_path: Path) -> None:
    shell = shell_on(tmp_path)
    contracts = ("workflow", "contracts", "--folder", "kept")

    missing = shell.penstock(*contracts, "--check")
    written = shell.penstock(*contracts, "--write")
    same = shell.penstock(*contracts, "--check", "--json")

    assert missing.code == 1
    assert "receipts.extracted.v1.json" in missing.out
    assert (written.code, same.code) == (0, 0)
    assert set(same.json["files"].values()) == {"same"}


def test_a_token_is_shown_once_kept_as_a_hash_and_on_record(shell: Shell) -> None:
    made = shell.penstock("token", "new", "till", "--role", "sender", "--source", "shop", "--source", "web")
    again = shell.penstock("token", "new", "till", "--role", "sender")

    token = made.out.strip()
    assert token.startswith("pst_")
    assert again.code == 4
    assert rows(shell, "SELECT role, sources FROM token") == [("sender", '["shop", "web"]')]
    assert token.encode() not in (shell.folder / "penstock.db").read_bytes()
    assert rows(shell, "SELECT count(*) FROM audit_record WHERE kind = 'token_made'") == [(1,)]


def test_config_masks_secrets_and_says_where_a_value_is_from(shell: Shell) -> None:
    ended = shell.penstock("config", "show", "--json", PENSTOCK_SECRET="planted", PENSTOCK_API__PORT="1")
    told = {row["variable"]: row for row in ended.json}

    assert told["PENSTOCK_API__PORT"]["origin"] == "env"
    assert told["PENSTOCK_API__HOST"]["origin"] == "default"
    assert "planted" not in ended.out


def test_a_wrong_setting_is_named(shell: Shell) -> None:
    ended = shell.penstock("config", "show", PENSTOCK_API__PORT="eighty")

    assert ended.code == 2
    assert "PENSTOCK_API__PORT" in ended.err


def test_a_misspelt_setting_is_told_once_beside_the_answer(shell: Shell) -> None:
    ended = shell.penstock("tail", RESULTS, "-n", "1", PENSTOCK_DATABASE_URL="x")

    assert ended.code == 0
    assert ended.json["topic"] == RESULTS
    assert ended.err.count("PENSTOCK_DATABASE_URL is no setting") == 1


def test_topics_of_embedded_mode_need_no_making(shell: Shell) -> None:
    ended = shell.penstock("topics", "create", "--json")

    assert (ended.code, ended.json) == (0, {})


def test_the_doctor_finds_embedded_mode_well(shell: Shell) -> None:
    shell.penstock("workflow", "pause", "support")

    ended = shell.separate("doctor", "--json", PENSTOCK_DATABASE_URL="x")

    assert ended.code == 0
    assert ended.json["ok"] is True
    warned = [one["found"] for one in ended.json["findings"] if one["state"] == "warning"]
    assert any("PENSTOCK_DATABASE_URL" in found for found in warned)
    assert any("support is paused" in found for found in warned)


def test_the_doctor_tells_what_events_wait_for(shell: Shell) -> None:
    now = datetime.now(UTC)
    refused_at = f"{now:%Y-%m-%dT%H:%M:%S.000000Z}"
    window(shell, "total", f"{now:%Y-%m-%d}", 1_000_000, refused_at=refused_at)
    window(shell, "source:shop", f"{now:%Y-%m-%d}", 1_000_000, refused_at=refused_at)
    for minute in (now, now + timedelta(minutes=1)):
        window(shell, "tokens:gpt@host/v1", f"{minute:%Y-%m-%dT%H:%M}+00:00", 1_000_000, refused_at=None)
    state = "'gpt@host/v1', 3, NULL, 1, '2100-01-01T00:00:00.000000Z', 'quota_exhausted'"
    columns = "endpoint, failures, since, openings, retry_at, reason"
    rows(shell, f"INSERT INTO endpoint_state ({columns}) VALUES ({state})")

    ended = shell.separate("doctor", "--json")

    assert ended.code == 0
    warned = {one["found"]: one["cure"] for one in ended.json["findings"] if one["state"] == "warning"}
    spent = "a day is reached (0.98 spent, 0.02 reserved)"
    goes_on = "It goes on at 00:00 UTC or when PENSTOCK_SPEND"
    assert warned[f"every workflow waits: the cap of 1.00 {spent}"] == f"{goes_on}__PER_DAY is raised."
    assert warned[f"source shop waits: its cap of 1.00 {spent}"] == f"{goes_on}__PER_SOURCE is raised."
    assert "gpt@host/v1 is not called (quota_exhausted); the next probe is due at 00:00:00 UTC" in warned
    assert "TOKENS_PER_MINUTE" in warned["gpt@host/v1 has used up its tokens of this minute"]


def test_the_doctor_says_what_to_do_where_nothing_answers(shell: Shell) -> None:
    ended = shell.separate(
        "doctor",
        PENSTOCK_DATABASE__URL="postgresql+psycopg://penstock:planted@127.0.0.1:1/penstock",
        PENSTOCK_KAFKA__BOOTSTRAP_SERVERS="127.0.0.1:1",
        PENSTOCK_REDIS__URL="redis://:planted@127.0.0.1:1/0",
        PENSTOCK_SECRET="short",
        PENSTOCK_MODELS__FAST__BASE_URL="http://127.0.0.1:1/v1",
        PENSTOCK_MODELS__FAST__MODEL="gpt",
    )

    assert ended.code == 1
    for told in ("PENSTOCK_DATABASE__URL", "PENSTOCK_REDIS__URL", "PENSTOCK_KAFKA__*", "PENSTOCK_SECRET"):
        assert told in ended.out
    assert "PENSTOCK_MODELS__FAST__BASE_URL" in ended.out
    assert "PENSTOCK_MODELS__STRONG__MODEL" in ended.out
    assert "planted" not in ended.out + ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("command", "told"),
    [("spend", "list prices are in USD"), ("stats", "Exit code 1"), ("workflow", "pause and resume")],
)
def test_the_help_of_a_command_is_all_that_it_says_of_itself(shell: Shell, command: str, told: str) -> None:
    ended = shell.penstock(command, "--help")

    assert ended.code == 0
    assert told in " ".join(ended.out.split())
