"""Numbers, dates, points and the small HTML of letters; equal sheets give equal bytes."""

from __future__ import annotations

import io
import subprocess
import sys
import unicodedata
import zipfile
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from typing import Any

import pdfplumber
import pytest
from pypdf import PdfReader

from congvan.acts import wording
from congvan.letters import faces, fragment, numbering, office_words, writing
from congvan.letters.fragment import WordsRefused
from congvan.letters.press import Press
from congvan.letters.sheet import Appendix, Sheet
from congvan.rules.records import Directive, Urgency
from tests.protocol.test_letters_kinds import PRESS, ROOT, board, company, correction, report, saying


@pytest.mark.parametrize(
    ("number", "written"), [("5", "05"), ("05", "05"), ("10", "10"), ("2514", "2514"), ("7a", "07a")]
)
def test_a_number_below_ten_gets_a_leading_zero(number: str, written: str) -> None:
    assert numbering.code(number, "BQL-QHXD") == f"{written}/BQL-QHXD"


def test_a_symbol_is_a_notation_or_a_pattern() -> None:
    assert numbering.code("128", "{number}/CV-{abbreviation}", abbreviation="SHP") == "128/CV-SHP"
    assert numbering.code("", "{number}/BQL") == "…/BQL"
    assert numbering.code("3", "") == "03"
    assert numbering.is_number("2514")
    assert numbering.is_number("25a")
    assert numbering.is_number("07đ")
    assert not numbering.is_number("25/BQL")
    assert not numbering.is_number("00")


@pytest.mark.parametrize(
    "notation",
    [
        "QĐ-TTg", "CT-TTg", "CĐ-TTg", "NĐ-CP", "TTr-SXD", "CTr-UBND", "QyĐ-BQL", "KL-TƯ", "CV/TƯ", "TT-BCA(C07)",
        "UBND-VX", "VP-NCKTGS",
    ],
)  # fmt: skip
def test_a_symbol_from_above_may_have_small_letters_and_stands_on_one_line(notation: str) -> None:
    made = Directive.model_validate(
        {"number": "1234", "notation": notation, "issued_on": "2023-11-29", "issuer": "Chính phủ", "subject": "chuyện"}
    )
    lines = [f"<p>{'x' * width} thực hiện văn bản của cơ quan cấp trên số {made.code}.</p>" for width in range(1, 60)]
    reader = PdfReader(io.BytesIO(PRESS.render(saying("".join(lines))).pdf))
    text = "".join(page.extract_text() for page in reader.pages)
    assert text.count(made.code) == len(lines), "broken over two lines"


@pytest.mark.parametrize("notation", ["qđ-BQL", "QĐ BQL", "-BQL", ""])
def test_what_is_no_symbol_is_refused(notation: str) -> None:
    with pytest.raises(ValueError, match="notation"):
        Directive(number="5", notation=notation, issued_on=date(2023, 11, 29), issuer="A", subject="x")


@pytest.mark.parametrize(
    ("day", "written"),
    [
        (date(2024, 2, 5), "ngày 05 tháng 02 năm 2024"),
        (date(2024, 1, 31), "ngày 31 tháng 01 năm 2024"),
        (date(2024, 3, 9), "ngày 09 tháng 3 năm 2024"),
        (date(2023, 12, 10), "ngày 10 tháng 12 năm 2023"),
    ],
)
def test_days_below_ten_and_the_first_two_months_get_a_zero_and_no_other(day: date, written: str) -> None:
    assert numbering.date_line("Hải Phòng", day) == f"Hải Phòng, {written}"


def test_a_deadline_is_written_in_vietnam_and_never_from_a_naive_instant() -> None:
    assert numbering.moment(datetime(2023, 12, 8, 10, 0, tzinfo=UTC)) == "17 giờ 00 ngày 08/12/2023"
    assert numbering.moment(datetime(2023, 12, 31, 20, 5, tzinfo=UTC)) == "03 giờ 05 ngày 01/01/2024"
    with pytest.raises(ValueError, match="aware"):
        numbering.moment(datetime(2023, 12, 8, 17))  # noqa: DTZ001


def test_points_follow_the_vietnamese_alphabet() -> None:
    assert [numbering.point(at) for at in range(8)] == ["a", "b", "c", "d", "đ", "e", "g", "h"]
    assert numbering.point(len(numbering.POINTS)) == "aa"


def test_appendices_count_in_roman_numbers() -> None:
    assert [numbering.roman(n) for n in (1, 2, 4, 9, 14, 40)] == ["I", "II", "IV", "IX", "XIV", "XL"]
    with pytest.raises(ValueError, match="from 1"):
        numbering.roman(0)


