"""The clerk at the pages: the draft is taken away, the signed file comes back, is compared, and somebody says yes."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from datetime import date
from email.parser import BytesParser
from email.policy import default
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from congvan.acts import clerks, closing, confirmations, launches, letters
from congvan.acts.signed_files import Issued
from congvan.house import House
from congvan.mail.outgoing import Outcome, Outgoing
from congvan.portal.app import app
from congvan.portal.throttle import Allowance
from congvan.reading import read_cascade, read_plan
from congvan.rules.protocol import Event
from congvan.store.office import Entered
from congvan.store.tables import Delivery, EventRow, Letter
from tests.portal.office_world import Clerk, account, sign_in
from tests.portal.world import BASE, Desk, turn_all
from tests.signing import scanned, signed

DAY = date(2023, 12, 1)


@pytest.fixture
async def waiting(house: House, tmp_path: Path) -> str:
    """The Board's letter of a live campaign, drafted and awaiting its issue."""
    (tmp_path / "8185.pdf").write_bytes(b"%PDF-1.7 the document from above\n%%EOF\n")
    plan, _ = read_plan(house.settings.config / "campaigns" / "8184.yaml")
    directive = plan.directives[0].model_copy(update={"files": ("8185.pdf",)})
    plan = plan.model_copy(update={"code": "8185", "directives": (directive,)})
    cascade = read_cascade(house.settings.config / "cascade.yaml")
    campaign = await launches.launch(house, launches.Launch(plan, cascade, "live", "dung", tmp_path))
    await turn_all(house)
    async with house.store.view() as ledger:
        mine = Delivery.campaign_id == campaign, Delivery.recipient == "BQL"
        board = await ledger.first(select(Delivery.id).where(*mine))
    await confirmations.answer(house, board, confirmations.Answer(Event.ACKNOWLEDGED, "Văn thư", "Văn thư"))
    await turn_all(house)
    async with house.store.view() as ledger:
        letter = Letter.campaign_id == campaign, Letter.issuer == "BQL"
        return str(await ledger.first(select(Letter.id).where(*letter)))


async def letter_of(house: House, letter_id: str) -> Letter:
    async with house.store.view() as ledger:
        return await ledger.get(Letter, letter_id)


async def paper(house: House, letter_id: str, number: str = "12", place: str = "") -> bytes:
    """What the leader signed: the draft with number and date; place: changed on its way."""
    sheet = await letters.sheet_to_sign(house, letter_id, number, DAY)
    body = str(sheet.context["letter"]["opening"])
    if place:
        letter = {**sheet.context["letter"], "opening": body.replace("Thực hiện", place, 1)}
        sheet = sheet.model_copy(update={"context": {**sheet.context, "letter": letter}})
    return signed(house.press.render(sheet).pdf)


def shown_mark(page: str) -> str:
    (mark,) = re.findall(r'name="seen" value="(\w+)"', page)
    return str(mark)


def upload(pdf: bytes) -> dict[str, tuple[str, bytes, str]]:
    return {"file": ("da ky.pdf", pdf, "application/pdf")}


async def test_what_awaits_its_issue_is_listed_and_its_draft_is_taken_away(
    clerk: Clerk, house: House, waiting: str
) -> None:
    page = await clerk.see("/office/letters")
    assert f"/office/letters/{waiting}" in page
    assert "Chờ ban hành" in await clerk.see(f"/office/letters/{waiting}")
    pdf = await clerk.web.get(f"/office/letters/{waiting}/draft.pdf")
    assert pdf.content == (await letters.to_sign(house, waiting)).pdf
    word = await clerk.web.get(f"/office/letters/{waiting}/draft.docx")
    assert "word/document.xml" in zipfile.ZipFile(io.BytesIO(word.content)).namelist()
    assert word.headers["content-disposition"].startswith("attachment")


async def test_the_signed_file_is_issued_and_kept_byte_for_byte(clerk: Clerk, house: House, waiting: str) -> None:
    pdf = await paper(house, waiting)
    await clerk.do(f"/office/letters/{waiting}/issue", number="12", day="01/12/2023", files=upload(pdf))
    row = await letter_of(house, waiting)
    assert (row.state, row.number, row.issued_on, row.issued_by) == ("ISSUED", 12, DAY, "hoa")
    assert (await clerk.web.get(f"/office/letters/{waiting}/letter.pdf")).content == pdf
    assert waiting not in await clerk.see("/office/letters")


