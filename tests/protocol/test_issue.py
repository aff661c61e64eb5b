"""An authority's letter leaves only as the file that was signed: checked word for word, kept byte for byte."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfWriter

from congvan.acts import clerks, closing, letters, numbers, registry, signed_files
from congvan.acts.numbers import Series
from congvan.errors import ActRefused, BadInput
from congvan.letters import comparing, upload
from congvan.letters.press import Press
from congvan.letters.sheet import Sheet
from congvan.rules.calendar import local
from congvan.rules.records import Contact, Person
from congvan.store.tables import EventRow, File, Letter
from tests.conftest import at
from tests.protocol import test_letters_kinds as kinds
from tests.protocol.world import CASCADE, PLAN, Town, register
from tests.signing import SIGNER, redrawn, remarked, saved_again, scanned, signed, timed

TODAY = date(2023, 12, 1)
NUMBER = "2514"


async def go_live(town: Town, folder: Path, **changes: Any) -> Letter:
    """A live campaign whose letter awaits its issue."""
    (folder / "8184.pdf").write_bytes(b"%PDF-1.7 the document from above\n%%EOF\n")
    directive = PLAN.directives[0].model_copy(update={"files": ("8184.pdf",)})
    await town.launch(mode="live", directives=(directive,), folder=folder, **changes)
    await town.work()
    await town.say("BQL")
    await town.work()
    return await town.letter("BQL")


@pytest.fixture
async def waiting(town: Town, tmp_path: Path) -> Letter:
    return await go_live(town, tmp_path)


async def drawn(town: Town, letter: Letter, **changes: Any) -> bytes:
    """The letter's page with its number and date, changed on its way to the signer."""
    sheet = Sheet.model_validate({key: value for key, value in letter.sheet.items() if key not in ("due_at", "dues")})
    sheet = sheet.model_copy(update={"number": NUMBER, "issued_on": TODAY})
    return town.house.press.render(sheet.model_copy(update=changes)).pdf


def entered(file: bytes | None, **more: Any) -> letters.Issued:
    return letters.Issued(**({"number": NUMBER, "day": TODAY, "by": "Nguyễn Thị Văn Thư", "signed": file} | more))


async def refused(town: Town, letter: Letter, file: bytes | None, **more: Any) -> str:
    """Why this file may not leave; nothing has changed by the try."""
    files = len(await town.all(File))
    with pytest.raises((BadInput, ActRefused)) as error:
        await letters.issue(town.house, letter.id, entered(file, **more))
    assert (await town.letter("BQL")).state == "PENDING_ISSUE"
    assert len(await town.all(File)) == files
    return str(error.value)


async def issued_event(town: Town) -> dict[str, Any]:
    hop = await town.hop("BQL")
    rows = await town.all(EventRow, EventRow.stream == hop.id, EventRow.kind == "letter_issued")
    assert len(rows) == 1
    return dict(rows[0].data)


# ------------------------------------------------------------------------------------ the right file


async def test_the_signed_file_is_what_is_sent_byte_for_byte(town: Town, waiting: Letter) -> None:
    made = await letters.to_sign(town.house, waiting.id, NUMBER, TODAY)
    file = signed(made.pdf)
    issued = await letters.issue(town.house, waiting.id, entered(file))
    assert (issued.state, issued.symbol, issued.number, issued.year) == ("ISSUED", f"{NUMBER}/BQL-QHXD", 2514, 2023)
    await town.work()
    (mail,) = town.postbox.to("inv-a@inv-a.example")
    assert file in [part.get_payload(decode=True) for part in mail.iter_attachments()]
    event = await issued_event(town)
    assert event["signed_by"] == [SIGNER]
    assert event["sha256"] == issued.sha256
    assert "differences" not in event


async def test_until_it_is_issued_nothing_leaves_and_the_letter_has_a_person_and_a_date(
    town: Town, waiting: Letter
) -> None:
    assert (waiting.state, waiting.awaits) == ("PENDING_ISSUE", "VP")
    assert waiting.awaits_until == at("2023-12-04", "17:30")
    assert (await town.hop("BQL")).state == "PENDING_ISSUE"
    await town.until("2023-12-05")
    assert await town.diary("letter", "copy") == []


