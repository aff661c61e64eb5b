"""An operator's day in a real browser, on a phone and at a desk, with and without JavaScript; and axe on every page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page
from sqlalchemy import select

from congvan.acts import escalations, letters, requests
from congvan.house import House
from congvan.portal.serve import serve
from congvan.portal.throttle import Allowance
from congvan.store.tables import Delivery, Letter
from tests.portal.browser import WAYS
from tests.portal.grown import grow
from tests.portal.office_world import PASSWORD, account
from tests.portal.test_browser import WIDTHS, fits, opened, shot
from tests.portal.test_office_letters import DAY, waiting
from tests.portal.world import Desk
from tests.signing import signed

pytestmark = pytest.mark.browser
__all__ = ["waiting"]

#: WCAG 2.2 at levels A and AA, and what axe itself holds for good practice.
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.fixture
async def base(house: House) -> AsyncIterator[str]:
    await account(house, "dung", "leader", "dung@bql.example")
    started: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    running = serve(
        house, "127.0.0.1", 0, signals=False, started=started.set_result, allowance=Allowance.unlimited()
    )
    task = asyncio.create_task(running)
    port = await asyncio.wait_for(started, 20)
    yield f"http://127.0.0.1:{port}"
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def enter(page: Page, base: str, onward: str = "/office") -> None:
    await page.goto(base + onward)
    await page.get_by_label("Tên đăng nhập").fill("dung")
    await page.get_by_label("Mật khẩu").fill(PASSWORD)
    await page.get_by_role("button", name="Đăng nhập").click()
    await page.wait_for_url(f"**{onward}")


# ------------------------------------------------------------------------------------ a day


@pytest.mark.parametrize(("size", "javascript"), WAYS)
async def test_an_operators_day(
    base: str, chromium: Browser, desk: Desk, waiting: str, tmp_path: Path, size: str, javascript: bool
) -> None:
    page = await opened(chromium, size, javascript=javascript)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    await enter(page, base)
    await shot(page, f"office-campaigns-{size}")

    # In the morning: how the campaign stands, and who is missing.
    await page.get_by_role("link", name="8184", exact=True).click()
    assert await page.get_by_role("heading", name="Các chặng chuyển tiếp").is_visible()
    await shot(page, f"office-campaign-{size}")
    await page.get_by_role("link", name="nơi nhận").first.click()
    await page.get_by_label("Tìm tên, mã").fill("cong ty tnhh vsip")
    await page.get_by_role("button", name="Lọc").click()
    await shot(page, f"office-deliveries-{size}")

    # The investor is called, says yes, and sends a paper.
    await page.get_by_role("link", name="CDT-VSIP").click()
    await page.get_by_text("Ghi nhận trả lời qua điện thoại").click()
    form = page.locator("form[action$='/confirm']")
    await form.get_by_label("Họ tên người trả lời").fill("Trần Văn Bình")
    await form.get_by_label("Căn cứ (nếu có)", exact=True).fill("gọi 0225 000 111")
    paper = tmp_path / "Công văn trả lời.pdf"
    paper.write_bytes(b"%PDF-1.7\nscanned\n%%EOF\n")
    await form.get_by_label("Tệp căn cứ").set_input_files(paper)
    await form.get_by_role("button", name="Ghi nhận").click()
    assert await page.get_by_text("Đã ghi nhận trả lời.").is_visible()
    assert await page.get_by_role("link", name="Công văn trả lời.pdf").is_visible()
    await shot(page, f"office-delivery-{size}")
    assert (await desk.one(Delivery.code == "8184-CDT-VSIP")).state == "ACKNOWLEDGED"

    # The other investor and the units get more time, after a look at whom that reaches.
    await page.get_by_role("link", name="Nơi nhận", exact=True).click()
    await page.get_by_role("link", name="Xử lý hàng loạt…").click()
    await page.get_by_label("Thời hạn mới").fill("20/12/2023")
    await page.get_by_label("Lý do, ghi chú").fill("bão số 5")
    await page.get_by_role("button", name="Xem trước").click()
    assert await page.get_by_role("heading", name="Gia hạn: điều sẽ xảy ra").is_visible()
    await shot(page, f"office-bulk-{size}")
    await page.get_by_role("button", name="Xác nhận: gia hạn").click()
    assert await page.get_by_text("đã thực hiện với").is_visible()
    extended = await desk.one(Delivery.code == "8184-CDT-NAMDINHVU")
    assert extended.due_at is not None
    assert extended.due_at.day == 20

    # A letter comes back signed.
    await page.get_by_role("link", name="Chờ ban hành").click()
    await page.locator("tbody a").first.click()
    sheet = await letters.sheet_to_sign(desk.house, waiting, "12", DAY)
    file = tmp_path / "12-BQL.pdf"
    file.write_bytes(signed(desk.house.press.render(sheet).pdf))
    await page.get_by_label("Số văn bản").fill("12")
    await page.get_by_label("Ngày ban hành").fill("01/12/2023")
    await page.get_by_label("Tệp PDF đã ký").set_input_files(file)
    await shot(page, f"office-letter-{size}")
    await page.get_by_role("button", name="Ban hành").click()
    assert await page.get_by_text("Đã ban hành; văn bản đang được gửi đi.").is_visible()
    async with desk.house.store.view() as ledger:
        assert await ledger.first(select(Letter.issued_by).where(Letter.id == waiting)) == "dung"

    # A mailbox has changed.
    await page.get_by_role("link", name="Danh bạ").click()
    await page.get_by_label("Tìm tên, mã").fill("nam dinh vu")
    await page.get_by_role("button", name="Tìm").click()
    await page.get_by_role("link", name="CDT-NAMDINHVU").click()
    await page.get_by_text("Thêm hoặc sửa hộp thư").click()
    box = page.locator("form[action$='/mailbox']")
    await box.get_by_label("Hộp thư", exact=True).fill("vanthu.moi@ndv.example")
    await box.get_by_label("Văn bản chỉ định").fill("công văn 15/NDV")
    await box.get_by_role("button").click()
    assert await page.get_by_text("Đã ghi hộp thư.").is_visible()
    await shot(page, f"office-card-{size}")
    await page.get_by_role("button", name="Đăng xuất").click()
    await page.wait_for_url("**/office/sign-in")
    await page.goto(f"{base}/office/c/8184")
    assert "/office/sign-in" in page.url
    assert complaints == [], "the pages ask for nothing that their own policy forbids"
    await page.context.close()


async def test_the_keyboard_alone_signs_in_and_finds_a_recipient(base: str, chromium: Browser) -> None:
    page = await opened(chromium, "desk")
    await page.goto(f"{base}/office/c/8184/deliveries")
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.className") == "skip"
    await page.keyboard.press("Enter")
    for word in ("dung", PASSWORD):
        await page.keyboard.press("Tab")
        await page.keyboard.type(word)
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/office/c/8184/deliveries")
    await page.locator("#q").focus()
    await page.keyboard.type("bql")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**q=bql**")
    await page.get_by_role("link", name="BQL", exact=True).focus()
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/d/**")
    await page.context.close()


# ------------------------------------------------------------------------------------ every page


async def every_page(desk: Desk, letter: str) -> dict[str, str]:
    """The operators' pages by name, with something on each of them to look at."""
    house = desk.house
    now = await house.clock.now()
    tenant, investor = await desk.tenant(), await desk.one(Delivery.code == "8184-CDT-VSIP")
    async with house.store.act() as ledger:
        row = await ledger.take(Delivery, investor.id)
        await escalations.open_case(house, ledger, row, "silent", now)
    asked = await requests.propose_contact(house, tenant.id, {"email": "moi@x.example", "by": "Hoa"}, None)
    at = "/office/c/8184"
    return {
        "campaigns": "/office", "campaign": at, "deliveries": f"{at}/deliveries", "none": f"{at}/deliveries?q=xyz",
        "delivery": f"{at}/d/{investor.id}", "tenant": f"{at}/d/{tenant.id}", "bulk": f"{at}/bulk",
        "decide": f"{at}/decide", "hop": f"{at}/hop/CDT-VSIP", "letters": "/office/letters",
        "letter": f"/office/letters/{letter}", "plans": "/office/plans", "plan": "/office/plans/8184?issuer=BQL",
        "mail": "/office/plans/8184?recipient=CDT-VSIP", "book": "/office/book", "card": "/office/book/CDT-VSIP",
        "new": "/office/book-new", "requests": "/office/requests", "request": f"/office/requests/{asked}",
        "not found": "/office/c/none", "account": "/office/account",
    }  # fmt: skip


