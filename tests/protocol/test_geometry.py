"""The page is NĐ 30/2020/NĐ-CP's to the millimetre: the rendered PDF is measured, never the profile.

The figures below are written down from Phụ lục I (mục I, II, III, V) and from the choices made inside
its ranges; changing any one value of the profile makes `faults` speak.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pdfplumber
import pytest

from congvan.letters.press import Press
from congvan.letters.sheet import Appendix, Sheet
from congvan.rules.records import Urgency
from tests.protocol.test_letters_kinds import PLAN, PRESS, TEMPLATES, board, company, context, plain_frame, report

MM = 25.4 / 72
LEFT, RIGHT, TOP, BOTTOM = 30.0, 195.0, 20.0, 277.0
TABLE = "<table><tr><td>Ô bảng</td></tr></table>"


class NotOnThePage(Exception):
    """No span of the page matches this pattern."""


@dataclass(frozen=True)
class Span:
    """A run of letters on one baseline. Lengths in mm from the page's left and top, size in points."""

    text: str
    x0: float
    x1: float
    baseline: float
    size: float
    font: str
    colour: Any

    @property
    def style(self) -> tuple[float, bool, bool]:
        return (round(self.size, 2), "Bold" in self.font, "Italic" in self.font)

    @property
    def middle(self) -> float:
        return (self.x0 + self.x1) / 2

    @property
    def top(self) -> float:
        return self.baseline - 0.891 * self.size * MM

    @property
    def bottom(self) -> float:
        return self.baseline + 0.216 * self.size * MM


@dataclass(frozen=True)
class Stroke:
    """A rule (height 0) or a box, in mm; width of its line in points."""

    x0: float
    x1: float
    top: float
    height: float
    weight: float
    colour: Any

    @property
    def length(self) -> float:
        return self.x1 - self.x0

    @property
    def middle(self) -> float:
        return (self.x0 + self.x1) / 2


@dataclass(frozen=True)
class Page:
    width: float
    height: float
    spans: list[Span]
    rules: list[Stroke]
    boxes: list[Stroke]

    def find(self, pattern: str, after: float = -1) -> Span:
        """The first span below `after` whose text matches."""
        for span in self.spans:
            if span.baseline > after and re.search(pattern, span.text):
                return span
        raise NotOnThePage(pattern)

    def has(self, pattern: str) -> bool:
        return any(re.search(pattern, span.text) for span in self.spans)


def measure(pdf: bytes) -> list[Page]:
    with pdfplumber.open(io.BytesIO(pdf)) as document:
        return [_page(page) for page in document.pages]


def _page(page: Any) -> Page:
    height = float(page.height)
    rows: dict[float, list[Any]] = {}
    for char in page.chars:
        rows.setdefault(round(height - char["matrix"][5], 1), []).append(char)
    spans = [span for y in sorted(rows) for span in _spans(y, sorted(rows[y], key=lambda char: char["x0"]))]
    rules = [_stroke(line) for line in page.lines]
    boxes = [_stroke(rect) for rect in page.rects]
    return Page(page.width * MM, height * MM, spans, sorted(rules, key=lambda rule: rule.top), boxes)


def _spans(y: float, chars: list[Any]) -> Iterator[Span]:
    run: list[Any] = []
    for char in [*chars, None]:
        if run and (char is None or char["x0"] - run[-1]["x1"] > 9):
            while run and run[-1]["text"].isspace():
                run.pop()
            if run:
                text = "".join(one["text"] for one in run).replace("\u00a0", " ").lstrip()
                first = next(one for one in run if not one["text"].isspace())
                yield Span(
                    text, first["x0"] * MM, run[-1]["x1"] * MM, y * MM,
                    first["size"], first["fontname"], first["non_stroking_color"],
                )  # fmt: skip
            run = []
        if char is not None:
            run.append(char)


def _stroke(shape: Any) -> Stroke:
    return Stroke(
        shape["x0"] * MM, shape["x1"] * MM, shape["top"] * MM, shape["height"] * MM,
        shape["linewidth"], shape["stroking_color"],
    )  # fmt: skip


# ------------------------------------------------------------------------------ the letters measured