async def test_a_live_letter_without_a_file_is_not_issued(town: Town, waiting: Letter) -> None:
    assert "--signed" in await refused(town, waiting, None)
    with pytest.raises(ActRefused):
        await letters.play_issue(town.house, waiting.id, "engine")


async def test_a_letter_whose_campaign_was_closed_is_dropped_and_not_issued(town: Town, waiting: Letter) -> None:
    made = await letters.to_sign(town.house, waiting.id, NUMBER, TODAY)
    await town.until("2023-12-04", "18:00")
    with pytest.raises(ActRefused, match="cấp cuối"):
        await closing.close(town.house, town.campaign, "Chu Đức Anh")
    await closing.close(town.house, town.campaign, "Chu Đức Anh", now_matter_what=True)
    row = await town.letter("BQL")
    assert (row.state, row.awaits) == ("CANCELLED", None)
    with pytest.raises(ActRefused, match="chờ ban hành"):
        await letters.issue(town.house, waiting.id, entered(signed(made.pdf)))
    await town.until("2024-01-31")
    assert await town.diary("letter", "copy") == []


@pytest.mark.parametrize("dropped", [False, True], ids=["closed", "dropped"])
async def test_a_campaign_that_is_closed_while_the_clerk_issues_sends_nothing(
    town: Town, waiting: Letter, monkeypatch: pytest.MonkeyPatch, dropped: bool
) -> None:
    made = await letters.to_sign(town.house, waiting.id, NUMBER, TODAY)
    check = signed_files.check_signed

    def slowly(*given: Any) -> dict[str, Any]:
        # As where the one who closes is quicker; by the table itself, since the check is no coroutine.
        with sqlite3.connect(str(town.house.store.engine.url.database)) as line:
            now = "(SELECT max(created_at) FROM letters)"
            line.execute(f"UPDATE campaigns SET state = 'CLOSED', closed_by = 'Chu Đức Anh', closed_at = {now}")
            if dropped:
                line.execute("UPDATE letters SET state = 'CANCELLED' WHERE id = ?", (waiting.id,))
        line.close()
        return check(*given)

    monkeypatch.setattr(signed_files, "check_signed", slowly)
    with pytest.raises(ActRefused, match="chờ ban hành" if dropped else "kết thúc"):
        await letters.issue(town.house, waiting.id, entered(signed(made.pdf)))
    assert (await town.letter("BQL")).number is None


async def test_a_letter_that_was_issued_stays_as_it_is(town: Town, waiting: Letter) -> None:
    file = signed(await drawn(town, waiting))
    first = await letters.issue(town.house, waiting.id, entered(file))
    again = await letters.issue(town.house, waiting.id, entered(b"something else", number="9"))
    assert (again.symbol, again.sha256) == (first.symbol, first.sha256)


# ------------------------------------------------------------------------------------ the wrong file


@pytest.mark.parametrize(
    ("change", "place", "says"),
    [
        ({"number": "2515"}, "số và ký hiệu", "«2515/BQL-QHXD»"),
        ({"symbol": "{number}/BQL-VP"}, "số và ký hiệu", "«2514/BQL-VP»"),
        ({"number": ""}, "số và ký hiệu", "tệp ghi «/BQL-QHXD»"),
        ({"issued_on": date(2023, 12, 2)}, "ngày ban hành", "«ngày 02 tháng 12 năm 2023»"),
        ({"issued_on": date(2023, 2, 1)}, "ngày ban hành", "«ngày 01 tháng 02 năm 2023»"),
        ({"issued_on": None}, "ngày ban hành", "tệp ghi «ngày tháng năm»"),
        ({"subject": f"{PLAN.letter.subject} và vùng phụ cận"}, "trích yếu", "và vùng phụ cận"),
        ({"subject": PLAN.letter.subject.replace("tội phạm", "tội phạn")}, "trích yếu", "tội phạn"),
    ],
)  # fmt: skip
async def test_another_number_date_or_subject_stops_the_letter_whoever_accepts_it(
    town: Town, waiting: Letter, change: dict[str, Any], place: str, says: str
) -> None:
    file = signed(await drawn(town, waiting, **change))
    for accepted in ("", "Chu Đức Anh"):
        said = await refused(town, waiting, file, accept_differences_by=accepted)
        assert place in said
        assert says in said


