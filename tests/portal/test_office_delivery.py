"""What operators do to one delivery, each act under their name; and what they may not."""

from __future__ import annotations

import ast
import asyncio
import hashlib
import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from congvan.acts import confirmations, deliveries, escalations, inbox, passing_on
from congvan.acts.confirmations import Answer
from congvan.errors import ActRefused, StaleDelivery
from congvan.house import House
from congvan.mail.imap import Fetched
from congvan.portal.office.delivery import ACTIONS
from congvan.portal.office.saying import Refusals
from congvan.rules.protocol import Event, Fact
from congvan.rules.requirements import MOST_FILES
from congvan.rules.uploads import LARGEST_BYTES
from congvan.store.ledger import Entry
from congvan.store.tables import Campaign, Case, Delivery, EventRow, File, Letter, Message
from tests.conftest import ROOT
from tests.portal.files_sent import marked_secret
from tests.portal.office_world import Clerk
from tests.portal.world import Desk

PDF = b"%PDF-1.7\nscanned\n%%EOF\n"


def at(delivery: Delivery, act: str = "") -> str:
    return f"/office/c/8184/d/{delivery.id}" + (f"/{act}" if act else "")


async def last_event(house: House, delivery: Delivery) -> EventRow:
    async with house.store.view() as ledger:
        row: EventRow = await ledger.first(
            select(EventRow).where(EventRow.stream == delivery.id).order_by(EventRow.seq.desc())
        )
        return row


# ------------------------------------------------------------------------------------ acting

SAID = {"answer": "acknowledged", "name": "Bình"}


@pytest.mark.parametrize(
    ("act", "fields"),
    [("confirm", {"answer": "agreed"}), ("confirm", {}), ("recalled", {"agreed": "maybe"}), ("recalled", {})],
)
async def test_an_answer_that_nobody_chose_is_not_recorded(
    clerk: Clerk, desk: Desk, act: str, fields: dict[str, str]
) -> None:
    tenant, before = await desk.tenant(), await desk.trace()
    page = await clerk.do(at(tenant, act), 422, name="Bình", channel="phone", **fields)
    assert "chọn một trong các câu trả lời" in page.text
    assert await desk.trace() == before


@pytest.mark.parametrize("name", ["a.pdf", "a.docx"])
async def test_no_paper_that_is_marked_as_secret_is_kept_as_evidence(clerk: Clerk, desk: Desk, name: str) -> None:
    tenant, before = await desk.tenant(), await desk.trace()
    page = await clerk.do(at(tenant, "confirm"), 422, files={"file": (name, marked_secret(name), "")}, **SAID)
    assert "văn thư mật" in page.text
    assert await desk.trace() == before


async def test_an_answer_by_telephone_is_recorded_under_the_operators_name(clerk: Clerk, desk: Desk) -> None:
    tenant = await desk.tenant()
    form = {"answer": "acknowledged", "channel": "phone", "name": "Trần Văn Bình", "position": "Văn thư"}
    await clerk.do(at(tenant, "confirm"), **form, evidence="gọi 0225 000 111")
    row = await desk.delivery(tenant.recipient)
    assert (row.state, row.channel) == ("ACKNOWLEDGED", "phone")
    assert row.answered_by == {"name": "Trần Văn Bình", "position": "Văn thư"}
    said = await last_event(desk.house, tenant)
    assert (said.kind, said.actor, said.data["evidence"]) == (Event.ACKNOWLEDGED, "hoa", "gọi 0225 000 111")
    page = await clerk.see(at(tenant))
    assert "Trần Văn Bình" in page
    assert "gọi 0225 000 111" in page