def full(stamp: Urgency = Urgency.FLASH, **changes: Any) -> Sheet:
    """A letter with every component of the table, on two pages and an appendix."""
    letter = PLAN.letter.model_dump(mode="json")
    letter["requests"] = [*letter["requests"], *letter["requests"][:2]]
    letter["note_to_intermediaries"] = TABLE
    values = {
        "context": context(letter=letter),
        "urgency": stamp,
        "internal": True,
        "illustration": True,
        "drafter": "PL.(300)",
        "corner": ("SAO Y; Văn phòng Ban", "04/12/2023 10:12:33 +07:00"),
        "footer": "Số 1 đường Mẫu; điện thoại: 0225 000 000",
        "appendices": (
            Appendix(title="Danh sách", columns=("STT", "Tên"), rows=tuple((str(n), "Tên") for n in range(60))),
        ),
    }
    return board(**(values | changes))


def faults(press: Press) -> Iterator[str]:
    """Every way in which letters of this press differ from the table; none for a right profile."""
    first = measure(press.render(full()).pdf)
    yield from _header(first[0]) + _stamp(first[0], "HỎA TỐC", 30) + _addressees(first[0]) + _body(first[0])
    yield from _closing(first) + _margins(first) + _appendix(first)
    for urgency, text, width in (
        (Urgency.URGENT, "KHẨN", 20),
        (Urgency.VERY_URGENT, "THƯỢNG KHẨN", 40),
        (Urgency.FLASH_TIMED, "HỎA TỐC HẸN GIỜ", 55),
    ):
        yield from _stamp(measure(press.render(full(urgency)).pdf)[0], text, width)
    yield from _titled(measure(press.render(report()).pdf)[0])
    long = board(addressees=("Một nơi nhận",), parent_authority="", template="dispatch")
    yield from _long_salutation(measure(press.render(long.model_copy(update={"addressees": ("A", "B")})).pdf)[0])
    yield from _letterhead(measure(press.render(company()).pdf)[0])


def near(found: list[str], what: str, measured: float, wanted: float, tolerance: float = 0.5) -> None:
    if abs(measured - wanted) > tolerance:
        found.append(f"{what}: {measured:.2f} instead of {wanted:.2f}")


def same(found: list[str], what: str, measured: object, wanted: object) -> None:
    if measured != wanted:
        found.append(f"{what}: {measured} instead of {wanted}")


def _header(page: Page) -> list[str]:
    found: list[str] = []
    near(found, "page width", page.width, 210, 0.1)
    near(found, "page height", page.height, 297, 0.1)
    state, motto = page.find("^CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM$"), page.find("^Độc lập - Tự do - Hạnh phúc$")
    parent, issuer = page.find("^UBND THÀNH PHỐ HẢI PHÒNG$"), page.find("^KHU KINH TẾ HẢI PHÒNG$")
    number, day = page.find("^Số: 2514/BQL-QHXD$"), page.find("^Hải Phòng, ngày 01 tháng 12 năm 2023$")
    subject = page.find("^V/v phối hợp")
    same(found, "quốc hiệu", state.style, (12, True, False))
    same(found, "tiêu ngữ", motto.style, (13, True, False))
    same(found, "cơ quan chủ quản", parent.style, (12, False, False))
    same(found, "cơ quan ban hành", issuer.style, (12, True, False))
    same(found, "số, ký hiệu", number.style, (13, False, False))
    same(found, "địa danh, ngày tháng", day.style, (13, False, True))
    same(found, "V/v", subject.style, (12, False, False))
    near(found, "top of quốc hiệu", state.top, TOP)
    near(found, "left column", parent.middle, LEFT + (0.45 * 165 - 2) / 2, 0.3)
    near(found, "right column", state.middle, RIGHT - 0.55 * 165 / 2, 0.3)
    for span in (issuer, number):
        near(found, f"«{span.text}» in its column", span.middle, parent.middle, 0.3)
    for span in (motto, day):
        near(found, f"«{span.text}» in its column", span.middle, state.middle, 0.3)
    near(found, "date on the number's line", day.baseline, number.baseline, 0.1)
    under_issuer, under_motto = sorted(page.rules[:2], key=lambda rule: rule.x0)
    near(found, "rule under tiêu ngữ", under_motto.length, motto.x1 - motto.x0, 0.5)
    near(found, "rule under tiêu ngữ, centred", under_motto.middle, motto.middle, 0.3)
    longest = max(issuer.x1 - issuer.x0, page.find("^BAN QUẢN LÝ$").x1 - page.find("^BAN QUẢN LÝ$").x0)
    near(found, "rule under the agency", under_issuer.length, 0.42 * longest, 1)
    near(found, "rule under the agency, centred", under_issuer.middle, issuer.middle, 0.3)
    for rule, above in ((under_motto, motto), (under_issuer, issuer)):
        near(found, f"rule close under «{above.text}»", rule.top - above.bottom, 1, 0.5)
        near(found, "weight of the rule", rule.weight, 0.75, 0.01)
    near(found, "number under the header", number.top - max(under_issuer.top, under_motto.top), 3, 0.3)
    near(found, "V/v 6 pt under the number", (subject.top - number.bottom) / MM, 6, 0.5)
    return found


