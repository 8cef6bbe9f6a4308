"""`penstock review`: from an event that the machine was not sure of to the correction on its topic."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from consumers.embedded import embedded
from infra import tables as t
from infra.database import Database
from infra.settings import DatabaseSettings, Settings
from tests.integration import test_cli
from tests.integration.test_cli import RESULTS, TOPIC, Ended, Shell, rows, shell_on

pytestmark = test_cli.pytestmark

#: Without a total, so that bookkeeping wants a person.
RECEIPT = "Corner Books\n88 Mill Road\nDate: 21 Nov 2019\nPlease come again"


def work(shell: Shell, **settings: Any) -> None:
    """What `penstock dev` does until nothing is left to do."""

    async def until_done() -> None:
        url = DatabaseSettings(url=shell.variables["PENSTOCK_DATABASE__URL"])
        made = Settings.model_construct(database=url, **settings)
        async with embedded(made) as running, asyncio.timeout(30):
            while await _left(running.deployment.database):  # noqa: ASYNC110 - the database is looked at
                await asyncio.sleep(0.05)

    asyncio.run(until_done())


async def _left(database: Database) -> int:
    unpublished = select(func.count()).select_from(t.outbox).where(t.outbox.c.published_at.is_(None))
    in_flight = select(func.count()).select_from(t.work)
    async with database.read() as connection:
        return sum([(await connection.execute(query)).scalar_one() for query in (unpublished, in_flight)])


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with two receipts that need a person."""
    shell = shell_on(tmp_path_factory.mktemp("worked"))
    assert shell.penstock("db", "upgrade").code == 0
    for id in ("till-1", "till-2"):
        event = json.dumps({"text": f"{RECEIPT} {id}"})
        assert shell.penstock("emit", TOPIC, "-", "--id", id, stdin=event).code == 0
        work(shell)
    return shell.folder