async def test_a_paper_is_kept_as_evidence_and_comes_back_byte_for_byte(clerk: Clerk, desk: Desk) -> None:
    tenant = await desk.tenant()
    files = {"file": ("../../etc/Công văn trả lời.pdf", PDF, "text/html")}
    await clerk.do(at(tenant, "confirm"), files=files, channel="paper", **SAID)
    page = await clerk.see(at(tenant))
    link = re.search(r'href="([^"]+/papers/[0-9a-f]{64})">([^<]+)<', page)
    assert link is not None
    assert link[2] == "Công văn trả lời.pdf"
    answer = await clerk.web.get(link[1])
    assert answer.content == PDF
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.headers["content-disposition"].startswith("attachment;")
    other = await desk.delivery("CDT-VSIP")
    stolen = link[1].replace(tenant.id, other.id)
    assert (await clerk.web.get(stolen)).status_code == 404


async def test_no_file_of_the_database_is_reached_through_a_delivery_that_does_not_name_it(
    clerk: Clerk, desk: Desk
) -> None:
    async with desk.house.store.view() as ledger:
        letter = await ledger.first(select(Letter.sha256).where(Letter.sha256.is_not(None)))
    await clerk.see(at(await desk.tenant(), f"papers/{letter}"), 404)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("x.exe", b"MZ\x90"), ("x.pdf", b"<html><script>alert(1)</script>"), ("x.svg", b"<svg onload='x'/>"),
        ("x.png", b"GIF89a"), ("x.xlsx", b"PK\x03\x04 not a workbook"), ("x.pdf", b""),
    ],
)  # fmt: skip
async def test_a_file_that_is_not_what_it_says_is_refused_and_nothing_is_recorded(
    clerk: Clerk, desk: Desk, name: str, data: bytes
) -> None:
    tenant, before = await desk.tenant(), await desk.trace()
    await clerk.do(at(tenant, "confirm"), 422, files={"file": (name, data, "application/pdf")}, **SAID)
    assert await desk.trace() == before


async def test_a_file_of_fifty_megabytes_is_refused_before_it_is_read(clerk: Clerk, desk: Desk) -> None:
    tenant, before = await desk.tenant(), await desk.trace()
    huge = {"file": ("to.pdf", b"%PDF-" + b"0" * (50 * 1024 * 1024), "application/pdf")}
    await clerk.do(at(tenant, "confirm"), 413, files=huge, **SAID)
    large = {"file": ("to.pdf", b"%PDF-" + b"0" * LARGEST_BYTES + b"%%EOF", "application/pdf")}
    await clerk.do(at(tenant, "confirm"), 422, files=large, **SAID)
    assert await desk.trace() == before


async def test_a_refusal_by_telephone_needs_its_reason(clerk: Clerk, desk: Desk) -> None:
    tenant = await desk.tenant()
    page = await clerk.do(at(tenant, "confirm"), 422, answer="rejected", name="Bình")
    assert "Lý do từ chối" in page.text
    assert 'value="Bình"' in page.text, "what was typed is not lost"
    await clerk.do(at(tenant, "confirm"), answer="rejected", name="Bình", reason="không thuộc phạm vi")
    assert (await desk.delivery(tenant.recipient)).state == "REJECTED"


async def test_the_letter_is_sent_again_to_another_mailbox(clerk: Clerk, desk: Desk) -> None:
    tenant = await desk.tenant()
    old = desk.token(tenant)
    await clerk.do(at(tenant, "resend"), 422, to="không phải thư")
    await clerk.do(at(tenant, "resend"), to="moi@cong-ty.example", why="đổi hộp thư")
    row = await desk.delivery(tenant.recipient)
    assert (row.address, row.state, row.round) == ("moi@cong-ty.example", "QUEUED", 2)
    assert (await clerk.web.get(f"/v/{old}")).status_code == 410
    async with desk.house.store.view() as ledger:
        mails = await ledger.all(select(Message.address).where(Message.delivery_id == tenant.id))
    assert "moi@cong-ty.example" in mails


