"""The address book by hand, what recipients asked to have changed, and the table as a file."""

from __future__ import annotations

import csv
import io
import re
import zipfile

import pytest
from python_calamine import CalamineWorkbook
from sqlalchemy import select

from congvan.acts import book_cards, closing, deliveries, registry, requests, retention
from congvan.house import House
from congvan.rules.retention import Retention
from congvan.store.office import BookChange
from congvan.store.tables import Delivery, Request
from tests.portal.grown import grow
from tests.portal.office_world import Clerk, sign_in
from tests.portal.world import Desk

AT = "/office/book/CDT-VSIP"
NEW = {
    "code": "DN-MOI", "name": "Công ty TNHH Mới", "level": "tenant", "parks": "VSIP", "why": "công văn 12/VP",
    "valid_from": "01/12/2023",
}  # fmt: skip


async def book(house: House, code: str = "CDT-VSIP") -> book_cards.Card:
    return await book_cards.card(house, code)


async def a_park(house: House) -> str:
    return (await registry.present(house)).parks[0].code


# ------------------------------------------------------------------------------------ organisations


async def test_an_organisation_is_found_by_name_code_and_tax_code_however_it_is_typed(clerk: Clerk) -> None:
    for typed in ("vsip", "VSIP Hai Phong", "cdt-vsip"):
        assert AT in await clerk.see(f"/office/book?q={typed}")
    assert AT not in await clerk.see("/office/book?q=khong%20co%20ai")
    assert "Không có đơn vị nào khớp" in await clerk.see("/office/book?q=%25")


async def test_an_organisation_is_added_with_the_paper_it_rests_on(clerk: Clerk, house: House) -> None:
    await clerk.do("/office/book-new", **(NEW | {"parks": await a_park(house)}))
    card = await book(house, "DN-MOI")
    assert card.organisation.name == "Công ty TNHH Mới"
    (change,) = card.changes
    assert (change.by, change.why, change.before) == ("hoa", "công văn 12/VP", None)
    assert "công văn 12/VP" in await clerk.see("/office/book/DN-MOI")
    assert "/office/book/DN-MOI" in await clerk.see("/office/book?q=cong ty moi")


@pytest.mark.parametrize(
    "wrong",
    [
        {"code": "mã có dấu"}, {"code": "CDT-VSIP"}, {"name": ""}, {"why": ""}, {"parks": "KHU-KHONG-CO"},
        {"parent": "KHONG-CO"}, {"valid_until": "31/02/2024"}, {"valid_until": "01/01/2020"}, {"code": "../../x"},
        {"code": "cdt-vsip"},
    ],
    ids=str,
)  # fmt: skip
async def test_what_cannot_be_an_organisation_is_refused_and_nothing_is_written(
    clerk: Clerk, house: House, wrong: dict[str, str]
) -> None:
    before = len((await registry.present(house)).organisations)
    page = await clerk.do("/office/book-new", 422, **(NEW | {"parks": await a_park(house)} | wrong))
    assert "notice bad" in page.text
    assert len((await registry.present(house)).organisations) == before
    async with house.store.view() as ledger:
        assert await ledger.count(select(BookChange.id)) == 0


async def test_a_correction_says_what_it_was_before_and_moves_no_running_campaign(clerk: Clerk, desk: Desk) -> None:
    one = (await book(desk.house)).organisation
    form = {"name": "Công ty TNHH VSIP (đổi tên)", "level": one.level, "parks": ";".join(one.parks), "why": "giấy ĐKDN"}
    await clerk.do(f"{AT}/correct", **form)
    card = await book(desk.house)
    assert card.organisation.name == "Công ty TNHH VSIP (đổi tên)"
    assert card.organisation.contacts == one.contacts
    assert card.organisation.signers == one.signers
    assert ("Tên tổ chức", one.name, "Công ty TNHH VSIP (đổi tên)") in book_cards.differences(card.changes[0])
    assert (await desk.delivery("CDT-VSIP")).name == one.name