async def look(page: Page, where: str) -> list[str]:
    """What axe finds wrong with a page, everything that can be opened on it opened."""
    await page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    found = await Axe().run(page, options={"runOnly": RULES})
    return [
        f"{where}: {one['id']}: {one['help']}: {one['nodes'][0]['html'][:160]}" for one in found.response["violations"]
    ]


async def test_axe_finds_nothing_on_any_operators_page(
    base: str, chromium: Browser, desk: Desk, waiting: str
) -> None:
    await grow(desk.house, 120, hops=5)
    desk.clock.forward(minutes=10)
    pages = await every_page(desk, waiting)
    #: Those that a wide window lays out otherwise.
    wide = [name for name in pages if name in ("campaign", "deliveries", "delivery", "card")]
    page = await opened(chromium, "phone")
    await page.goto(f"{base}/office/sign-in")
    wrong = await look(page, "sign-in")
    await enter(page, base)
    for size, names in (("phone", list(pages)), ("desk", wide)):
        await page.set_viewport_size(dict(zip(("width", "height"), WIDTHS[size], strict=True)))
        for name in names:
            await page.goto(base + pages[name])
            wrong += await look(page, f"{name}, {size}")
            await shot(page, f"office-{name.replace(' ', '-')}-{size}-open")
            await fits(page)
    assert "\n".join(wrong) == ""
    await page.context.close()


