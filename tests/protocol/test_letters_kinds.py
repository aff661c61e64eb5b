"""Every kind of letter is rendered and says what it has to; the samples here serve the other letter tests."""

from __future__ import annotations

import io
import re
import unicodedata
from datetime import date, datetime
from pathlib import Path
from typing import Any

import jinja2
import pdfplumber
import pytest
import yaml

from congvan.acts import papers, wording
from congvan.letters import fragment, writing
from congvan.letters.fragment import WordsRefused
from congvan.letters.numbering import VIETNAM
from congvan.letters.press import Press
from congvan.letters.sheet import Appendix, Sheet
from congvan.rules.records import CampaignPlan, Person, Urgency
from congvan.store.tables import Letter

ROOT = Path(__file__).parents[2]
TEMPLATES = ROOT / "templates" / "letters"
PRESS = Press(TEMPLATES)
DEADLINE = datetime(2023, 12, 8, 17, tzinfo=VIETNAM)


def plan(name: str = "8184") -> CampaignPlan:
    text = (ROOT / "config" / "campaigns" / f"{name}.yaml").read_text("utf-8")
    return CampaignPlan.model_validate(yaml.safe_load(text))


PLAN = plan()
FORWARDED = {
    "number": "2514",
    "symbol": "BQL-QHXD",
    "date": date(2023, 12, 1),
    "issuer": "Ban Quản lý Khu kinh tế Hải Phòng",
    "short": "BQL KKT Hải Phòng",
}


def context(**more: Any) -> dict[str, Any]:
    return {
        "letter": PLAN.letter.model_dump(mode="json"),
        "directives": [one.model_dump(mode="json") for one in PLAN.directives],
        "deadline": DEADLINE,
        "forwarded": FORWARDED,
        **more,
    }


def board(**changes: Any) -> Sheet:
    """The Board's letter of the 8184 plan as issued."""
    letter = PLAN.letter
    values: dict[str, Any] = {
        "template": "board",
        "parent_authority": "UBND thành phố Hải Phòng",
        "issuer": "Ban Quản lý Khu kinh tế Hải Phòng",
        "number": "2514",
        "symbol": "{number}/BQL-QHXD",
        "place": letter.place,
        "issued_on": date(2023, 12, 1),
        "subject": letter.subject,
        "addressees": letter.addressees,
        "distribution": letter.distribution,
        "signer": letter.signer,
        "context": context(),
    }
    return Sheet(**(values | changes))


def saying(opening: str, **changes: Any) -> Sheet:
    """The Board's letter with these words at its beginning."""
    return board(context=context(letter=PLAN.letter.model_dump(mode="json") | {"opening": opening}), **changes)


def plain_frame(template: str, **changes: Any) -> Sheet:
    """A sheet whose subject, addressees and Nơi nhận the template supplies."""
    return board(template=template, subject="", addressees=(), distribution=(), **changes)


def company(template: str = "investor", **changes: Any) -> Sheet:
    values: dict[str, Any] = {
        "template": template,
        "issuer": "Công ty Cổ phần Hạ tầng Mẫu A",
        "issuer_name_en": "Sample A Infrastructure JSC",
        "issuer_address": "KCN Mẫu Đông, thành phố Hải Phòng",
        "issuer_phone": "0225 000 000",
        "issuer_tax_code": "0200000000",
        "abbreviation": "HTMA",
        "number": "128",
        "symbol": "{number}/CV-{abbreviation}",
        "place": "Hải Phòng",
        "issued_on": date(2023, 12, 4),
        "signer": Person(name="Nguyễn Văn Mẫu", position="Tổng Giám đốc"),
        "context": context(parks=["KCN Mẫu Đông", "KCN Mẫu Tây"]),
    }
    return Sheet(**(values | changes))


def urge(rows: int = 40) -> Sheet:
    names = tuple((str(n), f"Công ty TNHH Mẫu số {n}", "KCN Mẫu Đông") for n in range(1, rows + 1))
    table = Appendix(
        title="Danh sách các đơn vị chưa xác nhận",
        columns=("STT", "Tên đơn vị", "Khu công nghiệp"),
        rows=names,
        widths=("12mm", "2fr", "1fr"),
    )
    more = {"round": 2, "counts": {"asked": 1734, "answered": 1640, "silent": 94}, "as_of": DEADLINE}
    return plain_frame("urge", number="2600", context=context(reports_to="UBND thành phố", **more), appendices=(table,))


