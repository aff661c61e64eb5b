"""What recipients see and do, page by page."""

from __future__ import annotations

import re

import httpx
import pytest

from congvan.acts import confirmations, deliveries, figures, metrics, passing_on, pausing, roll
from congvan.acts.dossier import dossier
from congvan.acts.progress import progress
from congvan.errors import ActRefused
from congvan.rules.protocol import Event
from congvan.rules.uploads import LARGEST_BYTES
from congvan.store.tables import Delivery, Hop, Letter
from tests.portal.files_sent import made_pdf, with_script
from tests.portal.world import Desk, form_token, turn_all

WHO = {"name": "Nguyễn Thị Hoa", "position": "Trưởng phòng Hành chính"}


async def posted(web: httpx.AsyncClient, path: str, form: str, **fields: str) -> httpx.Response:
    """Open the page, fill the form, send it, follow to the page that answers."""
    page = await web.get(path)
    data = {"form_token": form_token(page), **fields}
    return await web.post(f"{path}/{form}", data=data, follow_redirects=True)


async def test_the_page_says_what_is_asked_by_when_and_from_whom(web: httpx.AsyncClient, desk: Desk) -> None:
    tenant = await desk.tenant()
    page = await web.get(desk.path(tenant))
    assert page.status_code == 200
    assert tenant.name in page.text
    assert "Đề nghị xác nhận đã nhận văn bản" in page.text
    assert "trước 17 giờ 00 ngày 08/12/2023" in page.text
    assert "Công văn số 01/BQL-QHXD ngày 01/12/2023" in page.text
    assert "Ban Quản lý Khu kinh tế Hải Phòng" in page.text
    assert "BẢN MINH HỌA" in page.text
    assert 'class="letter-body"' in page.text


async def test_looking_changes_nothing_however_often(web: httpx.AsyncClient, desk: Desk) -> None:
    before = await desk.trace()
    tenant = await desk.tenant()
    for _ in range(3):
        assert (await web.get(desk.path(tenant))).status_code == 200
    assert (await web.head(desk.path(tenant))).status_code == 200
    assert await desk.trace() == before


async def test_a_confirmation_is_recorded_and_answered_with_a_receipt(web: httpx.AsyncClient, desk: Desk) -> None:
    tenant = await desk.tenant()
    page = await posted(web, desk.path(tenant), "confirm", **WHO)
    assert page.status_code == 200
    assert [one.status_code for one in page.history] == [303]
    assert "Biên nhận" in page.text
    assert "10 giờ 00 ngày 01/12/2023" in page.text
    assert tenant.code in page.text
    assert "Nguyễn Thị Hoa, Trưởng phòng Hành chính" in page.text
    row = await desk.delivery(tenant.recipient)
    assert (row.state, row.channel) == ("ACKNOWLEDGED", "link")
    assert row.answered_by == WHO


async def test_pressing_twice_is_fine_and_the_first_answer_stands(web: httpx.AsyncClient, desk: Desk) -> None:
    tenant = await desk.tenant()
    path = desk.path(tenant)
    token = form_token(await web.get(path))
    for name in ("Người thứ nhất", "Người thứ hai"):
        data = {"form_token": token, "name": name, "position": "Giám đốc"}
        assert (await web.post(f"{path}/confirm", data=data)).status_code == 303
    assert (await desk.delivery(tenant.recipient)).answered_by == {"name": "Người thứ nhất", "position": "Giám đốc"}
    assert (await desk.events(tenant.id)).count("acknowledged") == 1
    page = await web.get(path)
    assert "Người thứ nhất" in page.text
    assert "Người thứ hai" not in page.text


async def test_a_late_answer_is_accepted_and_says_that_it_is_late(web: httpx.AsyncClient, desk: Desk) -> None:
    tenant = await desk.tenant()
    desk.clock.forward(days=30)
    path = desk.path(tenant)
    assert "Đã quá thời hạn" in (await web.get(path)).text
    page = await posted(web, path, "confirm", **WHO)
    assert "Trả lời sau thời hạn." in page.text
    assert (await desk.delivery(tenant.recipient)).late


