"""What stops a launch before anything is written: errors of form, signers out of their dates, secrets."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path
from typing import Any

import docx
import pytest

from congvan.acts import letters, registry
from congvan.acts.launch_check import refuse_faulty
from congvan.acts.launches import Launch
from congvan.errors import ActRefused, BadInput
from congvan.launching import launch_file
from congvan.letters import rehearsal
from congvan.letters.lint import Remark
from congvan.letters.names import spoken
from congvan.letters.press import Press
from congvan.letters.sheet import Sheet
from congvan.rules.records import Person
from congvan.store.tables import Campaign
from tests.conftest import ROOT
from tests.protocol.world import CASCADE, PLAN, Town, register


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The 8184 plan in a folder of its own."""
    shutil.copy(ROOT / "config" / "campaigns" / "8184.yaml", tmp_path / "plan.yaml")
    return tmp_path


def change(folder: Path, old: str, new: str) -> None:
    path = folder / "plan.yaml"
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")


async def launched(town: Town, folder: Path, mode: str = "exercise", **people: Any) -> list[Remark]:
    await registry.take_over(town.house, register(**people))
    shown: list[Remark] = []
    await launch_file(town.house, folder / "plan.yaml", mode=mode, by="Lan", warn=shown.append)
    return shown


async def refused(town: Town, folder: Path, mode: str = "exercise", **people: Any) -> BadInput:
    with pytest.raises(BadInput) as error:
        await launched(town, folder, mode, **people)
    assert await town.all(Campaign) == []
    return error.value


# ------------------------------------------------------------------------------------ the lint


async def test_an_error_of_form_stops_the_launch_and_shows_rule_line_and_remedy(town: Town, folder: Path) -> None:
    change(folder, "KT. TRƯỞNG BAN", "KT.TRƯỞNG BAN")
    (fault,) = (await refused(town, folder)).faults
    assert fault.field == "letter.signer.authority"
    assert "[authority_space]" in fault.message
    assert "KT. TRƯỞNG BAN" in fault.remedy
    lines = (folder / "plan.yaml").read_text("utf-8").splitlines()
    assert fault.row is not None
    assert "KT.TRƯỞNG BAN" in lines[fault.row - 1]


async def test_every_fault_is_shown_at_once_those_of_form_and_those_of_the_registry(
    town: Town, folder: Path
) -> None:
    change(folder, "KT. TRƯỞNG BAN", "KT.TRƯỞNG BAN")
    change(folder, "- organisation: TB", "- organisation: AI")
    faults = (await refused(town, folder)).faults
    assert {fault.field for fault in faults} == {"letter.signer.authority", "copies[2].organisation"}


async def test_a_warning_is_shown_and_stops_nothing(town: Town, folder: Path) -> None:
    change(folder, "Đẩy mạnh công tác", "Đẩy mạnh  công tác hoá chất và")
    shown = await launched(town, folder)
    assert {remark.severity for remark in shown} == {"warning"}
    assert "tones" in {remark.rule for remark in shown}
    assert len(await town.all(Campaign)) == 1


async def test_the_shipped_plan_is_launched_without_a_word(town: Town, folder: Path) -> None:
    assert await launched(town, folder) == []


async def test_a_plan_that_runs_is_not_looked_at_again(town: Town, folder: Path) -> None:
    await launched(town, folder)
    late = Person(name="Chu Đức Anh", position="P", valid_until=date(2023, 11, 30))
    await launched(town, folder, BQL={"signers": (late,)})
    assert len(await town.all(Campaign)) == 1


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        ("exercise", "live", "ở chế độ diễn tập; đặt mã khác cho đợt thật"),
        ("demo", "exercise", "ở chế độ trình diễn; đặt mã khác cho đợt diễn tập"),
    ],
)
async def test_a_plan_that_was_exercised_is_not_taken_for_launched_in_earnest(
    town: Town, folder: Path, first: str, second: str, told: str
) -> None:
    await launched(town, folder, first)
    with pytest.raises(ActRefused, match=told):
        await launched(town, folder, second)
    assert [row.mode for row in await town.all(Campaign)] == [first]


