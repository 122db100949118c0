"""The live page in a real browser: what happens is seen, what is refused is said, and everybody can use it."""

from __future__ import annotations

import re

import pytest
from aiohttp.test_utils import TestServer
from playwright.async_api import Page, expect

from tests.web.browser import DESKTOP, PHONE, open_page, violations
from tests.web.plant import LINE, Plant, slow
from twin_app.settings import load_settings
from twin_app.streaming.standing import Standing
from twin_app.web.feed import Feed
from twin_app.web.server import application

pytestmark = pytest.mark.slow

expect.set_options(timeout=30_000)

B = "[data-node='resources.b']"


async def settled(page: Page) -> None:
    """Everything that comes with the first look is there."""
    await expect(page.locator("#connection-text")).to_have_text("live")
    await expect(page.locator(".node[data-state]").first).to_be_visible()
    await expect(page.locator("#sentence")).not_to_have_text("No forecast yet.")


async def test_a_machine_that_breaks_is_seen_and_the_answer_is_shown(plant: Plant) -> None:
    async with open_page(f"{plant.urls[0]}/#{LINE}") as page:
        await settled(page)
        assert [name.strip() for name in await page.locator(".node .name").all_text_contents()] == ["a", "b", "c"]
        await page.click(B)
        await expect(page.locator("#control-path")).to_have_value("resources.b.capacity")
        await page.click("#break")
        await expect(page.locator("#answers .accepted").first).to_contain_text(re.compile(r"resources\.b\.capacity: [12] → 0"))
        await expect(page.locator(f"{B}")).to_have_attribute("data-state", "closed")
        await expect(page.locator(f"{B} .status")).to_have_text("closed")
        await expect(page.locator("#events")).to_contain_text(re.compile(r"resources\.b\.capacity: [12] → 0"))
        await page.fill("#control-value", "99")
        await page.click("#control button[type=submit]")
        refused = page.locator("#answers .refused-one").first
        await expect(refused).to_contain_text("above resources.b.max_capacity")
        await expect(refused).to_contain_text("out-of-bounds")
        await expect(page.locator(f"{B} .status")).to_have_text("closed")
        await page.fill("#control-value", "1")
        await page.click("#control button[type=submit]")
        await expect(page.locator(B)).not_to_have_attribute("data-state", "closed")
    assert plant.get(f"/api/twins/{LINE}")["resources"]["b"]["capacity"] == 1


async def test_the_other_workers_twins_are_no_further_away(plant: Plant) -> None:
    async with open_page(f"{plant.urls[0]}/#{LINE}") as page:
        await settled(page)
        listed = await page.locator("#twins button").evaluate_all("all => all.map(one => one.dataset.twin)")
        assert {LINE, plant.neighbour, "Shop"} <= set(listed)
        assert await page.locator("#workers li").count() == 2
        for name in (plant.neighbour, "Shop"):
            await page.click(f"#twins [data-twin={name}]")
            await expect(page.locator("#name")).to_have_text(name)
            await settled(page)
        label = str(await page.locator("[data-node='containers.tank']").get_attribute("aria-label"))
        assert "container, holds" in label


async def test_a_question_is_answered_side_by_side_with_where_it_comes_from(plant: Plant) -> None:
    async with open_page(f"{plant.urls[0]}/#{LINE}", tolerated="status of 422") as page:
        await settled(page)
        for word in ("as of", "seed 42", "blueprint", "lag"):
            await expect(page.locator("#provenance")).to_contain_text(word)
        await page.select_option("#whatif-path", "resources.b.capacity")
        await page.fill("#whatif-value", "2")
        await page.fill("#whatif-horizon", "6h")
        await page.click("#whatif button")
        await expect(page.locator(".futures > div")).to_have_count(2)
        await expect(page.locator("#comparison tbody tr").first).to_be_visible()
        await expect(page.locator("#keys .b")).to_contain_text("resources.b.capacity = 2")
        await page.fill("#whatif-value", "99")
        await page.click("#whatif button")
        await expect(page.locator("#comparison .refused")).to_contain_text("above resources.b.max_capacity")
        assert "90 %" in str(await page.locator("#chart").get_attribute("aria-label"))