def correction() -> Sheet:
    old = {"number": "2514", "symbol": "BQL-QHXD", "date": "2023-12-01", "issuer": "Ban Quản lý", "subject": "việc mẫu"}
    slips = [{"wrong": "ngày 29/11/2022", "right": "ngày 29/11/2023"}]
    return plain_frame("correction", number="2601", context={"corrects": old, "slips": slips, "why": "Do sơ suất"})


def report(**changes: Any) -> Sheet:
    table = {"title": "Bảng 1. Kết quả theo cấp", "columns": ["Cấp", "Tổng số"], "rows": [["Doanh nghiệp", 1700]]}
    more = {
        "as_of": DEADLINE,
        "interim": False,
        "counts": {"asked": 1734, "done": 1640, "late": 12, "silent": 93, "rejected": 1, "exempt": 2, "withdrawn": 0},
        "says": {"silent": "chưa xác nhận", "rejected": "từ chối tiếp nhận"},
        "tables": [table],
        "silent": [["Công ty TNHH Mẫu 1", "KCN Mẫu Đông"]],
        "silent_columns": ["Đơn vị", "Khu công nghiệp"],
        "silent_widths": ["60%", "40%"],
        "open_total": 94,
        "seal": "ab" * 32,
        "findings": ["Một số địa chỉ thư điện tử không còn dùng."],
        "proposals": [],
        "chart": "",
    }
    sheet = plain_frame("report", symbol="{number}/BC-BQL", number="312", context=context(**more), **changes)
    return sheet.model_copy(update={"addressees": ("Ủy ban nhân dân thành phố Hải Phòng",)})


def slip() -> Sheet:
    more = {"leader": "Phó Trưởng ban Chu Đức Anh", "unit": "Phòng Quy hoạch - Xây dựng"}
    return plain_frame("slip", symbol="", context=context(**more))


def placeholder() -> Sheet:
    return plain_frame("placeholder", context={"document": PLAN.directives[0].model_dump(mode="json")})


def dispatch() -> Sheet:
    return board(template="dispatch", symbol="{number}/CĐ-BQL", number="5", urgency=Urgency.FLASH)


SAMPLES = {
    "board": board,
    "investor": company,
    "investor_bilingual": lambda: company("investor_bilingual"),
    "slip": slip,
    "placeholder": placeholder,
    "urge": urge,
    "correction": correction,
    "report": report,
    "dispatch": dispatch,
}


def text_of(pdf: bytes) -> str:
    """The words of a PDF in reading order without the margins' marks and numbers, one space between words."""
    pieces: list[str] = []
    with pdfplumber.open(io.BytesIO(pdf)) as document:
        for page in document.pages:
            before, end = None, 0.0
            for char in page.chars:
                if char["top"] < 20 / 25.4 * 72 - 2:
                    continue
                line = round(char["matrix"][5], 1)
                joined = line == before and abs(char["x0"] - end) < 2
                pieces.append(char["text"] if joined else f" {char['text']}")
                before, end = line, char["x1"]
            pieces.append(" ")
    return " ".join("".join(pieces).split())


def test_every_words_template_has_its_sample() -> None:
    assert set(PRESS.kinds()) == set(SAMPLES)


@pytest.mark.parametrize("kind", SAMPLES)
def test_a_kind_is_rendered_as_pdf_html_and_text_with_the_same_words(kind: str) -> None:
    rendered = PRESS.render(SAMPLES[kind]())
    assert rendered.pdf.startswith(b"%PDF-1.7")
    printed = text_of(rendered.pdf)
    assert printed == unicodedata.normalize("NFC", printed)
    words = PRESS.render_fragment(SAMPLES[kind]())
    assert words == rendered.html
    assert words in rendered.page
    assert "{" not in printed
    drawn = "…" * 20
    body = writing.plain(fragment.read(rendered.html)).replace(" | ", " ").replace(drawn, " ")
    assert " ".join(body.split()) in printed
    assert " ".join(body.split()) in " ".join(rendered.text.replace(" | ", " ").replace(drawn, " ").split())