async def test_a_report_takes_every_file_that_a_plan_may_ask_for(clerk: Clerk, desk: Desk) -> None:
    tenant = await desk.tenant()
    files = [(f"q_f{n}", ("x.pdf", PDF)) for n in range(MOST_FILES)] + [("file", ("bao-cao.pdf", PDF))]
    await clerk.do(at(tenant, "report"), files=files, name="Bình", reason="đã làm")
    assert (await desk.delivery(tenant.recipient)).state == "COMPLETED"


async def test_who_has_done_everything_is_let_go_of_nothing(leader: Clerk, desk: Desk) -> None:
    tenant = await desk.tenant()
    offered = ('id="do-exempt"', 'id="do-withdraw"')
    before = await leader.see(at(tenant))
    await confirmations.answer(desk.house, tenant.id, Answer(Event.COMPLETED, "Bà Hoa", "Văn thư"))
    after = await leader.see(at(tenant))
    assert all(one in before and one not in after for one in offered)


async def shown_on(clerk: Clerk, delivery: Delivery) -> str:
    """How far the log had come on the page that the clerk reads now."""
    found = re.search(r'name="as_shown" value="(\d+)"', await clerk.see(at(delivery)))
    assert found is not None, "every form says what its page has shown"
    return found[1]


async def test_a_form_that_is_sent_twice_acts_once(clerk: Clerk, desk: Desk) -> None:
    tenant = await desk.tenant()
    form = {"as_shown": await shown_on(clerk, tenant), "why": "không thấy thư"}
    await clerk.do(at(tenant, "resend"), **form)
    page = await clerk.do(at(tenant, "resend"), 409, **form)
    assert "Gửi lại – Nguyễn Thị Hoa" in page.text, "what has happened meanwhile, and by whom"
    assert "không thấy thư</textarea>" in page.text, "what was typed is not lost"
    assert (await desk.delivery(tenant.recipient)).round == 2


async def test_two_who_send_again_at_one_moment_send_once(desk: Desk) -> None:
    tenant = await desk.tenant()
    twice = [deliveries.resend(desk.house, tenant.id, "hoa", round_shown=1) for _ in range(2)]
    ended = await asyncio.gather(*twice, return_exceptions=True)
    assert sorted(type(one) for one in ended if one is not None) == [StaleDelivery]
    assert (await desk.delivery(tenant.recipient)).round == 2


async def test_a_page_from_before_the_recipients_answer_does_not_undo_it(clerk: Clerk, desk: Desk) -> None:
    tenant = await desk.tenant()
    form = {"answer": "rejected", "name": "Bình", "reason": "không thuộc phạm vi"}
    shown = await shown_on(clerk, tenant)
    await confirmations.answer(desk.house, tenant.id, Answer(Event.ACKNOWLEDGED, "Bà Hoa", "Văn thư"))
    page = await clerk.do(at(tenant, "confirm"), 409, as_shown=shown, **form)
    assert "Đã tiếp nhận – nơi nhận" in page.text
    assert (await desk.delivery(tenant.recipient)).state == "ACKNOWLEDGED"
    await clerk.do(at(tenant, "confirm"), as_shown=await shown_on(clerk, tenant), **form)
    assert (await desk.delivery(tenant.recipient)).state == "REJECTED", "after a second look it is what was meant"


async def test_that_the_page_was_opened_meanwhile_stands_in_nobodys_way(clerk: Clerk, desk: Desk) -> None:
    tenant = await desk.tenant()
    async with desk.house.store.act() as ledger:
        row = await ledger.take(Delivery, tenant.id)
        await ledger.write(row, await desk.house.clock.now(), Entry(Event.SENT), state="SENT")
    shown = await shown_on(clerk, tenant)
    await confirmations.seen(desk.house, tenant.id)
    await clerk.do(at(tenant, "confirm"), as_shown=shown, answer="acknowledged", name="Bình")
    assert (await desk.events(tenant.id))[-2:] == [Event.ARRIVED, Event.ACKNOWLEDGED]


