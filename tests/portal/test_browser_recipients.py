"""A recipient's whole way in a real browser, in both languages, with and without JavaScript, on phone and desk."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Browser, Page

from congvan.house import House
from congvan.store.tables import Delegate, Message
from tests.portal.browser import WAYS
from tests.portal.test_browser import base, fits, opened, shot  # noqa: F401 - fixtures
from tests.portal.test_recipient_asks import rows
from tests.portal.world import Desk, turn_all

pytestmark = pytest.mark.browser
#: Every tenant owes a report with fields.
CAMPAIGN = "report_file"

#: What the page calls things, by language.
SAYS = {
    "vi": {
        "name": "Họ và tên", "position": "Chức vụ", "confirm": "Xác nhận đã nhận", "receipt": "Biên nhận",
        "drills": "Số cuộc diễn tập", "fire": "Cháy", "yes": "Có", "file": "Phương án (nếu có)", "send": "Gửi báo cáo",
        "mail": "Gửi biên nhận về hộp thư của đơn vị", "wrong": "Ghi một số từ 0 đến 100.",
    },
    "en": {
        "name": "Full name", "position": "Position", "confirm": "Confirm receipt", "receipt": "Receipt",
        "drills": "Drills held", "fire": "Fire", "yes": "Yes", "file": "The plan (optional)", "send": "Send the report",
        "mail": "Mail this receipt to our mailbox", "wrong": "Enter a number from 0 to 100.",
    },
}  # fmt: skip


async def filled(page: Page, words: dict[str, str], form: str, *, drills: str) -> None:
    """The report's form, filled by its labels."""
    own = page.locator(f"form[action*='/{form}']")
    await own.get_by_label(words["drills"]).fill(drills)
    await own.get_by_label(words["fire"], exact=True).check()
    await own.get_by_label(words["yes"], exact=True).check()


@pytest.mark.parametrize("lang", ["vi", "en"])
@pytest.mark.parametrize(("size", "javascript"), WAYS)
async def test_from_the_mail_to_the_report_with_a_file_and_its_receipt(
    base: str, chromium: Browser, desk: Desk, tmp_path: Path, size: str, javascript: bool, lang: str  # noqa: F811
) -> None:
    words, tenant = SAYS[lang], await desk.tenant()
    file = tmp_path / "phương án.pdf"
    file.write_bytes(b"%PDF-1.7\nplan\n%%EOF\n")
    page = await opened(chromium, size, javascript=javascript)
    await page.goto(f"{base}{desk.path(tenant)}?lang={lang}")
    await page.get_by_label(words["name"]).first.fill("Nguyễn Thị Hoa")
    await page.get_by_label(words["position"]).first.fill("Trưởng phòng")
    await page.get_by_role("button", name=words["confirm"]).click()
    await page.wait_for_url("**done=confirm**")
    await shot(page, f"report-{lang}-{size}")
    assert await page.locator("#report-name").input_value() == "Nguyễn Thị Hoa", "the form knows the name"
    await filled(page, words, "report", drills="1000")
    await page.get_by_role("button", name=words["send"]).click()
    assert await page.get_by_role("alert").get_by_text(words["wrong"]).is_visible()
    await shot(page, f"report-{lang}-{size}-faults")
    await filled(page, words, "report", drills="3")
    await page.get_by_label(words["file"]).set_input_files(file)
    await page.get_by_role("button", name=words["send"]).click()
    await page.wait_for_url("**done=report**")
    assert await page.get_by_role("heading", name=words["receipt"]).is_visible()
    assert await page.get_by_text("phương án.pdf").is_visible()
    await page.get_by_role("button", name=words["mail"]).click()
    await page.wait_for_url("**done=receipt**")
    await shot(page, f"report-{lang}-{size}-done")
    if javascript:
        await fits(page)
    assert (await desk.delivery(tenant.recipient)).state == "COMPLETED"
    assert [one.address for one in await rows(desk, Message, Message.kind == "receipt")] == [tenant.address]
    await page.context.close()