def one_word(old: str, new: str) -> Callable[[Letter], dict[str, Any]]:
    """The letter's context with one word of the plan's letter changed."""

    def change(letter: Letter) -> dict[str, Any]:
        context = dict(letter.sheet["context"])
        written = {
            key: [text.replace(old, new, 1) for text in value] if isinstance(value, list)
            else value.replace(old, new, 1) if isinstance(value, str) else value
            for key, value in context["letter"].items()
        }  # fmt: skip
        assert written != context["letter"]
        return {"context": context | {"letter": written}}

    return change


@pytest.mark.parametrize(
    ("change", "page", "draft", "file"),
    [
        (one_word("nghiêm túc", "nghiêm chỉnh"), "trang 2", "«túc»", "«chỉnh»"),
        (one_word("không để xảy ra", "để xảy ra"), "trang 1", "«không»", "tệp không có"),
        (one_word("Thực hiện các kế hoạch", "Xây dựng các kế hoạch"), "trang 1", "«Thực hiện»", "«Xây dựng»"),
        (one_word("Thực hiện chỉ đạo", "Theo chỉ đạo"), "trang 1", "«Thực hiện»", "«Theo»"),
        (one_word("thực hiện./.", "thực hiện. Báo cáo mật./."), "trang 2", "", "Báo cáo"),
    ],
)  # fmt: skip
async def test_one_word_that_differs_stops_the_letter_and_shows_where(
    town: Town, waiting: Letter, change: Callable[[Letter], dict[str, Any]], page: str, draft: str, file: str
) -> None:
    said = await refused(town, waiting, signed(await drawn(town, waiting, **change(waiting))))
    (line,) = [line for line in said.splitlines() if "sau «" in line or "đầu nội dung" in line]
    assert page in line
    assert draft in line
    assert file in line


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"addressees": (*PLAN.letter.addressees[:2], "Văn phòng")}, "Kính gửi"),
        ({"signer": Person(name="Người Khác", position="PHÓ TRƯỞNG BAN", authority="KT. TRƯỞNG BAN")}, "người ký"),
        ({"distribution": ("Như trên", "Lưu: VT, VP")}, "Nơi nhận"),
        ({"issuer": "Ban Quản lý khác"}, "cơ quan ban hành"),
    ],
)
async def test_addressees_signer_and_names_are_compared_too(
    town: Town, waiting: Letter, change: dict[str, Any], field: str
) -> None:
    assert field in await refused(town, waiting, signed(await drawn(town, waiting, **change)))


async def test_a_difference_that_a_named_person_accepts_goes_out_and_stands_in_the_log(
    town: Town, waiting: Letter
) -> None:
    file = signed(await drawn(town, waiting, **one_word("nghiêm túc", "nghiêm chỉnh")(waiting)))
    issued = await letters.issue(town.house, waiting.id, entered(file, accept_differences_by="Chu Đức Anh"))
    assert issued.state == "ISSUED"
    event = await issued_event(town)
    assert event["accepted_by"] == "Chu Đức Anh"
    assert "dự thảo ghi «túc», tệp ghi «chỉnh»" in event["differences"][0]


async def test_every_fault_of_a_file_is_shown_at_once(town: Town, waiting: Letter) -> None:
    change = one_word("nghiêm túc", "nghiêm chỉnh")(waiting) | {"number": "9", "issued_on": date(2023, 12, 2)}
    said = await refused(town, waiting, await drawn(town, waiting, **change))
    assert len(said.splitlines()) == 4, said


# ------------------------------------------------------------------------------------ signature and scan


async def test_a_file_without_a_digital_signature_is_refused_unless_it_is_marked_as_a_scan(
    town: Town, waiting: Letter
) -> None:
    file = await drawn(town, waiting)
    assert "không có chữ ký số" in await refused(town, waiting, file)
    issued = await letters.issue(town.house, waiting.id, entered(file, paper_scan=True))
    assert issued.state == "ISSUED"
    assert (await issued_event(town))["paper_scan"] is True


async def test_a_file_that_was_changed_after_it_was_signed_is_refused(town: Town, waiting: Letter) -> None:
    file = signed(await drawn(town, waiting))
    name = re.search(rb"/Producer \(([^)]*)\)|/Title", file)
    assert name is not None
    changed = file[: name.start()] + file[name.start() : name.end()].swapcase() + file[name.end() :]
    assert len(changed) == len(file)
    assert "đã thay đổi sau khi ký" in await refused(town, waiting, changed)