async def test_a_correction_does_not_take_back_what_somebody_else_corrected_meanwhile(
    clerk: Clerk, house: House
) -> None:
    one = (await book(house)).organisation
    shown = re.search(r'name="as_shown" value="(\w{64})"', await clerk.see(AT))
    assert shown is not None
    form = {"name": one.name, "level": one.level, "parks": ";".join(one.parks), "why": "giấy ĐKDN"}
    await clerk.do(f"{AT}/correct", **form, as_shown=shown[1], address="Số 1 đường Mới")
    page = await clerk.do(f"{AT}/correct", 422, **form, as_shown=shown[1], tax_code="0200000000")
    assert "Đã có người sửa đơn vị này" in page.text
    assert shown[1] in page.text, "typed on the old card it stays, until the card is opened anew"
    now = (await book(house)).organisation
    assert (now.address, now.tax_code) == ("Số 1 đường Mới", "")


async def test_an_organisation_ends_on_a_day_and_stays_in_the_book(clerk: Clerk, house: House) -> None:
    one = (await book(house)).organisation
    form = {"name": one.name, "level": one.level, "valid_until": "30/11/2023", "why": "giải thể"}
    await clerk.do(f"{AT}/correct", **form)
    assert "đã hết hiệu lực" in await clerk.see("/office/book?q=vsip hai phong cdt")


async def test_nobody_stands_above_itself(clerk: Clerk, house: House) -> None:
    for code, parent in (("DN-A", ""), ("DN-B", "DN-A"), ("DN-C", "DN-B")):
        await clerk.do("/office/book-new", **(NEW | {"code": code, "parks": "", "parent": parent}))
    form = {"name": "Công ty TNHH Mới", "level": "tenant", "parent": "DN-C", "why": "công văn 13/VP"}
    page = await clerk.do("/office/book/DN-A/correct", 422, **form)
    assert "DN-A → DN-C → DN-B → DN-A" in page.text
    assert (await book(house, "DN-A")).organisation.parent is None


async def test_who_registers_after_the_launch_is_taken_in_by_a_named_person(clerk: Clerk, desk: Desk) -> None:
    new = NEW | {"parks": "", "why": "GCNĐT 12/2023"}
    await clerk.do("/office/book-new", **new)
    box = {"email": "vanthu@moi.example", "designated_by": "GCNĐT 12/2023"}
    await clerk.do("/office/book/DN-MOI/mailbox", **box)
    await clerk.do("/office/book/DN-MOI/join", 422, campaign="khong-co")
    page = await clerk.do("/office/book/DN-MOI/join", campaign="8184")
    row = await desk.delivery("DN-MOI")
    assert page.headers["location"].startswith(f"/office/c/8184/d/{row.id}")
    assert row.address == "vanthu@moi.example"
    await clerk.do("/office/book/DN-MOI/join", 422, campaign="8184")


# ------------------------------------------------------------------------------------ mailboxes


async def test_a_mailbox_stands_with_who_designated_it_and_is_offered_to_what_is_open(
    clerk: Clerk, desk: Desk
) -> None:
    box = {"email": "vanthu.moi@vsip.example", "name": "Văn thư", "designated_by": "công văn 15/VSIP ngày 01/12/2023"}
    await clerk.do(f"{AT}/mailbox", 422, email="vanthu.moi@vsip.example")
    page = await clerk.do(f"{AT}/mailbox", **box)
    shown = await clerk.see(page.headers["location"])
    assert "công văn 15/VSIP" in shown
    delivery = await desk.delivery("CDT-VSIP")
    assert f'value="{delivery.id}" checked' in shown
    assert delivery.address != box["email"], "nothing moves by itself"
    await clerk.do(f"{AT}/offer", email=box["email"], delivery=[delivery.id, "0" * 32])
    after = await desk.delivery("CDT-VSIP")
    assert (after.address, after.round) == (box["email"], 2)