def _stamp(page: Page, text: str, width: float) -> list[str]:
    found: list[str] = []
    stamp, last = page.find(f"^{text}$"), page.find("địa bàn thành phố$")
    red = [box for box in page.boxes if isinstance(box.colour, tuple) and box.colour[0] > 0.8 > 5 * box.colour[1]]
    same(found, f"stamp {text}", stamp.style, (13, True, False))
    if not red:
        return [*found, f"stamp {text} has no bright red box"]
    near(found, f"width of {text}", red[0].length, width, 0.2)
    near(found, f"height of {text}", red[0].height, 8, 0.2)
    near(found, f"border of {text}", _weight(red[0]), 1, 0.01)
    near(found, f"{text} under V/v", red[0].top - last.bottom, 3, 0.3)
    same(found, f"colour of {text}", tuple(round(part, 2) for part in stamp.colour), (0.89, 0.0, 0.06))
    return found


def _weight(box: Stroke) -> float:
    """The stroke of a box in points; 1 is what a PDF means where it names none."""
    return box.weight or 1.0


def _addressees(page: Page) -> list[str]:
    found: list[str] = []
    label = page.find("^Kính gửi:$")
    names = [page.find(f"^- {name[:20]}") for name in PLAN.letter.addressees]
    box = max(page.boxes, key=lambda box: box.top)
    same(found, "Kính gửi", label.style, (14, False, False))
    near(found, "indent of Kính gửi", label.x0, LEFT + 22, 0.3)
    near(found, "Kính gửi under the header", label.top - (box.top + box.height), 6, 0.6)
    for name in names:
        same(found, "name of an addressee", name.style, (14, False, False))
        near(found, "dash under the colon", name.x0, label.x1 - 3.888 * MM, 0.3)
    pitch = names[1].baseline - names[0].baseline
    near(found, "lines of addressees", pitch / MM, 1.107 * 14 + 3, 0.2)
    texts = [span.text for span in page.spans if span.baseline < page.find("^Thực hiện chỉ đạo").baseline]
    same(found, "marks of addressees", [text[-1] for text in texts[-4:]], [";", ";", "p", "."])
    return found


def _body(page: Page) -> list[str]:
    found: list[str] = []
    opening = page.find("^Thực hiện chỉ đạo")
    lines = [span for span in page.spans if opening.baseline <= span.baseline < BOTTOM]
    rows: dict[float, list[Span]] = {}
    for span in lines:
        rows.setdefault(round(span.baseline, 2), []).append(span)
    same(found, "nội dung", opening.style, (14, False, False))
    near(found, "first-line indent", opening.x0, LEFT + 12.7, 0.2)
    starts = [min(span.x0 for span in row) for row in rows.values()]
    near(found, "left margin", min(starts), LEFT)
    near(found, "right margin", max(span.x1 for span in lines), RIGHT)
    last = page.find("^thuộc Ban Quản lý Khu kinh tế Hải Phòng.$")
    near(found, "body under the addressees", opening.top - last.bottom, 4, 0.5)
    baselines = sorted(rows)
    pitch = (baselines[1] - baselines[0]) / MM
    near(found, "line spacing", pitch / (14 * 1.149), 1.1, 0.01)
    if not 1 <= pitch / (14 * 1.149) <= 1.5:
        found.append("line spacing outside single … 1.5")
    lead = page.find("đề nghị các đơn vị như sau:$")
    before = max(y for y in baselines if y < lead.baseline - 0.1)
    near(found, "gap between paragraphs", (lead.baseline - before) / MM - pitch, 6, 0.3)
    return found