@pytest.mark.parametrize("change", [remarked, redrawn], ids=["a remark", "a page"])
async def test_what_was_added_after_the_signature_stops_the_letter_whoever_accepts_it(
    town: Town, waiting: Letter, change: Callable[[PdfWriter], None]
) -> None:
    file = saved_again(signed(await drawn(town, waiting)), change)
    for later in (file, saved_again(file, timed)):
        for accepted in ("", "Chu Đức Anh"):
            said = await refused(town, waiting, later, accept_differences_by=accepted)
            assert said.splitlines() == [said]
            assert "có nội dung thêm vào sau khi ký" in said


async def test_what_keeps_a_signature_valid_for_years_may_follow_it(town: Town, waiting: Letter) -> None:
    file = saved_again(signed(await drawn(town, waiting)), timed)
    issued = await letters.issue(town.house, waiting.id, entered(file))
    assert issued.state == "ISSUED"
    assert (await issued_event(town))["signed_by"] == [SIGNER]


async def test_a_scan_that_no_machine_can_read_needs_a_name_for_its_words(town: Town, waiting: Letter) -> None:
    said = await refused(town, waiting, scanned(2), paper_scan=True)
    assert "cả tệp" in said
    issued = await letters.issue(
        town.house, waiting.id, entered(scanned(2), paper_scan=True, accept_differences_by="Nguyễn Thị Văn Thư")
    )
    assert issued.state == "ISSUED"


async def test_a_scan_is_not_a_digital_file_even_if_somebody_accepts_it(town: Town, waiting: Letter) -> None:
    assert "không có chữ ký số" in await refused(town, waiting, scanned(), accept_differences_by="Lan")


async def test_a_misread_number_on_a_scan_can_be_accepted_by_name(town: Town, waiting: Letter) -> None:
    file = await drawn(town, waiting, number="2574")
    assert "2574" in await refused(town, waiting, file, paper_scan=True)
    accepted = entered(file, paper_scan=True, accept_differences_by="Lan")
    assert (await letters.issue(town.house, waiting.id, accepted)).number == 2514


@pytest.mark.parametrize("stamp", ["MẬT", "TỐI MẬT", "TUYỆT MẬT"])
async def test_a_secret_never_leaves(town: Town, waiting: Letter, stamp: str) -> None:
    class Stamped(Press):
        """Prints what the real one refuses."""

        def stamped(self, sheet: Sheet) -> bytes:
            composed = self._compose(sheet)
            frame = composed.frame | {"footer": stamp}
            return self._print({**frame, "body": composed.body}, sheet)

    press = town.house.press
    assert isinstance(press, Press)
    sheet = Sheet.model_validate({key: value for key, value in waiting.sheet.items() if key not in ("due_at", "dues")})
    sheet = sheet.model_copy(update={"number": NUMBER, "issued_on": TODAY})
    file = signed(Stamped(*press._folders).stamped(sheet))
    said = await refused(town, waiting, file, paper_scan=True, accept_differences_by="Lan")
    assert "văn thư mật" in said


@pytest.mark.parametrize("file", [b"%PDF-1.7\n%nothing more\n", b"not a file", b"", b"%PDF-1.4\n" + b"\xff" * 4000])
async def test_what_is_no_readable_pdf_is_refused(town: Town, waiting: Letter, file: bytes) -> None:
    assert "tệp" in await refused(town, waiting, file, paper_scan=True, accept_differences_by="Lan")


# ------------------------------------------------------------------------------------ date, signer, number


async def test_a_date_that_is_still_to_come_is_refused(town: Town, waiting: Letter) -> None:
    day = date(2023, 12, 4)
    file = signed(await drawn(town, waiting, issued_on=day))
    assert "còn ở phía trước" in await refused(town, waiting, file, day=day)


