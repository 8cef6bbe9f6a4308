"""The desk and the audit search in a real Chromium: differences, evidence, hostile texts, undo, addresses."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

import pytest
from playwright.async_api import Dialog, expect
from sqlalchemy import delete, func, select

from infra import tables
from infra.database import Database
from infra.store import reviews
from pipeline.record import decided, refused
from pipeline.trail import PAYLOAD_READ
from schemas import review
from schemas.evidence import EvidenceMap, Grounding, Verdict
from tests.api_world import JSON, Api, running
from tests.browser.test_pages import browsing, violations
from tests.builders import SCRIBE, Facts, answer_of, entry
from tests.contract.scenes import note

ATTACK: Final = (
    "<script>document.body.textContent = 'gone'</script><img src=x onerror=alert(1)> "
    "![x](https://evil.example/x.png) {{ 7 * 7 }} \u202etxet eht snrut \0 NUL\n"
)
LONG: Final = "Oban, 12.50. " + "word " * 40_000


@pytest.fixture
async def api(rows: Database) -> AsyncIterator[Api]:
    """Three events that wait: a plain one, one whose text is an attack, one of 200 kB."""
    async with running(rows) as started:
        await started.log_in()
        await waiting(started, 1, "12.50 for a ferry to Oban", at(21))
        await waiting(started, 2, ATTACK, None)
        await waiting(started, 3, LONG, at(0))
        yield started


def at(start: int) -> Grounding:
    """The city stands there."""
    return Grounding("city", Verdict.EXACT, start, start + len("Oban"), 100)


async def waiting(api: Api, number: int, text: str, place: Grounding | None) -> None:
    content = json.dumps({"text": text.replace("\0", "")}).encode()
    await api.store.accept([replace(note(number), content=content)])
    (claim,) = await api.store.claim("notes", limit=1)
    answer = answer_of(Facts(city="Oban", amount=Decimal("12.50")))
    if place is not None:
        answer = replace(answer, evidence=EvidenceMap([place]))
    # In the past, in this order: an export ends with the moment it is asked for.
    later = datetime.now(UTC) + timedelta(seconds=number - 60)
    why = review("a large amount")
    await api.store.commit([decided(claim, entry(), why, answer, now=later, scribe=SCRIBE)])


async def test_a_field_leads_to_its_place_and_differences_show_while_one_types(api: Api) -> None:
    async with browsing(api) as page:
        await page.goto(f"/review/{note(1).event_id}")
        await page.keyboard.press("1")

        await expect(page.locator("mark.here")).to_have_text("Oban")
        await expect(page.get_by_label("city")).to_be_focused()
        save = page.locator("#save")
        await expect(save).to_contain_text("Approve")
        await page.get_by_label("city").fill("Mallaig")
        await expect(save).to_contain_text("Save the correction")
        await expect(page.locator(".field.changed")).to_contain_text("was Oban")
        await page.get_by_role("button", name="Restore").click()
        await expect(save).to_contain_text("Approve")


async def test_what_does_not_fit_comes_back_with_what_was_typed(api: Api) -> None:
    async with browsing(api, told="422") as page:
        await page.goto(f"/review/{note(1).event_id}")
        await page.get_by_label("amount").fill("a lot")
        await page.keyboard.press("Control+Enter")

        await expect(page.get_by_role("alert")).to_contain_text("amount")
        await expect(page.get_by_label("amount")).to_have_value("a lot")
        await expect(page.get_by_label("amount")).to_have_attribute("aria-invalid", "true")
        assert await page.locator("[aria-invalid]").count() == 1
        await page.get_by_role("button", name="Reject").click()
        await expect(page.get_by_role("alert")).to_contain_text("say why")


async def test_a_decision_leads_on_and_can_be_looked_at_again(api: Api) -> None:
    async with browsing(api) as page:
        await page.goto("/review")
        await page.keyboard.press("n")
        await expect(page.get_by_role("heading", level=1)).to_have_text("note-1")
        await page.keyboard.press("Control+Enter")
        await expect(page.get_by_role("status")).to_contain_text("Approved")
        await expect(page.get_by_role("heading", level=1)).to_have_text("note-2")

        await page.get_by_role("link", name="Look at the last one again").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("note-1")
        await page.get_by_label("city").fill("Mallaig")
        await page.keyboard.press("Control+Enter")
        await expect(page.locator("#story")).to_contain_text("Revision 3: corrected")


@pytest.mark.parametrize("number", [2, 3], ids=["attack", "200 kB"])
async def test_a_text_is_text_whatever_stands_in_it(api: Api, number: int) -> None:
    outside: list[str] = []
    async with browsing(api) as page:
        page.on(
            "request", lambda sent: outside.append(sent.url) if not sent.url.startswith(api.url) else None
        )
        await page.goto(f"/review/{note(number).event_id}")

        source = page.locator("pre.source")
        if number == 2:
            await expect(source).to_contain_text("<script>document.body.textContent = 'gone'</script>")
            await expect(source).to_contain_text("{{ 7 * 7 }} [U+202E]txet")
            assert await source.locator("img, script").count() == 0
        else:
            assert len(await source.inner_text()) > 190_000
        await expect(page.get_by_role("heading", level=1)).to_have_text(f"note-{number}")
        for theme in ("reading", "story"):
            if theme == "story":
                await page.goto(f"/events/{note(number).event_id}/story")
                await page.get_by_role("button", name="Read all texts").click()
            await expect(page.locator("pre.source").first).to_be_visible()
    assert outside == []


async def test_filters_survive_reload_and_back_and_lead_to_the_exports(api: Api) -> None:
    async with browsing(api) as page:
        await page.goto("/audit")
        await page.keyboard.press("/")
        await page.keyboard.type("note-2")
        await page.get_by_label("Outcome").select_option("needs_review")
        await page.get_by_role("searchbox").press("Enter")
        await expect(page.locator("#count")).to_have_text("1 record")
        await page.reload()
        await expect(page.get_by_role("searchbox")).to_have_value("note-2")
        await page.locator("tbody a").first.click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Needs review")
        await page.go_back()

        await expect(page.get_by_label("Outcome")).to_have_value("needs_review")
        await expect(page.locator("tbody tr")).to_have_count(1)
        link = await page.get_by_role("link", name="CSV").get_attribute("href") or ""
        answer = await page.request.get(link)
        assert len((await answer.text()).splitlines()) == 2


async def test_who_was_too_late_keeps_what_they_typed_and_sees_what_others_wrote(api: Api) -> None:
    event_id = note(1).event_id
    async with browsing(api, told="409") as page:
        await page.goto(f"/review/{event_id}")
        await page.get_by_label("amount").fill("13.00")
        body = json.dumps({"revision": 1, "data": {"city": "Mallaig", "amount": "12.50"}})
        headers = {**JSON, "X-CSRF-Token": api.csrf, "Origin": api.url}
        status, _ = await api.send(f"/api/reviews/{event_id}/correct", body, headers)
        assert status == 200
        await page.keyboard.press("Control+Enter")

        await expect(page.get_by_role("alert")).to_contain_text("corrected by now, revision 2")
        await expect(page.get_by_label("amount")).to_have_value("13.00")
        await expect(page.get_by_label("city")).to_have_value("Mallaig")
        await page.keyboard.press("Control+Enter")
        await expect(page.locator("#story")).to_contain_text("Revision 3: corrected")


async def test_nothing_to_approve_is_told_at_the_desk(api: Api) -> None:
    await api.store.accept([note(4)])
    (claim,) = await api.store.claim("notes", limit=1)
    await api.store.commit([refused(claim, entry(), "no text", now=datetime.now(UTC), scribe=SCRIBE)])

    async with browsing(api, told="409") as page:
        await page.goto(f"/review/{note(4).event_id}")
        await page.get_by_label("Comment").fill("but why")
        await page.locator("#save").click()

        await expect(page.get_by_role("alert")).to_contain_text("no result to approve")
        await expect(page.get_by_label("Comment")).to_have_value("but why")


async def test_of_an_event_without_its_text_no_more_is_offered_than_can_be_done(api: Api) -> None:
    async with api.store.database.write() as connection:
        await connection.execute(delete(tables.content))
    async with browsing(api) as page:
        await page.goto(f"/review/{note(1).event_id}")

        await expect(page.locator(".actions button")).to_have_text(["Reject"])
        await expect(page.locator(".source-card")).not_to_contain_text("on record")
        await page.keyboard.press("Control+Enter")
        await page.get_by_label("Comment").fill("nothing left to judge")
        await page.get_by_role("button", name="Reject").click()
        await expect(page.get_by_role("status")).to_contain_text("Rejected")


async def looks(api: Api) -> int:
    """How often somebody has read a text, by the audit trail."""
    async with api.store.database.read() as connection:
        query = select(func.count()).where(tables.audit_record.c.kind == PAYLOAD_READ)
        return int((await connection.execute(query)).scalar_one())


async def test_a_claim_is_held_while_somebody_is_there_and_no_longer(api: Api) -> None:
    event_id, database = note(1).event_id, api.store.database
    async with browsing(api) as page:
        await page.clock.install()
        await page.goto(f"/review/{event_id}")
        await page.wait_for_load_state("networkidle")
        before = await looks(api)
        claims = f"**/review/{event_id}/claim"

        async with page.expect_response(claims) as first:
            await page.get_by_label("amount").fill("13.00")
        assert (await first.value).ok
        begun = await reviews.find(database, event_id)
        assert begun is not None
        assert begun.claimed_by == "user:ada"
        await page.keyboard.press("ArrowLeft")
        async with page.expect_response(claims):
            await page.clock.fast_forward(301_000)
        held = await reviews.find(database, event_id)
        assert held is not None
        assert held.claimed_until != begun.claimed_until
        await page.clock.fast_forward(1_200_000)
        await page.wait_for_timeout(200)
        assert await reviews.find(database, event_id) == held
        assert await looks(api) == before


async def test_who_loses_a_claim_is_told_while_they_type(api: Api) -> None:
    event_id = note(1).event_id
    async with browsing(api) as page:
        await page.goto(f"/review/{event_id}")
        await reviews.claim(api.store.database, event_id, who="user:bo")
        await page.get_by_label("amount").fill("13.00")

        await expect(page.get_by_role("alert")).to_contain_text("user:bo looks at this since")


async def accept(dialog: Dialog) -> None:
    await dialog.accept()


async def test_enter_in_a_field_and_a_key_that_is_held_decide_nothing(api: Api) -> None:
    event_id = note(1).event_id
    async with browsing(api) as page:
        await page.goto(f"/review/{event_id}")
        await page.get_by_label("amount").fill("13.00")
        await page.keyboard.press("Enter")
        held = {"key": "Enter", "ctrlKey": True, "repeat": True, "bubbles": True}
        await page.locator("#v-amount").dispatch_event("keydown", held)
        await page.wait_for_timeout(200)

        assert await reviews.find(api.store.database, event_id) is not None
        async with page.expect_event("dialog") as asked:
            page.once("dialog", accept)
            await page.goto("/review")
        assert (await asked.value).type == "beforeunload"


async def test_many_are_decided_by_keyboard_alone_and_what_changed_meanwhile_is_named(api: Api) -> None:
    async with browsing(api) as page:
        await page.goto("/review")
        await page.get_by_role("link", name="Many at once").press("Enter")
        await page.keyboard.press("/")
        await page.keyboard.type("note")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("button", name="Approve")).to_have_text("Approve3")
        await page.get_by_role("checkbox", name="note-3").press("Space")
        await expect(page.get_by_role("button", name="Approve")).to_have_text("Approve2")
        await reviews.claim(api.store.database, note(2).event_id, who="os:bob")
        await page.get_by_role("checkbox", name="I mean every event").press("Space")
        await page.get_by_role("button", name="Approve").press("Enter")

        await expect(page.get_by_role("heading", level=1)).to_have_text("1 done, 1 left out")
        await expect(page.locator("tbody")).to_contain_text("is claimed by bob")
        assert await violations(page) == []
        await page.get_by_role("link", name="Their records").click()
        await expect(page.locator("tbody tr")).to_have_count(1)
        await page.goto("/review/bulk?text=note")
        await expect(page.get_by_role("checkbox", name="note-2")).to_be_disabled()
        await page.keyboard.press("a")
        await expect(page.get_by_role("button", name="Approve")).to_have_text("Approve0")


async def test_nothing_is_decided_on_many_without_being_sure_and_a_why(api: Api) -> None:
    async with browsing(api, told="422") as page:
        await page.goto("/review/bulk")
        await page.get_by_role("button", name="Reject").click()
        await expect(page.locator("#sure")).to_be_focused()
        await page.locator("#sure").check()
        await page.get_by_role("checkbox", name="note-1").uncheck()
        await page.get_by_role("button", name="Reject").click()

        await expect(page.get_by_role("alert")).to_contain_text("say why")
        await expect(page.get_by_role("checkbox", name="note-1")).not_to_be_checked()
        await expect(page.get_by_role("checkbox", name="note-2")).to_be_checked()


async def test_what_has_the_focus_is_in_sight_and_a_decision_can_be_opened_anew(api: Api) -> None:
    event_id = note(1).event_id
    async with browsing(api, told="422", size={"width": 1280, "height": 440}) as page:
        await page.goto(f"/review/{event_id}")
        for name in ("city", "amount"):
            await page.get_by_label(name).focus()
            shown, covered = await page.evaluate(
                "[document.activeElement, document.querySelector('.decide')]"
                ".map(one => one.getBoundingClientRect().toJSON())"
            )
            assert shown["bottom"] <= covered["top"]
        await page.locator("#reject").click()
        await expect(page.get_by_role("alert")).to_contain_text("say why")
        await page.goto(page.url)
        assert page.url.endswith(f"/review/{event_id}")


async def test_a_click_on_save_is_one_wherever_the_focus_was(api: Api) -> None:
    async with browsing(api) as page:
        await page.goto(f"/review/{note(1).event_id}")
        await page.get_by_label("amount").fill("13.00")
        await page.locator("#save").click()

        await expect(page.get_by_role("status")).to_contain_text("Corrected")


async def test_on_a_phone_a_field_stays_in_sight_and_its_place_is_one_press_away(api: Api) -> None:
    async with browsing(api, size={"width": 390, "height": 700}) as page:
        await page.goto(f"/review/{note(1).event_id}")
        await page.get_by_label("city").click()
        await page.wait_for_timeout(500)
        await expect(page.get_by_label("city")).to_be_in_viewport()

        await page.locator(".place").first.click()
        await expect(page.locator("mark.here")).to_be_in_viewport()


async def test_the_last_one_of_the_queue_can_be_looked_at_again(api: Api) -> None:
    async with browsing(api) as page:
        await page.goto("/review")
        await page.keyboard.press("n")
        for number in (1, 2, 3):
            await expect(page.get_by_role("heading", level=1)).to_have_text(f"note-{number}")
            await page.keyboard.press("Control+Enter")
        await expect(page.get_by_role("heading", name="Nothing waits")).to_be_visible()

        await page.get_by_role("link", name="Look at the last one again").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("note-3")


async def test_what_was_sent_back_is_not_decided_on_until_the_machine_has(api: Api) -> None:
    event_id = note(1).event_id
    async with browsing(api) as page:
        await page.goto(f"/review/{event_id}")
        await page.locator("#back").click()
        await page.get_by_role("link", name="Look at the last one again").click()

        await expect(page.locator(".notice:visible")).to_contain_text("The machine works on it again")
        assert await page.locator("#save, #reject, #back").count() == 0