async def test_an_answer_that_was_known_says_so_and_keeps_its_evidence_as_a_note(clerk: Clerk, desk: Desk) -> None:
    tenant = await desk.tenant()
    await confirmations.answer(desk.house, tenant.id, Answer(Event.ACKNOWLEDGED, "Bà Hoa", "Văn thư"))
    files = {"file": ("phieu.pdf", PDF, "application/pdf")}
    form = {"answer": "acknowledged", "channel": "paper", "name": "Bình", "evidence": "công văn 15/CTY"}
    done = await clerk.do(at(tenant, "confirm"), files=files, **form)
    page = await clerk.see(done.headers["location"])
    assert "đã ghi nhận từ trước" in page
    assert "Đã ghi nhận trả lời." not in page
    said = await last_event(desk.house, tenant)
    assert (said.kind, said.actor, said.data["evidence"]) == (Fact.NOTED, "hoa", "công văn 15/CTY")
    link = re.search(r'href="([^"]+/papers/[0-9a-f]{64})">phieu.pdf<', page)
    assert link is not None
    assert (await clerk.web.get(link[1])).content == PDF
    assert (await desk.delivery(tenant.recipient)).channel == "link", "the first answer stands"


async def test_the_paper_of_an_answer_that_is_refused_is_not_kept(clerk: Clerk, desk: Desk) -> None:
    tenant = await desk.tenant()
    await clerk.do(at(tenant, "exempt"), why="đã giải thể")
    files = {"file": ("phieu.pdf", PDF, "application/pdf")}
    await clerk.do(at(tenant, "confirm"), 422, files=files, answer="acknowledged", name="Bình")
    async with desk.house.store.view() as ledger:
        kept = await ledger.find(File, hashlib.sha256(PDF).hexdigest())
    assert kept is None


async def test_more_time_is_given_and_never_less(clerk: Clerk, desk: Desk) -> None:
    tenant = await desk.tenant()
    for wrong in ({"day": "01/12/2023"}, {"day": "32/12/2023"}, {"day": "x"}, {"day": "20/12/2023", "hour": "99"}):
        await clerk.do(at(tenant, "extend"), 422, **wrong, why="đề nghị của đơn vị")
    await clerk.do(at(tenant, "extend"), 422, day="20/12/2023", why=" ")
    await clerk.do(at(tenant, "extend"), 422, day="01/01/0001", hour="00:00", why="đề nghị của đơn vị")
    await clerk.do(at(tenant, "extend"), 422, day="31/12/9999", why="đề nghị của đơn vị")
    far = await clerk.do(at(tenant, "extend"), 422, day="31/12/2093", why="đề nghị của đơn vị")
    assert "không quá 5 năm" in far.text, "counting on from there, the whole hop would stop"
    await clerk.do(at(tenant, "extend"), day="20/12/2023", hour="11:30", why="đề nghị của đơn vị")
    row = await desk.delivery(tenant.recipient)
    assert row.due_at is not None
    assert row.due_at.isoformat() == "2023-12-20T04:30:00+00:00"
    assert (await last_event(desk.house, tenant)).actor == "hoa"


async def test_a_recipient_is_exempted_by_an_operator_and_withdrawn_only_by_a_leader(
    clerk: Clerk, leader: Clerk, desk: Desk
) -> None:
    tenant = await desk.tenant()
    await clerk.do(at(tenant, "withdraw"), 403, why="gửi nhầm")
    assert "withdraw" not in await clerk.see(at(tenant))
    await clerk.do(at(tenant, "exempt"), why="đã giải thể")
    assert (await desk.delivery(tenant.recipient)).state == "EXEMPT"
    other = await desk.delivery("CDT-VSIP")
    await leader.do(at(other, "withdraw"), why="gửi nhầm")
    assert (await desk.delivery("CDT-VSIP")).state == "WITHDRAWN"
    assert (await last_event(desk.house, other)).actor == "dung"