async def test_standing_questions_are_shown_with_their_answers(plant: Plant) -> None:
    async with open_page(f"{plant.urls[0]}/#Shop") as page:
        await expect(page.locator("#questions p").first).to_contain_text(
            "stock_out (above 50 %?) stores.shelf.level comes to 0 or less"
        )
        await expect(page.locator("#questions p").last).to_contain_text("Nobody whom it asks about is in progress.")


async def test_the_past_is_never_taken_for_the_present(plant: Plant) -> None:
    slow(lambda: len(plant.get(f"/api/twins/{LINE}/past")["frames"]) > 5, "measurements")
    async with open_page(f"{plant.urls[0]}/#{LINE}") as page:
        await settled(page)
        await expect(page.locator("#past-note")).to_contain_text("measurements since")
        await page.focus("#past-range")
        await page.keyboard.press("Home")
        await expect(page.locator("#past-banner")).to_contain_text("You are looking at the past")
        await expect(page.locator("#past-banner")).to_contain_text(f"twin replay --twin {LINE} --to")
        first = await page.locator("#past-at").inner_text()
        await page.keyboard.press("PageUp")
        await expect(page.locator("#past-at")).not_to_have_text(first)
        await page.keyboard.press("End")
        await expect(page.locator("#past-at")).to_have_text("live")
        await expect(page.locator("#past-banner")).to_be_hidden()


async def test_nothing_needs_a_mouse(plant: Plant) -> None:
    async with open_page(f"{plant.urls[0]}/#{LINE}") as page:
        await settled(page)
        await page.keyboard.press("Tab")
        await expect(page.locator(".skip")).to_be_focused()
        reached: list[str] = []
        for _ in range(40):
            await page.keyboard.press("Tab")
            reached.append(
                await page.evaluate(
                    "document.activeElement.id || document.activeElement.dataset.node || document.activeElement.className"
                )
            )
            if await page.evaluate("document.activeElement.matches('button, input, select')"):
                assert await page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none", reached[-1]
        assert {"theme", "past-range", "control-path", "control-value", "break", "whatif-path", "quantity", "resources.b"} <= set(
            reached
        )
        await page.focus(B)
        assert await page.evaluate(f'getComputedStyle(document.querySelector("{B} .box")).strokeWidth') == "3.5px"
        await page.keyboard.press("Enter")
        await expect(page.locator("#control-path")).to_have_value("resources.b.capacity")
        label = str(await page.locator(B).get_attribute("aria-label"))
        assert "waiting" in label
        assert "busy" in label


@pytest.mark.parametrize(("size", "colours"), [(DESKTOP, "light"), (DESKTOP, "dark"), (PHONE, "light")])
async def test_nobody_is_kept_out_by_contrast_names_or_width(plant: Plant, size: tuple[int, int], colours: str) -> None:
    async with open_page(f"{plant.urls[0]}/#Shop", size, colours) as page:
        await settled(page)
        if size == PHONE:
            assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
        assert await page.evaluate("document.documentElement.dataset.theme") == colours
        assert await violations(page) == []


async def test_a_page_without_the_token_shows_no_twin() -> None:
    settings = load_settings({}, web_token="a-secret-of-ours", forecast_workers=0)
    async with (
        TestServer(application(Standing(settings), Feed("events"))) as server,
        open_page(str(server.make_url("/")), PHONE, tolerated="status of 401") as page,
    ):
        await expect(page.locator("#token-dialog")).to_be_visible()
        await page.fill("#token", "wrong")
        await page.keyboard.press("Enter")
        await expect(page.locator("#token-refused")).to_contain_text("missing or wrong")
        assert await page.locator("#view").is_hidden()
        await page.fill("#token", "a-secret-of-ours")
        await page.keyboard.press("Enter")
        await expect(page.locator("#token-dialog")).to_be_hidden()
        await expect(page.locator("#empty")).to_contain_text("No twin yet")
        assert await page.locator("#twins button").count() == 0
