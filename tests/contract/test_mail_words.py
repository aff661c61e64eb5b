"""Every e-mail says all in its text part, nothing without escaping in its HTML, and has no hole."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import jinja2
import pytest

from congvan.mail import words
from congvan.mail.fragment import plain, styled
from congvan.mail.words import STEMS, Words
from tests.contract.smtp_samples import FRAGMENT, LINK, NAME, SAMPLES

TEMPLATES = Path(__file__).parents[2] / "templates"
WORDS = Words(TEMPLATES)
VOID = {"meta", "br", "img", "hr"}


class Reader(HTMLParser):
    """What a mail program would see, and whether the tags close."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += f"{data} "


@pytest.mark.parametrize("stem", sorted(SAMPLES))
def test_the_text_part_says_everything_that_the_html_says(stem: str) -> None:
    mail = WORDS.render(SAMPLES[stem])
    seen = set(re.findall(r"\w+", Reader(mail.html).text.casefold()))
    said = set(re.findall(r"\w+", mail.text.casefold()))
    furniture = set(re.findall(r"\w+", _FURNITURE.casefold()))
    assert seen - said - furniture == set()


#: Words of buttons, headings and hints that have no meaning in plain text.
_FURNITURE = """
    Nếu nút trên không mở được, sao chép đường dẫn này vào trình duyệt open the letter Nội dung văn bản
    Tài liệu kèm theo tải về theo đường dẫn Xem văn bản và xác nhận đã nhận Xem và chuyển tiếp báo cáo kết quả
    Thời hạn dành cho Quý đơn vị Đề nghị xử lý ngay khi nhận được Gửi không cần trả lời Mở danh sách vẫn có thể
    Thư này được gửi theo mục Nơi nhận của văn bản bộ phận cơ quan Trạng thái lúc cần ban hành Mở dự thảo
    Cơ quan Số ký hiệu ngày Trích yếu Độ khẩn Hạn Thực hiện sau thời hạn đợt triển khai hồ sơ xem lại
    điện thoại thư điện tử quá hạn nhắc lần Thông báo Gia hạn mới và vào sổ Đơn vị giải quyết Đến
    đã qua Quý đơn vị nhận thư này vì có tên trong danh sách nơi nhận Nếu đầu mối liên hệ đã thay đổi
    đề nghị cập nhật tại đường dẫn trên hoặc trả lời thư này
"""


@pytest.mark.parametrize("stem", sorted(SAMPLES))
def test_a_mail_is_whole_tables_and_holds_nothing_remote(stem: str) -> None:
    mail = WORDS.render(SAMPLES[stem])
    page = Reader(mail.html)
    assert page.open == []
    assert not page.tags & {"img", "script", "link", "style", "iframe", "form", "video", "svg"}
    assert not [value for name, value in page.attributes if name in ("src", "background") or "url(" in value]
    assert all(name != "class" for name, _ in page.attributes)
    assert "max-width:600px" in mail.html


@pytest.mark.parametrize("stem", sorted(SAMPLES))
def test_no_placeholder_markup_or_blank_field_is_left_over(stem: str) -> None:
    mail = WORDS.render(SAMPLES[stem])
    for words_ in (mail.subject, mail.text, mail.html):
        assert not re.search(r"\{\{|\{%|None|\bUndefined\b|\(\)| {2,}\S.*: *$", words_)
    assert "\n" not in mail.subject
    assert "\n\n\n" not in mail.text
    assert mail.subject.startswith("[BẢN MINH HỌA]")
    assert "BẢN MINH HỌA" in mail.text
    assert "BẢN MINH HỌA" in mail.html


@pytest.mark.parametrize("stem", sorted(stem for stem in SAMPLES if hasattr(SAMPLES[stem], "link")))
def test_the_link_stands_in_both_parts(stem: str) -> None:
    mail = WORDS.render(SAMPLES[stem])
    assert LINK in mail.text
    assert ("href", LINK) in Reader(mail.html).attributes


def test_a_name_with_markup_is_escaped_in_html_and_plain_in_text() -> None:
    mail = WORDS.render(SAMPLES["letter"])
    assert NAME in mail.text
    assert "&lt;Việt Nam&gt;" in mail.html
    assert "<Việt" not in mail.html