def test_lists_and_figures_are_written_as_vietnamese_does() -> None:
    assert numbering.listed(["A", "", "B", "C"]) == "A, B và C"
    assert numbering.listed([]) == ""
    assert numbering.thousands(1234567) == "1.234.567"
    assert numbering.thousands(1234.5) == "1.234,5"


def test_what_the_first_face_lacks_another_one_prints() -> None:
    signs = "αβµΩЖ№☐☑✓√∆≈→"
    with pdfplumber.open(io.BytesIO(PRESS.render(saying(f"Chất {signs} và khí <b>Ω</b>.")).pdf)) as file:
        printed = [one for one in file.pages[0].chars if one["text"] in signs]
    assert {one["text"] for one in printed} == set(signs)
    assert {one["text"] for one in printed if "CVSerif" in one["fontname"]} == set("µ№≈→"), "else it is a box"


def test_a_page_says_where_it_has_no_letters_for_what_somebody_wrote_and_shows_no_boxes() -> None:
    row = ("1", "Công ty LG 한국", "KCN Mẫu", "08/12/2023", "2")
    part = Appendix(title="DANH SÁCH", columns=("STT", "Tổ chức", "KCN", "Thời hạn", "Số lần nhắc"), rows=(row,))
    made = PRESS.render(board(appendices=(part,)))
    assert made.frame["appendices"][0]["rows"] == [["1", "Công ty LG [chữ không in được]", *row[2:]]]
    text = "".join(page.extract_text() for page in PdfReader(io.BytesIO(made.pdf)).pages)
    assert "chữ không in được" in " ".join(text.split())
    assert faces.unshown(text + made.page) == ""


def test_points_go_on_after_y_and_what_stands_within_one_stays_behind_its_letter() -> None:
    items = "".join(f"<li>mục {number}</li>" for number in range(25))
    made = PRESS.render(saying(f'<ol type="a">{items}</ol>'))
    text = "".join(page.extract_text() for page in PdfReader(io.BytesIO(made.pdf)).pages)
    for line in ("y) mục 22", "aa) mục 23", "ab) mục 24"):
        assert line in text
        assert line in made.body
    nested = '<ol type="a"><li>một<ul><li>x</li></ul></li><li><p>p1</p><p>p2</p></li></ol>'
    assert writing.html(fragment.read(nested)).splitlines() == [
        "<p>a) một</p>", "<ul><li>x</li></ul>", "<p>b) p1</p>", "<p>p2</p>",
    ]  # fmt: skip


def test_a_name_that_ends_in_an_abbreviation_keeps_its_dot() -> None:
    names = ("Công ty LG Electronics Co., Ltd.", "Các đơn vị;", "Nomura Corp.")
    assert PRESS.render(board(addressees=names)).frame["addressees"] == [
        "Công ty LG Electronics Co., Ltd.;", "Các đơn vị;", "Nomura Corp.",
    ]  # fmt: skip


def test_a_reason_that_ends_in_a_dot_is_printed_with_one() -> None:
    sheet = correction()
    said = sheet.model_copy(update={"context": {**sheet.context, "why": "Do sơ suất khi soạn thảo."}})
    assert "soạn thảo.</p>" in PRESS.render(said).html


def test_mails_cite_a_document_from_above_as_letters_do() -> None:
    one = Directive(number="5", notation="UBND-VX", issued_on=date(2024, 1, 2), issuer="A", subject="x", kind="Chỉ thị")
    assert wording.cited(one) == "Chỉ thị số 05/UBND-VX ngày 02/01/2024 của A"
    assert wording.cited(one.model_copy(update={"kind": "Văn bản"})).startswith("văn bản số 05/UBND-VX")


def test_every_urgency_has_its_stamp() -> None:
    assert [numbering.STAMPS[one] for one in Urgency] == ["", "KHẨN", "THƯỢNG KHẨN", "HỎA TỐC", "HỎA TỐC HẸN GIỜ"]


@pytest.mark.parametrize(
    "text",
    [
        "MẬT", "Dòng đầu\n TỐI MẬT \nDòng sau", "văn bản TUYỆT MẬT số 1", "[MẬT]", "số 1 TỐI  MẬT", "số 1 TỐI\u00a0MẬT",
        "số 1 TUYỆT\tMẬT",
    ],
)  # fmt: skip
def test_a_secrecy_stamp_is_seen(text: str) -> None:
    assert "MẬT" in numbering.secret_stamp(text)
    assert numbering.secret_stamp(numbering.quoted(text)) == ""


_SHEET = '<x:worksheet xmlns:x="urn:s"><x:sheetData>{cells}</x:sheetData>{margins}</x:worksheet>'