@pytest.mark.parametrize(
    "outside",
    [
        {"BQL": {"signers": (Person(name="Chu Đức Anh", position="P", valid_until=date(2023, 11, 30)),)}},
        {"BQL": {"signers": (Person(name="Chu Đức Anh", position="P", valid_from=date(2023, 12, 2)),)}},
        {"BQL": {"valid_until": date(2023, 11, 30)}},
        {"QHXD": {"valid_from": date(2023, 12, 2)}},
    ],
)
async def test_a_letter_dated_outside_its_signer_or_its_unit_is_refused(
    town: Town, waiting: Letter, outside: dict[str, Any]
) -> None:
    file = signed(await drawn(town, waiting))
    await registry.take_over(town.house, register(**outside))
    said = await refused(town, waiting, file)
    assert "ngày 01/12/2023" in said
    await registry.take_over(town.house, register())
    assert (await letters.issue(town.house, waiting.id, entered(file))).state == "ISSUED"


async def test_who_came_in_the_place_of_the_planned_signer_signs_what_waits(town: Town, tmp_path: Path) -> None:
    old = Person(name="Chu Đức Anh", position="TRƯỞNG BAN", valid_until=date(2023, 12, 3))
    new = Person(name="Lê Thị Mới", position="TRƯỞNG BAN", valid_from=date(2023, 12, 4))
    letter = await go_live(town, tmp_path, people=register(BQL={"signers": (old, new)}))
    assert "<b>Chu Đức Anh</b>" in (await letters.to_sign(town.house, letter.id, NUMBER, TODAY)).page
    day = date(2023, 12, 4)
    town.clock.set(at("2023-12-04", "09:00"))
    assert "<b>Lê Thị Mới</b>" in (await letters.to_sign(town.house, letter.id)).page, "without a date: today's"
    made_now = await letters.draft(town.house, (await town.hop("BQL")).id)
    assert made_now.sheet.signer == new
    made = await letters.to_sign(town.house, letter.id, NUMBER, day)
    assert "<b>Lê Thị Mới</b>" in made.page
    assert "<b>Chu Đức Anh</b>" not in made.page
    issued = await letters.issue(town.house, letter.id, entered(signed(made.pdf), day=day))
    assert issued.sheet["signer"]["name"] == "Lê Thị Mới"


async def test_a_letter_is_not_issued_with_a_date_that_has_passed_but_drafted_anew(
    town: Town, waiting: Letter
) -> None:
    town.clock.set(at("2023-12-08", "16:00"))
    old = await letters.to_sign(town.house, waiting.id, NUMBER, TODAY)
    assert "trước 17 giờ 00 ngày 08/12/2023" in old.text
    town.clock.set(at("2023-12-08", "17:00"))
    with pytest.raises(ActRefused, match="hệ thống đã dự thảo lại với thời hạn mới"):
        await letters.issue(town.house, waiting.id, entered(signed(old.pdf)))
    day = date(2023, 12, 8)
    new = await letters.to_sign(town.house, waiting.id, NUMBER, day)
    assert "trước 17 giờ 00 ngày 15/12/2023" in new.text
    await letters.issue(town.house, waiting.id, entered(signed(new.pdf), day=day))
    await town.work()
    assert (await town.delivery("INV-A")).due_at == at("2023-12-15", "17:00")


async def test_a_draft_that_nobody_issues_for_weeks_asks_for_an_answer_in_time(town: Town, waiting: Letter) -> None:
    await town.until("2023-12-20", "09:00")
    assert "trước 17 giờ 00 ngày 22/12/2023" in (await letters.to_sign(town.house, waiting.id)).text


async def test_a_letterhead_shows_the_telephone_of_an_office_that_is_in_use(town: Town) -> None:
    gone = Contact(
        email="a@inv-a.example", name="Ông Cũ", phone="0900 000 001", valid_until=date(2020, 1, 1), order=1
    )
    person = Contact(email="b@inv-a.example", name="Bà Mới", phone="0900 000 002", order=2)
    office = Contact(email="c@inv-a.example", role="Văn thư", phone="0225 111 222", order=3)
    await town.launch(people=register(INV_A={"contacts": (gone, person, office)}))
    await town.work()
    await town.say("BQL")
    await town.work()
    assert (await town.letter("INV-A")).sheet["issuer_phone"] == "0225 111 222"