@pytest.mark.parametrize(
    ("form", "fields", "message"),
    [
        ("confirm", {"position": "Giám đốc"}, "Ghi họ và tên."),
        ("confirm", {"name": "A", "position": "  "}, "Ghi chức vụ."),
        ("confirm", {"name": "A" * 121, "position": "B"}, "Nội dung quá dài."),
        ("reject", {"name": "A"}, "Ghi rõ nội dung."),
        ("reject", {"name": "A", "reason": "\u200b\u0000 "}, "Ghi rõ nội dung."),
        ("contact", {"email": "không phải thư", "by": "A"}, "Địa chỉ thư điện tử không đúng."),
        ("contact", {"email": "a@b.example"}, "Ghi tên người đề nghị."),
    ],
)
async def test_an_incomplete_form_comes_back_with_what_is_missing(
    web: httpx.AsyncClient, desk: Desk, form: str, fields: dict[str, str], message: str
) -> None:
    tenant = await desk.tenant()
    before = await desk.trace()
    page = await posted(web, desk.path(tenant), form, **fields)
    assert page.status_code == 422
    assert message in page.text
    assert 'role="alert"' in page.text
    assert "<title>Lỗi: " in page.text
    assert await desk.trace() == before


async def test_what_was_typed_is_still_there_when_the_form_comes_back(web: httpx.AsyncClient, desk: Desk) -> None:
    page = await posted(web, desk.path(await desk.tenant()), "confirm", name="Trần Văn Bình")
    assert 'value="Trần Văn Bình"' in page.text


async def test_a_refusal_needs_its_reason_and_opens_a_case(web: httpx.AsyncClient, desk: Desk) -> None:
    tenant = await desk.tenant()
    page = await posted(web, desk.path(tenant), "reject", name="Hoa", reason="Công ty đã giải thể.")
    assert "Từ chối tiếp nhận" in page.text
    assert "Công ty đã giải thể." in page.text
    row = await desk.delivery(tenant.recipient)
    assert (row.state, row.reason) == ("REJECTED", "Công ty đã giải thể.")


async def test_who_refused_may_still_confirm(web: httpx.AsyncClient, desk: Desk) -> None:
    tenant = await desk.tenant()
    await posted(web, desk.path(tenant), "reject", name="Hoa", reason="Nhầm.")
    await posted(web, desk.path(tenant), "confirm", **WHO)
    assert (await desk.delivery(tenant.recipient)).state == "ACKNOWLEDGED"


async def test_two_tabs_with_different_answers_end_in_a_page_that_says_what_stands(
    web: httpx.AsyncClient, desk: Desk
) -> None:
    investor = await desk.delivery("CDT-VSIP")
    path = desk.path(investor)
    token = form_token(await web.get(path))
    assert (await web.post(f"{path}/pass-on", data={"form_token": token, **WHO})).status_code == 303
    data = {"form_token": token, "name": "Hoa", "reason": "Không phải chúng tôi."}
    page = await web.post(f"{path}/reject", data=data)
    assert page.status_code == 409
    assert "dưới đây là điều đã được ghi nhận" in page.text
    assert "Đã chuyển tiếp" in page.text
    assert (await desk.delivery("CDT-VSIP")).state == "FORWARDED"


async def test_a_refusal_from_a_tab_left_open_does_not_undo_a_confirmation(web: httpx.AsyncClient, desk: Desk) -> None:
    tenant = await desk.tenant()
    path = desk.path(tenant)
    token = form_token(await web.get(path))
    await posted(web, path, "confirm", **WHO)
    page = await web.post(f"{path}/reject", data={"form_token": token, "name": "Hoa", "reason": "Nhầm."})
    assert page.status_code == 409
    assert (await desk.delivery(tenant.recipient)).state == "ACKNOWLEDGED"


async def test_refusing_twice_is_fine_too(web: httpx.AsyncClient, desk: Desk) -> None:
    tenant = await desk.tenant()
    path = desk.path(tenant)
    token = form_token(await web.get(path))
    for reason in ("Thứ nhất.", "Thứ hai."):
        data = {"form_token": token, "name": "Hoa", "reason": reason}
        assert (await web.post(f"{path}/reject", data=data)).status_code == 303
    assert (await desk.delivery(tenant.recipient)).reason == "Thứ nhất."