@pytest.mark.parametrize("kind", SAMPLES)
def test_an_illustration_says_so_on_each_of_its_pages_and_a_real_letter_never(kind: str) -> None:
    sheet = SAMPLES[kind]()
    for illustration in (True, False):
        rendered = PRESS.render(sheet.model_copy(update={"illustration": illustration}))
        with pdfplumber.open(io.BytesIO(rendered.pdf)) as document:
            marked = ["BẢN MINH HỌA" in page.extract_text() for page in document.pages]
        assert marked == [illustration] * len(marked)
        assert ("BẢN MINH HỌA" in rendered.text) is illustration
        assert ("BẢN MINH HỌA" in rendered.page) is illustration


def test_a_cell_prints_everything_that_stands_in_it() -> None:
    letter = PLAN.letter.model_dump(mode="json") | {
        "lead": "<table><tr><th>Việc</th><td>Gồm:<ul><li><p>gạch một</p><p>nói thêm</p></li>"
        "<li>gạch hai<ol><li>số một</li></ol></li></ul>"
        "<table><tr><td>ô trái</td><td>ô phải</td></tr></table></td></tr></table>"
    }  # fmt: skip
    printed = text_of(PRESS.render(board(context=context(letter=letter))).pdf)
    assert "Việc Gồm: - gạch một nói thêm - gạch hai 1. số một ô trái ô phải" in printed


def test_a_draft_leaves_room_for_number_and_day() -> None:
    draft = PRESS.render(board(number="", issued_on=None))
    printed = text_of(draft.pdf)
    assert "Số: /BQL-QHXD V/v" in printed
    assert "Hải Phòng, ngày tháng năm Kính gửi" in printed
    assert "2514" not in draft.text


def test_a_company_writes_on_its_own_letterhead_and_never_as_the_board() -> None:
    printed = text_of(PRESS.render(company()).pdf)
    assert "CÔNG TY CỔ PHẦN HẠ TẦNG MẪU A" in printed
    assert "Sample A Infrastructure JSC" in printed
    assert "Mã số thuế: 0200000000" in printed
    assert "Số: 128/CV-HTMA" in printed
    assert "V/v chuyển tiếp Công văn số 2514/BQL-QHXD ngày 01/12/2023" in printed
    assert "Kính gửi: Các doanh nghiệp trong KCN Mẫu Đông và KCN Mẫu Tây" in printed
    assert "8184/VP-NCKTGS" in printed
    assert "trước 17 giờ 00 ngày 08/12/2023" in printed
    assert "TỔNG GIÁM ĐỐC" in printed
    assert "- BQL KKT Hải Phòng (để báo cáo);" in printed
    assert "CỘNG HÒA XÃ HỘI" not in printed
    assert "TRƯỞNG BAN" not in printed


def test_a_company_without_a_number_of_its_own_prints_none() -> None:
    assert "Số:" not in text_of(PRESS.render(company(symbol="")).pdf)
    assert "Số: /CV-HTMA" in " ".join(text_of(PRESS.render(company(number="")).pdf).split())


def test_a_company_passes_on_a_document_that_no_letter_came_with() -> None:
    printed = text_of(PRESS.render(company(context=context(forwarded=None, parks=[]))).pdf)
    assert "V/v chuyển tiếp Văn bản số 8184/VP-NCKTGS ngày 29/11/2023" in printed


def test_the_bilingual_letter_adds_english_and_keeps_every_vietnamese_word() -> None:
    both = PRESS.render(company("investor_bilingual"))
    alone = PRESS.render(company())
    paragraphs = re.findall(r"<(?:li|p)>(.*?)(?:\./)?\.</(?:li|p)>", alone.html)
    assert len(paragraphs) > 4
    for paragraph in paragraphs:
        assert paragraph in both.html
    assert "hereby forwards to your enterprise Official Letter No. 2514/BQL-QHXD" in text_of(both.pdf)
    assert "17:00 on 08/12/2023" in text_of(both.pdf)