@pytest.mark.parametrize("lang", ["vi", "en"])
@pytest.mark.parametrize("who", ["tenant", "investor"])
async def test_what_is_asked_by_when_and_from_whom_stand_on_the_first_screen(
    base: str, chromium: Browser, desk: Desk, lang: str, who: str  # noqa: F811
) -> None:
    row = await desk.tenant() if who == "tenant" else await desk.delivery("CDT-VSIP")
    page = await opened(chromium)
    await page.set_viewport_size({"width": 360, "height": 640})
    await page.goto(f"{base}{desk.path(row)}?lang={lang}")
    await shot(page, f"first-{who}-{lang}")
    for spot in (page.locator("h1"), page.locator(".due"), page.locator("header.top"), page.locator("dl.facts").first):
        box = await spot.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= 640, "without scrolling"
    await fits(page)
    await page.context.close()


@pytest.mark.parametrize(
    "javascript", [pytest.param(True, id="script", marks=pytest.mark.gates), pytest.param(False, id="no script")]
)
async def test_an_investor_ticks_whom_it_reached_on_a_phone(
    base: str, chromium: Browser, desk: Desk, javascript: bool  # noqa: F811
) -> None:
    page = await opened(chromium, javascript=javascript)
    await page.goto(base + desk.path(await desk.delivery("CDT-VSIP")))
    await page.get_by_role("link", name="Đơn vị đã tự chuyển văn bản").click()
    await page.get_by_label("Tất cả 9 đơn vị dưới đây").check()
    await page.get_by_label("Bằng cách nào").select_option("own_mail")
    await page.get_by_label("Ngày chuyển").fill("2023-12-01")
    await page.get_by_label("Họ và tên").fill("Nguyễn Thị Hoa")
    await page.get_by_label("Chức vụ").fill("Giám đốc")
    await shot(page, "by-hand")
    if javascript:
        await fits(page)
    await page.get_by_role("button", name="Ghi nhận").click()
    await page.wait_for_url("**done=by_hand**")
    await shot(page, "by-hand-done")
    await page.get_by_role("link", name="Xem danh sách").click()
    await shot(page, "by-hand-below")
    assert (await desk.delivery("CDT-VSIP")).state == "FORWARDED"
    await page.context.close()


async def test_a_colleague_answers_from_a_link_of_its_own(
    base: str, chromium: Browser, desk: Desk, house: House  # noqa: F811
) -> None:
    from congvan.acts import wording

    tenant = await desk.tenant()
    page = await opened(chromium)
    await page.goto(base + desk.path(tenant))
    await page.get_by_text("Chuyển cho đồng nghiệp xử lý").click()
    own = page.locator("form[action$='/delegate']")
    await own.get_by_label("Hộp thư của đồng nghiệp").fill(f"phap-che@{(tenant.address or '').rpartition('@')[2]}")
    await own.get_by_label("Người đề nghị").fill("Hoa")
    await shot(page, "delegate")
    await own.get_by_role("button").click()
    await page.wait_for_url("**done=delegate")
    await turn_all(house)
    (colleague,) = await rows(desk, Delegate)
    link = wording.delegate_link(house, colleague.id, tenant.link_version, await house.clock.now())
    await page.goto(base + link[link.index("/v/") :])
    await shot(page, "colleague")
    await page.get_by_label("Họ và tên").first.fill("Lê Văn Bình")
    await page.get_by_label("Chức vụ").first.fill("Pháp chế")
    await page.get_by_role("button", name="Xác nhận đã nhận").click()
    await page.wait_for_url("**done=confirm")
    assert (await desk.delivery(tenant.recipient)).state == "ACKNOWLEDGED"
    await page.context.close()


async def test_it_does_not_apply_to_us_on_a_phone(base: str, chromium: Browser, desk: Desk) -> None:  # noqa: F811
    page = await opened(chromium)
    await page.goto(base + desk.path(await desk.tenant()))
    await page.get_by_text("Văn bản không áp dụng đối với đơn vị").click()
    own = page.locator("form[action$='/not-applicable']")
    await own.get_by_label("Vì sao không áp dụng").fill("Công ty không có nhà xưởng.")
    await own.get_by_label("Họ và tên").fill("Hoa")
    await own.get_by_label("Chức vụ").fill("Giám đốc")
    await own.get_by_role("button").click()
    await page.wait_for_url("**done=left_out")
    await shot(page, "left-out-done")
    assert await page.get_by_text("đang được cán bộ phụ trách xem xét").is_visible()
    await page.context.close()