@pytest.fixture
def desk(worked: Path, tmp_path: Path) -> Shell:
    for file in worked.glob("penstock.db*"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return shell_on(tmp_path)


def review(desk: Shell, *arguments: str, **options: Any) -> Ended:
    return desk.penstock("review", *arguments, **options)


def published(desk: Shell) -> list[dict[str, Any]]:
    """The messages of the downstream topic, as `penstock tail` prints them."""
    told = desk.penstock("tail", RESULTS, "--from-beginning").out
    return [json.loads(line)["value"] for line in told.splitlines()]


def test_a_correction_arrives_on_the_downstream_topic_with_the_link(desk: Shell) -> None:
    assert published(desk) == []
    waiting = review(desk, "list", "--workflow", "receipts", "--json").json
    assert [item["id"] for item in waiting["items"]] == ["till-1", "till-2"]
    shown = review(desk, "next", "--json").json
    assert (shown["id"], shown["state"], shown["reasons"]) == (
        "till-1",
        "needs_review",
        ["the total is missing"],
    )

    corrected = review(
        desk, "correct", "till-1", "--set", "total=12.50", "--comment", "it is on the back", "--json"
    )
    work(desk)

    assert corrected.code == 0
    assert (corrected.json["state"], corrected.json["revision"], corrected.json["supersedes"]) == (
        "corrected",
        2,
        1,
    )
    (message,) = published(desk)
    assert (message["outcome"], message["revision"], message["supersedes"]) == ("corrected", 2, 1)
    assert message["data"] == {**shown["data"], "total": "12.50"}
    assert message["reasons"] == ["it is on the back"]
    assert [item["id"] for item in review(desk, "list", "--json").json["items"]] == ["till-2"]
    assert desk.penstock("stats").code == 0
    verified = desk.penstock("audit", "verify", "--json").json
    assert (verified["ok"], verified["differences"]) == (True, 0)


def test_the_machine_s_evidence_stays_with_the_values_that_are_right(desk: Shell) -> None:
    before = review(desk, "show", "till-1", "--json").json

    review(desk, "correct", "till-1", "--set", "total=12.50", "--set", "company=Corner Book Shop")

    after = review(desk, "show", "till-1", "--json").json
    assert before["evidence"]["company"]["verdict"] == "exact"
    assert set(after["evidence"]) == set(before["evidence"]) - {"company", "total"}


def test_rejecting_what_was_approved_withdraws_it_and_approving_undoes_that(desk: Shell) -> None:
    for words in (("approve", "till-1"), ("reject", "till-1", "--comment", "twice"), ("approve", "till-1")):
        assert review(desk, *words).code == 0
    work(desk)

    assert [(one["kind"], one["revision"], one["supersedes"]) for one in published(desk)] == [
        ("result", 2, 1),
        ("withdrawn", 3, 2),
        ("result", 4, 3),
    ]
    letter = json.loads(desk.penstock("tail", f"{TOPIC}.dead").out)["value"]
    assert (letter["reason"], letter["reasons"]) == ("review", ["twice"])


def test_what_is_sent_back_is_decided_again(desk: Shell) -> None:
    assert "in flight again, as revision 2" in review(desk, "back", "till-1").out
    assert review(desk, "approve", "till-1").code == 4

    work(desk)

    shown = review(desk, "show", "till-1", "--json").json
    assert (shown["state"], shown["revision"]) == ("needs_review", 3)


def test_show_prints_the_source_text_only_when_asked_and_that_is_on_record(desk: Shell) -> None:
    without = review(desk, "show", "till-1")

    assert "because the total is missing" in without.out
    assert 'company = "Corner Books"' in without.out
    assert "exact, characters 0 to 12" in without.out
    assert "Please come again" not in without.out
    query = "SELECT actor_name, event_id FROM audit_record WHERE kind = 'payload_read'"
    assert rows(desk, query) == []
    revealed = review(desk, "show", "till-1", "--reveal")
    assert "Please come again till-1" in revealed.out
    assert 'characters 0 to 12: "Corner Books"' in revealed.out
    ((who, event_id),) = rows(desk, query)
    assert who.startswith("os:")
    assert "payload_read by os:" in desk.penstock("event", "show", "till-1").out
    assert desk.penstock("audit", "verify", "--json").json["ok"]
    assert event_id == review(desk, "show", "till-1", "--json").json["event_id"].replace("-", "")


def test_a_claim_is_told_to_others_who_can_decide_nothing_meanwhile(desk: Shell) -> None:
    assert "is yours until" in review(desk, "claim", "till-1").out
    rows(desk, "UPDATE review SET claimed_by = 'os:ada@desk' WHERE claimed_by IS NOT NULL")

    for words in (("claim",), ("release",), ("approve",), ("correct", "--set", "total=1")):
        ended = review(desk, words[0], "till-1", *words[1:])
        assert ended.code == 4
        assert "is claimed by ada@desk since" in ended.err
    assert review(desk, "next", "--json").json["id"] == "till-2"
    assert "claimed by os:ada@desk" in review(desk, "list").out
    assert review(desk, "release", "till-2").code == 0


def test_a_file_replaces_the_whole_result(desk: Shell) -> None:
    whole = {"company": "Corner Books", "date": "2019-11-21", "address": None, "total": "8.99"}
    (desk.folder / "corrected.json").write_text(json.dumps(whole))

    assert review(desk, "correct", "till-1", "--file", "corrected.json").code == 0
    piped = review(desk, "correct", "till-2", "--file", "-", "--json", stdin=json.dumps(whole))

    assert piped.code == 0
    assert review(desk, "show", "till-1", "--json").json["data"] == whole
    assert review(desk, "list").err == "Nothing waits for a person.\n"


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("show", "nothing"), 3, "no event 'nothing'"),
        (("list", "--workflow", "nothing"), 3, "no workflow 'nothing'"),
        (("list", "--after", "nowhere"), 3, "no such place"),
        (("next", "--workflow", "support"), 3, "nothing waits for a person"),
        (("correct", "till-1"), 2, "approve it instead"),
        (("correct", "till-1", "--set", "total"), 2, "write FIELD=VALUE"),
        (("correct", "till-1", "--set", "sum=1"), 2, "no field 'sum'; fields: company, date"),
        (("correct", "till-1", "--set", "total=12,50"), 2, "does not fit receipts: total: "),
        (("correct", "till-1", "--set", "date=yesterday"), 2, "does not fit receipts: date: "),
        (("correct", "till-1", "--file", "missing.json"), 3, "missing.json"),
        (("correct", "till-1", "--file", "-"), 2, "write one JSON object"),
        (("approve", "till-1", "--revision", "7"), 4, "is needs_review by now, revision 1"),
        (("approve", "till-1", "--comment", "x" * 501), 2, "longer than 500"),
        (("reject", "till-1"), 2, "comment"),
        (("reject", "till-1", "--comment", ""), 2, "say why"),
    ],
)
def test_a_mistake_is_told_in_words_with_its_exit_code(
    desk: Shell, arguments: tuple[str, ...], code: int, told: str
) -> None:
    ended = review(desk, *arguments, stdin="[]")

    assert ended.code == code
    assert told in ended.err + ended.out
    assert "Traceback" not in ended.err
    assert len(review(desk, "list", "--json").json["items"]) == 2


def test_many_are_shown_first_then_decided_by_one_command(desk: Shell) -> None:
    bulk = ("bulk", "reject", "--reason", "the total is missing", "--comment", "a test of the till")

    shown = review(desk, *bulk, "--dry-run", "--json").json
    unsure = review(desk, *bulk)
    review(desk, "claim", "till-1", LOGNAME="bob")
    done = review(desk, *bulk, "--yes", "--json")

    assert ([one["id"] for one in shown["events"]], shown["found"]) == (["till-1", "till-2"], 2)
    assert (unsure.code, "--yes" in unsure.err) == (2, True)
    assert (done.code, [one["state"] for one in done.json["done"]]) == (4, ["rejected"])
    assert "is claimed by bob" in done.json["skipped"][0]["why"]
    assert "nobody looked at each" in desk.penstock("audit", "explain", "till-2").out
    assert review(desk, "bulk", "approve", "--outcome", "dead", "--yes").code == 0
    assert review(desk, "bulk", "reject").code == 2
    assert desk.penstock("audit", "verify", "--json").json["ok"] is True


def test_a_queue_of_few_decisions_cannot_be_ranked(desk: Shell) -> None:
    for words in (("list",), ("next",)):
        ended = review(desk, *words, "--workflow", "receipts", "--order", "doubted")
        assert (ended.code, "cannot be ranked by doubt" in ended.err) == (4, True)
    assert review(desk, "next", "--order", "doubted").code == 4