async def test_a_correction_is_offered_only_to_the_organisations_own_open_deliveries(clerk: Clerk, desk: Desk) -> None:
    other = await desk.delivery("CDT-NAMDINHVU")
    mine = (await book(desk.house)).organisation.contacts[0].email
    await clerk.do(f"{AT}/offer", 422, email=mine, delivery=[other.id])
    assert (await desk.delivery("CDT-NAMDINHVU")).round == 1
    own = (await desk.delivery("CDT-VSIP")).id
    page = await clerk.do(f"{AT}/offer", 422, email="ke-la@evil.example", delivery=[own])
    assert "không có trong danh bạ" in page.text
    assert (await desk.delivery("CDT-VSIP")).round == 1


async def test_nothing_is_said_to_be_sent_where_nothing_was_chosen(clerk: Clerk, desk: Desk) -> None:
    email = (await book(desk.house)).organisation.contacts[0].email
    before = await desk.trace()
    page = await clerk.do(f"{AT}/offer", 422, email=email)
    assert "chưa chọn đợt nào" in page.text
    assert await desk.trace() == before


async def test_an_offer_that_is_sent_twice_acts_once(clerk: Clerk, desk: Desk) -> None:
    email = (await book(desk.house)).organisation.contacts[0].email
    key = (await desk.delivery("CDT-VSIP")).id
    assert f'name="round-{key}" value="1"' in await clerk.see(AT)
    form = {"email": email, "delivery": [key], f"round-{key}": "1"}
    await clerk.do(f"{AT}/offer", **form)
    await clerk.do(f"{AT}/offer", 422, **form)
    assert (await desk.delivery("CDT-VSIP")).round == 2
    page = await clerk.do(f"{AT}/offer", 422, **form | {"delivery": [key, key], f"round-{key}": "2"})
    assert "Đã gửi lại 1 đợt" in page.text, "what has left is not said to have failed"
    assert (await desk.delivery("CDT-VSIP")).round == 3


async def test_what_is_left_blank_of_a_mailbox_that_is_corrected_stays(clerk: Clerk, house: House) -> None:
    box = {"email": "truc@vsip.example", "designated_by": "công văn 15"}
    await clerk.do(f"{AT}/mailbox", **box, name="Bà Mẫu", role="văn thư", phone="0225 111 111", order="3")
    await clerk.do(f"{AT}/end-mailbox", email=box["email"], until="31/12/2023", why="hết hợp đồng")
    await clerk.do(f"{AT}/mailbox", **box, phone="0225 222 222")
    (one,) = [one for one in (await book(house)).organisation.contacts if one.email == box["email"]]
    assert (one.name, one.role, one.phone, one.order) == ("Bà Mẫu", "văn thư", "0225 222 222", 3)
    assert str(one.valid_until) == "2023-12-31", "its last day was not taken back"
    await clerk.do(f"{AT}/mailbox", **box, valid_from="05/12/2023")
    (one,) = [one for one in (await book(house)).organisation.contacts if one.email == box["email"]]
    assert (str(one.valid_from), one.valid_until) == ("2023-12-05", None), "designated anew, it has no last day"


async def test_a_mailbox_ends_on_a_day_and_stays_with_its_dates(clerk: Clerk, house: House) -> None:
    email = (await book(house)).organisation.contacts[0].email
    await clerk.do(f"{AT}/end-mailbox", 422, email=email, until="hôm qua", why="nghỉ việc")
    await clerk.do(f"{AT}/end-mailbox", 422, email="khac@x.example", until="30/11/2023", why="nghỉ việc")
    await clerk.do(f"{AT}/end-mailbox", email=email, until="30/11/2023", why="nghỉ việc")
    card = await book(house)
    assert email not in registry.mailboxes(card.organisation, card.today)
    assert email in {one.email for one in card.organisation.contacts}
    assert "nghỉ việc" in await clerk.see(AT)


