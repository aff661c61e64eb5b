"""Reports and registers say what the database says; every table adds up to the same total."""

from __future__ import annotations

import io
import random
import re
from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pdfplumber
import pytest
from docx import Document
from python_calamine import CalamineWorkbook
from sqlalchemy import select

from congvan.acts import (
    audit,
    campaigns,
    closing,
    drafting,
    figures,
    letters,
    numbers,
    recalls,
    registers,
    registry,
    reporting,
    results,
    seals,
)
from congvan.acts.numbers import Series
from congvan.commands.reports import _data
from congvan.commands.workbook import workbook
from congvan.errors import ActRefused, BadInput
from congvan.letters import word
from congvan.letters.chart import answers_over_time
from congvan.letters.fragment import WordsRefused
from congvan.letters.press import Press
from congvan.rules.labels import STILL_OPEN
from congvan.rules.protocol import Event, State, settled, settling_states
from congvan.rules.records import Settles
from congvan.store.tables import Campaign, Case, Delivery, Letter, OrganisationRow, ParkRow
from tests.conftest import ROOT, at
from tests.protocol.test_issue import entered, go_live
from tests.protocol.test_requirements import GOOD, asking
from tests.protocol.test_stories_changes import board_letter, replaced
from tests.protocol.world import PARKS, PLAN, Town
from tests.signing import signed

NUMBER = 5_000


async def _many(town: Town) -> None:
    """5,000 deliveries more, in every state, of every kind of obligation, in parks and outside."""
    chance, now = random.Random(7), at("2023-12-12")
    hop = await town.hop("BQL")
    rows = []
    for number in range(NUMBER):
        state = list(State)[number % len(State)]
        settles = chance.choice(list(Settles))
        done = settled(state, settles)
        late = done and state not in (State.EXEMPT, State.WITHDRAWN) and chance.random() < 0.3
        rows.append(
            {
                "id": f"{number:032d}", "campaign_id": town.campaign, "hop_id": hop.id, "code": f"X-{number:05d}",
                "recipient": f"X{number}", "name": f"Đơn vị {number}", "level": chance.choice(["tenant", "unit"]),
                "park": chance.choice(["", "P1", "P2"]), "segments": [], "settles": settles.value, "state": state,
                "address": None, "due_at": None if state is State.QUEUED else at("2023-12-08", "17:00"),
                "late": late, "reminders": chance.randrange(4), "urged": chance.randrange(2),
                "reason": "Gửi nhầm" if state is State.REJECTED else None,
                "settled_at": now - timedelta(days=chance.randrange(9)) if done else None,
            }
        )  # fmt: skip
    async with town.house.store.act() as ledger:
        await ledger.add_all(Delivery, rows)
        for row in rows:
            if row["state"] == State.REJECTED:
                await ledger.add(
                    Case, id=f"c{row['id'][1:]}", delivery_id=row["id"], campaign_id=town.campaign, kind="rejected",
                    opened_at=now, rung=1, claimed_by="Bà Mẫu", notes=[],
                )  # fmt: skip


async def _counted(town: Town) -> Counter[tuple[str, str]]:
    """(state, settles) of every delivery, read row by row."""
    return Counter((row.state, row.settles) for row in await town.all(Delivery))