@pytest.mark.parametrize(
    ("number", "day", "says"),
    [("13", "01/12/2023", "13"), ("12", "30/11/2023", "30/11/2023"), ("x", "01/12/2023", "số văn bản"),
     ("12", "1 tháng 12", "ngày"), ("12", "01/12/2030", "phía trước")],
)  # fmt: skip
async def test_a_file_with_another_number_or_date_is_stopped_and_shows_where(
    clerk: Clerk, house: House, waiting: str, number: str, day: str, says: str
) -> None:
    pdf = await paper(house, waiting)
    page = await clerk.do(f"/office/letters/{waiting}/issue", 422, number=number, day=day, files=upload(pdf))
    assert says in page.text
    assert f'value="{number}"' in page.text, "what was typed is not lost"
    assert (await letter_of(house, waiting)).state == "PENDING_ISSUE"
    async with house.store.view() as ledger:
        assert await ledger.find(Entered, waiting) is None


async def test_a_file_without_a_signature_needs_the_tick_of_a_scan(clerk: Clerk, house: House, waiting: str) -> None:
    plain = (await letters.to_sign(house, waiting, "12", DAY)).pdf
    at = f"/office/letters/{waiting}/issue"
    page = await clerk.do(at, 422, number="12", day="01/12/2023", files=upload(plain))
    assert "không có chữ ký số" in page.text
    await clerk.do(at, number="12", day="01/12/2023", paper_scan="yes", files=upload(plain))
    assert (await letter_of(house, waiting)).state == "ISSUED"


async def test_a_file_that_differs_waits_for_somebody_who_has_seen_where(
    clerk: Clerk, house: House, waiting: str
) -> None:
    pdf = await paper(house, waiting, place="Căn cứ")
    at = f"/office/letters/{waiting}"
    page = await clerk.do(f"{at}/issue", number="12", day="01/12/2023", files=upload(pdf))
    assert page.headers["location"].endswith("done=entered")
    assert (await letter_of(house, waiting)).state == "PENDING_ISSUE"
    shown = await clerk.see(at)
    assert "khác dự thảo" in shown
    assert "Căn cứ" in shown
    assert (await clerk.web.get(f"{at}/entered.pdf")).content == pdf
    await clerk.do(f"{at}/approve", seen=shown_mark(shown))
    assert (await letter_of(house, waiting)).state == "ISSUED"
    assert (await clerk.web.get(f"{at}/letter.pdf")).content == pdf
    async with house.store.view() as ledger:
        of = (await ledger.get(Letter, waiting)).hop_id
        said = await ledger.all(select(EventRow.data).where(EventRow.stream == of))
    assert any(data.get("accepted_by") == "hoa" and data.get("differences") for data in said)


async def test_what_was_entered_can_be_sent_back(clerk: Clerk, house: House, waiting: str) -> None:
    pdf = await paper(house, waiting, place="Căn cứ")
    at = f"/office/letters/{waiting}"
    await clerk.do(f"{at}/issue", number="12", day="01/12/2023", files=upload(pdf))
    page = await clerk.do(f"{at}/send-back", 422, why=" ")
    assert '<details class="action" open><summary>Trả lại' in page.text, "the form is where it was"
    await clerk.do(f"{at}/send-back", why="ký nhầm bản")
    assert "Ban hành</button>" in await clerk.see(at)
    await clerk.do(f"{at}/approve", 422)
    assert (await letter_of(house, waiting)).state == "PENDING_ISSUE"