async def test_each_time_of_a_mailbox_stands_for_itself(clerk: Clerk, house: House) -> None:
    box = {"email": "truc@vsip.example", "designated_by": "công văn 15"}
    await clerk.do(f"{AT}/mailbox", **box, phone="0225 111 111")
    await clerk.do(f"{AT}/mailbox", **box, phone="0225 222 222")

    async def times() -> list[tuple[str, str, str]]:
        contacts = (await book(house)).organisation.contacts
        mine = [one for one in contacts if one.email == box["email"]]
        return sorted((str(one.valid_from), str(one.valid_until), one.phone) for one in mine)

    assert await times() == [("2023-12-01", "None", "0225 222 222")]
    await clerk.do(f"{AT}/end-mailbox", 422, email=box["email"], until="30/11/2023", why="trước ngày bắt đầu")
    await clerk.do(f"{AT}/end-mailbox", email="TRUC@vsip.example", until="05/12/2023", why="nghỉ việc")
    house.clock.forward(days=10)  # type: ignore[attr-defined]
    await sign_in(clerk.web)
    await clerk.do(f"{AT}/mailbox", **box, phone="0225 333 333")
    await clerk.do(f"{AT}/end-mailbox", email=box["email"], until="20/12/2023", why="nghỉ việc")
    assert await times() == [
        ("2023-12-01", "2023-12-05", "0225 222 222"), ("2023-12-11", "2023-12-20", "0225 333 333"),
    ]  # fmt: skip


async def test_what_stood_on_a_card_is_purged_in_time_and_who_changed_it_stays(clerk: Clerk, desk: Desk) -> None:
    box = {"email": "vanthu.moi@vsip.example", "designated_by": "công văn 15/VSIP"}
    await clerk.do(f"{AT}/mailbox", **box)
    email = (await book(desk.house)).organisation.contacts[0].email
    await clerk.do(f"{AT}/end-mailbox", email=email, until="02/12/2023", why="nghỉ việc")
    desk.clock.forward(days=800)
    counted = await retention.purge(desk.house, Retention(contacts_months=24), "dung", dry_run=True)
    assert sum(one.contacts for one in counted) >= 2
    await retention.purge(desk.house, Retention(contacts_months=24), "dung")
    changes = (await book(desk.house)).changes
    assert [(one.by, one.before, one.after) for one in changes] == [("hoa", None, {}), ("hoa", None, {})]
    assert {one.why for one in changes} == {"công văn 15/VSIP", "nghỉ việc"}
    await sign_in(clerk.web)
    page = await clerk.see(AT)
    assert "nội dung đã xóa theo thời hạn lưu" in page
    assert email not in page[page.index("Đã thay đổi") :]


async def test_whoever_may_only_look_changes_no_card(viewer: Clerk, house: House) -> None:
    before = await registry.present(house)
    page = await viewer.see(AT)
    assert "Đợt đang triển khai" in page
    assert "<label" not in page.partition("<main")[2], "nothing is offered that has no field"
    for act in ("correct", "mailbox", "end-mailbox", "offer"):
        await viewer.do(f"{AT}/{act}", 403, **NEW)
    await viewer.do("/office/book-new", 403, **NEW)
    assert await registry.present(house) == before


async def test_a_script_in_a_name_is_only_a_name(clerk: Clerk, house: House) -> None:
    await clerk.do("/office/book-new", **(NEW | {"parks": "", "name": "<script>alert(1)</script>", "why": "<b>x"}))
    for path in ("/office/book/DN-MOI", "/office/book?q=script"):
        page = await clerk.see(path)
        assert "<script>" not in page
        assert "<b>x" not in page


# ------------------------------------------------------------------------------------ what recipients ask


async def ask(desk: Desk, **words: str) -> str:
    tenant, said = await desk.tenant(), {"email": "moi@cong-ty.example", "by": "Hoa"} | words
    return await requests.propose_contact(desk.house, tenant.id, said, None)


async def test_a_proposed_contact_is_taken_up_by_an_operator(clerk: Clerk, desk: Desk) -> None:
    tenant, key = await desk.tenant(), await ask(desk)
    assert "đang chờ quyết định" in await clerk.see("/office/book")
    assert key in await clerk.see("/office/requests")
    assert key in await clerk.see(f"/office/c/8184/d/{tenant.id}")
    form = {"verdict": "accept", "book": "yes", "readdress": "yes", "designated_by": "điện thoại 0225 000 111"}
    await clerk.do(f"/office/requests/{key}/decide", **form)
    assert (await desk.delivery(tenant.recipient)).address == "moi@cong-ty.example"
    contacts = (await book(desk.house, tenant.recipient)).organisation.contacts
    assert ("moi@cong-ty.example", "điện thoại 0225 000 111") in [(one.email, one.designated_by) for one in contacts]
    async with desk.house.store.view() as ledger:
        row = await ledger.get(Request, key)
    assert (row.state, row.decided_by) == ("ACCEPTED", "hoa")
    page = await clerk.do(f"/office/requests/{key}/decide", 422, **form)
    assert "đã có người quyết định" in page.text
    assert (await desk.delivery(tenant.recipient)).round == 2, "pressing twice sends once"