async def test_words_that_no_letter_can_print_stop_the_launch_and_show_where(town: Town, folder: Path) -> None:
    change(folder, "Đẩy mạnh công tác", "Đẩy mạnh {{ letter.subjct }}")
    (fault,) = (await refused(town, folder)).faults
    assert fault.field == "letter.requests[2]"
    assert "không có giá trị" in fault.message
    assert "subjct" in fault.message
    assert fault.row is not None


async def test_a_hop_whose_letter_no_template_makes_stops_the_launch(town: Town) -> None:
    await registry.take_over(town.house, register())
    hops = tuple(hop.model_copy(update={"template": "bord"}) if hop.issuer == "board" else hop for hop in CASCADE.hops)
    cascade = CASCADE.model_copy(update={"hops": hops})
    order = Launch(PLAN, cascade, "exercise", "Lan", ROOT / "config" / "campaigns")
    with pytest.raises(BadInput) as error:
        await refuse_faulty(town.house, order, "")
    (fault,) = error.value.faults
    assert (fault.file, fault.field) == ("cascade.yaml", "hops[2].template")
    assert "không có mẫu «bord.html»" in fault.message


async def test_a_template_whose_head_asks_for_what_no_letter_has_stops_the_launch(town: Town, tmp_path: Path) -> None:
    own = '{#-\nsubject: "về {{ letter.subjct }}"\n-#}\n<p>Lời văn.</p>\n'
    (tmp_path / "board.html").write_text(own, "utf-8")
    town.house.press = Press(ROOT / "templates" / "letters", tmp_path)
    await registry.take_over(town.house, register())
    with pytest.raises(BadInput) as error:
        await refuse_faulty(town.house, Launch(PLAN, CASCADE, "exercise", "Lan", ROOT / "config" / "campaigns"), "")
    (fault,) = error.value.faults
    assert (fault.file, fault.field) == ("cascade.yaml", "hops[2].template")
    assert "subjct" in fault.message


async def test_an_issuer_without_the_letters_of_its_symbol_stops_the_launch_and_the_column_is_named(
    town: Town, folder: Path
) -> None:
    without = {"abbreviation": ""}
    faults = (await refused(town, folder, BQL=without, INV_A=without, VP=without, T1=without)).faults
    assert [fault.message.partition(" chưa ")[0] for fault in faults] == ["Tổ chức BQL (BQL)", "Tổ chức INV-A (INV-A)"]
    assert {fault.remedy for fault in faults} == {"điền cột «Viết tắt» ở bảng «Tổ chức» của danh bạ"}


async def test_what_is_tried_before_the_launch_has_the_names_that_letters_have(town: Town) -> None:
    await town.launch()
    for issuer in ("UBND-HP", "BQL", "INV-A"):
        made = (await letters.draft(town.house, (await town.hop(issuer)).id)).sheet.context
        tried = rehearsal.context(PLAN, below=made["forwarded"] is not None)
        assert made.keys() == tried.keys()
        assert (made["forwarded"] or {}).keys() == (tried["forwarded"] or {}).keys()
        assert (made["forwarded"] is not None) == (issuer == "INV-A")


# ------------------------------------------------------------------------------------ signers, units, secrets


@pytest.mark.parametrize(
    ("people", "field"),
    [
        ({"BQL": {"signers": (Person(name="Chu Đức Anh", position="P", valid_until=date(2023, 11, 30)),)}}, "signer"),
        ({"BQL": {"signers": (Person(name="CHU ĐỨC ANH", position="P", valid_from=date(2023, 12, 2)),)}}, "signer"),
        ({"QHXD": {"valid_until": date(2023, 11, 30)}}, ""),
    ],
)
async def test_a_signer_or_a_unit_out_of_its_dates_stops_the_launch(
    town: Town, folder: Path, people: dict[str, Any], field: str
) -> None:
    faults = (await refused(town, folder, **people)).faults
    (fault,) = [one for one in faults if "ngày 01/12/2023" in one.message]
    assert fault.field == ("letter.signer" if field else "")