async def test_five_thousand_deliveries_in_every_state_are_counted_alike_everywhere(opened: Town) -> None:
    await _many(opened)
    opened.clock.set(at("2023-12-12"))
    raw = await _counted(opened)
    assert {state for state, _ in raw} == {state.value for state in State}
    whole = sum(raw.values())
    done = sum(n for (state, settles), n in raw.items() if state in settling_states(Settles(settles)))
    let_go = sum(n for (state, _), n in raw.items() if state in ("EXEMPT", "WITHDRAWN"))
    async with opened.house.store.view() as ledger:
        campaign = await campaigns.find(ledger, opened.campaign)
        found = await results.results(ledger, campaign, at("2023-12-12"))
        totals = await figures.totals(ledger, campaign.id, at("2023-12-12"))
        sheet = await reporting.report_sheet(opened.house, ledger, campaign, at("2023-12-12"), interim=True)
    total = found.total
    assert (total.total, total.counts["done"], total.asked) == (whole, done - let_go, whole - let_go)
    assert total.counts["exempt"] + total.counts["withdrawn"] == let_go
    assert sum(total.counts.values()) == whole, "everybody is counted once"
    for key in ("total", "late", "asked", *STILL_OPEN, "done"):
        assert sum(group.as_dict()[key] for group in found.groups) == total.as_dict()[key], key
    assert len(found.open) == whole - done
    assert found.days[-1][1] == total.counts["done"]
    # As the command line and the board count them.
    assert (totals["total"], totals["settled"]) == (whole, done)
    assert total.counts["rejected"] == totals["REJECTED"]
    assert total.counts["undeliverable"] == totals["UNDELIVERABLE"]
    assert total.late == totals["late"] > 0
    # As the letter says them, in words and in its tables.
    assert sheet.context["counts"]["done"] == total.counts["done"]
    sums = [sum(row[column] for row in sheet.context["tables"][0]["rows"][:-1]) for column in range(1, 5)]
    assert sums == sheet.context["tables"][0]["rows"][-1][1:]
    assert len(sheet.appendices[0].rows) == len(found.open)
    # As the workbook has them.
    data = await _data(opened.house, opened.campaign)
    book = CalamineWorkbook.from_object(io.BytesIO(workbook(data, {park.code: park.name for park in PARKS})))
    listed = book.get_sheet_by_name("Nơi nhận").to_python()[1:]
    assert len(listed) == whole
    assert len(book.get_sheet_by_name("Chưa hoàn thành").to_python()[1:]) == len(found.open)
    last = book.get_sheet_by_name("Theo khu và nhóm").to_python()[-1]
    assert last[:5] == ["Tổng cộng", whole, total.asked, total.counts["done"], total.late]


async def test_the_report_says_what_was_done_with_each_of_the_silent(opened: Town) -> None:
    await _many(opened)
    async with opened.house.store.view() as ledger:
        campaign = await campaigns.find(ledger, opened.campaign)
        found = await results.results(ledger, campaign, at("2023-12-12"))
    one = next(one for one in found.open if one.kind == "rejected" and one.reminders)
    assert one.reason == "Gửi nhầm"
    assert f"đã nhắc {one.reminders} lần" in one.done
    assert "đã báo cáo Tổ chức QHXD" in one.done
    assert "Bà Mẫu đang xử lý" in one.done


# ------------------------------------------------------------------------------------ the letter


async def _asked(town: Town) -> Town:
    await town.launch(asking())
    await town.work()
    await town.say("BQL")
    await town.work()
    await town.pass_on("INV-A")
    await town.work()
    await town.say("T1", Event.COMPLETED, fields=GOOD)
    await town.until("2023-12-12", "09:00")
    return town


async def test_the_interim_report_is_a_letter_with_a_chart_under_the_parents_short_name(town: Town) -> None:
    await _asked(town)
    async with town.house.store.act() as ledger:
        city = await registry.organisation(ledger, "UBND-HP")
        record = city.model_copy(update={"short_name": "UBND thành phố Mẫu"}).model_dump(mode="json")
        await ledger.change(OrganisationRow, OrganisationRow.code == "UBND-HP", record=record)
    async with town.house.store.view() as ledger:
        campaign = await campaigns.find(ledger, town.campaign)
        sheet = await reporting.report_sheet(town.house, ledger, campaign, at("2023-12-12", "09:00"), interim=True)
    rendered = town.house.press.render(sheet)
    assert "UBND THÀNH PHỐ MẪU" in rendered.text.replace("\xa0", " ")
    assert "Tình hình triển khai" in rendered.text
    assert "data:image/svg+xml" in rendered.page
    assert "Số cuộc diễn tập" in rendered.text
    assert [part.title for part in sheet.appendices if part.landscape], "figures by park stand across"


async def test_the_report_comes_as_word_with_its_chart_as_a_picture(town: Town) -> None:
    await _asked(town)
    async with town.house.store.view() as ledger:
        campaign = await campaigns.find(ledger, town.campaign)
        sheet = await reporting.report_sheet(town.house, ledger, campaign, at("2023-12-12", "09:00"), interim=True)
    data = word.document(town.house.press, sheet)  # type: ignore[arg-type]
    made = Document(io.BytesIO(data))
    assert len(made.inline_shapes) == 1
    text = "\n".join(paragraph.text for paragraph in made.paragraphs)
    assert "BÁO CÁO" in text
    assert "\ue000" not in text, "no mark of a drawing is left"
    assert data == word.document(town.house.press, sheet), "equal sheets give equal bytes"  # type: ignore[arg-type]