def _closing(pages: list[Page]) -> list[str]:
    found: list[str] = []
    page = next(page for page in pages if page.has("^Nơi nhận:$"))
    heading, title = page.find("^Nơi nhận:$"), page.find("^KT. TRƯỞNG BAN$")
    position, signer = page.find("^PHÓ TRƯỞNG BAN$"), page.find("^Chu Đức Anh$")
    lines = [page.find(pattern) for pattern in ("^- Như trên;$", r"^- Lưu: VT, QHXD\.$")]
    drafter, end = page.find(r"^PL\.\(300\)$"), page.find(r"\./\.$")
    same(found, "Nơi nhận", heading.style, (12, True, True))
    same(found, "quyền hạn", title.style, (14, True, False))
    same(found, "chức vụ", position.style, (14, True, False))
    same(found, "họ tên", signer.style, (14, True, False))
    same(found, "người soạn thảo", drafter.style, (11, False, False))
    for line in lines:
        same(found, "line of Nơi nhận", line.style, (11, False, False))
        near(found, "Nơi nhận flush left", line.x0, LEFT, 0.3)
    near(found, "Nơi nhận level with quyền hạn", heading.top, title.top, 0.3)
    for span in (title, position, signer):
        near(found, f"«{span.text}» in the right half", span.middle, RIGHT - 165 / 4, 0.3)
    near(found, "room for the signature", signer.top - position.bottom, 26, 1.2)
    near(found, "closing under the body", heading.top - end.bottom, 4, 0.3)
    cell = page.find("^Ô bảng$")
    same(found, "type in a table", cell.style, (12, False, False))
    return found


def _margins(pages: list[Page]) -> list[str]:
    found: list[str] = []
    first, second = pages[0], pages[1]
    marks = {"BẢN MINH HỌA": (LEFT, None), "LƯU HÀNH NỘI BỘ": (None, RIGHT)}
    for text, (left, right) in marks.items():
        span = first.find(f"^{text}$")
        same(found, text, span.style, (13, True, False))
        box = next(
            box
            for box in first.boxes
            if box.top < span.baseline < box.top + box.height and box.x0 < span.middle < box.x1
        )
        near(found, f"border of {text}", _weight(box), 1, 0.01)
        near(found, f"place of {text}", box.x0 if right is None else box.x1, left if right is None else right)
    for at, text in enumerate(("SAO Y; Văn phòng Ban", "04/12/2023 10:12:33 +07:00")):
        span = first.find(f"^{re.escape(text)}$")
        same(found, "corner note", span.style, (10, False, False))
        near(found, "corner note flush right", span.x1, RIGHT, 0.3)
        near(found, "corner note at the top", span.top, 4 + at * 4.26, 0.4)
        if second.has(re.escape(text)):
            found.append("corner note after page 1")
    if second.has("LƯU HÀNH NỘI BỘ"):
        found.append("LƯU HÀNH NỘI BỘ after page 1")
    if any(span.baseline < TOP and re.fullmatch(r"\d+", span.text) for span in first.spans):
        found.append("page 1 shows its number")
    number = next((span for span in second.spans if span.baseline < TOP and span.text == "2"), None)
    if number is None:
        return [*found, "page 2 shows no number"]
    same(found, "page number", number.style, (13, False, False))
    near(found, "page number centred", number.middle, (LEFT + RIGHT) / 2, 0.3)
    near(found, "page number in the top margin", number.baseline, 12, 0.3)
    footer, rule = first.find("^Số 1 đường Mẫu"), first.rules[-1]
    same(found, "address", footer.style, (11, False, False))
    near(found, "rule over the address", rule.length, RIGHT - LEFT, 1)
    near(found, "address below the text", rule.top, BOTTOM + 2, 0.5)
    near(found, "top of page 2", min(span.top for span in second.spans if span.baseline > TOP), TOP)
    return found