def test_the_slip_shows_arrival_and_has_no_signature() -> None:
    printed = text_of(PRESS.render(slip()).pdf)
    assert "PHIẾU GIẢI QUYẾT VĂN BẢN ĐẾN" in printed
    assert "Số đến 2763" in printed
    assert "Ngày đến 01/12/2023" in printed
    assert "Chuyển: Phòng Quy hoạch - Xây dựng" in printed
    assert "Nơi nhận" not in printed
    assert "KT. TRƯỞNG BAN" not in printed


def test_the_placeholder_says_plainly_that_it_is_none_of_the_document() -> None:
    printed = text_of(PRESS.render(placeholder()).pdf)
    assert "TRANG THAY THẾ" in printed
    assert "8184/VP-NCKTGS" in printed
    assert "không phải là văn bản của cơ quan nêu trên" in printed
    assert "không có giá trị pháp lý" in printed
    assert "CỘNG HÒA" not in printed


def test_the_urging_letter_cites_counts_and_sets_a_last_date_with_names_in_an_appendix() -> None:
    printed = text_of(PRESS.render(urge()).pdf)
    assert "V/v đôn đốc (lần 2) việc thực hiện Công văn số 2514/BQL-QHXD" in printed
    assert "1.640/1.734 đơn vị đã xác nhận; 94 đơn vị đã quá thời hạn" in printed
    assert "Hạn chót: trước 17 giờ 00 ngày 08/12/2023" in printed
    assert "DANH SÁCH CÁC ĐƠN VỊ CHƯA XÁC NHẬN" in printed
    assert "40 Công ty TNHH Mẫu số 40 KCN Mẫu Đông" in printed
    # The blanks of an electronic appendix's reference are not filled in (Phụ lục I, mục III.1d).
    assert "(Kèm theo Công văn số /BQL-QHXD ngày / / của Ban Quản lý" in printed


def test_a_report_has_its_type_title_figures_and_the_silent_by_name() -> None:
    chart = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 90 30"><text y="20">Biểu đồ A</text></svg>'
    sheet = report()
    drawn = sheet.model_copy(update={"context": sheet.context | {"chart": "line"}, "images": {"line": chart}})
    rendered = PRESS.render(drawn)
    printed = text_of(rendered.pdf)
    assert "BÁO CÁO Kết quả triển khai văn bản số 8184/VP-NCKTGS ngày 29/11/2023" in printed
    assert "V/v" not in printed
    assert "Số: 312/BC-BQL" in printed
    assert "Doanh nghiệp 1.700" in printed
    assert "Công ty TNHH Mẫu 1 KCN Mẫu Đông" in printed
    assert "(trong đó 12 đơn vị sau thời hạn)" in printed
    assert "chưa xác nhận 93 đơn vị; từ chối tiếp nhận 1 đơn vị" in printed
    assert "Có 2 đơn vị được miễn báo cáo." in printed
    assert "data:image/svg+xml;base64," in rendered.html


def test_a_dispatch_has_its_title_its_stamp_and_whom_it_wires() -> None:
    printed = text_of(PRESS.render(dispatch()).pdf)
    assert "Số: 05/CĐ-BQL" in printed
    assert "HỎA TỐC" in printed
    assert "CÔNG ĐIỆN Về việc phối hợp" in printed
    assert "Ban Quản lý Khu kinh tế Hải Phòng điện:" in printed


def test_a_dispatch_is_cited_as_one_in_mails_and_in_later_letters() -> None:
    row = Letter(kind="dispatch", symbol="05/CĐ-BQL", issued_on=date(2023, 12, 1), subject="x", sheet={"issuer": "Ban"})
    assert wording.document(row) == "Công điện số 05/CĐ-BQL ngày 01/12/2023"
    assert papers.cited_of(row)["kind"] == "Công điện"
    urged = urge()
    cited = urged.context["forwarded"] | {"kind": "Công điện"}
    printed = text_of(PRESS.render(urged.model_copy(update={"context": urged.context | {"forwarded": cited}})).pdf)
    assert "việc thực hiện Công điện số" in printed
    assert "đã có Công điện số" in printed