async def test_the_closing_report_bears_the_hash_of_a_seal(opened: Town) -> None:
    letter_id = await closing.close(opened.house, "8184", "Chu Đức Anh", now_matter_what=True)
    letter = await opened.one(Letter, Letter.id == letter_id)
    seal = letter.sheet["context"]["seal"]
    assert len(seal) == 64
    assert seal[:32] in letter.html
    assert (await audit.audit(opened.house, opened.campaign, seal)).findings == []
    assert await seals.seal(opened.house, opened.campaign) is None, "the closing itself is sealed"


async def test_what_the_office_adds_to_a_report_is_printed_in_it_and_its_figures_stay(opened: Town) -> None:
    await opened.until("2023-12-22", "09:00")
    (report,) = await opened.all(Letter, Letter.kind == "report")
    findings = ["Một số  đơn vị\nđã chuyển trụ sở", "", "Một số đơn vị đã chuyển trụ sở"]
    proposals = ["Kiến nghị gia hạn đến hết quý I"]
    await reporting.add(opened.house, report.id, "Lan", findings=findings, proposals=proposals)
    said = await _printed(opened, report.id)
    assert "3. Các đơn vị chưa hoàn thành" in said
    assert re.search(r"4\. Khó khăn, vướng mắc\s+\W*Một số đơn vị đã chuyển trụ sở\s+5\. Đề xuất, kiến nghị", said)
    assert "Kiến nghị gia hạn đến hết quý I" in said
    counts = (await opened.one(Letter, Letter.id == report.id)).sheet["context"]["counts"]
    assert counts == report.sheet["context"]["counts"]
    await reporting.add(opened.house, report.id, "Lan", findings=(), proposals=["Gia hạn\u00ad đến hết quý I"])
    said = await _printed(opened, report.id)
    assert "Khó khăn" not in said
    assert "4. Đề xuất, kiến nghị" in said
    await reporting.add(opened.house, report.id, "Lan", findings=["Thiếu nhân lực"])
    closed = await closing.close(opened.house, opened.campaign, "Lan", now_matter_what=True)
    said = await _printed(opened, closed)
    assert "Thiếu nhân lực" in said, "what was written into the one that was not issued"
    assert "Gia hạn đến hết quý I" in said
    assert (await audit.audit(opened.house, opened.campaign)).findings == []


async def test_nothing_is_added_to_a_report_that_was_issued_or_to_any_other_letter(opened: Town) -> None:
    await opened.until("2023-12-22", "09:00")
    (report,) = await opened.all(Letter, Letter.kind == "report")
    with pytest.raises(ActRefused, match="họ tên"):
        await reporting.add(opened.house, report.id, " ", findings=["Thiếu nhân lực"])
    with pytest.raises(WordsRefused, match="MẬT"):
        await reporting.add(opened.house, report.id, "Lan", findings=["TỐI M\u00adẬT"])
    with pytest.raises(BadInput, match="dài hơn 1000 ký tự"):
        await reporting.add(opened.house, report.id, "Lan", findings=["a" * 1001])
    assert (await opened.one(Letter, Letter.id == report.id)).sheet == report.sheet
    await letters.play_issue(opened.house, report.id, "Văn thư")
    for one in (report, await board_letter(opened)):
        with pytest.raises(ActRefused, match="báo cáo đang chờ ban hành"):
            await reporting.add(opened.house, one.id, "Lan", findings=["Thiếu nhân lực"])


async def _printed(town: Town, letter_id: str) -> str:
    letter = await town.one(Letter, Letter.id == letter_id)
    async with town.house.store.view() as ledger:
        data = await ledger.file(letter.sha256 or "")
    with pdfplumber.open(io.BytesIO(data)) as pdf:
        return "\n".join(page.extract_text() for page in pdf.pages)


def test_a_chart_without_answers_or_recipients_is_no_chart() -> None:
    assert answers_over_time([], 5, None) == ""
    assert answers_over_time([(date(2023, 12, 1), 0)], 0, None) == ""
    drawn = answers_over_time([(date(2023, 12, 1), 0), (date(2023, 12, 2), 3)], 4, date(2023, 12, 8))
    assert "3/4 (75%)" in drawn
    assert "Thời hạn 08/12/2023" in drawn