def _appendix(pages: list[Page]) -> list[str]:
    found: list[str] = []
    at = next(n for n, page in enumerate(pages) if page.has("^Phụ lục$"))
    page = pages[at]
    heading, title, reference = page.find("^Phụ lục$"), page.find("^DANH SÁCH$"), page.find(r"^\(Kèm theo Công văn")
    same(found, "Phụ lục", heading.style, (14, True, False))
    same(found, "its title", title.style, (14, True, False))
    same(found, "its reference", reference.style, (14, False, True))
    for span in (heading, title, reference):
        near(found, f"«{span.text[:20]}» centred", span.middle, (LEFT + RIGHT) / 2, 0.5)
    numbers = [[s.text for s in one.spans if s.baseline < 15 and s.text.isdigit()] for one in pages[at : at + 2]]
    same(found, "page numbers of the appendix", numbers, [[], ["2"]])
    return found


def _titled(page: Page) -> list[str]:
    found: list[str] = []
    title, subject = page.find("^BÁO CÁO$"), page.find("^Kết quả triển khai")
    lines = [span for span in page.spans if title.baseline < span.baseline < page.find("^Kính gửi").baseline]
    longest = max(span.x1 - span.x0 for span in lines)
    rule = next(rule for rule in page.rules if rule.top > lines[-1].baseline)
    number = page.find("^Số: 312/BC-BQL$")
    same(found, "tên loại", title.style, (14, True, False))
    same(found, "trích yếu of a type", subject.style, (14, True, False))
    near(found, "rule under the trích yếu", rule.length, 0.4 * longest, 1)
    near(found, "tên loại centred", title.middle, (LEFT + RIGHT) / 2, 0.3)
    near(found, "tên loại under the number", title.top - number.bottom, 6, 0.5)
    return found


def _long_salutation(page: Page) -> list[str]:
    found: list[str] = []
    near(found, "dash under a long salutation", page.find("^- A;$").x0, LEFT + 22 + 30, 0.3)
    return found


def _letterhead(page: Page) -> list[str]:
    found: list[str] = []
    same(found, "letterhead", page.find("^Địa chỉ: KCN Mẫu").style, (11, False, False))
    return found


# ------------------------------------------------------------------------------ the tests


def test_every_component_has_the_size_style_and_place_of_the_decree() -> None:
    assert list(faults(PRESS)) == []


PROFILE = json.loads((TEMPLATES / "nd30_2020.json").read_text("utf-8"))
#: Not sizes or places: names, and words that the kinds' own tests hold.
WORDS = {"name", "source", "labels", "keep_together"}