async def test_a_number_with_a_letter_is_cited_with_it(town: Town, waiting: Letter) -> None:
    file = signed((await letters.to_sign(town.house, waiting.id, "125a", TODAY)).pdf)
    issued = await letters.issue(town.house, waiting.id, entered(file, number="125a"))
    assert issued.symbol == "125a/BQL-QHXD"
    await town.work()
    hop = await town.hop("INV-A")
    made = await letters.draft(town.house, hop.id)
    assert "Công văn số 125a/BQL-QHXD" in town.house.press.render(made.sheet).page


async def test_the_number_of_a_letter_that_is_dropped_stays_in_the_register_with_the_reason(
    town: Town, waiting: Letter
) -> None:
    await numbers.reserve(town.house, Series("BQL", "BQL-QHXD", 2023), 5, 9, "Lan")
    assert await clerks.allocate(town.house, waiting.id, "Lan") == "05/BQL-QHXD"
    hop = await town.hop("BQL")
    noted = await town.all(EventRow, EventRow.stream == hop.id, EventRow.kind == "noted")
    given = [(row.actor, row.data["numbered"]) for row in noted if "numbered" in row.data]
    assert given == [("Lan", "05/BQL-QHXD")]
    await closing.close(town.house, town.campaign, "Chu Đức Anh", now_matter_what=True)
    first, *others = await numbers.register(town.house, "BQL", 2023)
    assert (first["code"], first["state"]) == ("05/BQL-QHXD", "VOIDED")
    assert first["why"].startswith("văn bản không ban hành: ")
    assert {one["state"] for one in others} == {"RESERVED"}


async def test_a_number_that_cannot_be_had_is_refused_to_the_first_of_two_who_have_to_say_yes(
    town: Town, waiting: Letter
) -> None:
    series = Series("BQL", "BQL-QHXD", 2023)
    town.house.settings = town.house.settings.model_copy(update={"issue_needs_two": True})
    await numbers.reserve(town.house, series, 100, 101, "Lan")
    await numbers.void(town.house, series, 100, "hỏng bản in", "Lan")
    first, second = [
        entered(signed((await letters.to_sign(town.house, waiting.id, number, TODAY)).pdf), number=number)
        for number in ("100", "101")
    ]
    with pytest.raises(ActRefused, match="đã hủy"):
        await clerks.enter(town.house, waiting.id, first)
    assert await clerks.enter(town.house, waiting.id, second) is None
    assert (await clerks.approve(town.house, waiting.id, "Hoa")).symbol == "101/BQL-QHXD"


async def test_a_number_of_the_reserved_block_is_put_on_the_draft_and_then_issued(
    town: Town, waiting: Letter
) -> None:
    series = Series("BQL", "BQL-QHXD", 2023)
    with pytest.raises(ActRefused, match="dành sẵn"):
        await clerks.allocate(town.house, waiting.id, "Lan")
    await numbers.reserve(town.house, series, 5, 9, "Lan")
    assert await clerks.allocate(town.house, waiting.id, "Lan") == "05/BQL-QHXD"
    other = signed(await drawn(town, waiting, number="6"))
    assert "đã được cấp số 05/BQL-QHXD" in await refused(town, waiting, other, number="6")
    file = signed((await letters.to_sign(town.house, waiting.id, "5", TODAY)).pdf)
    issued = await letters.issue(town.house, waiting.id, entered(file, number="5"))
    assert issued.symbol == "05/BQL-QHXD"
    with pytest.raises(ActRefused, match="đã ban hành"):
        await numbers.void(town.house, series, 5, "nhầm", "Lan")


async def test_a_voided_number_cannot_be_entered(town: Town, waiting: Letter) -> None:
    series = Series("BQL", "BQL-QHXD", 2023)
    await numbers.reserve(town.house, series, 2514, 2514, "Lan")
    await numbers.void(town.house, series, 2514, "hỏng bản in", "Lan")
    assert "hỏng bản in" in await refused(town, waiting, signed(await drawn(town, waiting)))


async def test_two_letters_of_one_year_do_not_bear_one_number(town: Town, waiting: Letter, tmp_path: Path) -> None:
    await letters.issue(town.house, waiting.id, entered(signed(await drawn(town, waiting))))
    second = await go_live(town, tmp_path, code="8184-B")
    assert "đã có văn bản khác mang" in await refused(town, second, signed(await drawn(town, second)))


# ------------------------------------------------------------------------------------ a company's letter