async def test_a_case_is_taken_in_hand_with_a_note(clerk: Clerk, desk: Desk) -> None:
    tenant = await desk.tenant()
    async with desk.house.store.act() as ledger:
        row = await ledger.take(Delivery, tenant.id)
        await escalations.open_case(desk.house, ledger, row, "silent", await desk.house.clock.now())
    assert "Chưa ai nhận" in await clerk.see(at(tenant))
    await clerk.do(at(await desk.delivery("CDT-VSIP"), "claim"), 422, note="không có gì để nhận")
    await clerk.do(at(tenant, "claim"), note="đã gọi, hẹn chiều nay")
    page = await clerk.see(at(tenant))
    assert "Nguyễn Thị Hoa đang xử lý" in page
    assert "đã gọi, hẹn chiều nay" in page
    async with desk.house.store.view() as ledger:
        assert await ledger.first(select(Case.claimed_by).where(Case.delivery_id == tenant.id)) == "hoa"
    assert ">1</b> nơi nhận" in await clerk.see("/office/c/8184/deliveries?mark=mine")


async def test_what_was_done_is_noted_and_a_leader_closes_the_case_by_decision(
    clerk: Clerk, leader: Clerk, desk: Desk
) -> None:
    tenant = await desk.tenant()
    async with desk.house.store.act() as ledger:
        row = await ledger.take(Delivery, tenant.id)
        await escalations.open_case(desk.house, ledger, row, "silent", await desk.house.clock.now())
    await clerk.do(at(tenant, "note"), 422, note=" ")
    await clerk.do(at(tenant, "note"), note="đã gặp giám đốc")
    await clerk.do(at(tenant, "claim"), 422, note="x", next="01/01/2020")
    await clerk.do(at(tenant, "claim"), 422, note="x", next="31/12/9999")
    await clerk.do(at(tenant, "claim"), note="chờ đến thứ hai", next="04/12/2023")
    await clerk.do(at(tenant, "settle"), 403, why="giải thể")
    await leader.do(at(tenant, "settle"), why="đang làm thủ tục giải thể")
    page = await clerk.see(at(tenant))
    assert "đã gặp giám đốc" in page
    assert "đang làm thủ tục giải thể" in page
    async with desk.house.store.view() as ledger:
        case = await ledger.first(select(Case).where(Case.delivery_id == tenant.id))
    assert (case.claimed_by, case.closed_by) == ("hoa", "dung")
    await leader.do(at(tenant, "settle"), 422, why="lần nữa")


async def test_a_letter_is_taken_back_from_everybody_and_what_they_say_is_recorded(
    clerk: Clerk, leader: Clerk, desk: Desk
) -> None:
    tenant = await desk.tenant()
    async with desk.house.store.view() as ledger:
        letter = await ledger.first(select(Letter.id).where(Letter.issuer == "BQL", Letter.state == "ISSUED"))
    await clerk.do(f"/office/letters/{letter}/recall", 403, why="sai số liệu")
    page = await leader.do(f"/office/letters/{letter}/recall", 422, why=" ")
    assert '<details class="action" open><summary>Thu hồi' in page.text, "the form is where it was"
    await leader.do(f"/office/letters/{letter}/recall", why="sai số liệu")
    assert (await desk.delivery(tenant.recipient)).recall == "requested"
    await clerk.do(at(tenant, "recalled"), 422, agreed="no")
    await clerk.do(at(tenant, "recalled"), agreed="yes", channel="phone")
    assert (await desk.delivery(tenant.recipient)).recall == "agreed"