async def test_past_a_silent_investor_tenants_read_the_letter_above(web: httpx.AsyncClient, desk: Desk) -> None:
    tenant = await desk.tenant(chemical=True)
    for _ in range(14):
        desk.clock.forward(days=1)
        await turn_all(desk.house)
    page = await web.get(desk.path(await desk.delivery(tenant.recipient)))
    assert page.status_code == 200
    assert "Công văn số 01/BQL-QHXD ngày 01/12/2023 · Ban Quản lý Khu kinh tế Hải Phòng" in page.text
    investor = await desk.delivery("CDT-VSIP")
    path = desk.path(investor)
    page = await web.get(path)
    assert "không gửi văn bản lần thứ hai" in page.text
    page = await posted(web, path, "pass-on", **WHO)
    assert "Đã chuyển tiếp" in page.text
    assert (await desk.delivery("CDT-VSIP")).late


async def test_while_a_campaign_is_paused_nobody_is_overdue(web: httpx.AsyncClient, desk: Desk) -> None:
    tenant = await desk.tenant()
    path = desk.path(tenant)
    await pausing.pause(desk.house, tenant.campaign_id, "Hoa", "bão số 3")
    desk.clock.forward(days=14)
    page = (await web.get(path)).text
    assert "Đã quá thời hạn" not in page
    assert "Đang tạm dừng, ngừng tính thời hạn." in page
    assert "Paused: the time to answer does not run." in (await web.get(f"{path}?lang=en")).text
    assert (await dossier(desk.house, "8184", tenant.id)).overdue is False
    campaign = await roll.campaign_of(desk.house, "8184")
    assert await roll.count(desk.house, campaign.id, roll.Wanted(mark="overdue")) == 0
    lines = await roll.entries(desk.house, [tenant.id])
    assert [line.overdue for line in lines] == [False]
    assert (await progress(desk.house, campaign)).total.overdue == 0
    (shown,) = (await figures.status(desk.house))["campaigns"]
    assert shown["totals"]["overdue"] == 0
    assert (await metrics.snapshot(desk.house))["congvan_deliveries_overdue"] == {(): 0}


async def test_a_new_contact_goes_to_the_operator_and_changes_no_address(web: httpx.AsyncClient, desk: Desk) -> None:
    tenant = await desk.tenant()
    page = await posted(web, desk.path(tenant), "contact", email="hcns@moi.example", by="Hoa", note="Từ 1/12")
    assert "Đề nghị đã được chuyển đến cán bộ phụ trách." in page.text
    assert (await desk.delivery(tenant.recipient)).address == tenant.address
    assert "contact_proposed" in await desk.events(tenant.id)


async def test_the_same_contact_proposed_again_is_one_request_and_there_is_an_end_to_others(
    web: httpx.AsyncClient, desk: Desk
) -> None:
    tenant = await desk.tenant()
    for number in (1, 1, 1, 2, 3, 4, 5):
        page = await posted(web, desk.path(tenant), "contact", email=f"hcns{number}@moi.example", by="Hoa")
        assert page.status_code == 200
    assert (await desk.events(tenant.id)).count("contact_proposed") == 5
    page = await posted(web, desk.path(tenant), "contact", email="hcns6@moi.example", by="Hoa")
    assert page.status_code == 422
    assert "đang chờ cán bộ phụ trách xem xét" in page.text
    assert (await desk.events(tenant.id)).count("contact_proposed") == 5


async def test_whom_nothing_is_asked_of_any_more_names_no_contact(web: httpx.AsyncClient, desk: Desk) -> None:
    tenant = await desk.tenant()
    path = desk.path(tenant)
    token = form_token(await web.get(path))
    await deliveries.exempt(desk.house, tenant.id, "Hoa", "đã giải thể")
    data = {"form_token": token, "email": "hcns@moi.example", "by": "Hoa"}
    assert (await web.post(f"{path}/contact", data=data)).status_code == 409
    assert "contact_proposed" not in await desk.events(tenant.id)


async def test_a_chemical_enterprise_ticks_the_sentence_that_binds_it(web: httpx.AsyncClient, desk: Desk) -> None:
    await release_branches(desk)
    tenant = await desk.tenant(chemical=True)
    path = desk.path(tenant)
    assert "doanh nghiệp hoạt động hóa chất nghiêm túc thực hiện" in (await web.get(path)).text
    page = await posted(web, path, "confirm", **WHO)
    assert page.status_code == 422
    assert "Đánh dấu xác nhận nội dung áp dụng riêng." in page.text
    page = await posted(web, path, "confirm", **WHO, segment="yes")
    assert page.status_code == 200
    assert "segment_confirmed" in await desk.events(tenant.id)


