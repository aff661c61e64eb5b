"""The ladder: reminders, the digest with the draft of one công văn đôn đốc, the deputy head, the Báo cáo; and cases."""

from __future__ import annotations

import io
import re
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import pytest
from pypdf import PdfReader

from congvan.acts import (
    accounts,
    campaigns,
    closing,
    escalations,
    letters,
    reporting,
    results,
    signed_files,
    telling,
    urging,
)
from congvan.errors import ActRefused
from congvan.house import House
from congvan.letters import upload
from congvan.letters.fragment import WordsRefused
from congvan.letters.sheet import Sheet
from congvan.rules.protocol import Event
from congvan.rules.records import Contact, Rung
from congvan.store.ledger import Ledger
from congvan.store.tables import Campaign, Case, EventRow, Letter
from tests.conftest import at, text_of
from tests.protocol.test_issue import drawn, entered, go_live
from tests.protocol.test_stories_silence import codes, sheets
from tests.protocol.world import CASCADE, Town, address, register, to
from tests.signing import signed

BY = "Chu Đức Anh"


async def live(town: Town, folder: Path, **changes: object) -> None:
    """A live campaign whose Board's letter has gone out, on Friday 01/12/2023."""
    first = await go_live(town, folder, **changes)
    await letters.issue(town.house, first.id, entered(signed(await drawn(town, first))))
    await town.work()


async def urges(town: Town) -> list[Letter]:
    """Every công văn đôn đốc, in order."""
    rows = await town.all(Letter, Letter.kind == "urge")
    return sorted(rows, key=lambda row: row.created_at)


async def issue(town: Town, letter: Letter, number: str) -> None:
    """The clerk issues a letter as a scan whose differences he answers for."""
    from congvan.simulation.operators import scan

    day = town.clock._now.date()
    file = letters.Issued(number, day, "Văn thư", scan(int(number)), paper_scan=True, accept_differences_by="Văn thư")
    await letters.issue(town.house, letter.id, file)
    await town.work()


def links_of(mail: EmailMessage) -> set[str]:
    """Every address that a mail names, the same in its text and in its HTML."""
    html = mail.get_body(("html",))
    assert html is not None
    linked = set(re.findall(r'href="([^"]+)"', html.get_content()))
    assert linked == set(re.findall(r"https?://\S+", text_of(mail)))
    return linked


def office_links(*paths: str) -> set[str]:
    """Addresses of the officers' pages."""
    return {f"http://127.0.0.1:4280/office{path}" for path in paths}


def names(mail: EmailMessage) -> list[str]:
    """The files of a mail."""
    return [str(part.get_filename()) for part in mail.iter_attachments()]


# ------------------------------------------------------------------------------------ đôn đốc


async def test_the_digest_encloses_the_draft_of_one_letter_for_all_who_are_silent(town: Town, tmp_path: Path) -> None:
    await live(town, tmp_path)
    await town.say("T-OUT")
    await town.until("2023-12-12", "08:00")
    mail = town.postbox.to(address("QHXD"))[-1]
    assert names(mail) == ["tong-hop-2023-12-12.xlsx", "du-thao-don-doc-8184-lan-1.pdf"]
    assert "Dự thảo công văn đôn đốc lần 1 gửi kèm" in text_of(mail)
    (draft,) = await urges(town)
    assert (draft.state, draft.awaits, draft.awaits_until) == ("PENDING_ISSUE", "VP", at("2023-12-13", "17:30"))
    words = " ".join(" ".join(page.extract_text() for page in PdfReader(_file(mail)).pages).split())
    assert "đôn đốc việc thực hiện Công văn số 2514/BQL-QHXD ngày 01/12/2023" in words
    assert "1/9 đơn vị đã xác nhận; 3 đơn vị đã quá thời hạn mà chưa xác nhận" in words
    for name in ("Tổ chức INV-A", "Tổ chức INV-B", "Tổ chức VP"):
        assert name in words
    assert "Tổ chức T-OUT" not in words


def _file(mail: EmailMessage) -> io.BytesIO:
    (part,) = [one for one in mail.iter_attachments() if str(one.get_filename()).endswith(".pdf")]
    return io.BytesIO(part.get_payload(decode=True))  # type: ignore[arg-type]