async def test_a_companys_own_file_is_its_own_matter_unless_it_is_a_secret(town: Town, tmp_path: Path) -> None:
    await town.launch()
    await town.work()
    await town.say("BQL")
    await town.work()
    secret = town.house.press
    assert isinstance(secret, Press)
    document = PLAN.directives[0].model_dump(mode="json")
    sheet = Sheet(template="placeholder", issuer="Công ty", context={"document": document})
    composed = secret._compose(sheet)
    page = secret._print({**composed.frame, "body": composed.body, "footer": "TỐI MẬT"}, sheet)
    with pytest.raises(BadInput, match="văn thư mật"):
        await town.pass_on("INV-A", "7", own_pdf=page)
    plain = secret.render(sheet).pdf
    await town.pass_on("INV-A", "7", own_pdf=plain)
    assert (await town.letter("INV-A")).state == "ISSUED"


# ------------------------------------------------------------------------------------ every kind


@pytest.mark.parametrize("kind", ["board", "report", "urge", "dispatch"])
def test_an_authoritys_kind_agrees_with_its_own_page_and_not_with_anothers(kind: str) -> None:
    sheet: Sheet = getattr(kinds, kind)().model_copy(update={"number": "5", "issued_on": TODAY})
    rendered = kinds.PRESS.render(sheet)
    approved = comparing.approved(sheet, rendered)
    assert comparing.compare(upload.read(signed(rendered.pdf)), approved) == []
    other = kinds.PRESS.render(kinds.board(number="5", issued_on=TODAY, subject="việc khác"))
    assert comparing.compare(upload.read(signed(other.pdf)), approved) != []


@pytest.mark.parametrize("illustration", [False, True])
def test_a_table_over_several_pages_repeats_its_heading_and_that_is_no_difference(illustration: bool) -> None:
    sheet = kinds.report().model_copy(update={"number": "5", "issued_on": TODAY, "illustration": illustration})
    rows = [[f"Công ty TNHH Mẫu số {n}", "KCN Mẫu"] for n in range(90)]

    def made(rows: list[list[str]]) -> Sheet:
        return sheet.model_copy(update={"context": {**sheet.context, "silent": rows}})

    rendered = kinds.PRESS.render(made(rows))
    approved = comparing.approved(made(rows), rendered)
    file = upload.read(rendered.pdf)
    assert len(file.pages) > 2
    assert comparing.compare(file, approved) == []
    first = next(place for place, row in enumerate(rows) if row[0] in file.pages[2])
    for wrong in (rows[:first] + rows[first + 1 :], [*rows[:first], ["Công ty khác", "KCN Mẫu"], *rows[first:]]):
        found = comparing.compare(upload.read(kinds.PRESS.render(made(wrong)).pdf), approved)
        assert len(found) == 1, found


def test_a_missing_line_of_an_appendix_is_shown() -> None:
    sheet = kinds.urge().model_copy(update={"number": "5", "issued_on": TODAY})
    (part,) = sheet.appendices
    short = sheet.model_copy(update={"appendices": (part.model_copy(update={"rows": part.rows[:-1]}),)})
    approved = comparing.approved(sheet, kinds.PRESS.render(sheet))
    found = comparing.compare(upload.read(kinds.PRESS.render(short).pdf), approved)
    assert [(one.place, one.draft) for one in found] == [("Phụ lục", " ".join(part.rows[-1]))]


def test_a_list_of_four_thousand_is_compared_at_once() -> None:
    sheet = kinds.urge().model_copy(update={"number": "5", "issued_on": TODAY})
    rendered = kinds.PRESS.render(sheet)
    rows = [f"{n} Công ty trách nhiệm hữu hạn sản xuất thương mại số {n}" for n in range(4_000)]
    approved = comparing.approved(sheet, rendered)
    wanted = (("Phụ lục", f"{row} KCN Mẫu") for row in [*rows, "0 thêm"])
    approved = replace(approved, around=(*approved.around, *wanted))
    own = upload.read(rendered.pdf)
    file = replace(own, pages=(*own.pages, "\n".join(f"{row}\nKCN Mẫu" for row in rows)))
    began = time.thread_time()
    found = comparing.compare(file, approved)
    assert time.thread_time() - began < 5, "two minutes where each row is looked for from each line"
    assert [one.draft for one in found] == ["0 thêm KCN Mẫu"]