async def test_only_an_authoritys_letter_is_offered_to_be_taken_back(leader: Clerk, desk: Desk) -> None:
    investor = await desk.delivery("CDT-VSIP")
    await passing_on.pass_on(desk.house, investor.id, passing_on.PassOn("Hoa", "Giám đốc"))
    async with desk.house.store.view() as ledger:
        letters = dict(await ledger.rows(select(Letter.issuer, Letter.id).where(Letter.state == "ISSUED")))
    assert "Thu hồi văn bản" in await leader.see(f"/office/letters/{letters['BQL']}")
    assert "Thu hồi văn bản" not in await leader.see(f"/office/letters/{letters['CDT-VSIP']}")


async def test_an_archive_that_inflates_a_thousandfold_is_not_unpacked(clerk: Clerk, desk: Desk) -> None:
    tenant, before = await desk.tenant(), await desk.trace()
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/vbaProject.bin", b"0" * 200_000_000)
        archive.writestr("xl/workbook.xml", b"<workbook/>")
    files = {"file": ("bao cao.xlsx", bomb.getvalue(), "application/octet-stream")}
    await clerk.do(at(tenant, "confirm"), 422, files=files, **SAID)
    assert await desk.trace() == before


async def test_a_company_passes_on_by_telephone_and_its_letter_leaves(clerk: Clerk, desk: Desk) -> None:
    investor = await desk.delivery("CDT-VSIP")
    await clerk.do(at(investor, "forward"), 422, files={"file": ("a.pdf", b"no pdf", "application/pdf")}, name="Lan")
    await clerk.do(at(investor, "forward"), 422, name="Lan", number="không số")
    await clerk.do(at(investor, "forward"), name="Lê Thị Lan", position="Giám đốc", number="15")
    assert (await desk.delivery("CDT-VSIP")).state == "FORWARDED"
    said = await last_event(desk.house, investor)
    assert (said.kind, said.actor, said.channel) == (Event.FORWARDED, "hoa", "phone")
    async with desk.house.store.view() as ledger:
        issued = await ledger.first(select(Letter.symbol).where(Letter.issuer == "CDT-VSIP"))
    assert str(issued).startswith("15/")


async def test_a_persons_mail_stands_beside_the_delivery_and_confirms_nothing(clerk: Clerk, desk: Desk) -> None:
    tenant = await desk.tenant()

    class Box:
        name = "imap://a/INBOX"

        async def newer(self, _validity: int, _uid: int) -> Any:
            token = desk.house.links.mail_token(tenant.id)
            raw = (
                f"From: Binh <binh@cong-ty.example>\r\nTo: congvan+{token}@bql.example\r\nSubject: Re: 8184\r\n"
                "Message-ID: <a@b>\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n<b>Đã nhận</b> đủ\r\n"
            )
            yield Fetched(1, 7, raw.encode())

    await inbox.read(desk.house, Box())
    page = await clerk.see(at(tenant))
    assert "Thư trả lời của người nhận" in page
    assert "&lt;b&gt;Đã nhận&lt;/b&gt; đủ" in page
    assert (await desk.delivery(tenant.recipient)).state == "SENT"


# ------------------------------------------------------------------------------------ not acting


async def test_whoever_may_only_look_changes_nothing(viewer: Clerk, desk: Desk) -> None:
    tenant, before = await desk.tenant(), await desk.trace()
    page = await viewer.see(at(tenant))
    assert "Thực hiện" not in page
    for act in ACTIONS:
        await viewer.do(at(tenant, act), 403, name="x", why="x", day="20/12/2023")
    assert await desk.trace() == before


async def test_no_act_is_done_by_a_get_or_without_the_forms_token(clerk: Clerk, desk: Desk) -> None:
    tenant, before = await desk.tenant(), await desk.trace()
    for act in ACTIONS:
        assert (await clerk.web.get(at(tenant, act), params={"why": "x"})).status_code == 405
        page = await clerk.web.post(at(tenant, act), data={"why": "x", "name": "x"})
        assert page.status_code == 403
    assert await desk.trace() == before


