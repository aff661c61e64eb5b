"""The same letter as .docx: the same words, the sizes of the profile, and it comes back as a PDF that passes."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import unicodedata
import zipfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import docx
import pytest
from docx.enum.section import WD_ORIENT, WD_SECTION
from docx.oxml.ns import qn

from congvan.errors import ActRefused
from congvan.letters import comparing, upload, word, word_template
from congvan.letters.press import Press
from congvan.letters.sheet import Appendix, Sheet
from congvan.rules.records import Urgency
from tests.protocol import test_letters_kinds as kinds
from tests.protocol.test_letters_kinds import PRESS, TEMPLATES, board

PROFILE = json.loads((TEMPLATES / "nd30_2020.json").read_text("utf-8"))
KINDS = ("board", "report", "urge", "dispatch")
DAY = date(2023, 12, 4)


def sheet_of(kind: str) -> Sheet:
    sheet: Sheet = getattr(kinds, kind)()
    return sheet.model_copy(update={"number": "5", "issued_on": DAY})


def opened(data: bytes) -> Any:
    return docx.Document(io.BytesIO(data))


def runs(data: bytes) -> Iterator[Any]:
    """Every run of the body, those in tables too."""
    from docx.text.run import Run

    made = opened(data)
    for element in made.element.body.iter(qn("w:r")):
        yield Run(element, made)


def words(data: bytes) -> list[str]:
    made = opened(data)
    lines = [
        "".join(part.text or "" for part in paragraph.iter(qn("w:t")))
        for paragraph in made.element.body.iter(qn("w:p"))
    ]
    return " ".join(lines).replace("\u00a0", " ").split()


# ------------------------------------------------------------------------------------ words and looks


@pytest.mark.parametrize("kind", KINDS)
def test_the_word_copy_says_what_the_page_says(kind: str) -> None:
    sheet = sheet_of(kind)
    rendered = PRESS.render(sheet)
    given = words(word.document(PRESS, sheet))
    said = " ".join(given)
    approved = comparing.approved(sheet, rendered)
    assert f"Số: {sheet.code}" in said
    assert approved.subject in said
    for _name, text in approved.around:
        assert text.replace("\u00a0", " ") in said
    wanted = [one for one in rendered.body.split() if one.strip("|…")]
    at = given.index(wanted[0])
    where = next(at for at in range(len(given)) if given[at : at + 8] == wanted[:8])
    assert given[where : where + len(wanted)] == wanted, at
    assert said == unicodedata.normalize("NFC", said)


@pytest.mark.parametrize(
    ("text", "style"),
    [
        ("CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM", "state"),
        ("Độc lập - Tự do - Hạnh phúc", "motto"),
        ("UBND THÀNH PHỐ HẢI PHÒNG", "parent"),
        ("BAN QUẢN LÝ KHU KINH TẾ HẢI PHÒNG", "issuer"),
        ("Số: 05/BQL-QHXD", "number"),
        ("Hải Phòng, ngày 04 tháng 12 năm 2023", "date"),
        ("Kính gửi:", "addressees"),
        ("KT. TRƯỞNG BAN", "authority"),
        ("Chu Đức Anh", "signer"),
        ("Nơi nhận:", "distribution_heading"),
        ("- Như trên;", "distribution"),
        ("THƯỢNG KHẨN", "stamp"),
    ],
)
def test_sizes_weights_and_slopes_are_those_of_the_profile(text: str, style: str) -> None:
    data = word.document(PRESS, board(number="5", issued_on=DAY, urgency=Urgency.VERY_URGENT))
    run = next(one for one in runs(data) if one.text.replace("\u00a0", " ").strip() == text)
    wanted = PROFILE[style]
    assert run.font.size.pt == wanted["size_pt"]
    assert (bool(run.bold), bool(run.italic)) == (wanted.get("bold", False), wanted.get("italic", False))
    assert run.font.name == "Times New Roman"


def test_the_page_has_the_margins_of_the_profile_and_its_number_from_page_two() -> None:
    section = opened(word.document(PRESS, board())).sections[0]
    page = PROFILE["page"]
    found = [section.page_width.mm, section.page_height.mm, section.top_margin.mm, section.bottom_margin.mm,
             section.left_margin.mm, section.right_margin.mm]  # fmt: skip
    sides = ("width", "height", "top", "bottom", "left", "right")
    assert found == pytest.approx([page[f"{side}_mm"] for side in sides], abs=0.1)
    assert section.different_first_page_header_footer
    assert "PAGE" in section.header._element.xml
    assert "PAGE" not in section.first_page_header._element.xml


def test_bold_and_italic_words_stay_so_and_points_count_as_vietnamese_does() -> None:
    letter = kinds.PLAN.letter.model_dump(mode="json") | {
        "lead": "<p>Trong đó <b>đậm</b> và <i>nghiêng</i>:</p>"
        "<ol type='a'><li>một</li><li>hai</li><li>ba</li><li>bốn</li>"
        "<li>năm</li></ol>"
    }  # fmt: skip
    data = word.document(PRESS, board(context=kinds.context(letter=letter)))
    marks = {run.text: (bool(run.bold), bool(run.italic)) for run in runs(data)}
    assert marks["đậm"] == (True, False)
    assert marks["nghiêng"] == (False, True)
    assert " ".join(words(data)).count("đ) năm") == 1


def test_a_list_inside_a_cell_keeps_its_lines_and_their_marks() -> None:
    letter = kinds.PLAN.letter.model_dump(mode="json") | {
        "lead": "<table><tr><th>Việc</th><td>Gồm:<ul><li>gạch một</li>"
        "<li>gạch hai<ol><li>số một</li></ol></li></ul></td></tr></table>"
    }  # fmt: skip
    made = opened(word.document(PRESS, board(context=kinds.context(letter=letter))))
    tags = {qn("w:t"), qn("w:br")}
    cells = [
        "".join("|" if part.tag == qn("w:br") else part.text or "" for part in cell.iter(*tags))
        for cell in made.element.body.iter(qn("w:tc"))
    ]
    assert "Gồm:|- gạch một|- gạch hai|1. số một" in cells


def test_a_subject_as_long_as_a_letter_allows_is_cut_in_the_files_properties_only() -> None:
    subject = ("bảo đảm an ninh " * 40)[:499] + "x"
    data = word.document(PRESS, board(number="5", issued_on=DAY, subject=subject))
    core = opened(data).core_properties
    assert len(core.title) == len(core.subject) == 255
    assert core.subject == subject[:254] + "…"
    assert subject in " ".join(words(data))


def test_an_illustration_says_so_on_the_word_copy() -> None:
    made = opened(word.document(PRESS, board(illustration=True)))
    section = made.sections[0]
    for header in (section.first_page_header, section.header):
        assert "BẢN MINH HỌA" in header.paragraphs[0].text
    both = opened(word.document(PRESS, board(illustration=True, internal=True))).sections[0]
    assert both.header.paragraphs[0].text == "BẢN MINH HỌA LƯU HÀNH NỘI BỘ"
    plain = opened(word.document(PRESS, board())).sections[0]
    assert "MINH HỌA" not in plain.first_page_header.paragraphs[0].text


def test_title_subject_author_and_language_stand_in_the_files_properties() -> None:
    made = opened(word.document(PRESS, board(number="5", issued_on=DAY)))
    core = made.core_properties
    assert core.title.startswith("05/BQL-QHXD")
    assert core.subject == kinds.PLAN.letter.subject
    assert core.author == "Ban Quản lý Khu kinh tế Hải Phòng"
    assert core.language == "vi"


def _grids(data: bytes) -> list[tuple[list[int], list[list[int]]]]:
    """Of each table with lines: the widths of its columns in mm, and how many columns each cell of a row takes."""
    made = opened(data)
    lined = [table for table in made.tables if table.style is not None and table.style.name == "Table Grid"]
    return [
        ([round(column.w.mm) for column in table._tbl.tblGrid.gridCol_lst],
         [[cell.grid_span for cell in row._tr.tc_lst] for row in table.rows])
        for table in lined
    ]  # fmt: skip


def test_each_table_has_its_own_widths_and_a_wide_cell_takes_several_columns() -> None:
    sheet = kinds.saying(
        "<ul><li>mục<table><tr><td>a</td><td>b</td></tr></table></li></ul>"
        '<table><colgroup><col width="10%"><col width="90%"></colgroup><tr><td>1</td><td>hai</td></tr></table>'
        '<table><tr><th colspan="2">Tổng hợp</th><th>C</th></tr><tr><td>1</td><td>2</td><td>3</td></tr></table>'
    )
    assert _grids(word.document(PRESS, sheet)) == [
        ([82, 82], [[1, 1]]), ([16, 149], [[1, 1]]), ([55, 55, 55], [[2, 1], [1, 1, 1]]),
    ]  # fmt: skip


def test_an_appendix_has_pages_and_widths_of_its_own_across_where_its_table_is_wide() -> None:
    row = ("1", "Công ty Mẫu")
    wide = Appendix(title="A", columns=("STT", "Tên"), rows=(row,), landscape=True, widths=("20mm", "1fr"))
    plain = Appendix(title="B", columns=("STT", "Tên"), rows=(row,))
    data = word.document(PRESS, board(appendices=(wide, plain)))
    pages = [(round(one.page_width.mm), one.orientation, one.start_type) for one in opened(data).sections]
    upright, across, new = WD_ORIENT.PORTRAIT, WD_ORIENT.LANDSCAPE, WD_SECTION.NEW_PAGE
    assert pages == [(210, upright, new), (297, across, new), (210, upright, new)]
    starts = [one._sectPr.find(qn("w:pgNumType")) is not None for one in opened(data).sections]
    assert starts == [False, True, True], "each appendix counts its pages from 1"
    assert all("PAGE" in one.header._element.xml for one in opened(data).sections)
    assert [widths for widths, _ in _grids(data)] == [[20, 232], [14, 151]]


def test_a_companys_letter_gets_no_head_of_the_state() -> None:
    with pytest.raises(ActRefused, match="bản Word"):
        word.document(PRESS, kinds.company())


# ------------------------------------------------------------------------------------ safety


def test_equal_letters_give_equal_bytes() -> None:
    sheet = sheet_of("report")
    data = word.document(PRESS, sheet)
    assert data == word.document(PRESS, sheet)
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        assert {one.date_time for one in packed.infolist()} == {(1980, 1, 1, 0, 0, 0)}, "the hour of packing is in it"


def test_names_cannot_become_markup_or_tags_of_the_template() -> None:
    nasty = "Công ty <w:t>& {{ 7 * 7 }} {% raw %}"
    data = word.document(PRESS, board(addressees=(nasty, "Đơn vị hai")))
    assert f"- {nasty};" in " ".join(words(data))
    assert "49" not in words(data)


def test_a_template_cannot_reach_python(tmp_path: Path) -> None:
    made = docx.Document()
    made.add_paragraph("{{ ''.__class__.__mro__ }}")
    made.save(tmp_path / "bad.docx")
    with pytest.raises(Exception, match=r"unsafe|undefined"):
        word.document(PRESS, board(), tmp_path / "bad.docx")


def test_an_authority_brings_its_own_template(tmp_path: Path) -> None:
    (tmp_path / "word").mkdir()
    made = docx.Document()
    made.add_paragraph("Mẫu riêng: {{ number }}")
    made.save(tmp_path / "word" / "letter.docx")
    press = Press(TEMPLATES, tmp_path)
    assert words(word.document(press, board(number="5"))) == ["Mẫu", "riêng:", "Số:", "05/BQL-QHXD"]


def test_the_shipped_template_is_what_the_script_makes(tmp_path: Path) -> None:
    word_template.main([str(TEMPLATES / "nd30_2020.json"), str(tmp_path / "letter.docx")])
    with zipfile.ZipFile(tmp_path / "letter.docx") as made, zipfile.ZipFile(TEMPLATES / "word/letter.docx") as shipped:
        assert made.namelist() == shipped.namelist()
        for name in made.namelist():
            assert made.read(name) == shipped.read(name), f"run congvan.letters.word_template: {name}"


# ------------------------------------------------------------------------------------ back again

_FONTS = """<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>{fonts}</dir><cachedir>{cache}</cachedir>
<match target="pattern"><edit name="family" mode="assign" binding="strong"><string>CV Serif</string></edit></match>
</fontconfig>
"""


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Each kind's copy as LibreOffice prints it, in our own face: a machine without a Vietnamese Times mixes two."""
    office = shutil.which("soffice")
    if office is None:
        pytest.skip("no LibreOffice on this machine: the way back from Word is not tried")
    folder = tmp_path_factory.mktemp("office")
    (folder / "fonts.conf").write_text(_FONTS.format(fonts=TEMPLATES / "fonts", cache=folder / "cache"))
    for kind in KINDS:
        (folder / f"{kind}.docx").write_bytes(word.document(PRESS, sheet_of(kind)))
    subprocess.run(
        [office, f"-env:UserInstallation=file://{folder}/profile", "--headless", "--convert-to", "pdf",
         "--outdir", folder, *(folder / f"{kind}.docx" for kind in KINDS)],
        check=True, capture_output=True, timeout=240,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "FONTCONFIG_FILE": str(folder / "fonts.conf")},
    )  # fmt: skip
    return {kind: (folder / f"{kind}.pdf").read_bytes() for kind in KINDS}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_that_was_finished_in_an_office_program_comes_back_and_passes(
    kind: str, converted: dict[str, bytes]
) -> None:
    sheet = sheet_of(kind)
    found = comparing.compare(upload.read(converted[kind]), comparing.approved(sheet, PRESS.render(sheet)))
    assert [str(one) for one in found][:5] == []