async def test_a_report_about_a_letter_that_was_recalled_cites_no_letter(opened: Town) -> None:
    await recalls.recall(opened.house, (await board_letter(opened)).id, "Văn thư", "sai căn cứ")
    await opened.work()
    async with opened.house.store.view() as ledger:
        campaign = await campaigns.find(ledger, opened.campaign)
        sheet = await reporting.report_sheet(opened.house, ledger, campaign, at("2023-12-12"), interim=True)
    page = opened.house.press.render(sheet).page
    assert "đã ban hành Công văn số" not in page
    assert "chưa có công văn triển khai nào còn hiệu lực" in page


# ------------------------------------------------------------------------------------ registers


async def _live(town: Town) -> None:
    """The same campaign as a live one: its register is the office's."""
    async with town.house.store.act() as ledger:
        await ledger.change(Campaign, Campaign.id == town.campaign, mode="live")


def _row(found: registers.Register, number: int = 0) -> dict[str, str]:
    return dict(zip([name for name, _ in found.columns], found.rows[number], strict=True))


async def test_the_register_of_documents_out_has_its_ten_columns(opened: Town) -> None:
    await _live(opened)
    found = await registers.register(opened.house, "outgoing", 2023)
    assert len(found.columns) == 10
    row = _row(found)
    assert row["Số, ký hiệu văn bản"] == "01/BQL-QHXD"
    assert row["Ngày tháng văn bản"] == row["Ngày chuyển"] == "01/12/2023"
    assert row["Người ký"] == "Chu Đức Anh"
    assert row["Đơn vị, người nhận bản lưu"] == "VT, QHXD"
    assert int(row["Số lượng bản"]) >= 4
    assert "Ký nhận" in row


async def test_a_replaced_letter_and_the_one_in_its_place_stand_in_the_register_each_with_its_own_sending(
    opened: Town,
) -> None:
    await opened.until("2023-12-05", "09:00")
    await replaced(opened)
    await _live(opened)
    found = await registers.register(opened.house, "outgoing", 2023)
    old, new = _row(found), _row(found, 1)
    assert (old["Số, ký hiệu văn bản"], old["Ngày chuyển"]) == ("01/BQL-QHXD", "01/12/2023")
    assert (new["Số, ký hiệu văn bản"], new["Ngày chuyển"]) == ("02/BQL-QHXD", "05/12/2023")
    assert int(old["Số lượng bản"]) >= 4
    assert int(new["Số lượng bản"]) >= 4
    assert "Đã được thay thế" in old["Ghi chú"]


async def test_the_registers_of_documents_in_and_of_their_answers(opened: Town) -> None:
    await _live(opened)
    came = _row(await registers.register(opened.house, "incoming", 2023))
    assert (came["Số đến"], came["Ngày đến"]) == ("2763", "01/12/2023")
    assert came["Số, ký hiệu văn bản"] == "8184/VP-NCKTGS"
    tracked = await registers.register(opened.house, "tracking", 2023)
    assert len(tracked.columns) == 7
    row = _row(tracked)
    assert row["Thời hạn giải quyết"] == "17:00 08/12/2023"
    assert "đã hoàn thành 1/" in row["Tiến độ giải quyết"]
    assert row["Số, ký hiệu văn bản trả lời"] == "01/BQL-QHXD"


async def test_two_offices_may_give_the_same_symbol_on_the_same_day_and_both_stand_in_the_register(town: Town) -> None:
    one = PLAN.directives[0].model_copy(update={"issuer": "UBND quận Hải An", "arrival_number": "3001"})
    other = one.model_copy(update={"issuer": "UBND huyện An Dương", "arrival_number": "3002"})
    again = one.model_copy(update={"arrival_number": ""})
    await town.launch(directives=(one, other, again))
    for kind in ("incoming", "tracking"):
        found = await registers.register(town.house, kind, 2023, exercises=True)
        assert [row[0 if kind == "tracking" else 1] for row in found.rows] == ["3001", "3002"]


async def test_the_register_says_of_a_report_and_of_an_urging_letter_what_they_print_and_how_many_left(
    opened: Town,
) -> None:
    await opened.until("2023-12-22", "09:00")
    (report,) = await opened.all(Letter, Letter.kind == "report")
    await letters.play_issue(opened.house, report.id, "Văn thư")
    await opened.until("2023-12-25", "09:00")
    found = await registers.register(opened.house, "outgoing", 2023, exercises=True)
    rows = {row["Số, ký hiệu văn bản"]: row for row in (_row(found, at) for at in range(len(found.rows)))}
    urge, report_row = rows["02/BQL-QHXD"], rows["01/BC-BQL"]
    assert urge["Nơi nhận văn bản"] == "Các đơn vị có tên trong Phụ lục kèm theo; Tổ chức UBND-HP (để báo cáo)"
    urged = {line.split()[2] for line in await opened.diary("urge") if line.startswith("12/12")}
    assert int(urge["Số lượng bản"]) == len(urged) + 1, "and whoever stands in Nơi nhận"
    assert urge["Ngày chuyển"] == "12/12/2023"
    assert (report_row["Nơi nhận văn bản"], report_row["Đơn vị, người nhận bản lưu"]) == ("Tổ chức UBND-HP", "VT")
    assert (report_row["Số lượng bản"], report_row["Ngày chuyển"]) == ("1", "22/12/2023")