async def test_nothing_is_done_or_shown_without_a_session(web: httpx.AsyncClient, desk: Desk) -> None:
    tenant, before = await desk.tenant(), await desk.trace()
    assert (await web.get(at(tenant))).status_code == 303
    for act in ACTIONS:
        page = await web.post(at(tenant, act), data={"why": "x", "name": "x"})
        assert (page.status_code, page.headers["location"].partition("?")[0]) == (303, "/office/sign-in")
    assert await desk.trace() == before


async def test_a_delivery_is_reached_through_its_own_campaign_only(leader: Clerk, desk: Desk) -> None:
    tenant, before = await desk.tenant(), await desk.trace()
    async with desk.house.store.act() as ledger:
        row = await ledger.first(select(Campaign))
        columns = {column.name: getattr(row, column.name) for column in Campaign.__table__.columns}  # type: ignore[attr-defined]
        await ledger.add(Campaign, **(columns | {"id": "c" * 32, "code": "khac"}))
    await leader.see("/office/c/khac")
    for path in (f"/office/c/khac/d/{tenant.id}", "/office/c/8184/d/" + "0" * 32, "/office/c/8184/d/..%2F..%2Fx"):
        await leader.see(path, 404)
        for act in ACTIONS:
            await leader.do(f"{path}/{act}", 404, name="x", why="x")
    assert await desk.trace() == before


async def test_two_who_press_at_once_are_told_what_stands(clerk: Clerk, leader: Clerk, desk: Desk) -> None:
    tenant = await desk.tenant()
    await clerk.do(at(tenant, "exempt"), why="đã giải thể")
    page = await leader.do(at(tenant, "confirm"), 422, **SAID)
    assert "trạng thái hiện tại" in page.text
    assert (await desk.delivery(tenant.recipient)).state == "EXEMPT"


async def test_a_script_in_a_note_is_only_words(clerk: Clerk, desk: Desk) -> None:
    tenant = await desk.tenant()
    await clerk.do(at(tenant, "exempt"), why="<script>alert(1)</script>")
    page = await clerk.see(at(tenant))
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_every_refusal_of_the_acts_is_said_in_vietnamese() -> None:
    said = Refusals(ROOT / "templates" / "portal" / "office").known
    unsaid = []
    for path in (ROOT / "congvan" / "acts").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not (isinstance(node, ast.Call) and getattr(node.func, "id", "") == "ActRefused" and node.args):
                continue
            text = node.args[0]
            start = text.value if isinstance(text, ast.Constant) else ""
            if isinstance(start, str) and start.isascii() and start and not any(start.startswith(one) for one in said):
                unsaid.append(f"{path.name}: {start}")
    assert unsaid == []


def _texts(path: Path) -> Iterator[str]:
    """What the refusals of a module say, with a word for whatever is filled in."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("ActRefused", "NotFound") and node.args:
            parts = node.args[0].values if isinstance(node.args[0], ast.JoinedStr) else [node.args[0]]
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in parts)


def test_no_refusal_of_the_acts_sends_an_operator_to_the_command_line() -> None:
    words = Refusals(ROOT / "templates" / "portal" / "office")
    texts = [text for path in (ROOT / "congvan" / "acts").glob("*.py") for text in _texts(path)]
    of_the_command_line = [text for text in texts if re.search(r"--|congvan\b", text)]
    assert of_the_command_line, "there is something to say otherwise"
    said = [words.of(ActRefused(text))[0] for text in of_the_command_line]
    assert [text for text in said if re.search(r"--|congvan\b", text)] == []


async def test_what_is_missing_is_said_by_the_name_of_its_field(clerk: Clerk, desk: Desk) -> None:
    page = await clerk.do(at(await desk.tenant(), "exempt"), 422, why=" ")
    assert "Lý do: chưa ghi → điền mục này" in page.text
    plan = await clerk.see("/office/plans/8184?issuer=NOPE", 422)
    assert "Cơ quan ban hành: «NOPE»" in plan