@pytest.mark.parametrize(
    "width", [pytest.param(320, id="320 px"), pytest.param(640, id="200 % of 1280 px", marks=pytest.mark.gates)]
)
async def test_every_operators_page_fits_a_narrow_window(
    base: str, chromium: Browser, desk: Desk, waiting: str, width: int
) -> None:
    pages = await every_page(desk, waiting)
    page = await opened(chromium, "small phone")
    await page.set_viewport_size({"width": width, "height": 640})
    await enter(page, base)
    for path in pages.values():
        await page.goto(base + path)
        await fits(page)
    await page.context.close()


async def test_axe_finds_nothing_on_the_recipients_pages(base: str, chromium: Browser, desk: Desk) -> None:
    page = await opened(chromium)
    wrong: list[str] = []
    for delivery in (await desk.tenant(), await desk.delivery("CDT-VSIP"), await desk.delivery("BQL")):
        for query in ("", "?lang=en"):
            await page.goto(base + desk.path(delivery) + query)
            wrong += await look(page, delivery.recipient + query)
    for path in ("/", "/v/none", f"{desk.path(await desk.delivery('BQL'))}/below"):
        await page.goto(base + path)
        wrong += await look(page, path)
    assert "\n".join(wrong) == ""
    await page.context.close()


async def test_the_first_page_of_an_operator_is_small(base: str, chromium: Browser) -> None:
    page = await opened(chromium, "desk")
    sizes: list[int] = []
    await enter(page, base)

    async def count(response: object) -> None:
        sizes.append(len(await response.body()))  # type: ignore[attr-defined]

    page.on("response", count)
    await page.goto(f"{base}/office/c/8184", wait_until="networkidle")
    assert 0 < sum(sizes) < 50_000
    await page.context.close()