async def release_branches(desk: Desk) -> None:
    for code in ("CDT-VSIP", "CDT-NAMDINHVU"):
        investor = await desk.delivery(code)
        if investor.child_hop_id is not None:
            await passing_on.pass_on(desk.house, investor.id, passing_on.PassOn("Hoa", "Giám đốc"))
    await turn_all(desk.house)


# ---------------------------------------------------------------------------- passing on


async def test_an_investor_sees_the_prepared_letter_and_passes_it_on(web: httpx.AsyncClient, desk: Desk) -> None:
    investor = await desk.delivery("CDT-VSIP")
    path = desk.path(investor)
    page = await web.get(path)
    assert "Chuyển tiếp đến các doanh nghiệp thứ cấp" in page.text
    assert page.text.count('class="letter-body"') == 2
    page = await posted(web, path, "pass-on", **WHO, number="15")
    assert "Đã chuyển tiếp" in page.text
    assert "0/" in page.text, "nobody below has answered yet"
    async with desk.house.store.view() as ledger:
        hop = await ledger.get(Hop, investor.child_hop_id)
        letter = await ledger.get(Letter, hop.letter_id)
        assert (letter.state, letter.number) == ("ISSUED", 15)


async def test_an_investors_own_pdf_is_what_leaves(web: httpx.AsyncClient, desk: Desk) -> None:
    investor = await desk.delivery("CDT-VSIP")
    path = desk.path(investor)
    own = b"%PDF-1.7\n% our own letter\n%%EOF\n"
    data = {"form_token": form_token(await web.get(path)), **WHO}
    files = {"own_pdf": ("../../thư.pdf", own, "application/pdf")}
    page = await web.post(f"{path}/pass-on", data=data, files=files, follow_redirects=True)
    assert page.status_code == 200
    async with desk.house.store.view() as ledger:
        hop = await ledger.get(Hop, investor.child_hop_id)
        letter = await ledger.get(Letter, hop.letter_id)
        assert letter.sha256 is not None
        assert await ledger.file(letter.sha256) == own


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "Tệp không có nội dung."),
        (b"MZ\x90\x00 not a letter", "Tệp không phải là PDF nguyên vẹn."),
        (b"%PDF-1.7 cut off", "Tệp không phải là PDF nguyên vẹn."),
        (b"PK\x03\x04", "Tệp không phải là PDF nguyên vẹn."),
        (b"%PDF-" + bytes(LARGEST_BYTES) + b"%%EOF", "Tệp lớn hơn 10 MB."),
        (made_pdf("TỐI MẬT"), "Tệp có dấu chỉ mức độ mật"),
        (with_script(), "có mã lệnh hoặc có tệp nhúng"),
    ],
    ids=lambda one: f"{len(one)} bytes" if isinstance(one, bytes) else "",
)
async def test_a_file_that_may_not_leave_in_a_companys_name_is_refused_in_words(
    web: httpx.AsyncClient, desk: Desk, data: bytes, message: str
) -> None:
    path = desk.path(await desk.delivery("CDT-VSIP"))
    before = await desk.trace()
    fields = {"form_token": form_token(await web.get(path)), **WHO}
    page = await web.post(f"{path}/pass-on", data=fields, files={"own_pdf": ("a.pdf", data, "application/pdf")})
    assert page.status_code == 422
    assert message in page.text
    assert 'aria-describedby="pass_on-own_pdf-fault"' in page.text
    assert await desk.trace() == before


