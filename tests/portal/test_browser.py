"""Recipients' whole ways in a real browser: phone and desk, with and without JavaScript, both languages."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page

from congvan.house import House
from congvan.mail.sinkstore import SinkStore
from congvan.portal.serve import serve
from tests.portal.browser import WAYS
from tests.portal.world import BASE, Desk

pytestmark = pytest.mark.browser

WIDTHS = {"phone": (360, 740), "small phone": (320, 640), "desk": (1280, 900)}


@pytest.fixture
async def base(house: House, tmp_path: Path) -> AsyncIterator[str]:
    SinkStore(tmp_path / "mail").keep("a@b.example", ("c@d.example",), _mail())
    started: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(
        serve(house, "127.0.0.1", 0, mail_folder=tmp_path / "mail", signals=False, started=started.set_result)
    )
    port = await asyncio.wait_for(started, 20)
    yield f"http://127.0.0.1:{port}"
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def _mail() -> bytes:
    from tests.portal.test_mail_pages import letter

    return letter(
        1, html=f'<p style="color:#a00">Kính gửi</p><a href="{BASE}/">Mở</a><script>document.title=1</script>'
    )


async def opened(browser: Browser, size: str = "phone", *, javascript: bool = True) -> Page:
    width, height = WIDTHS[size]
    context = await browser.new_context(
        viewport={"width": width, "height": height}, java_script_enabled=javascript, locale="vi-VN"
    )
    page = await context.new_page()
    page.set_default_timeout(15_000)
    return page


async def shot(page: Page, name: str) -> None:
    """A picture for whoever wants to look: CONGVAN_SHOTS names the folder."""
    if folder := os.environ.get("CONGVAN_SHOTS"):
        await page.screenshot(path=f"{folder}/{name}.png", full_page=True)
        await page.screenshot(path=f"{folder}/{name}-first.png")


async def fits(page: Page) -> None:
    """Nothing sticks out to the side (WCAG 2.2, 1.4.10)."""
    width = await page.evaluate("document.documentElement.scrollWidth")
    assert width <= page.viewport_size["width"], f"{width} px wide"  # type: ignore[index]


@pytest.mark.parametrize(
    ("size", "javascript"),
    [
        *WAYS,
        pytest.param("small phone", True, id="small phone-script"),
        pytest.param("small phone", False, id="small phone-no script", marks=pytest.mark.gates),
    ],
)
async def test_a_tenant_confirms_in_a_minute(
    base: str, chromium: Browser, desk: Desk, size: str, javascript: bool
) -> None:
    tenant = await desk.tenant()
    page = await opened(chromium, size, javascript=javascript)
    blocked: list[str] = []
    page.on("console", lambda message: blocked.append(message.text))
    await page.goto(base + desk.path(tenant))
    await shot(page, f"tenant-{size}")
    button = page.get_by_role("button", name="Xác nhận đã nhận")
    box = await button.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] <= WIDTHS[size][1] or size == "small phone", "the button is on the first screen"
    await page.get_by_label("Họ và tên").first.fill("Nguyễn Thị Hoa")
    await page.get_by_label("Chức vụ").first.fill("Trưởng phòng")
    await button.click()
    await page.wait_for_url("**?done=confirm")
    assert await page.get_by_role("heading", name="Biên nhận").is_visible()
    assert await page.get_by_text("10 giờ 00 ngày 01/12/2023").is_visible()
    await shot(page, f"receipt-{size}")
    assert (await desk.delivery(tenant.recipient)).state == "ACKNOWLEDGED"
    if javascript:
        await fits(page)
    assert blocked == [], "the page asks for nothing that its own policy forbids"
    await page.context.close()


async def test_an_investor_passes_on_in_english_on_a_phone(base: str, chromium: Browser, desk: Desk) -> None:
    page = await opened(chromium)
    await page.goto(base + desk.path(await desk.delivery("CDT-VSIP")))
    await shot(page, "investor-vi")
    await fits(page)
    await page.get_by_role("link", name="English").click()
    await page.wait_for_url("**lang=en")
    await shot(page, "investor-en")
    await page.get_by_label("Full name").first.fill("Nguyen Thi Hoa")
    await page.get_by_label("Position").first.fill("General Director")
    await page.get_by_label("Your own letter number").fill("15")
    await page.get_by_role("button", name="Pass on to those below").click()
    await page.wait_for_url("**done=pass_on**")
    await shot(page, "investor-en-done")
    assert await page.get_by_role("heading", name="Receipt").is_visible()
    await page.get_by_role("link", name="See the list").click()
    await shot(page, "below-en")
    await fits(page)
    assert (await desk.delivery("CDT-VSIP")).state == "FORWARDED"
    await page.context.close()


async def test_a_refusal_without_reason_comes_back_and_with_reason_is_recorded(
    base: str, chromium: Browser, desk: Desk
) -> None:
    tenant = await desk.tenant()
    page = await opened(chromium)
    await page.goto(base + desk.path(tenant))
    await page.get_by_text("Từ chối tiếp nhận văn bản").click()
    form = page.locator("form[action$='/reject']")
    await form.evaluate("form => form.noValidate = true")
    await form.get_by_role("button").click()
    assert await page.get_by_role("alert").is_visible()
    await shot(page, "reject-faults")
    form = page.locator("form[action*='/reject']")
    await form.get_by_label("Lý do từ chối").fill("Công ty đã chuyển đi nơi khác.")
    await form.get_by_label("Họ và tên").fill("Hoa")
    await form.get_by_role("button").click()
    await page.wait_for_url("**done=reject")
    await shot(page, "reject-done")
    assert (await desk.delivery(tenant.recipient)).state == "REJECTED"
    await page.context.close()


async def test_a_new_contact_is_proposed_with_the_keyboard_alone(base: str, chromium: Browser, desk: Desk) -> None:
    tenant = await desk.tenant()
    page = await opened(chromium, "desk")
    await page.goto(base + desk.path(tenant))
    await page.locator("summary", has_text="Đổi đầu mối liên hệ").focus()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Tab")
    await page.keyboard.type("hcns@moi.example")
    for word in ("Hành chính", "0225 000 000", "Văn thư", "Hoa"):
        await page.keyboard.press("Tab")
        await page.keyboard.type(word)
    await page.keyboard.press("Enter")
    await page.wait_for_url("**done=contact")
    await shot(page, "contact-done")
    assert "contact_proposed" in await desk.events(tenant.id)
    await page.context.close()


async def test_the_demos_mail_opens_and_its_script_does_not_run(base: str, chromium: Browser) -> None:
    page = await opened(chromium, "desk")
    await page.goto(f"{base}/mail")
    await shot(page, "mail-list")
    await page.get_by_role("link", name="Công văn gửi đơn vị thứ 1").click()
    frame = page.frame_locator("iframe")
    assert await frame.get_by_text("Kính gửi").is_visible()
    await shot(page, "mail")
    async with page.expect_popup() as popup:
        await frame.get_by_role("link", name="Mở").click()
    await (await popup.value).close()
    await page.set_viewport_size({"width": 320, "height": 640})
    await fits(page)
    await page.context.close()


@pytest.mark.parametrize("path", ["/", "/status", "/v/none", "/mail"])
async def test_the_other_pages_fit_a_small_phone(base: str, chromium: Browser, path: str) -> None:
    page = await opened(chromium, "small phone")
    await page.goto(base + path)
    await shot(page, "small" + path.replace("/", "-"))
    await fits(page)
    await page.context.close()