async def test_nothing_leaves_before_the_clerk_issues_it_and_then_it_goes_to_who_is_still_silent(
    town: Town, tmp_path: Path
) -> None:
    await live(town, tmp_path)
    await town.until("2023-12-13", "09:00")
    assert await town.diary("urge") == []
    await town.say("VP")
    (draft,) = await urges(town)
    await issue(town, draft, "2600")
    assert await town.diary("urge") == [
        f"13/12 09:00 {code} urge" for code in ("INV-A", "INV-B", "T-OUT")
    ], "VP has answered meanwhile"
    row = await town.delivery("T-OUT")
    (event,) = await town.all(EventRow, EventRow.stream == row.id, EventRow.kind == "urged")
    assert (row.urged, event.data["round"], event.data["code"]) == (1, 1, "2600/BQL-QHXD")
    (copy,) = [mail for mail in town.postbox.to(address("UBND-HP")) if "2600/BQL-QHXD" in str(mail["Subject"])]
    assert names(copy)[0] == "2600_BQL-QHXD.pdf"
    assert "để báo cáo" in text_of(copy), "as its Nơi nhận says"
    mail = town.postbox.to(address("T-OUT"))[-1]
    assert names(mail) == ["2600_BQL-QHXD.pdf", "2514_BQL-QHXD.pdf", "8184.pdf"]
    assert "17 giờ 00 ngày 15/12/2023" in text_of(mail)


async def test_a_letter_that_nobody_issues_never_holds_up_the_next_rung_and_is_chased(
    town: Town, tmp_path: Path
) -> None:
    await live(town, tmp_path, audience=to("T-OUT"))
    await town.until("2023-12-18", "08:00")
    assert await town.diary("digest") == ["12/12 08:00 QHXD digest", "15/12 08:00 PTB digest"]
    assert await town.diary("issue_wanted") == [
        "14/12 07:30 VP issue_wanted", "15/12 07:30 QHXD issue_wanted", "18/12 07:30 VP issue_wanted",
    ]  # fmt: skip
    assert [one.state for one in await urges(town)] == ["CANCELLED", "PENDING_ISSUE"], "its last date was 15/12"


async def test_a_draft_whose_last_date_passes_in_the_clerks_hands_is_drawn_up_anew(town: Town, tmp_path: Path) -> None:
    await live(town, tmp_path, audience=to("T-OUT"))
    await town.until("2023-12-15", "16:00")
    (first,) = await urges(town)
    assert "17 giờ 00 ngày 15/12/2023" in first.html
    town.clock.set(at("2023-12-15", "17:30"))
    with pytest.raises(ActRefused, match=r"hạn chót .*17 giờ 00 ngày 15/12/2023.* đã qua"):
        await issue(town, first, "2600")
    await town.until("2023-12-18", "10:00")
    old, new = await urges(town)
    assert (old.state, new.state) == ("CANCELLED", "PENDING_ISSUE")
    assert "17 giờ 00 ngày 20/12/2023" in new.html
    assert new.subject == old.subject, "it is still the first"
    await issue(town, new, "2601")
    assert await town.diary("urge") == ["18/12 10:00 T-OUT urge"]


async def test_the_second_round_waits_for_the_last_date_of_the_first_and_there_is_no_third(outside: Town) -> None:
    await outside.until("2024-01-31")
    assert await outside.diary("urge") == ["12/12 08:00 T-OUT urge", "18/12 08:00 T-OUT urge"]
    assert [row.subject.partition(" việc")[0] for row in await urges(outside)] == ["đôn đốc", "đôn đốc (lần 2)"]
    assert (await outside.delivery("T-OUT")).urged == 2


async def test_who_answers_between_two_rounds_is_not_in_the_second(opened: Town) -> None:
    await opened.until("2023-12-13")
    await opened.say("VP")
    await opened.until("2023-12-18", "09:00")
    second = (await urges(opened))[1]
    listed = [row[1] for row in second.sheet["appendices"][0]["rows"]]
    assert "Tổ chức VP" not in listed
    assert "Tổ chức T-OUT" in listed