async def test_the_register_says_where_a_letter_went_also_once_its_template_has_another_head(
    opened: Town, tmp_path: Path
) -> None:
    await opened.until("2023-12-12", "09:00")
    (urge,) = await opened.all(Letter, Letter.kind == "urge")
    then = await registers.register(opened.house, "outgoing", 2023, exercises=True)
    words = (ROOT / "templates" / "letters" / "urge.html").read_text("utf-8")
    (tmp_path / "urge.html").write_text(words.replace("Các đơn vị có tên trong Phụ lục", "Các doanh nghiệp"), "utf-8")
    later = Press(ROOT / "templates" / "letters", tmp_path)
    assert later.frame(drafting.reread(urge).sheet.model_copy(update={"addressees": ()}))["addressees"] == [
        "Các doanh nghiệp kèm theo"
    ]
    found = await registers.register(replace(opened.house, press=later), "outgoing", 2023, exercises=True)
    assert found.rows == then.rows


async def test_a_voided_number_has_no_date_and_stands_beside_its_neighbours(town: Town, tmp_path: Path) -> None:
    waiting = await go_live(town, tmp_path)
    series = Series("BQL", "BQL-QHXD", 2023)
    await numbers.reserve(town.house, series, 99, 102, "Lan")
    await town.until("2023-12-05", "09:00")
    day = date(2023, 12, 5)
    made = await letters.to_sign(town.house, waiting.id, "100", day)
    await letters.issue(town.house, waiting.id, entered(signed(made.pdf), number="100", day=day))
    for number in (101, 99):
        await numbers.void(town.house, series, number, "hỏng bản in", "Lan")
    found = await registers.register(town.house, "outgoing", 2023)
    assert [(row[0], row[1]) for row in found.rows] == [
        ("99/BQL-QHXD", ""), ("100/BQL-QHXD", "05/12/2023"), ("101/BQL-QHXD", ""),
    ]  # fmt: skip


async def test_exercises_and_other_years_stand_in_no_register_of_the_office(opened: Town) -> None:
    for kind in ("outgoing", "incoming", "tracking"):
        assert (await registers.register(opened.house, kind, 2023)).rows == []
        marked = await registers.register(opened.house, kind, 2023, exercises=True)
        assert "diễn tập" in marked.rows[0][-1]
        assert (await registers.register(opened.house, kind, 2024, exercises=True)).rows == []


@pytest.mark.parametrize("number", [0, 60])
async def test_a_register_is_printed_across_with_its_heading_on_every_page(town: Town, number: int) -> None:
    data: dict[str, Any] = {
        "title": "Sổ đăng ký văn bản đi", "year": "2023", "issuer": "Ban Mẫu", "parent": "", "illustration": False,
        "columns": [name for name, _ in registers.OUTGOING], "widths": [share for _, share in registers.OUTGOING],
        "rows": [[f"{n}/BM", "01/12/2023", 'x" \\ #x', *[""] * 7] for n in range(number)],
    }  # fmt: skip
    with pdfplumber.open(io.BytesIO(town.house.press.register(data))) as pdf:  # type: ignore[attr-defined]
        texts = [page.extract_text() for page in pdf.pages]
        assert pdf.pages[0].width > pdf.pages[0].height
    assert all("trích yếu" in text for text in texts)
    assert len(texts) == 1 if not number else len(texts) > 1
    assert ("Không có văn bản nào." in texts[0]) is (number == 0)


async def test_parks_are_named_as_the_registry_names_them(opened: Town) -> None:
    async with opened.house.store.view() as ledger:
        names = set(await ledger.all(select(ParkRow.name)))
        campaign = await campaigns.find(ledger, opened.campaign)
        found = await results.results(ledger, campaign, at("2023-12-12"))
    assert names <= {group.name for group in found.groups}
