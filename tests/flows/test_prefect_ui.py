"""The control room as an operator uses it: Prefect's own pages in a real browser, and what our database makes of it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from playwright.async_api import Locator, Page, async_playwright, expect
from sqlalchemy import select

from congvan.rules.protocol import Event
from congvan.store.tables import Campaign, Delivery, Hop
from tests.flows.engine import Engine, until
from tests.flows.test_control_room import _form, _letters, _slips, engine
from tests.portal.browser import executable, flags

pytestmark = [
    pytest.mark.prefect, pytest.mark.browser, pytest.mark.gates, pytest.mark.xdist_group("prefect"),
    pytest.mark.timeout(900),
]  # fmt: skip
__all__ = ["engine"]

#: Longer than Prefect's pages take to fetch anew by themselves.
_FRESH_MS = 60_000


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable(), args=flags())
        made = await browser.new_page(viewport={"width": 1280, "height": 1100}, locale="vi-VN")
        made.set_default_timeout(_FRESH_MS)
        yield made
        await browser.close()


async def _shot(page: Page, name: str) -> None:
    """A picture for whoever wants to look: CONGVAN_SHOTS names the folder."""
    if folder := os.environ.get("CONGVAN_SHOTS"):
        await page.screenshot(path=f"{folder}/prefect-{name}.png", full_page=True)


def _ui(engine: Engine, path: str) -> str:
    return engine.api.removesuffix("/api") + path


# ------------------------------------------------------------------------------------ what an operator does


def _field(page: Page, title: str) -> Locator:
    label = page.locator(".schema-form-property__label", has_text=title)
    return page.locator(".schema-form-property").filter(has=label).last


async def _choose(page: Page, title: str, value: str) -> None:
    await _field(page, title).locator(".p-select-button__control").press("ArrowDown")
    await page.locator(".p-select-option").filter(has_text=value).click()


async def _launch(engine: Engine, page: Page) -> None:
    """The short form, filled in and sent."""
    async with httpx.AsyncClient(base_url=engine.api, timeout=120) as client:
        form = await until(lambda: _form(client, "campaign"), 180, "the form")
    await page.goto(_ui(engine, f"/deployments/deployment/{form['id']}/run"))
    await _choose(page, "Kế hoạch", "dien-tap")
    await _field(page, "Người khởi động").locator("textarea").fill("Nguyễn Văn An")
    await _choose(page, "Chế độ", "exercise")
    await _field(page, "Phạm vi").get_by_role("button", name="Audience").click()
    without = _field(page, "Bớt")
    await without.get_by_role("button", name="Add item").click()
    await without.locator("textarea").last.fill("UNIT-003")
    await _shot(page, "form")
    await page.get_by_role("button", name="Submit").click()
    await page.wait_for_url("**/deployments/deployment/**tab=Runs")


async def _find(engine: Engine, page: Page, run: str, name: str) -> Locator:
    """A recipient in the list of a hop's page, by its name."""
    await page.goto(_ui(engine, f"/runs/flow-run/{run}"))
    await page.get_by_text("Subflow Runs").first.click()
    await page.get_by_placeholder("Search by run name").fill(name)
    found = page.locator(".flow-run-list-item")
    await expect(found).to_have_count(1)
    return found


async def _cancel(engine: Engine, page: Page, run: str) -> None:
    await page.goto(_ui(engine, f"/runs/flow-run/{run}"))
    await page.get_by_role("button", name="Cancel").click()
    await page.get_by_role("button", name="Confirm").click()


# ------------------------------------------------------------------------------------ what our database says


async def _campaign(engine: Engine) -> Any:
    return (await engine.rows(select(Campaign)))[0][0]


async def _held(engine: Engine) -> bool:
    return (await _campaign(engine)).held_at is not None


async def _hop(engine: Engine, issuer: str) -> Any:
    return (await engine.rows(select(Hop).where(Hop.issuer == issuer)))[0][0]