async def test_the_deputy_head_is_told_in_words_of_his_own_and_so_is_whoever_else_the_rung_names(town: Town) -> None:
    ladder = (CASCADE.ladder[0], CASCADE.ladder[1].model_copy(update={"also": ("TB",)}), *CASCADE.ladder[2:])
    town.clock.set(at("2023-12-01"))
    await town.launch(cascade=CASCADE.model_copy(update={"ladder": ladder}), audience=to("T-OUT"))
    await town.work()
    await town.say("BQL")
    await town.until("2023-12-15", "08:00")
    assert await town.diary("digest") == [
        "12/12 08:00 QHXD digest", "15/12 08:00 PTB digest", "15/12 08:00 TB digest",
    ]  # fmt: skip
    told = town.postbox.to(address("PTB"))[-1]
    assert "BÁO CÁO LÃNH ĐẠO" in text_of(told)
    assert links_of(told) == office_links("", "/c/8184", f"/c/8184/d/{(await town.delivery('T-OUT')).id}")


async def test_the_mails_to_the_office_open_the_officers_own_pages(town: Town, tmp_path: Path) -> None:
    await live(town, tmp_path, audience=to("T-OUT"))
    await town.until("2023-12-14", "08:00")
    (draft,) = await urges(town)
    (digest,) = [one for one in town.postbox.to(address("QHXD")) if "tổng hợp" in one["Subject"].lower()]
    row = await town.delivery("T-OUT")
    assert links_of(digest) == office_links("", "/c/8184", f"/c/8184/d/{row.id}")
    wanted = town.postbox.to(address("VP"))[-1]
    assert links_of(wanted) == office_links("/letters", f"/letters/{draft.id}")


@pytest.mark.parametrize("hour", ["08:00:01", "14:30:00"])
async def test_a_digest_that_comes_later_than_its_hour_puts_off_no_rung(outside: Town, hour: str) -> None:
    await outside.until("2023-12-12", "07:59")
    outside.clock.set(at("2023-12-12", hour))
    await outside.work()
    (case,) = await outside.cases("T-OUT")
    assert (case.rung, case.tell_at) == (1, at("2023-12-15"))


# ------------------------------------------------------------------------------------ the Báo cáo


async def test_the_last_rung_prepares_the_report_and_whoever_has_it_in_hand_is_chased(outside: Town) -> None:
    await outside.until("2023-12-28", "09:00")
    (report,) = await outside.all(Letter, Letter.kind == "report")
    assert (report.state, report.awaits) == ("PENDING_ISSUE", "VP")
    assert await outside.diary("issue_wanted") == [
        "22/12 08:00 VP issue_wanted", "26/12 07:30 QHXD issue_wanted", "27/12 07:30 VP issue_wanted",
        "28/12 07:30 VP issue_wanted",
    ]  # fmt: skip
    assert "Báo cáo" in text_of(outside.postbox.to(address("VP"))[-1])
    assert await outside.diary("report") == [], "nothing addressed to the City leaves without an issued document"
    await letters.play_issue(outside.house, report.id, "Văn thư")
    await outside.work()
    assert await outside.diary("report") == ["28/12 09:00 UBND-HP report"]


async def test_the_report_of_the_closing_takes_the_place_of_the_one_that_the_ladder_prepared(outside: Town) -> None:
    await outside.until("2023-12-25", "09:00")
    await closing.close(outside.house, outside.campaign, BY)
    states = {row.state for row in await outside.all(Letter, Letter.kind == "report")}
    assert states == {"CANCELLED", "PENDING_ISSUE"}
    await outside.until("2023-12-29", "09:00")
    assert (await outside.diary("issue_wanted"))[-1].endswith("issue_wanted"), "the report of the closing is chased"


async def test_a_reason_that_names_a_stamp_of_secrecy_stands_in_the_report(opened: Town) -> None:
    await opened.say("T-OUT", Event.REJECTED, reason="Văn bản cấp trên đóng dấu TỐI  MẬT, không nhận qua thư điện tử")
    await opened.until("2023-12-22", "09:00")
    await closing.close(opened.house, opened.campaign, BY, now_matter_what=True)
    report = await opened.one(Letter, Letter.kind == "report", Letter.state == "PENDING_ISSUE")
    sheet = Sheet.model_validate({key: value for key, value in report.sheet.items() if key not in ("due_at", "dues")})
    file = opened.house.press.render(sheet).pdf
    assert "đóng dấu tối mật" in " ".join(upload.read(file).text.split())
    signed_files.refuse_secret_file(file, "báo cáo")


