"""The control room as an operator uses it: Prefect's own pages in a real browser, and what our database makes of it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Locator, Page, async_playwright, expect
from sqlalchemy import select

from congvan.portal.serve import serve
from congvan.rules.protocol import Event
from congvan.store.tables import Attempt, Campaign, Delivery, EventRow, Hop, Message
from tests.flows.engine import Engine, until
from tests.flows.test_control_room import _form, _letters, _slips, prepared
from tests.portal.browser import executable, flags
from tests.portal.office_world import account
from tests.portal.test_office_browser import enter

pytestmark = [
    pytest.mark.prefect, pytest.mark.browser, pytest.mark.gates, pytest.mark.xdist_group("prefect"),
    pytest.mark.timeout(900),
]  # fmt: skip
#: Longer than Prefect's pages take to fetch anew by themselves.
_FRESH_MS = 60_000


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    """A hop that crashed is woken by itself once its lease is over; here an operator comes long before."""
    async with prepared(tmp_path, CONGVAN_LEASE_S="60") as made:
        yield made


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable(), args=flags())
        made = await browser.new_page(viewport={"width": 1280, "height": 1100}, locale="vi-VN")
        made.set_default_timeout(_FRESH_MS)
        yield made
        await browser.close()


@dataclass
class Office:
    """A leader's browser at the operators' pages."""

    page: Page
    base: str

    async def decide(self, campaign: str, act: str, button: str, **fields: str) -> None:
        """One of the decisions about a campaign, which was taken."""
        await self.page.goto(f"{self.base}/office/c/{campaign}/decide")
        await expect(self.page.get_by_role("alert")).to_contain_text("dừng trong Prefect")
        form = self.page.locator(f"details#do-{act}")
        if await form.get_attribute("open") is None:
            await form.locator("summary").click()
        for name, value in fields.items():
            await form.locator(f"[name={name}]").fill(value)
        await _shot(self.page, f"decide-{act}")
        await form.get_by_role("button", name=button, exact=True).click()
        await self.page.wait_for_url(f"{self.base}/office/c/{campaign}?**")


@pytest.fixture
async def office(engine: Engine) -> AsyncIterator[Office]:
    """The portal beside the engine, and somebody signed in who may decide."""
    house = engine.house()
    await account(house, "dung", "leader", "dung@bql.example")
    started: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(house, "127.0.0.1", 0, signals=False, started=started.set_result))
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable(), args=flags())
        made = Office(await browser.new_page(locale="vi-VN"), f"http://127.0.0.1:{await started}")
        await enter(made.page, made.base)
        yield made
        await browser.close()
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    await house.close()


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


async def _switch(engine: Engine, page: Page, flow: str, *, on: bool) -> None:
    """The switch on a deployment's page, which shows how it stands before it is pressed."""
    async with engine.client() as client:
        at = f"/deployments/name/{flow}/congvan"
        key = (await client.get(at)).json()["id"]

        async def switched() -> bool:
            return [one["active"] for one in (await client.get(at)).json()["schedules"]] == [on]

        async def pressed() -> bool:
            """Again where the server's database was busy (503), as an operator would who sees it jump back."""
            if await switched():
                return True
            await page.goto(_ui(engine, f"/deployments/deployment/{key}"))
            stands = page.locator(".p-toggle__control--checked" if not on else ".p-toggle__control").first
            await expect(stands).to_be_visible()
            await page.locator(".p-toggle").first.click()
            try:
                return bool(await until(switched, 10, "it to be switched"))
            except AssertionError:
                return False

        await until(pressed, 90, f"the deployment of {flow} to be switched")
        await _shot(page, f"switch-{'on' if on else 'off'}")


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


async def _let_go_on_by(engine: Engine, name: str) -> bool:
    told = await engine.rows(select(EventRow.actor).where(EventRow.kind == "resumed"))
    return not await _held(engine) and [row.actor for row in told] == [name]


async def _is_no_more(engine: Engine, run: str, kind: str) -> bool:
    async with engine.client() as client:
        return bool((await client.get(f"/flow_runs/{run}")).json()["state_type"] != kind)


async def _crashed(engine: Engine, issuer: str) -> str | None:
    found = await engine.runs("hop", type={"any_": ["CRASHED"]})
    return next((str(one["id"]) for one in found if issuer in one["name"]), None)


async def _page_of(engine: Engine, issuer: str) -> str | None:
    """The run on whose page this issuer's recipients stand, once all of them do."""
    waiting = await engine.rows(select(Delivery.id).where(Delivery.run_id.is_(None)))
    return None if waiting else (await _hop(engine, issuer)).page_id


async def _all_sent(engine: Engine, issuer: str) -> bool:
    hop = await _hop(engine, issuer)
    return not await engine.rows(select(Delivery.id).where(Delivery.hop_id == hop.id, Delivery.sent_at.is_(None)))


async def _run_of(engine: Engine, recipient: str) -> str:
    return str((await engine.rows(select(Delivery.run_id).where(Delivery.recipient == recipient)))[0][0])


async def _shown(engine: Engine, recipient: str, name: str) -> bool:
    return await _shows(engine, await _run_of(engine, recipient), name)


async def _shows(engine: Engine, run: str, name: str) -> bool:
    async with httpx.AsyncClient(base_url=engine.api, timeout=120) as client:
        found = await client.get(f"/flow_runs/{run}")
        return found.status_code == 200 and found.json()["state_name"] == name


# ------------------------------------------------------------------------------------ a campaign