async def test_the_office_writes_its_own_words_into_a_report_that_awaits_its_issue(
    clerk: Clerk, house: House, waiting: str
) -> None:
    assert "Khó khăn, vướng mắc" not in await clerk.see(f"/office/letters/{waiting}")
    campaign = (await letter_of(house, waiting)).campaign_id
    report = await closing.close(house, campaign, "Lan", now_matter_what=True)
    at = f"/office/letters/{report}"
    await clerk.do(f"{at}/add", findings="Thiếu nhân lực\nĐơn vị <b> chuyển trụ sở\n", proposals="")
    page = await clerk.see(at)
    assert ">Thiếu nhân lực\nĐơn vị &lt;b&gt; chuyển trụ sở</textarea>" in page, "to be changed again"
    assert "<li>Thiếu nhân lực</li>" in page, "and in the draft below"
    page = await clerk.do(f"{at}/add", 422, findings="TỐI MẬT", proposals="Gia hạn")
    assert '<details class="action" open><summary>Khó khăn' in page.text
    assert ">Gia hạn</textarea>" in page.text
    await clerk.do(f"/office/letters/{waiting}/add", 422, findings="Thiếu nhân lực")
    (old,) = re.findall(r'name="seen" value="(\w+)"', await clerk.see(at))
    await clerk.do(f"{at}/add", findings="Thiếu nhân lực", proposals="Gia hạn", seen=old)
    page = await clerk.do(f"{at}/add", 422, findings="", proposals="", seen=old)
    assert "Đã có người sửa báo cáo này" in page.text
    assert "<li>Gia hạn</li>" in await clerk.see(at)


async def test_where_two_are_needed_nobody_issues_alone(
    clerk: Clerk, leader: Clerk, house: House, waiting: str
) -> None:
    house.settings = house.settings.model_copy(update={"issue_needs_two": True})
    pdf = await paper(house, waiting)
    at = f"/office/letters/{waiting}"
    await clerk.do(f"{at}/issue", number="12", day="01/12/2023", files=upload(pdf))
    assert (await letter_of(house, waiting)).state == "PENDING_ISSUE"
    assert "/approve" not in await clerk.see(at)
    page = await clerk.do(f"{at}/approve", 422)
    assert "Cần người thứ hai duyệt" in page.text
    assert (await letter_of(house, waiting)).state == "PENDING_ISSUE"
    looked_at = shown_mark(await leader.see(at))
    # Whoever has entered it enters something else while the other looks.
    other = await paper(house, waiting, place="Căn cứ")
    await clerk.do(f"{at}/issue", number="12", day="01/12/2023", files=upload(other))
    page = await leader.do(f"{at}/approve", 422, seen=looked_at)
    assert "đã được nhập lại" in page.text
    assert (await letter_of(house, waiting)).state == "PENDING_ISSUE"
    await clerk.do(f"{at}/issue", number="12", day="01/12/2023", files=upload(pdf))
    await leader.do(f"{at}/approve", seen=shown_mark(await leader.see(at)))
    row = await letter_of(house, waiting)
    assert (row.state, row.issued_by) == ("ISSUED", "hoa, dung")


async def test_nobody_accepts_differences_before_they_are_shown(house: House, waiting: str) -> None:
    """With two persons the second sees them, whatever name the first has given for it."""
    house.settings = house.settings.model_copy(update={"issue_needs_two": True})
    pdf = await paper(house, waiting, place="Căn cứ")
    await clerks.enter(house, waiting, Issued("12", DAY, "hoa", pdf, accept_differences_by="hoa"))
    async with house.store.view() as ledger:
        assert (await ledger.get(Entered, waiting)).differences
    assert (await clerks.approve(house, waiting, "dung")).state == "ISSUED"


@pytest.mark.parametrize("data", [b"", b"no pdf at all", b"%PDF-1.7\nbroken", b"PK\x03\x04"])
async def test_a_pdf_that_is_none_is_refused(clerk: Clerk, house: House, waiting: str, data: bytes) -> None:
    at = f"/office/letters/{waiting}/issue"
    await clerk.do(at, 422, number="12", day="01/12/2023", files=upload(data))
    assert (await letter_of(house, waiting)).state == "PENDING_ISSUE"


async def test_a_scan_of_an_image_is_read_as_far_as_it_can_be(clerk: Clerk, house: House, waiting: str) -> None:
    at = f"/office/letters/{waiting}/issue"
    page = await clerk.do(at, 303, number="12", day="01/12/2023", paper_scan="yes", files=upload(scanned()))
    state = (await letter_of(house, waiting)).state
    assert (state == "ISSUED") == page.headers["location"].endswith("done=issued")


async def test_fifty_megabytes_are_refused_before_they_are_read(clerk: Clerk, house: House, waiting: str) -> None:
    huge = b"%PDF-" + b"0" * (50 * 1024 * 1024)
    await clerk.do(f"/office/letters/{waiting}/issue", 413, number="12", day="01/12/2023", files=upload(huge))
    assert (await letter_of(house, waiting)).state == "PENDING_ISSUE"