async def test_a_report_that_cannot_be_printed_keeps_no_other_campaign_from_being_told(
    outside: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = outside.campaign
    second = await outside.launch(code="9999", audience=to("T-OUT"))
    await outside.work()
    await outside.say("BQL")
    await outside.until("2023-12-22", "07:59")
    sheet_of = reporting.report_sheet

    async def unprintable(house: House, ledger: Ledger, campaign: Campaign, *given: Any, **more: Any) -> Sheet:
        if campaign.id == first:
            raise WordsRefused("thẻ <x> không dùng trong văn bản")
        return await sheet_of(house, ledger, campaign, *given, **more)

    with monkeypatch.context() as patch:
        patch.setattr(reporting, "report_sheet", unprintable)
        outside.clock.set(at("2023-12-22", "08:00"))
        with pytest.raises(WordsRefused):
            await telling.tell(outside.house)
        assert await telling.tell(outside.house) == [], "nothing stays due"
    report = await outside.one(Letter, Letter.kind == "report")
    assert report.campaign_id == second
    rungs = {case.campaign_id: (case.rung, case.tell_at) for case in await outside.all(Case)}
    assert rungs == {first: (2, at("2023-12-25")), second: (3, None)}
    await outside.until("2023-12-25")
    assert len(await outside.all(Letter, Letter.kind == "report")) == 2


async def test_a_letter_of_urging_that_cannot_be_printed_does_not_take_the_report_along(
    outside: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    await outside.until("2023-12-22", "07:59")

    async def unprintable(*_given: object) -> None:
        raise WordsRefused("thẻ <x> không dùng trong văn bản")

    with monkeypatch.context() as patch:
        patch.setattr(urging, "prepare", unprintable)
        patch.setattr(urging, "passed", overtaken := AsyncMock(return_value=await urges(outside)))
        outside.clock.set(at("2023-12-22", "08:00"))
        with pytest.raises(WordsRefused):
            await telling.tell(outside.house)
    overtaken.assert_awaited_once()
    assert (await outside.one(Letter, Letter.kind == "report")).campaign_id == outside.campaign


# ------------------------------------------------------------------------------------ cases


async def test_a_claimed_case_with_a_next_date_waits_until_it(outside: Town) -> None:
    await outside.until("2023-12-12", "09:00")
    row = await outside.delivery("T-OUT")
    await escalations.claim(outside.house, row.id, "Lê Văn Mẫu", "đã gọi, hẹn trả lời", at("2023-12-20", "17:00"))
    await outside.until("2023-12-20", "18:00")
    assert await outside.diary("digest") == ["12/12 08:00 QHXD digest"], "without the claim PTB is told on the 15th"
    await outside.until("2023-12-21", "09:00")
    assert (await outside.diary("digest"))[-1] == "21/12 08:00 PTB digest"
    lines = sheets(outside.postbox.to(address("PTB"))[-1])["Quá hạn chưa xác nhận"]
    assert "Lê Văn Mẫu: đã gọi, hẹn trả lời" in str(lines[-1])


async def test_whoever_has_a_case_in_hand_is_read_of_by_the_full_name_and_logged_by_the_accounts(outside: Town) -> None:
    hoa = accounts.Account("hoa", "Nguyễn Thị Hoa", accounts.Role.OPERATOR, "")
    await accounts.add(outside.house, hoa, "mùa mưa năm nay đến sớm")
    await outside.until("2023-12-12", "09:00")
    row = await outside.delivery("T-OUT")
    await escalations.claim(outside.house, row.id, "hoa", "đã gọi")
    await outside.until("2023-12-15", "09:00")
    (line,) = sheets(outside.postbox.to(address("PTB"))[-1])["Quá hạn chưa xác nhận"][2:]
    assert "Nguyễn Thị Hoa" in line
    assert "Nguyễn Thị Hoa: đã gọi" in str(line[-1])
    async with outside.house.store.view() as ledger:
        campaign = await ledger.get(Campaign, outside.campaign)
        found = await results.results(ledger, campaign, at("2023-12-15"))
    assert any("Nguyễn Thị Hoa đang xử lý" in one.done for one in found.open)
    (event,) = await outside.all(EventRow, EventRow.stream == row.id, EventRow.kind == "claimed")
    assert event.actor == "hoa"


async def test_a_case_that_nobody_claims_climbs(outside: Town) -> None:
    await outside.until("2023-12-22", "09:00")
    (case,) = await outside.cases("T-OUT")
    assert (case.rung, case.claimed_by) == (3, None)


async def test_a_decision_closes_the_case_and_the_campaign_may_be_closed(outside: Town) -> None:
    await outside.until("2023-12-12", "09:00")
    row = await outside.delivery("T-OUT")
    with pytest.raises(ActRefused, match="lý do"):
        await escalations.decide(outside.house, row.id, BY, " ")
    await escalations.decide(outside.house, row.id, BY, "doanh nghiệp đã giải thể, không truy được")
    (case,) = await outside.cases("T-OUT")
    assert (case.closed_by, case.closed_why) == (BY, "decided")
    await outside.until("2023-12-31")
    assert await outside.diary("digest") == ["12/12 08:00 QHXD digest"]
    async with outside.house.store.view() as ledger:
        assert await campaigns.ready_to_close(ledger, await campaigns.find(ledger, "8184"))
    receipt = await outside.say("T-OUT")
    assert receipt.late, "a late answer is still accepted"


async def test_a_case_is_closed_by_an_answer_on_paper_under_the_name_of_who_recorded_it(outside: Town) -> None:
    await outside.until("2023-12-12", "09:00")
    await outside.say("T-OUT", Event.ACKNOWLEDGED, channel="paper", actor="Lê Văn Mẫu", evidence="CV 12/2023")
    (case,) = await outside.cases("T-OUT")
    assert (case.closed_by, case.closed_why) == ("Lê Văn Mẫu", "acknowledged")


async def test_address_work_climbs_apart_from_silence_and_gets_no_formal_letter(opened: Town) -> None:
    await opened.say("T-OUT", Event.REJECTED, reason="không phải đơn vị chúng tôi")
    await opened.until("2023-12-13")
    kinds = {case.kind for case in await opened.all(Case) if case.delivery_id == (await opened.delivery("T-OUT")).id}
    assert kinds == {"rejected"}
    listed = [row[1] for row in (await urges(opened))[0].sheet["appendices"][0]["rows"]]
    assert "Tổ chức T-OUT" not in listed


# ------------------------------------------------------------------------------------ the workbook


async def test_the_workbook_is_grouped_by_park_the_latest_first_with_contact_and_history(town: Town) -> None:
    person = Contact(email="t1@t1.example", name="Trần Văn Mẫu", role="Trưởng phòng HC", phone="0225 000 001")
    await town.launch(people=register(T1={"contacts": (person,)}))
    await town.work()
    await town.say("BQL")
    await town.work()
    await town.pass_on("INV-A")
    await town.pass_on("INV-B")
    await town.until("2023-12-12", "09:00")
    rows = sheets(town.postbox.to(address("QHXD"))[-1])["Quá hạn chưa xác nhận"]
    assert [row[0] for row in rows[1:] if not row[2]] == [
        "KCN Hai (1)", "KCN Một (4)", "Ngoài khu công nghiệp (1)", "Đơn vị thuộc Ban (1)",
    ]  # fmt: skip
    assert codes(rows) == [f"8184-{code}" for code in ("T3", "T-BOTH", "T-CHEM", "T1", "T2", "T-OUT", "VP")]
    head = [str(name) for name in rows[0]]
    line = dict(zip(head, next(row for row in rows if row[2] == "8184-T1"), strict=True))
    assert line["Đầu mối liên hệ"] == "Trần Văn Mẫu, Trưởng phòng HC, 0225 000 001"
    done = "01/12 đã gửi; 06/12 nhắc việc; 08/12 nhắc việc; 11/12 nhắc việc; 11/12 báo cáo lên trên"
    assert line["Diễn biến"] == done


def test_a_rung_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="template"):
        Rung.model_validate({"to": "QHXD", "template": "telegram"})