@pytest.mark.parametrize(
    ("part", "written"),
    [
        ("word/document.xml", "<w:p><w:r><w:t>TỐI</w:t></w:r><w:r><w:tab/></w:r><w:r><w:t>MẬT</w:t></w:r></w:p>"),
        ("word/document.xml", "<w:p><w:r><w:t>số 1 TỐI</w:t><w:br/><w:t>MẬT</w:t></w:r></w:p>"),
        ("word/header1.xml", "<w:p><w:t>MẬT</w:t></w:p>"),
        ("xl/sharedStrings.xml", "<si><t>Kế hoạch</t></si><si><t>MẬT</t></si>"),
        (
            "xl/worksheets/sheet1.xml",
            _SHEET.format(
                cells='<x:c t="inlineStr"><x:is><x:t>MẬT</x:t></x:is></x:c><x:c><x:v>1</x:v></x:c>', margins=""
            ),
        ),
        (
            "xl/worksheets/sheet2.xml",
            _SHEET.format(
                cells="",
                margins="<x:headerFooter><x:oddHeader>&amp;L&amp;&quot;Arial,Bold&quot;&amp;14MẬT&amp;RKế hoạch"
                "</x:oddHeader></x:headerFooter>",
            ),
        ),
        ("xl/drawings/drawing1.xml", "<a:p><a:r><a:t>MẬT</a:t></a:r></a:p>"),
    ],
)
def test_a_secrecy_stamp_is_seen_wherever_an_office_file_has_it(part: str, written: str) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(part, written)
    assert numbering.secret_stamp(office_words.words(file.getvalue())).endswith("MẬT")


@pytest.mark.parametrize("text", ["bảo mật thông tin", "BẢO MẬT THÔNG TIN", "bí mật", "CÔNG TY MẬT ONG", ""])
def test_words_that_only_contain_mat_are_no_stamp(text: str) -> None:
    assert numbering.secret_stamp(text) == ""


# ------------------------------------------------------------------------------ the small HTML


def test_a_fragment_comes_back_clean() -> None:
    html = """
      <p>Một   <strong>đậm</strong> và <em> nghiêng</em>.<br> Dòng hai</p>
      Lời rời
      <ul><li>a &lt; b</li><li><p>hai</p><p>đoạn</p></li></ul>
      <table><colgroup><col width="30%"><col></colgroup><thead><tr><th>A</th><th>B</th></tr></thead>
      <tbody><tr><td colspan="2" align="right">1</td></tr></tbody></table>
      <p><a href="https://a.example/?x=1&amp;y=2">liên kết</a></p><hr><p> </p>
    """
    assert writing.html(fragment.read(html)) == "\n".join(
        [
            "<p>Một <b>đậm</b> và <i>nghiêng</i>.<br>Dòng hai</p>",
            "<p>Lời rời</p>",
            "<ul><li>a &lt; b</li><li><p>hai</p><p>đoạn</p></li></ul>",
            '<table><colgroup><col width="30%"><col></colgroup><tr><th>A</th><th>B</th></tr>'
            '<tr><td colspan="2" align="right">1</td></tr></table>',
            '<p><a href="https://a.example/?x=1&amp;y=2">liên kết</a></p>',
            "<hr>",
        ]
    )


def test_a_clean_fragment_is_read_as_the_same_tree() -> None:
    tree = fragment.read("<p>a <b>b <i>c</i></b></p><ol start='3'><li>x</li></ol><table><tr><td>1</td></tr></table>")
    assert fragment.read(writing.html(tree)) == tree


def test_points_are_written_out_because_browsers_know_no_d_with_a_stroke() -> None:
    html = "<ol type='a'>" + "<li>x</li>" * 6 + "</ol>"
    written = writing.html(fragment.read(html))
    assert written.splitlines()[3:6] == ["<p>d) x</p>", "<p>đ) x</p>", "<p>e) x</p>"]
    assert writing.plain(fragment.read("<ol start='4'><li>x</li></ol>")) == "4. x"


@pytest.mark.parametrize(
    "html",
    [
        "<script>x</script>",
        "<p onclick='x'>y</p>",
        "<p style='color:red'>y</p>",
        "<a href='javascript:x'>y</a>",
        "<a href='//x.example'>y</a>",
        "<p><ul><li>x</li></ul></p>",
        "<ul>x<li>y</li></ul>",
        "<li>x</li>",
        "<td>x</td>",
        "<table><tr><p>x</p></tr></table>",
        "<p>x",
        "x</p>",
        "<b><i>x</b></i>",
        "<ol type='A'><li>x</li></ol>",
        "<td colspan='0'>x</td>",
        "<table><colgroup><col width='10px'></colgroup></table>",
        "<!DOCTYPE html>",
        "<?php x ?>",
        "<img src='x' onerror='y'>",
        "<h1>x</h1>",
    ],
)
def test_html_outside_the_vocabulary_is_refused(html: str) -> None:
    with pytest.raises(WordsRefused):
        fragment.read(html)