async def test_whoever_may_only_look_issues_nothing(viewer: Clerk, house: House, waiting: str) -> None:
    at = f"/office/letters/{waiting}"
    assert "<form" not in re.sub(r'<form[^>]*sign-out".*?</form>', "", await viewer.see(at), flags=re.DOTALL)
    for act in ("issue", "approve", "send-back"):
        await viewer.do(f"{at}/{act}", 403, number="12", day="01/12/2023")
    assert (await letter_of(house, waiting)).state == "PENDING_ISSUE"


async def test_a_letter_that_is_not_there_is_not_found(clerk: Clerk) -> None:
    for path in ("", "/draft.pdf", "/draft.docx", "/letter.pdf", "/entered.pdf"):
        await clerk.see(f"/office/letters/{'0' * 32}{path}", 404)


# ------------------------------------------------------------------------------------ before a launch


class Post:
    """Takes every message and keeps it."""

    def __init__(self) -> None:
        self.sent: list[Outgoing] = []

    async def send(self, batch: Iterable[Outgoing]) -> AsyncGenerator[Outcome, None]:
        for one in batch:
            self.sent.append(one)
            yield Outcome(one.key, "accepted", 250, "ok")


@pytest.fixture
async def with_post(house: House) -> AsyncIterator[tuple[Callable[[str], object], Post, httpx.AsyncClient]]:
    post = Post()
    transport = httpx.ASGITransport(app=app(house, allowance=Allowance.unlimited(), carrier=lambda: post))
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as web:
        yield (lambda name: sign_in(web, name)), post, web


async def test_a_plan_shows_each_issuers_letter_and_each_recipients_mail(clerk: Clerk, desk: Desk) -> None:
    before = await desk.trace()
    assert "/office/plans/8184" in await clerk.see("/office/plans")
    page = await clerk.see("/office/plans/8184?issuer=BQL")
    assert "letter-head" in page
    pdf = await clerk.web.get("/office/plans/8184/letter.pdf?issuer=BQL")
    assert pdf.content.startswith(b"%PDF-")
    mail = await clerk.see("/office/plans/8184?recipient=CDT-VSIP")
    assert "[GỬI THỬ]" in mail
    assert await desk.trace() == before


@pytest.mark.parametrize("query", ["issuer=KHONGCO", "recipient=KHONGCO", "issuer=../../x", "recipient=%00"])
async def test_a_plan_that_reaches_nobody_of_that_name_says_so(clerk: Clerk, query: str) -> None:
    page = await clerk.web.get(f"/office/plans/8184?{query}")
    assert page.status_code in (200, 400, 422)
    assert "letter-head" not in page.text


@pytest.mark.parametrize("name", ["..%2F8184", "../cascade", "%2Fetc%2Fpasswd", "calendar", "8184.yaml"])
async def test_a_plan_is_one_of_the_folder_whatever_the_address_says(clerk: Clerk, name: str) -> None:
    await clerk.see(f"/office/plans/{name}", 404)


async def test_a_trial_goes_to_the_operators_own_mailbox_and_to_nobody_else(
    house: House, desk: Desk, with_post: tuple[Callable[[str], object], Post, httpx.AsyncClient]
) -> None:
    _enter, post, web = with_post
    await account(house)
    await sign_in(web)
    before = await desk.trace()
    form = {"recipient": "CDT-VSIP", "to": "ke-la@evil.example", "email": "ke-la@evil.example"}
    page = await Clerk(web).do("/office/plans/8184/trial", **form)
    assert page.headers["location"].endswith("done=sent")
    assert [one.rcpt_to for one in post.sent] == ["hoa@bql.example"]
    payload = post.sent[0].payload
    message = BytesParser(policy=default).parsebytes(payload() if callable(payload) else payload)
    assert str(message["Subject"]).startswith("[GỬI THỬ]")
    assert await desk.trace() == before


async def test_an_account_without_a_mailbox_is_told_so(
    house: House, with_post: tuple[Callable[[str], object], Post, httpx.AsyncClient]
) -> None:
    _enter, post, web = with_post
    await account(house, email="")
    await sign_in(web)
    page = await Clerk(web).do("/office/plans/8184/trial", 422, recipient="CDT-VSIP")
    assert "chưa có hộp thư" in page.text
    assert post.sent == []