async def test_a_signer_within_his_dates_of_whom_another_entry_has_ended_may_sign(town: Town, folder: Path) -> None:
    entries = (
        Person(name="Chu Đức Anh", position="TRƯỞNG PHÒNG", valid_until=date(2022, 12, 31)),
        Person(name="Chu Đức Anh", position="PHÓ TRƯỞNG BAN", valid_from=date(2023, 1, 1)),
    )
    await launched(town, folder, BQL={"signers": entries})
    assert len(await town.all(Campaign)) == 1


async def test_a_document_from_above_that_is_marked_secret_stops_the_launch(town: Town, folder: Path) -> None:
    press = town.house.press
    assert isinstance(press, Press)
    document = PLAN.directives[0].model_dump(mode="json")
    frame, tree = press.composed(Sheet(template="placeholder", issuer="Văn phòng", context={"document": document}))
    change(folder, "files: []", "files: [vb.pdf]")
    page = press._print({**frame, "body": tree, "footer": "TUYỆT MẬT"}, Sheet(template="placeholder", issuer="V"))
    (folder / "vb.pdf").write_bytes(page)
    (fault,) = (await refused(town, folder, "live")).faults
    assert fault.file == "vb.pdf"
    assert "văn thư mật" in fault.remedy


async def test_a_document_of_word_that_is_marked_secret_stops_the_launch_as_well(town: Town, folder: Path) -> None:
    change(folder, "files: []", "files: [vb.docx]")
    document = docx.Document()
    document.add_paragraph("TUYỆT MẬT")
    document.save(str(folder / "vb.docx"))
    (fault,) = (await refused(town, folder, "live")).faults
    assert fault.file == "vb.docx"
    assert "văn thư mật" in fault.remedy


# ------------------------------------------------------------------------------------ names


@pytest.mark.parametrize(
    ("title", "said"),
    [
        ("PHÓ TRƯỞNG BAN", "Phó Trưởng ban"),
        ("CHÁNH VĂN PHÒNG", "Chánh Văn phòng"),
        ("PHÓ CHÁNH VĂN PHÒNG", "Phó Chánh Văn phòng"),
        ("PHÓ TỔNG GIÁM ĐỐC", "Phó Tổng Giám đốc"),
        ("Phó Giám đốc", "Phó Giám đốc"),
        ("PHÓ TRƯỞNG PHÒNG QHXD", "Phó Trưởng phòng QHXD"),
        ("PHÓ CHỦ TỊCH UBND THÀNH PHỐ", "Phó Chủ tịch UBND thành phố"),
        ("GIÁM ĐỐC SỞ XÂY DỰNG", "Giám đốc Sở Xây dựng"),
        ("PHÓ CHỦ TỊCH UỶ BAN NHÂN DÂN", "Phó Chủ tịch Ủy ban nhân dân"),
        ("TRƯỞNG BAN QUẢN LÝ KHU KINH TẾ HẢI PHÒNG", "Trưởng Ban Quản lý Khu kinh tế Hải Phòng"),
    ],
)
def test_a_title_reads_in_a_sentence_as_the_decree_writes_it(title: str, said: str) -> None:
    assert spoken(title, ("Hải Phòng",)) == said


async def test_the_slip_names_the_leader_as_people_say_and_papers_use_the_short_names(town: Town) -> None:
    short = {"UBND-HP": {"short_name": "UBND thành phố"}, "BQL": {"short_name": "BQL KKT"}}
    await town.launch(people=register(**short))
    slip = (await letters.draft(town.house, (await town.hop("UBND-HP")).id)).sheet
    assert slip.context["leader"] == "Phó Trưởng ban Chu Đức Anh"
    assert "(Phó Trưởng ban Chu Đức Anh)" in town.house.press.render(slip).html
    board = (await letters.draft(town.house, (await town.hop("BQL")).id)).sheet
    assert board.parent_authority == "UBND thành phố"
    company = (await letters.draft(town.house, (await town.hop("INV-A")).id)).sheet
    assert company.context["forwarded"] == {
        "kind": "Công văn", "number": "", "symbol": "BQL-QHXD", "date": "", "issuer": "Tổ chức BQL", "short": "BQL KKT",
    }  # fmt: skip
    assert "BQL KKT (để báo cáo)" in town.house.press.render(company).page
