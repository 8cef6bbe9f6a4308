"""The pages in a real Chromium: what axe says of them, keys, theme, what is live, charts, a phone's width."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.async_api import Page, async_playwright, expect

from consumers.api.callers import COOKIE
from infra.database import Database
from infra.store import evaluations, search
from infra.store.search import Search
from pipeline.errors import InvalidEvent
from pipeline.record import dead_at_the_door, decided
from schemas import accept, review
from schemas.event import Identity
from tests.api_world import Api, running
from tests.browser.chromium import ARGUMENTS, CHROMIUM
from tests.builders import SCRIBE, Facts, answer_of, entry
from tests.contract.scenes import note, tried
from tests.contract.test_store_evaluations import evaluated

AXE: Final = (Path(__file__).parent / "axe.min.js").read_text("utf-8")
LONG: Final = "an unbroken reason " + "x" * 300
PHONE: Final = {"width": 390, "height": 844}
DESK: Final = {"width": 1440, "height": 900}
STORY: Final = f"/events/{note(1).event_id}/story"
PAGES: Final = {
    "overview": "/",
    "failures": "/failures",
    "failure": f"/failures/events?workflow=notes&state=dead&reason={LONG.replace(' ', '+')}",
    "workflows": "/workflows",
    "workflow": "/workflows/notes",
    "spend": "/spend",
    "story": STORY,
    "review": "/review",
    "desk": f"/review/{note(3).event_id}",
    "many reviews": "/review/bulk?workflow=notes",
    "many failures": "/failures/bulk",
    "none of many": "/review/bulk?model=none",
    "audit": "/audit",
    "audit, searched": "/audit?outcome=succeeded&since=2020-01-01",
    "audit, wrong": "/audit?since=yesterday",
    "record": "/audit/RECORD",
    "not found": "/workflows/none",
}


@pytest.fixture
async def api(rows: Database) -> AsyncIterator[Api]:
    """With one event of each kind: succeeded, for a person, dead, in flight."""
    async with running(rows) as started:
        await started.log_in()
        await fill(started)
        yield started


async def fill(api: Api) -> None:
    now = datetime.now(UTC)
    await api.store.accept([note(number) for number in range(2, 5)])
    for claim, decision in zip(
        await api.store.claim("notes", limit=2), (accept(), review("large")), strict=True
    ):
        call = tried(claim, started_at=now, latency_ms=1_250, cost_micros=412)
        await api.store.journal([(call, claim.event)])
        answer = answer_of(Facts(city="Oban", amount=None))
        later = now + timedelta(seconds=1)
        await api.store.commit([decided(claim, entry(), decision, answer, now=later, scribe=SCRIBE)])
    await evaluations.keep(api.store.database, evaluated())
    letter = dead_at_the_door(note(1), entry(), InvalidEvent(LONG), now=now, scribe=SCRIBE)
    await api.store.commit([letter])


@asynccontextmanager
async def browsing(
    api: Api, *, theme: str = "light", size: dict[str, int] | None = None, told: str = "404"
) -> AsyncIterator[Page]:
    """A tab on the API; what it complains of fails the test, but for answers of the status `told`."""
    complaints: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = await browser.new_page(
            base_url=api.url,
            color_scheme="dark" if theme == "dark" else "light",
            viewport={"width": (size or DESK)["width"], "height": (size or DESK)["height"]},
            timezone_id="Asia/Kolkata",
            locale="en-GB",
        )
        await page.context.add_cookies([{"name": COOKIE, "value": api.session, "url": api.url}])
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        yield page
        await browser.close()
    assert [one for one in complaints if f"status of {told}" not in one] == []


async def violations(page: Page) -> list[str]:
    """What axe finds, rule by rule."""
    # Evaluated, not added as a script: the page's own policy stays as it is.
    await page.evaluate(AXE)
    found: dict[str, Any] = await page.evaluate("axe.run()")
    return [f"{one['id']}: {node['html'][:200]}" for one in found["violations"] for node in one["nodes"]]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
async def test_every_page_passes_axe_and_fits_its_screen(api: Api, theme: str, size: dict[str, int]) -> None:
    found = {}
    record = str((await search.page(api.store.database, Search(kind="decision")))[0].id)
    async with browsing(api, theme=theme, size=size) as page:
        for name, path in PAGES.items():
            await page.goto(path.replace("RECORD", record))
            for box in await page.locator("details > summary").all():
                await box.click()
            wider = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
            found[name] = [*await violations(page), *(["wider than its screen"] if wider > 0 else [])]

    assert found == {name: [] for name in PAGES}


async def test_the_overview_is_live_and_its_charts_are_drawn(api: Api) -> None:
    async with browsing(api) as page:
        await page.goto("/?span=hour")
        await expect(page.locator(".live-dot")).to_have_text("live")
        await expect(page.locator(".plot canvas")).to_have_count(3)
        await expect(page.locator(".tile").first).to_contain_text("4")
        await page.evaluate("document.body.dataset.same = 'yes'")

        await api.store.accept([note(7)])

        await expect(page.locator(".tile").first).to_contain_text("5", timeout=10_000)
        await expect(page.locator("body")).to_have_attribute("data-same", "yes")
        await expect(page.locator(".plot canvas")).to_have_count(3)


async def test_keys_lead_everywhere_and_the_sheet_says_so(api: Api) -> None:
    async with browsing(api) as page:
        await page.goto("/")
        await page.keyboard.press("?")
        await expect(page.get_by_role("dialog")).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("dialog")).to_be_hidden()

        await page.keyboard.press("g")
        await page.keyboard.press("w")

        await expect(page.get_by_role("heading", level=1)).to_have_text("Workflows")
        await page.goto("/workflows/notes")
        await page.locator("textarea").press("g")
        await page.locator("textarea").press("s")
        await expect(page.get_by_role("heading", level=1)).to_have_text("notes")


async def test_the_skip_link_comes_first(api: Api) -> None:
    async with browsing(api) as page:
        await page.goto("/failures")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")

        await expect(page.locator("main")).to_be_focused()


async def test_the_theme_is_kept_over_pages(api: Api) -> None:
    async with browsing(api) as page:
        await page.goto("/")
        await page.get_by_role("button", name="Theme").click()
        await page.goto("/spend")

        await expect(page.locator("html")).to_have_attribute("data-theme", "dark")


async def test_on_a_phone_the_page_that_one_is_on_is_in_sight(api: Api) -> None:
    async with browsing(api, size=PHONE) as page:
        await page.goto("/spend")

        await expect(page.locator(".rail [aria-current]")).to_be_in_viewport(ratio=1)
        assert await page.evaluate("scrollY") == 0


async def test_a_long_id_begins_on_the_line_of_its_row(api: Api) -> None:
    long = replace(note(7), identity=Identity(note(7).identity.topic, "tests", "scan-" * 20))
    await api.store.accept([long])
    claims = await api.store.claim("notes", limit=2)
    now = datetime.now(UTC)
    answer = answer_of(Facts(city="Oban", amount=None))
    await api.store.commit(
        [decided(one, entry(), review("why"), answer, now=now, scribe=SCRIBE) for one in claims]
    )
    async with browsing(api, size=PHONE) as page:
        await page.goto("/review")
        row = page.locator("tr", has_text="scan-")
        tops = await row.evaluate(
            "row => [...row.querySelectorAll('time, .id')].map(one => one.getClientRects()[0].top)"
        )

    assert abs(tops[0] - tops[1]) < 8


async def test_without_script_pages_say_what_is_missing_and_name_no_keys(api: Api) -> None:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = await browser.new_page(base_url=api.url, java_script_enabled=False)
        await page.context.add_cookies([{"name": COOKIE, "value": api.session, "url": api.url}])
        await page.goto("/")
        await expect(page.locator("noscript p")).to_be_visible()
        await expect(page.locator(".plot").first).to_be_hidden()
        await page.goto(f"/review/{note(3).event_id}")
        await expect(page.locator("#save kbd")).to_be_hidden()
        await browser.close()


async def test_times_are_in_the_readers_zone(api: Api) -> None:
    async with browsing(api) as page:
        await page.goto(STORY)
        moment = page.locator("time").first
        stated = datetime.fromisoformat(await moment.get_attribute("datetime") or "")

        there = stated + timedelta(hours=5, minutes=30)
        await expect(moment).to_have_text(re.compile(f"{there:%H:%M}"))


async def test_a_dead_letter_is_replayed_by_keyboard_alone(api: Api) -> None:
    async with browsing(api) as page:
        await page.goto("/failures")
        await page.get_by_role("link", name="an unbroken reason").press("Enter")
        await page.get_by_role("button", name="Replay note-1").press("Enter")

        await expect(page.get_by_role("status")).to_contain_text("Back to work")
        await expect(page.locator("#story")).to_contain_text("in flight")


async def test_a_story_in_flight_follows_its_event(api: Api) -> None:
    async with browsing(api) as page:
        await page.goto("/workflows/notes")
        await page.locator("textarea").fill('{"text": "12.50 for the ferry to Oban"}')
        await page.get_by_role("button", name="Send").click()
        await expect(page.locator("#story .state")).to_have_text("in flight")

        answer = answer_of(Facts(city="Oban", amount=None))
        later = datetime.now(UTC) + timedelta(seconds=1)
        claims = await api.store.claim("notes", limit=10)
        await api.store.commit(
            [decided(claim, entry(), accept(), answer, now=later, scribe=SCRIBE) for claim in claims]
        )

        await expect(page.locator("#story .state")).to_have_text("succeeded", timeout=10_000)