def test_a_letter_whose_sheet_does_not_say_its_kind_is_cited_as_a_cong_van() -> None:
    urged = urge()
    cited = {name: value for name, value in urged.context["forwarded"].items() if name != "kind"}
    printed = text_of(PRESS.render(urged.model_copy(update={"context": urged.context | {"forwarded": cited}})).pdf)
    assert "đã có Công văn số" in printed


def test_another_authority_brings_its_own_words_and_a_new_kind_without_code(tmp_path: Path) -> None:
    (tmp_path / "commune.html").write_text(
        '{#-\nframe: authority\ntitle: GIẤY MỜI\nsubject: "họp {{ topic }}"\n-#}\n<p>Mời họp {{ topic }}./.</p>',
        "utf-8",
    )
    (tmp_path / "board.html").write_text("<p>Lời của cơ quan khác./.</p>", "utf-8")
    press = Press(TEMPLATES, tmp_path)
    invited = press.render(plain_frame("commune", context={"topic": "giao ban"}))
    assert "GIẤY MỜI họp giao ban" in text_of(invited.pdf)
    assert "Lời của cơ quan khác./." in text_of(press.render(board()).pdf)
    assert "Thực hiện chỉ đạo" in text_of(PRESS.render(board()).pdf)


def test_a_name_that_the_context_lacks_stops_the_letter() -> None:
    with pytest.raises(jinja2.UndefinedError):
        PRESS.render(board(context={"letter": PLAN.letter.model_dump()}))


def test_text_of_a_plan_cannot_become_markup_of_the_page() -> None:
    nasty = '#read("/page.typ") $x$ *b* "))#panic() \\ \u2028 {{ "a" }} @ref'
    rendered = PRESS.render(board(subject=nasty, issuer='A "B" \\ #x'))
    printed = text_of(rendered.pdf)
    assert '#read("/page.typ") $x$ *b* "))#panic()' in printed
    assert 'A "B" \\ #X' in printed
    letter = PLAN.letter.model_dump(mode="json") | {"opening": "<script>x</script>"}
    with pytest.raises(WordsRefused):
        PRESS.render(board(context=context(letter=letter)))


def test_what_announces_a_list_stands_in_a_paragraph_before_it() -> None:
    letter = PLAN.letter.model_dump(mode="json") | {"lead": "Ba việc:\n<ul><li>một</li></ul> rồi <b>báo cáo</b>"}
    said = PRESS.render_fragment(board(context=context(letter=letter)))
    assert "<p>Ba việc:</p>\n<ul><li>một</li></ul>\n<p>rồi <b>báo cáo</b></p>" in said


def test_the_deadline_is_printed_alike_however_its_place_is_written() -> None:
    letter = PLAN.letter.model_dump(mode="json") | {"requests": ["{deadline}", "{{deadline}}", "{{ deadline }}"]}
    said = PRESS.render_fragment(board(context=context(letter=letter)))
    assert said.count("<li>17 giờ 00 ngày 08/12/2023</li>") == 3


@pytest.mark.parametrize("mark", ["", ".", "./."])
def test_the_last_words_of_a_companys_letter_end_within_their_own_paragraph(mark: str) -> None:
    letter = PLAN.letter.model_dump(mode="json") | {"confirmation": f"<p>Đề nghị <b>xác nhận{mark}</b></p>"}
    said = PRESS.render_fragment(company(context=context(letter=letter, parks=[])))
    assert said.endswith("<p>Đề nghị <b>xác nhận./.</b></p>")


def test_words_of_a_plan_cannot_reach_python() -> None:
    letter = PLAN.letter.model_dump(mode="json") | {"opening": "{{ ''.__class__.__mro__ }}"}
    with pytest.raises(jinja2.exceptions.SecurityError):
        PRESS.render(board(context=context(letter=letter)))


def test_a_classified_letter_is_refused() -> None:
    letter = PLAN.letter.model_dump(mode="json") | {"opening": "<p>TỐI MẬT</p><p>Nội dung.</p>"}
    with pytest.raises(WordsRefused, match="TỐI MẬT"):
        PRESS.render(board(context=context(letter=letter)))