def test_a_zero_more_or_less_is_the_same_number_and_the_same_day() -> None:
    day = date(2024, 3, 5)
    sheet = kinds.board(number="5", issued_on=day)
    approved = comparing.approved(sheet, kinds.PRESS.render(sheet))
    own = upload.read(kinds.PRESS.render(sheet).pdf)
    for printed, written in (("tháng 3", "tháng 03"), ("ngày 05", "ngày 5"), ("05/B", "5/B"), ("05/B", "005/B")):
        file = replace(own, pages=tuple(page.replace(printed, written) for page in own.pages))
        assert file != own
        assert comparing.compare(file, approved) == []
    for printed, written in (("tháng 3", "tháng 30"), ("ngày 05", "ngày 50"), ("05/BQL", "50/BQL")):
        file = replace(own, pages=tuple(page.replace(printed, written) for page in own.pages))
        assert [one.fatal for one in comparing.compare(file, approved)] == [True]


def test_number_and_date_that_the_signing_tool_stamped_are_read_too() -> None:
    sheet = kinds.board(number="5", issued_on=TODAY)
    approved = comparing.approved(sheet, kinds.PRESS.render(sheet))
    blank = upload.read(kinds.PRESS.render(kinds.board(number="", issued_on=None)).pdf)
    assert [one.place for one in comparing.compare(blank, approved)] == [
        "trang 1, số và ký hiệu", "trang 1, ngày ban hành",
    ]  # fmt: skip
    stamped = replace(blank, stamps="05\n01\n12\nBan Quản lý Mẫu\n01/12/2023 10:11:12 +07:00")
    assert comparing.compare(stamped, approved) == []
    wrong = replace(blank, stamps="06\n02\n12\nBan Quản lý Mẫu")
    assert len(comparing.compare(wrong, approved)) == 2


# ------------------------------------------------------------------------------------ who has it in hand


async def test_who_is_to_issue_a_dispatch_is_asked_for_one(town: Town, tmp_path: Path) -> None:
    hops = tuple(
        hop.model_copy(update={"template": "dispatch"}) if hop.issuer == "board" else hop for hop in CASCADE.hops
    )
    letter = await go_live(town, tmp_path, cascade=CASCADE.model_copy(update={"hops": hops}))
    assert letter.kind == "dispatch"
    await town.until("2023-12-05", "07:30")
    (asked,) = [str(mail["Subject"]) for _to, mail in town.postbox.sent if "chờ ban hành" in str(mail["Subject"])]
    assert asked.startswith("Văn bản chờ ban hành: Công điện ")


async def test_a_letter_that_waits_is_chased_at_the_clerk_then_the_unit_then_the_head_of_the_office(
    town: Town, tmp_path: Path
) -> None:
    boxes = (Contact(email="vp@vp.example"), Contact(email="chanh.vp@vp.example", role="Chánh Văn phòng", order=2))
    letter = await go_live(town, tmp_path, people=register(VP={"contacts": boxes}))
    assert letter.chased == 0
    await town.until("2023-12-08", "17:30")
    wanted = [
        (to, local(parsedate_to_datetime(str(mail["Date"]))).strftime("%d/%m %H:%M"))
        for to, mail in town.postbox.sent
        if "chờ ban hành" in str(mail["Subject"])
    ]
    assert wanted == [
        ("vp@vp.example", "05/12 07:30"),  # due on 04/12 17:30; the mail leaves in office hours
        ("qhxd@qhxd.example", "06/12 07:30"),
        ("chanh.vp@vp.example", "07/12 07:30"),
        ("chanh.vp@vp.example", "08/12 07:30"),
    ]
    assert await town.diary("letter") == []
    waiting = await town.letter("BQL")
    assert waiting.awaits_until is not None
    assert waiting.awaits_until > await town.house.clock.now()
    file = signed((await letters.to_sign(town.house, waiting.id, NUMBER, TODAY)).pdf)
    await letters.issue(town.house, waiting.id, entered(file))
    await town.until("2023-12-12", "17:30")
    after = [to for to, mail in town.postbox.sent if "chờ ban hành" in str(mail["Subject"])]
    assert len(after) == len(wanted), "an issued letter is chased no more"