def test_text_is_escaped_and_a_comment_leaves_nothing() -> None:
    assert writing.html(fragment.read("<p>1 &lt; 2 &amp; 3 <!-- lời nhắn --></p>")) == "<p>1 &lt; 2 &amp; 3</p>"


# ------------------------------------------------------------------------------ sheets and bytes


def test_an_appendix_refuses_rows_that_do_not_fit_and_widths_that_are_no_sizes() -> None:
    with pytest.raises(ValueError, match="need 2 cells"):
        Appendix(title="A", columns=("1", "2"), rows=(("x",),))
    with pytest.raises(ValueError, match="pattern"):
        Appendix(title="A", columns=("1",), widths=('read("/page.typ")',))


def test_a_sheet_survives_being_stored_as_json() -> None:
    for sheet in (board(), company(), report()):
        again = Sheet.model_validate(sheet.model_dump(mode="json"))
        assert PRESS.render(again).sha256 == PRESS.render(sheet).sha256


def test_a_sheet_knows_its_code() -> None:
    assert board(number="5").code == "05/BQL-QHXD"
    assert board(number="").code == "…/BQL-QHXD"
    assert board(symbol="").code == ""


def test_text_in_nfd_is_printed_in_nfc() -> None:
    sheet = board(subject=unicodedata.normalize("NFD", board().subject))
    assert PRESS.render(sheet).sha256 == PRESS.render(board()).sha256


def test_equal_sheets_give_equal_bytes_in_every_thread() -> None:
    expected = PRESS.render(board()).sha256
    press = Press(ROOT / "templates" / "letters")
    with ThreadPoolExecutor(4) as pool:
        assert {done.sha256 for done in pool.map(press.render, [board()] * 24)} == {expected}


def test_equal_sheets_give_equal_bytes_in_another_process() -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]);"
        "from tests.protocol.test_letters_kinds import PRESS, board; print(PRESS.render(board()).sha256)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(ROOT / "tests" / "protocol")],
        capture_output=True, text=True, check=True, cwd=ROOT, env={"PYTHONPATH": str(ROOT), "TZ": "America/Lima"},
    )  # fmt: skip
    assert ran.stdout.strip() == PRESS.render(board()).sha256


@pytest.mark.parametrize(
    "change",
    [{"number": "2515"}, {"issued_on": date(2023, 12, 4)}, {"subject": "việc khác"}, {"illustration": True}],
)
def test_another_letter_has_another_hash(change: dict[str, Any]) -> None:
    assert PRESS.render(board(**change)).sha256 != PRESS.render(board()).sha256


def test_the_pdf_is_tagged_embeds_its_faces_and_names_its_language_and_title() -> None:
    with pdfplumber.open(io.BytesIO(PRESS.render(board()).pdf)) as document:
        catalog = document.doc.catalog
        fonts = {char["fontname"].partition("+")[2] for page in document.pages for char in page.chars}
        title = document.metadata["Title"]
    assert catalog["Lang"] == b"vi"
    assert "StructTreeRoot" in catalog
    assert fonts == {"CVSerif-Regular", "CVSerif-Bold", "CVSerif-Italic", "CVSerif-BoldItalic"}
    assert title.startswith("2514/BQL-QHXD phối hợp thực hiện cao điểm")
    reader = PdfReader(io.BytesIO(PRESS.render(board()).pdf))
    assert reader.metadata is not None
    assert reader.metadata.subject == board().subject
    assert reader.metadata.author == board().issuer
    found = [
        face.get_object()["/FontDescriptor"].get_object()
        for page in reader.pages
        for font in page["/Resources"]["/Font"].values()  # type: ignore[index]
        for face in font.get_object()["/DescendantFonts"]
    ]
    assert found
    assert all("/FontFile2" in face or "/FontFile3" in face for face in found), "a face is not embedded"


def test_the_typeface_has_every_vietnamese_letter_and_its_licence() -> None:
    folder = ROOT / "templates" / "letters" / "fonts"
    assert {path.name for path in folder.iterdir()} == {
        "CVSerif-Regular.ttf", "CVSerif-Bold.ttf", "CVSerif-Italic.ttf", "CVSerif-BoldItalic.ttf", "OFL.txt",
    }  # fmt: skip
    assert "SIL OPEN FONT LICENSE Version 1.1" in (folder / "OFL.txt").read_text("utf-8")
    vowels = "aăâeêioôơuưy"
    tones = ("", "\u0300", "\u0301", "\u0303", "\u0309", "\u0323")
    letters = "".join(unicodedata.normalize("NFC", v + t) for v in vowels for t in tones) + "đ"
    printed = PRESS.render(board(subject=f"{letters} {letters.upper()}"))
    with pdfplumber.open(io.BytesIO(printed.pdf)) as document:
        seen = {char["text"] for char in document.pages[0].chars}
    assert set(letters + letters.upper()) <= seen
