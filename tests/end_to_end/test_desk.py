"""The desk against the real stack: two people, a browser each, and what receivers get of their decisions."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.chromium import ARGUMENTS, CHROMIUM
from tests.end_to_end.stack import Stack
from tests.end_to_end.test_doors import EXTRACTED, SCANNED, SHOP, envelope

NUMBER: Final = 20
PASSWORD: Final = "correct horse battery"
#: All but the total, which the policy asks a person for.
TORN: Final = {**SHOP, "total": None}
ADA, BEN = "ada@example.com", "ben@example.com"


@pytest.fixture(scope="module")
def people(running: Stack) -> None:
    for name in (ADA, BEN):
        arguments = ("user", "add", name, "--role", "reviewer", "--password-stdin")
        running.run(*arguments, stdin=f"{PASSWORD}\n")


@pytest.fixture
def stack(running: Stack, people: None) -> Stack:
    running.script({"sha256": "*", "answer": TORN})
    with running.connect() as connection:  # what earlier tests left for a person is nobody's here
        connection.execute("DELETE FROM review")
    running.begin()
    return running


@pytest.fixture
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield started
        started.close()


@contextmanager
def person(browser: Browser, stack: Stack, name: str) -> Iterator[Page]:
    """A tab of their own, logged in without a mouse; what the page complains of fails the test."""
    complaints: list[str] = []
    page = browser.new_page(base_url=f"http://127.0.0.1:{stack.api_port}")
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto("/review")
    page.keyboard.type(name)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Review")
    yield page
    assert complaints == []
    page.close()


def torn(stack: Stack, series: str, number: int) -> list[str]:
    """Receipts that wait for a person; returns their ids."""
    ids = [f"{series}-{index}" for index in range(number)]
    stack.send(SCANNED, [(id, envelope(id, id)) for id in ids])
    stack.wait_until_done(number)
    return ids


def heading(page: Page) -> str:
    return page.get_by_role("heading", level=1).inner_text()


def decide(page: Page, number: int) -> str:
    """By keyboard alone: most are corrected, some approved as they are, some rejected with a reason."""
    what = "rejected" if number % 5 == 4 else "approved" if number % 5 == 3 else "corrected"
    if what == "corrected":
        page.keyboard.press("4")  # the total
        page.keyboard.type("8.99")
    with page.expect_navigation():
        if what == "rejected":
            page.keyboard.press("c")
            page.keyboard.type("not a receipt of ours")
            page.keyboard.press("Escape")
            page.keyboard.press("r")
            page.keyboard.press("Enter")
        else:
            page.keyboard.press("Control+Enter")
    return what


def test_a_reviewer_works_through_twenty_cases_by_keyboard_and_receivers_get_them(
    stack: Stack, browser: Browser
) -> None:
    ids = torn(stack, "desk", NUMBER)
    decided: dict[str, str] = {}

    with person(browser, stack, ADA) as page:
        with page.expect_navigation():
            page.keyboard.press("n")
        for number in range(NUMBER):
            id = heading(page)
            assert id not in decided
            decided[id] = decide(page, number)
        expect(page.get_by_role("heading", name="Nothing waits")).to_be_visible()

    assert sorted(decided) == sorted(ids)
    stack.wait_until_done(NUMBER)
    found = {message.body["id"]: message.body for message in stack.messages(EXTRACTED)}
    assert Counter(body["outcome"] for body in found.values()) == Counter(corrected=12, approved=4)
    for id, what in decided.items():
        if what == "rejected":
            assert id not in found
            continue
        assert (found[id]["outcome"], found[id]["revision"]) == (what, 2)
        assert found[id]["data"]["total"] == ("8.99" if what == "corrected" else None)
    letters = [message.body for message in stack.messages(f"{SCANNED}.dead")]
    assert [one["reasons"] for one in letters] == [["not a receipt of ours"]] * 4
    actors: list[dict[str, Any]] = stack.rows(
        "SELECT DISTINCT actor_name FROM audit_record WHERE kind IN ('review', 'payload_read')"
    )
    assert actors == [{"actor_name": f"user:{ADA}"}]


def test_of_two_reviewers_who_meet_one_is_told(stack: Stack, browser: Browser) -> None:
    torn(stack, "meet", 2)

    with person(browser, stack, ADA) as hers, person(browser, stack, BEN) as his:
        with hers.expect_navigation():
            hers.keyboard.press("n")
        his.goto(hers.url)
        expect(his.get_by_role("alert")).to_contain_text(f"{ADA} looks at this")
        expect(his.get_by_role("button", name="Reject")).to_have_count(0)
        his.goto("/review")
        with his.expect_navigation():
            his.keyboard.press("n")
        assert heading(his) != heading(hers)

        hers.goto(his.url)
        expect(hers.get_by_role("alert")).to_contain_text(f"{BEN} looks at this")


def event_of(stack: Stack, id: str) -> str:
    (row,) = stack.rows("SELECT event_id FROM event WHERE source_id = %s", id)
    return str(row["event_id"])


def test_who_decides_on_an_old_revision_is_told_what_became_of_it(stack: Stack, browser: Browser) -> None:
    (id,) = torn(stack, "late", 1)

    with person(browser, stack, ADA) as page:
        page.goto(f"/review/{event_of(stack, id)}")
        stack.run("review", "approve", id)
        with page.expect_navigation():
            page.keyboard.press("Control+Enter")

        expect(page.get_by_role("alert")).to_contain_text("Not decided")
        expect(page.get_by_role("alert")).to_contain_text(
            "is approved by now, revision 2; you saw revision 1"
        )