def values(profile: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in profile.items():
        if key in WORDS:
            continue
        if isinstance(value, dict):
            yield from values(value, (*path, key))
        else:
            yield (*path, key)


def changed(value: Any) -> Any:
    """Another value of the kind: smaller by a fifth, or by so little as a print shop would notice."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return "#b00010"
    return round(value * 0.8, 3) if value > 2 or value < 1.01 else value + 1


@pytest.mark.gates
@pytest.mark.parametrize("path", list(values(PROFILE)), ids=".".join)
def test_a_changed_value_of_the_profile_is_noticed(path: tuple[str, ...], tmp_path: Path) -> None:
    profile = json.loads(json.dumps(PROFILE))
    at = profile
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = changed(at[path[-1]])
    (tmp_path / "nd30_2020.json").write_text(json.dumps(profile), "utf-8")
    assert noticed(Press(TEMPLATES, tmp_path))


def noticed(press: Press) -> bool:
    """Whether a fault is found; a component that moved off its place altogether is one too."""
    try:
        return any(faults(press))
    except NotOnThePage:
        return True


def name(length: int) -> str:
    long = "Công ty Cổ phần Phát triển Hạ tầng Khu công nghiệp và Dịch vụ Hậu cần Cảng biển Miền Duyên hải "
    return (long * (length // len(long) + 1))[:length].strip()


def varied(pages: int, addressees: int, letters: int) -> Sheet:
    paragraph = PLAN.letter.requests[1]
    letter = PLAN.letter.model_dump(mode="json") | {"requests": [paragraph] * {1: 0, 2: 5, 5: 24}[pages]}
    return plain_frame("board", context=context(letter=letter)).model_copy(
        update={
            "subject": name(min(letters, 60)),
            "issuer": name(letters),
            "addressees": tuple(name(letters) for _ in range(addressees)),
            "distribution": ("Như trên", *(name(letters) for _ in range(addressees)), "Lưu: VT, TH"),
        }
    )


@pytest.mark.parametrize("pages", [1, 2, 5])
@pytest.mark.parametrize(("addressees", "letters"), [(1, 3), (1, 200), (3, 40), (12, 80), (40, 20), (40, 200)])
def test_letters_of_any_length_keep_their_margins_and_their_signature_with_the_words(
    pages: int, addressees: int, letters: int
) -> None:
    measured = measure(PRESS.render(varied(pages, addressees, letters)).pdf)
    if (addressees, letters) == (1, 3):
        assert len(measured) == pages
    for at, page in enumerate(measured):
        inside = [span for span in page.spans if span.baseline > TOP]
        assert min(span.x0 for span in inside) >= LEFT - 0.5
        assert max(span.x1 for span in inside) <= RIGHT + 0.5
        assert min(span.top for span in inside) >= TOP - 0.5
        assert max(span.bottom for span in inside) <= BOTTOM + 0.5
        numbers = [span.text for span in page.spans if span.baseline < TOP]
        assert numbers == ([str(at + 1)] if at else [])
    first = measured[0]
    issuer = [s for s in first.spans if s.style == (12, True, False) and s.middle < 100]
    longest = max(span.x1 - span.x0 for span in issuer)
    rule = min(first.rules[:2], key=lambda one: one.x0)
    assert longest / 3 - 1 <= rule.length <= longest / 2 + 1
    signed = next(page for page in measured if page.has("^Chu Đức Anh$"))
    assert signed.has("^KT. TRƯỞNG BAN$")
    assert signed.has("^Nơi nhận:$")
    assert signed.has(r"\./\.$"), "the signature stands apart from the end of the words"


@pytest.mark.parametrize("lines", range(1, 40, 3))
def test_wherever_the_page_ends_a_signature_has_at_least_two_lines_of_words_above_it(lines: int) -> None:
    letter = PLAN.letter.model_dump(mode="json")
    letter |= {"requests": ["Một dòng."] * lines, "closing": "Trân trọng./.", "note_to_intermediaries": ""}
    measured = measure(PRESS.render(board(context=context(letter=letter))).pdf)
    page = next(page for page in measured if page.has("^KT. TRƯỞNG BAN$"))
    title = page.find("^KT. TRƯỞNG BAN$")
    words = {round(s.baseline, 1) for s in page.spans if TOP < s.baseline < title.baseline - 3 and s.size == 14}
    assert len(words) >= 2


@pytest.mark.parametrize("lines", range(30, 46, 2))
def test_a_heading_or_an_announcing_line_never_ends_a_page(lines: int) -> None:
    text = ["Một dòng."] * lines + ["<b>Đề mục</b>", "Sau đây:", "Nội dung.", "Nội dung."]
    letter = PLAN.letter.model_dump(mode="json") | {"requests": [], "opening": "".join(f"<p>{one}</p>" for one in text)}
    for page in measure(PRESS.render(board(context=context(letter=letter))).pdf):
        lowest = max((span for span in page.spans if span.baseline < BOTTOM), key=lambda span: span.baseline)
        assert lowest.text not in {"Đề mục", "Sau đây:"}


def test_a_wide_appendix_lies_across() -> None:
    wide = Appendix(title="Bảng rộng", columns=("A", "B"), rows=(("1", "2"),), landscape=True)
    pages = measure(PRESS.render(board(appendices=(wide, wide))).pdf)
    sizes = [(round(page.width), round(page.height)) for page in pages]
    assert sizes[-2:] == [(297, 210), (297, 210)]
    assert set(sizes[:-2]) == {(210, 297)}
    assert [page.find("^Phụ lục").text for page in pages[-2:]] == ["Phụ lục I", "Phụ lục II"]


def test_a_date_before_the_tenth_and_in_the_first_months_gets_its_zero_on_paper() -> None:
    for day, text in ((date(2024, 2, 5), "ngày 05 tháng 02 năm 2024"), (date(2024, 3, 15), "ngày 15 tháng 3 năm")):
        assert measure(PRESS.render(board(issued_on=day)).pdf)[0].has(text)