async def _page_of(engine: Engine, issuer: str) -> str | None:
    """The run on whose page this issuer's recipients stand, once all of them do."""
    waiting = await engine.rows(select(Delivery.id).where(Delivery.run_id.is_(None)))
    return None if waiting else (await _hop(engine, issuer)).page_id


async def _run_of(engine: Engine, recipient: str) -> str:
    return str((await engine.rows(select(Delivery.run_id).where(Delivery.recipient == recipient)))[0][0])


async def _shows(engine: Engine, run: str, name: str) -> bool:
    async with httpx.AsyncClient(base_url=engine.api, timeout=120) as client:
        found = await client.get(f"/flow_runs/{run}")
        return found.status_code == 200 and found.json()["state_name"] == name


# ------------------------------------------------------------------------------------ a campaign


async def test_a_campaign_is_launched_watched_and_steered_in_prefects_own_pages(engine: Engine, page: Page) -> None:
    await _launch(engine, page)
    await until(lambda: _slips(engine), 180, "the slip to the board")
    campaign = await _campaign(engine)
    assert (campaign.launched_by, campaign.plan["audience"]["exclude"]) == ("Nguyễn Văn An", ["UNIT-003"])
    await engine.answer("BOARD")
    await until(lambda: _letters(engine, 3), 180, "the letters without the third unit's")
    await _paused_deployment_holds_the_next_hop(engine)
    await _a_tenant_is_found_and_its_answer_is_seen(engine, page)
    await _a_cancelled_run_holds_the_campaign(engine, page)
    assert all(count == 1 for count in engine.inbox.ids().values()), "nothing was sent twice"


async def _paused_deployment_holds_the_next_hop(engine: Engine) -> None:
    """The switch of the deployment's page sends these two calls."""
    async with httpx.AsyncClient(base_url=engine.api, timeout=120) as client:
        hop = (await client.get("/deployments/name/hop/congvan")).json()["id"]
        await client.post(f"/deployments/{hop}/pause_deployment")
        await engine.answer("INV", Event.FORWARDED)
        await asyncio.sleep(4)
        assert (await _hop(engine, "INV")).opened_at is None
        await client.post(f"/deployments/{hop}/resume_deployment")
    await until(lambda: _letters(engine, 8), 180, "the investor's letters once the deployment goes on")


async def _a_tenant_is_found_and_its_answer_is_seen(engine: Engine, page: Page) -> None:
    run = await until(lambda: _page_of(engine, "INV"), 120, "the tenants on the board")
    row = await _find(engine, page, run, "TEN-002")
    await expect(row).to_contain_text("AwaitingConfirmation")
    await _shot(page, "tenant-waits")
    await engine.answer("TEN-002")
    await until(lambda: _seen(engine, "TEN-002"), 60, "the answer on the board")
    row = await _find(engine, page, run, "TEN-002")
    await expect(row).to_contain_text("state:Confirmed")
    await _shot(page, "tenant-confirmed")
    await row.get_by_role("link", name="TEN-002").click()
    delivery = (await engine.rows(select(Delivery.id).where(Delivery.recipient == "TEN-002")))[0][0]
    await expect(page.locator(f'a[href$="/office/c/T1/d/{delivery}"]')).to_be_visible()
    await _shot(page, "tenant")


async def _seen(engine: Engine, recipient: str) -> bool:
    return await _shows(engine, await _run_of(engine, recipient), "Confirmed")


async def _a_cancelled_run_holds_the_campaign(engine: Engine, page: Page) -> None:
    run = (await _campaign(engine)).run_id
    await _cancel(engine, page, run)
    await until(lambda: _held(engine), 120, "the campaign to be held")
    await page.goto(_ui(engine, f"/runs/flow-run/{run}"))
    await expect(page.get_by_text("T1 campaign").first).to_be_visible()
    await _shot(page, "cancelled")
