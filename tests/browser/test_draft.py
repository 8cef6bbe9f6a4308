"""What was typed at the desk, when it cannot be saved: it is there again once its writer is back."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Page, expect
from sqlalchemy import delete

from infra import tables
from infra.database import Database
from infra.store import reviews
from tests.api_world import Api, running
from tests.browser.test_desk import at, waiting
from tests.browser.test_pages import browsing
from tests.contract.scenes import note
from tests.people import PASSWORD, add_user

DESK = f"/review/{note(1).event_id}"


@pytest.fixture
async def api(rows: Database) -> AsyncIterator[Api]:
    """An event that waits, for two reviewers."""
    async with running(rows, embedded=False) as started:
        for name in ("anna", "bo"):
            await add_user(started, name, "reviewer")
        await waiting(started, 1, "12.50 for a ferry to Oban", at(21))
        await waiting(started, 2, "12.50 for a ferry to Oban", at(21))
        yield started


async def log_in(page: Page, name: str) -> None:
    await page.get_by_label("Name").fill(name)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Log in").click()


async def end_sessions(api: Api) -> None:
    async with api.store.database.write() as connection:
        await connection.execute(delete(tables.session))


async def test_who_saves_after_the_session_has_ended_finds_what_they_typed_and_saves_it(api: Api) -> None:
    async with browsing(api) as page:
        await page.goto(DESK)
        await log_in(page, "anna")
        await page.get_by_label("amount").fill("13.00")
        await page.get_by_label("Comment").fill("misread")
        await page.wait_for_load_state("networkidle")
        await end_sessions(api)
        await page.keyboard.press("Control+Enter")
        await log_in(page, "anna")

        await expect(page.get_by_role("status")).to_contain_text("is here again")
        await expect(page.get_by_label("amount")).to_have_value("13.00")
        await expect(page.get_by_label("Comment")).to_have_value("misread")
        await expect(page.locator("#save")).to_contain_text("Save the correction")
        await page.keyboard.press("Control+Enter")
        await expect(page.get_by_role("status")).to_contain_text("Corrected")
        await expect(page.get_by_role("heading", level=1)).to_have_text("note-2")
        assert await page.evaluate("sessionStorage.length") == 0


async def test_what_one_typed_is_not_shown_to_another(api: Api) -> None:
    async with browsing(api) as page:
        await page.goto(DESK)
        await log_in(page, "anna")
        await page.get_by_label("Comment").fill("misread")
        await page.wait_for_load_state("networkidle")
        await end_sessions(api)
        await reviews.release(api.store.database, note(1).event_id, who="user:anna")
        await page.keyboard.press("Control+Enter")
        await log_in(page, "bo")

        await expect(page.get_by_role("heading", level=1)).to_have_text("note-1")
        await expect(page.get_by_label("Comment")).to_have_value("")
        assert await page.evaluate("sessionStorage.length") == 0


async def test_a_form_of_an_older_session_leads_back_to_the_desk(api: Api) -> None:
    async with browsing(api, told="403") as page:
        await page.goto(DESK)
        await log_in(page, "anna")
        await page.get_by_label("Comment").fill("misread")
        await page.evaluate("document.querySelector('#desk [name=csrf]').value = 'older'")
        await page.keyboard.press("Control+Enter")
        await page.get_by_role("link", name="Back to the desk").click()

        await expect(page.get_by_label("Comment")).to_have_value("misread")