@pytest.mark.parametrize("not_us", [False, True])
async def test_the_next_campaign_writes_to_the_contact_that_was_taken_up(
    clerk: Clerk, desk: Desk, not_us: bool
) -> None:
    tenant = await desk.tenant()
    old = tenant.address
    assert old is not None
    said = {"email": "moi@cong-ty.example", "by": "Hoa"}
    key = await requests.propose_contact(desk.house, tenant.id, said, None, not_us=not_us)
    assert ("hết hiệu lực trong danh bạ" in await clerk.see(f"/office/requests/{key}")) is not_us
    form = {"verdict": "accept", "book": "yes", "readdress": "yes"}
    await clerk.do(f"/office/requests/{key}/decide", **form)
    card = await book(desk.house, tenant.recipient)
    tried = registry.mailboxes(card.organisation, card.today)
    assert tried[0] == "moi@cong-ty.example"
    assert (old in tried) is not not_us
    assert old in {one.email for one in card.organisation.contacts}


async def test_after_the_closing_a_contact_is_taken_up_for_the_next_campaign(clerk: Clerk, desk: Desk) -> None:
    tenant, key = await desk.tenant(), await ask(desk)
    await closing.close(desk.house, "8184", "dung", now_matter_what=True)
    assert "readdress" not in await clerk.see(f"/office/requests/{key}")
    form = {"verdict": "accept", "book": "yes", "readdress": "yes"}
    await clerk.do(f"/office/requests/{key}/decide", **form)
    assert (await desk.delivery(tenant.recipient)).round == 1
    contacts = (await book(desk.house, tenant.recipient)).organisation.contacts
    assert "moi@cong-ty.example" in {one.email for one in contacts}


async def test_a_decision_that_cannot_be_carried_out_leaves_book_and_request_as_they_were(
    clerk: Clerk, desk: Desk
) -> None:
    tenant = await desk.tenant()
    said = {"email": "không phải thư", "by": "Hoa"}
    key = await requests.propose_contact(desk.house, tenant.id, said, None, not_us=True)
    before = (await book(desk.house, tenant.recipient)).organisation
    await clerk.do(f"/office/requests/{key}/decide", 422, verdict="accept", book="yes", readdress="yes")
    async with desk.house.store.view() as ledger:
        assert (await ledger.get(Request, key)).state == "OPEN"
    assert (await book(desk.house, tenant.recipient)).organisation == before
    assert (await desk.delivery(tenant.recipient)).round == 1


async def test_a_mailbox_that_is_not_theirs_ends_although_nobody_names_another(clerk: Clerk, desk: Desk) -> None:
    tenant = await desk.tenant()
    key = await requests.propose_contact(desk.house, tenant.id, {"by": "Người lạ"}, None, not_us=True)
    await deliveries.resend(desk.house, tenant.id, "hoa", address="khac@cong-ty.example", why="điện thoại")
    await clerk.do(f"/office/requests/{key}/decide", verdict="accept")
    card = await book(desk.house, tenant.recipient)
    assert tenant.address not in registry.mailboxes(card.organisation, card.today)


async def test_a_proposed_contact_that_is_declined_changes_nothing(clerk: Clerk, desk: Desk) -> None:
    tenant, key = await desk.tenant(), await ask(desk)
    before = (await book(desk.house, tenant.recipient)).organisation
    await clerk.do(f"/office/requests/{key}/decide", 422, verdict="decline", why=" ")
    await clerk.do(f"/office/requests/{key}/decide", verdict="decline", why="không xác minh được")
    assert (await book(desk.house, tenant.recipient)).organisation == before
    assert (await desk.delivery(tenant.recipient)).round == 1