def test_every_stem_has_its_sample_and_its_three_templates() -> None:
    assert set(STEMS.values()) == set(SAMPLES)
    stems = {path.name for path in (TEMPLATES / "emails").iterdir() if not path.name.startswith("_")}
    assert stems == {f"{stem}.{kind}" for stem in SAMPLES for kind in ("subject", "txt", "html")}


def test_a_template_that_asks_for_what_is_not_there_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "emails").mkdir()
    for kind in ("subject", "txt", "html"):
        (tmp_path / "emails" / f"receipt.{kind}").write_text("{{ nothing_of_that_name }}")
    with pytest.raises(jinja2.UndefinedError):
        Words(tmp_path).render(SAMPLES["receipt"])


@pytest.mark.parametrize("stem", sorted(words.CHANGES))
def test_a_change_is_told_in_english_to_whoever_may_answer_and_to_nobody_else(stem: str) -> None:
    mail = WORDS.render(SAMPLES[stem])
    assert "English:" in mail.text
    assert "English:" in mail.html
    copy = WORDS.render(replace(SAMPLES[stem], link="", code=""))  # type: ignore[call-arg]
    assert "English:" not in copy.text + copy.html
    assert "đường dẫn trên" not in copy.html, "there is none in it"
    assert "Mã theo dõi" not in copy.text + copy.html


def test_a_colleague_is_told_who_passed_it_on_and_not_that_he_stands_on_a_list() -> None:
    html = WORDS.render(SAMPLES["delegated"]).html
    assert "Ông/Bà nhận thư này vì Nguyễn Văn Ấ đã chuyển việc trả lời." in html
    assert "có tên trong danh sách nơi nhận" not in html


def test_without_the_illustration_flag_no_mail_bears_the_mark() -> None:
    sample = SAMPLES["reminder"]
    mail = WORDS.render(replace(sample, head=replace(sample.head, illustration=False)))
    assert "MINH HỌA" not in mail.subject + mail.text + mail.html


@pytest.mark.parametrize("stem", ["letter", "bypass", "reminder", "overdue", "extension", *words.CHANGES])
def test_a_mould_filled_is_the_mail_rendered(stem: str) -> None:
    names = ("recipient", "link", "code", "deadline", "deadline_en")
    values = {
        "recipient": "Công ty <X> & 'Y' \"Z\"",
        "link": "https://x.example/t?a=1&b=2",
        "code": "X-1",
        "deadline": "17 giờ 00 ngày 09/12/2023",
        "deadline_en": "9 December",
    }
    sample = SAMPLES[stem]
    assert WORDS.mould(sample, names).fill(values) == WORDS.render(replace(sample, **values))  # type: ignore[arg-type]


def test_a_mould_is_not_filled_with_a_hole() -> None:
    with pytest.raises(KeyError):
        WORDS.mould(SAMPLES["letter"], ("recipient", "link")).fill({"recipient": "A"})


def test_a_letter_without_extras_has_none_of_their_headings() -> None:
    sample = SAMPLES["letter"]
    assert isinstance(sample, words.LetterMail)
    bare = replace(sample, files=(), late_note="", segment_note="", intermediary_note="", on_behalf_of="", urgency="")
    mail = WORDS.render(bare)
    for gone in ("Tài liệu kèm theo", "Thời hạn dành cho", "áp dụng riêng", "thay mặt", "HỎA TỐC"):
        assert gone.casefold() not in (mail.text + mail.html).casefold()


def test_a_fragment_becomes_readable_text() -> None:
    assert plain(FRAGMENT) == (
        "Ban Quản lý đề nghị các đơn vị như sau:\n\n- Thực hiện nghiêm các kế hoạch;\n"
        "- Nâng cao hiệu quả & an toàn.\n\nTrân trọng./."
    )
    assert plain("<ol><li>một</li><li>hai</li></ol>") == "1. một\n2. hai"
    assert plain('<p>Xem <a href="https://x.example">ở đây</a><br>hết</p>') == "Xem ở đây <https://x.example>\nhết"
    assert plain("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td><td>d</td></tr></table>") == "a | b\nc | d"


def test_a_fragment_is_styled_inline_once() -> None:
    once = styled('<p>a</p><p style="color:red">b</p><a href="x">c</a>')
    assert once.count("style=") == 3
    assert 'style="color:red"' in once