async def test_a_campaign_is_launched_watched_and_steered_in_prefects_own_pages(
    engine: Engine, page: Page, office: Office
) -> None:
    await _launch(engine, page)
    await until(lambda: _slips(engine), 180, "the slip to the board")
    campaign = await _campaign(engine)
    assert (campaign.launched_by, campaign.plan["audience"]["exclude"]) == ("Nguyễn Văn An", ["UNIT-003"])
    await engine.answer("BOARD")
    await until(lambda: _letters(engine, 3), 180, "the letters without the third unit's")
    await _a_paused_deployment_holds_the_next_hop(engine, page)
    await _a_cancelled_campaign_is_held_until_a_person_lets_it_go_on(engine, page, office)
    await _a_hop_that_crashed_is_retried(engine, page)
    await _a_tenant_is_found_and_its_answer_is_seen(engine, page)
    await _a_cancelled_hop_is_held_until_a_person_takes_it_back(engine, page, office)
    of_attempts = select(Message.message_id).join(Attempt, Attempt.message_id == Message.id)
    cut_off = {row[0] for row in await engine.rows(of_attempts.where(Attempt.outcome.is_(None)))}
    often = {key: number for key, number in engine.inbox.ids().items() if number > 1}
    assert often.keys() <= cut_off, "again only what was on the wire when the hop crashed"
    assert set(often.values()) <= {2}


async def _a_paused_deployment_holds_the_next_hop(engine: Engine, page: Page) -> None:
    await _switch(engine, page, "hop", on=False)
    await engine.answer("INV", Event.FORWARDED)
    await asyncio.sleep(4)
    assert (await _hop(engine, "INV")).opened_at is None


async def _a_cancelled_campaign_is_held_until_a_person_lets_it_go_on(
    engine: Engine, page: Page, office: Office
) -> None:
    """The next hop, whose deployment goes on meanwhile, stays shut; who let it go on is known by name."""
    run = (await _campaign(engine)).run_id
    await _cancel(engine, page, run)
    await until(lambda: _held(engine), 120, "the campaign to be held")
    await page.goto(_ui(engine, f"/runs/flow-run/{run}"))
    await expect(page.get_by_text("T1 campaign").first).to_be_visible()
    await _shot(page, "cancelled")
    await _switch(engine, page, "hop", on=True)
    await asyncio.sleep(4)
    assert (await _hop(engine, "INV")).opened_at is None
    engine.inbox.delay_s = 2.0
    await office.decide("T1", "resume", "Cho tiếp tục")
    await until(lambda: _let_go_on_by(engine, "dung"), 30, "the campaign to go on")


async def _a_hop_that_crashed_is_retried(engine: Engine, page: Page) -> None:
    """Its process is killed while it sends."""
    await until(lambda: _letters(engine, 4), 180, "the first of the investor's letters")
    os.kill(engine.run_process(), signal.SIGKILL)
    run = await until(lambda: _crashed(engine, "INV"), 60, "the investor's hop to be shown as crashed")
    engine.inbox.delay_s = 0.0
    await page.goto(_ui(engine, f"/runs/flow-run/{run}"))
    await _shot(page, "crashed")
    await page.get_by_role("button", name="Retry").first.click()
    await page.get_by_role("dialog").get_by_role("button", name="Retry").click()
    # The engine itself looks at it only when the lease is over.
    await until(lambda: _is_no_more(engine, run, "CRASHED"), 15, "the hop to be started again")
    await until(lambda: _letters(engine, 8), 180, "the investor's other letters")
    await until(lambda: _all_sent(engine, "INV"), 180, "what was on the wire as well")


async def _a_tenant_is_found_and_its_answer_is_seen(engine: Engine, page: Page) -> None:
    run = await until(lambda: _page_of(engine, "INV"), 120, "the tenants on the board")
    await until(lambda: _shown(engine, "TEN-002", "AwaitingConfirmation"), 90, "the letter on the board")
    row = await _find(engine, page, run, "TEN-002")
    await expect(row).to_contain_text("AwaitingConfirmation")
    await _shot(page, "tenant-waits")
    await engine.answer("TEN-002")
    await until(lambda: _shown(engine, "TEN-002", "Confirmed"), 60, "the answer on the board")
    row = await _find(engine, page, run, "TEN-002")
    await expect(row).to_contain_text("state:Confirmed")
    await _shot(page, "tenant-confirmed")
    await row.get_by_role("link", name="TEN-002").click()
    delivery = (await engine.rows(select(Delivery.id).where(Delivery.recipient == "TEN-002")))[0][0]
    await expect(page.locator(f'a[href$="/office/c/T1/d/{delivery}"]')).to_be_visible()
    await _shot(page, "tenant")


async def _a_cancelled_hop_is_held_until_a_person_takes_it_back(engine: Engine, page: Page, office: Office) -> None:
    run = str((await _hop(engine, "INV")).run_id)
    await until(lambda: _shows(engine, run, "AwaitingConfirmation"), 60, "the investor's hop to be asleep")
    await _cancel(engine, page, run)
    await until(lambda: _held(engine), 120, "the campaign to be held")
    await office.decide("T1", "withdraw", "Thu hồi", why="Thành phố đã bãi bỏ chỉ đạo")
    states = dict(await engine.rows(select(Delivery.recipient, Delivery.state)))
    assert (states["TEN-001"], states["TEN-002"]) == ("WITHDRAWN", "ACKNOWLEDGED")
    await until(lambda: _shown(engine, "TEN-001", "Withdrawn"), 60, "what was taken back on the board")