async def test_a_file_that_was_chosen_never_gives_way_to_the_prepared_letter(
    web: httpx.AsyncClient, desk: Desk
) -> None:
    investor = await desk.delivery("CDT-VSIP")
    path, before = desk.path(investor), await desk.trace()
    fields = {"form_token": form_token(await web.get(path)), **WHO}
    own = {"own_pdf": ("thư.pdf", made_pdf("Kính gửi"), "application/pdf")}
    page = await web.post(f"{path}/pass-on", data=fields | {"number": "15/CV"}, files=own)
    assert page.status_code == 422
    assert "Chọn lại tệp" in page.text
    assert re.search(r"<details open>\s*<summary>Dùng văn bản riêng", page.text)
    sent = fields | chosen(page) | {"number": "15"}
    assert "chosen_own_pdf" in sent
    page = await web.post(f"{path}/pass-on", data=sent)
    assert page.status_code == 422
    assert "Chọn lại tệp" in page.text
    assert await desk.trace() == before
    page = await web.post(f"{path}/pass-on", data=fields | chosen(page), files=own)
    assert page.status_code == 303
    async with desk.house.store.view() as ledger:
        letter = await ledger.get(Letter, (await ledger.get(Hop, investor.child_hop_id)).letter_id)
        assert await ledger.file(letter.sha256) == own["own_pdf"][1]


async def test_whoever_gives_up_its_own_file_passes_the_prepared_letter_on(web: httpx.AsyncClient, desk: Desk) -> None:
    path = desk.path(await desk.delivery("CDT-VSIP"))
    fields = {"form_token": form_token(await web.get(path)), **WHO}
    page = await web.post(f"{path}/pass-on", data=fields, files={"own_pdf": ("a.pdf", b"MZ", "application/pdf")})
    sent = fields | chosen(page) | {"without_own_pdf": "yes"}
    assert 'name="without_own_pdf"' in page.text
    assert (await web.post(f"{path}/pass-on", data=sent)).status_code == 303


def chosen(page: httpx.Response) -> dict[str, str]:
    """What a form that came back remembers of the files that were chosen."""
    return dict.fromkeys(re.findall(r'type="hidden" name="(chosen_\w+)" value="yes"', page.text), "yes")


async def test_who_has_nobody_below_passes_nothing_on(web: httpx.AsyncClient, desk: Desk) -> None:
    tenant, before = await desk.tenant(), await desk.trace()
    page = await posted(web, desk.path(tenant), "pass-on", **WHO)
    assert page.status_code == 409
    with pytest.raises(ActRefused):
        await passing_on.pass_on(desk.house, tenant.id, passing_on.PassOn("Hoa", "Giám đốc"))
    assert await desk.trace() == before


async def test_an_investor_may_confirm_first_and_pass_on_later(web: httpx.AsyncClient, desk: Desk) -> None:
    path = desk.path(await desk.delivery("CDT-VSIP"))
    page = await posted(web, path, "confirm", **WHO)
    assert "còn cần chuyển tiếp văn bản" in page.text
    page = await posted(web, path, "pass-on", **WHO)
    assert "Đã chuyển tiếp" in page.text


async def test_an_investor_sees_where_each_of_its_tenants_stands(web: httpx.AsyncClient, desk: Desk) -> None:
    await release_branches(desk)
    tenant = await desk.tenant(chemical=True)
    await posted(web, desk.path(tenant), "confirm", **WHO, segment="yes")
    for code in ("CDT-VSIP", "CDT-NAMDINHVU"):
        page = await web.get(desk.path(await desk.delivery(code)) + "/below")
        assert page.status_code == 200
        if tenant.name in page.text:
            assert "Đã tiếp nhận" in page.text
            return
    pytest.fail("the tenant stands in no branch")


async def test_the_boards_office_registers_and_cannot_pass_on_by_the_page(web: httpx.AsyncClient, desk: Desk) -> None:
    board = await desk.delivery("BQL")
    path = desk.path(board)
    page = await web.get(path)
    assert "8184/VP-NCKTGS" in page.text
    token = form_token(page)
    page = await web.post(f"{path}/pass-on", data={"form_token": token, **WHO})
    assert page.status_code == 409


# ---------------------------------------------------------------------------- files, language, links


async def test_every_enclosure_can_be_downloaded_byte_for_byte(web: httpx.AsyncClient, desk: Desk) -> None:
    import hashlib
    import re

    tenant = await desk.tenant()
    page = await web.get(desk.path(tenant))
    found = re.findall(r'href="(/v/[^"]+/files/([0-9a-f]{64})/[^"]+)"', page.text)
    assert len(found) == 2, "the Board's letter and the City's document"
    for address, sha256 in found:
        file = await web.get(address)
        assert file.status_code == 200
        assert hashlib.sha256(file.content).hexdigest() == sha256
        assert file.headers["content-type"] == "application/pdf"