async def test_a_letter_that_does_not_apply_is_let_go_by_a_named_person(clerk: Clerk, desk: Desk) -> None:
    tenant = await desk.tenant()
    now = await desk.house.clock.now()
    async with desk.house.store.act() as ledger:
        row = await ledger.take(Delivery, tenant.id)
        words = {"reason": "không có người nước ngoài"}
        key = await requests._file(desk.house, ledger, row, "not_applicable", words, now, None)
    assert "không có người nước ngoài" in await clerk.see(f"/office/requests/{key}")
    await clerk.do(f"/office/requests/{key}/decide", verdict="accept")
    after = await desk.delivery(tenant.recipient)
    assert (after.state, after.reason) == ("EXEMPT", "không có người nước ngoài")


async def test_a_request_that_is_not_there_is_not_found(clerk: Clerk, viewer: Clerk, desk: Desk) -> None:
    await clerk.see(f"/office/requests/{'0' * 32}", 404)
    await clerk.do(f"/office/requests/{'0' * 32}/decide", 404, verdict="accept")
    key = await ask(desk)
    await viewer.do(f"/office/requests/{key}/decide", 403, verdict="accept")


# ------------------------------------------------------------------------------------ the table as a file

FORMULA = '=HYPERLINK("http://evil.example";"Xem")'


@pytest.fixture
async def dangerous(house: House) -> str:
    async with house.store.act() as ledger:
        row = await ledger.first(select(Delivery).where(Delivery.level == "investor").order_by(Delivery.code))
        await ledger.change(Delivery, Delivery.id == row.id, name=FORMULA, reason="@SUM(1+1)|cmd")
    return str(row.recipient)


def read_csv(data: bytes) -> list[list[str]]:
    assert data.startswith(b"\xef\xbb\xbf"), "a spreadsheet opened by double click shows the diacritics"
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"))))


async def test_the_table_is_saved_as_it_is_filtered(viewer: Clerk, house: House) -> None:
    await grow(house, 120)
    page = await viewer.web.get("/office/c/8184/export.csv?state=SENT")
    rows = read_csv(page.content)
    async with house.store.view() as ledger:
        sent = await ledger.count(select(Delivery.id).where(Delivery.state == "SENT"))
    assert len(rows) == sent + 1
    assert page.headers["content-disposition"].startswith("attachment;")
    saved = (await viewer.web.get("/office/c/8184/export.xlsx?state=SENT")).content
    lines = CalamineWorkbook.from_filelike(io.BytesIO(saved)).get_sheet_by_index(0).to_python()
    assert len(lines) == sent + 1
    assert [str(cell) for cell in lines[0]] == rows[0]
    assert lines[1][0] == rows[1][0]


async def test_no_cell_of_an_export_is_a_formula(clerk: Clerk, dangerous: str) -> None:
    rows = read_csv((await clerk.web.get("/office/c/8184/export.csv")).content)
    (mine,) = [row for row in rows if row[0] == dangerous]
    assert mine[1] == "'" + FORMULA
    assert not [cell for row in rows for cell in row if cell[:1] in "=+-@\t" and cell]
    data = (await clerk.web.get("/office/c/8184/export.xlsx")).content
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml").decode()
    assert "<f>" not in sheet
    assert "hyperlink" not in sheet.lower().replace("hyperlink(", "")


async def test_an_export_holds_no_mailbox_and_no_telephone(clerk: Clerk) -> None:
    rows = read_csv((await clerk.web.get("/office/c/8184/export.csv")).content)
    assert not [cell for row in rows for cell in row if "@" in cell]


async def test_twenty_five_hundred_rows_leave_once_each(clerk: Clerk, house: House) -> None:
    await grow(house, 2_500)
    rows = read_csv((await clerk.web.get("/office/c/8184/export.csv")).content)
    assert len({row[0] for row in rows}) == len(rows) == 2_501