async def test_a_file_of_another_branch_is_not_given_out(web: httpx.AsyncClient, desk: Desk) -> None:
    investor, tenant = await desk.delivery("CDT-VSIP"), await desk.tenant()
    async with desk.house.store.view() as ledger:
        hop = await ledger.get(Hop, investor.child_hop_id)
        letter = await ledger.get(Letter, hop.letter_id)
    address = f"/files/{letter.sha256}/x.pdf"
    assert (await web.get(desk.path(investor) + address)).status_code == 200
    assert (await web.get(desk.path(tenant) + address)).status_code == 404


async def test_english_stays_through_links_forms_and_receipt(web: httpx.AsyncClient, desk: Desk) -> None:
    path = desk.path(await desk.tenant())
    page = await web.get(f"{path}?lang=en")
    assert '<html lang="en">' in page.text
    assert "17:00 on 8 December 2023 (Vietnam time)" in page.text
    assert "Please confirm that you received this document" in page.text
    assert f"{path}/confirm?lang=en" in page.text
    data = {"form_token": form_token(page), **WHO}
    page = await web.post(f"{path}/confirm?lang=en", data=data, follow_redirects=True)
    assert str(page.url).endswith("lang=en")
    assert "Receipt" in page.text


async def test_a_withdrawn_letters_link_says_so(web: httpx.AsyncClient, desk: Desk) -> None:
    tenant = await desk.tenant()
    path = desk.path(tenant)
    await deliveries.withdraw(desk.house, tenant.id, "Hoa", "gửi nhầm")
    page = await web.get(path)
    assert page.status_code == 410
    assert "Đường dẫn này không còn dùng" in page.text


async def test_an_exempt_recipient_is_asked_nothing(web: httpx.AsyncClient, desk: Desk) -> None:
    tenant = await desk.tenant()
    await deliveries.exempt(desk.house, tenant.id, "Hoa", "đã ngừng hoạt động")
    page = await web.get(desk.path(tenant))
    assert "được miễn báo cáo" in page.text
    assert "<form" not in page.text


async def test_an_answer_by_telephone_shows_on_the_page(web: httpx.AsyncClient, desk: Desk) -> None:
    tenant = await desk.tenant()
    said = confirmations.Answer(Event.ACKNOWLEDGED, "Hoa", "Kế toán", channel="phone", actor="Lan")
    await confirmations.answer(desk.house, tenant.id, said)
    assert "qua điện thoại" in (await web.get(desk.path(tenant))).text


async def test_the_first_page_is_below_50_kb_without_the_letter(web: httpx.AsyncClient, desk: Desk) -> None:
    from congvan.acts import views

    for code in ("CDT-VSIP", (await desk.tenant()).recipient):
        delivery = await desk.delivery(code)
        page = await web.get(desk.path(delivery))
        style = await web.get("/static/style.css")
        link = desk.house.links.read(desk.token(delivery), "answer", await desk.house.clock.now())
        shown = await views.obligation(desk.house, link)
        letters = len(shown.letter.html.encode()) if shown.letter else 0
        assert len(page.content) + len(style.content) - letters < 50_000


async def test_overview_and_start_page_hold_no_personal_data(web: httpx.AsyncClient, desk: Desk) -> None:
    tenant = await desk.tenant()
    await posted(web, desk.path(tenant), "confirm", **WHO)
    closed = await web.get("/status")
    assert (closed.status_code, closed.headers["location"]) == (303, "/office"), "who stands where is for operators"
    desk.house.settings = desk.house.settings.model_copy(update={"demo": True})
    page = await web.get("/status")
    assert page.status_code == 200
    assert "Công ty TNHH VSIP Hải Phòng" in page.text
    for secret in (WHO["name"], str(tenant.address), "@", "/v/"):
        assert secret not in page.text
    assert (await web.get("/")).status_code == 200
    assert (await web.get("/healthz")).text == "ok\n"


async def test_unanswered_page_with_done_in_its_address_claims_nothing(web: httpx.AsyncClient, desk: Desk) -> None:
    tenant: Delivery = await desk.tenant()
    page = await web.get(desk.path(tenant) + "?done=confirm")
    assert "Biên nhận" not in page.text
    assert "Đã ghi nhận" not in page.text
