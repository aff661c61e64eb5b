"""A signed file held against the draft that was approved: what differs, and where.

Number, date and subject of a digital file have to be those entered; other words may differ where a
named person accepts it. Of a scan of paper every difference can be accepted: its text is a machine's
reading of a picture.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from difflib import SequenceMatcher
from html import unescape
from itertools import accumulate

from congvan.letters import numbering
from congvan.letters.press import Rendered
from congvan.letters.sheet import Sheet
from congvan.letters.upload import Upload
from congvan.rules.records import padded

#: How many words stand before a difference, so that it can be found on the page.
_BEFORE = 4
_LONGEST = 30


@dataclass(frozen=True, slots=True)
class Approved:
    """What the signed file has to say. code: số và ký hiệu, "" for a letter without a number.

    subject: as printed, with its "V/v". around: what stands around the words, each with its name:
    ("Kính gửi", "Các chủ đầu tư…"). ends: the first words after the body, one of which ends it on the page.
    running: what stands again at the top of later pages: headings of tables, "BẢN MINH HỌA".
    """

    code: str
    day: date
    place: str
    subject: str
    body: str
    around: tuple[tuple[str, str], ...] = ()
    ends: tuple[str, ...] = ()
    running: tuple[str, ...] = ()


def approved(sheet: Sheet, rendered: Rendered) -> Approved:
    """What a signed file has to say, from the draft with its number and date filled in."""
    if sheet.issued_on is None:
        raise ValueError("a letter is compared once it has a date")
    frame = rendered.frame
    lines = [("cơ quan ban hành", frame.get("parent")), ("cơ quan ban hành", frame.get("issuer"))]
    lines += [("tên loại", frame.get("title"))]
    lines += [("Kính gửi", name) for name in frame.get("addressees", ())]
    lines += [("người ký", frame.get(name)) for name in ("authority", "position", "signer")]
    lines += [("Nơi nhận", line) for line in frame.get("distribution", ())]
    for part in frame.get("appendices", ()):
        lines += [(part["number"], " ".join(row)) for row in part["rows"]]
    around = tuple((name, str(text)) for name, text in lines if text)
    heading = frame.get("profile", {}).get("labels", {}).get("distribution", "")
    ends = tuple(text for text in (heading, frame.get("authority"), frame.get("position")) if text)
    code = sheet.code if sheet.number else ""
    subject = frame.get("subject") or frame.get("title_subject") or rendered.subject
    return Approved(
        code, sheet.issued_on, sheet.place, subject, rendered.body, around, ends, tuple(_running(sheet, rendered))
    )


def _running(sheet: Sheet, rendered: Rendered) -> Iterator[str]:
    labels = rendered.frame.get("profile", {}).get("labels", {})
    if sheet.illustration and labels.get("illustration"):
        yield labels["illustration"]
    for row in re.findall(r"<tr>((?:\s*<th\b[^>]*>.*?</th>)+)\s*</tr>", rendered.html, re.DOTALL):
        yield unescape(re.sub(r"<[^>]+>", " ", row))
    for part in rendered.frame.get("appendices", ()):
        yield " ".join(part.get("columns", ()))


@dataclass(frozen=True, slots=True)
class Difference:
    """draft: what was approved. file: what the file says. fatal: nobody can accept it."""

    place: str
    draft: str
    file: str
    fatal: bool = False

    def __str__(self) -> str:
        file = f"tệp ghi «{self.file}»" if self.file else "tệp không có"
        return f"dự thảo ghi «{self.draft}», {file}" if self.draft else f"tệp thêm «{self.file}»"


def compare(upload: Upload, approved: Approved, *, paper_scan: bool = False) -> list[Difference]:
    """Every difference, fatal ones first; of a scan none is fatal."""
    if upload.is_image:
        return [Difference("cả tệp", "lời văn của dự thảo", "", fatal=not paper_scan)]
    found = [*_number(upload, approved), *_date(upload, approved), *_subject(upload, approved)]
    if paper_scan:
        found = [Difference(one.place, one.draft, one.file) for one in found]
    return found + list(_around(upload, approved)) + list(_body(upload, approved))


# ------------------------------------------------------------------------------ number, date, subject


def _number(upload: Upload, approved: Approved) -> Iterator[Difference]:
    if not approved.code:
        return
    seen = list(dict.fromkeys(_codes(upload)))
    number, _, symbol = approved.code.partition("/")
    stamped = number in map(padded, re.findall(r"\w+", upload.stamps))
    if approved.code not in map(padded, seen) and not (f"/{symbol}" in seen and stamped):
        yield Difference("trang 1, số và ký hiệu", approved.code, seen[0] if seen else "", fatal=True)


def _codes(upload: Upload) -> Iterator[str]:
    for text in (upload.pages[0], upload.stamps):
        for found in re.finditer(r"Số\s*:([^:]{0,60})", text):
            joined = re.sub(r"\s*([/-])\s*", r"\1", found[1]).strip()
            yield joined.split()[0] if joined else ""


def _date(upload: Upload, approved: Approved) -> Iterator[Difference]:
    wanted = approved.day.day, approved.day.month, approved.day.year
    seen = list(_days(upload, approved.place))
    if wanted in (_figures(day) for day in seen):
        return
    blank = any(not re.search(r"ngày \d", day) for day in seen)
    if not (blank and {*wanted} <= {*_figures(upload.stamps), approved.day.year}):
        draft = numbering.long_day(approved.day)
        yield Difference("trang 1, ngày ban hành", draft, seen[0] if seen else "", fatal=True)


def _figures(text: str) -> tuple[int, ...]:
    """Its numbers: who writes "tháng 03" means the same month."""
    return tuple(int(figure) for figure in re.findall(r"[0-9]+", text))


def _days(upload: Upload, place: str) -> Iterator[str]:
    """The dates in long form on the first page; only those after the place, where there are any."""
    pattern = r"ngày\s*(\d*)\s*tháng\s*(\d*)\s*năm\s*(\d*)"
    text = f"{upload.pages[0]}\n{upload.stamps}"
    after = rf"{re.escape(place)}\s*,\s*{pattern}" if place else pattern
    for found in list(re.finditer(after, text)) or re.finditer(pattern, text):
        day, month, year = found.groups()
        yield " ".join(f"ngày {day} tháng {month} năm {year}".split())


def _subject(upload: Upload, approved: Approved) -> Iterator[Difference]:
    """The subject fills whole lines of the first page: one word more is another subject."""
    if _Lines(upload.pages[:1]).hold(approved.subject):
        return
    found = re.search(r"\bV/v\b.*", upload.pages[0], re.DOTALL)
    shown = found[0].split()[: len(approved.subject.split()) + _BEFORE] if found else []
    yield Difference("trang 1, trích yếu", approved.subject, " ".join(shown), fatal=True)


# ------------------------------------------------------------------------------ the words


@dataclass(frozen=True, slots=True)
class _Word:
    text: str
    page: int


def _around(upload: Upload, approved: Approved) -> Iterator[Difference]:
    lines = _Lines(upload.pages)
    for name, text in approved.around:
        if not lines.hold(text):
            yield Difference(name, text, "")


class _Lines:
    """The lines of pages without blanks, without the dash of a list and without "Kính gửi:", one behind the other."""

    def __init__(self, pages: Sequence[str]) -> None:
        lines = [_squeezed(line) for page in pages for line in page.splitlines()]
        lines = [re.sub(r"^(?:[-–]|Kínhgửi:)(?=.)", "", line) for line in lines]
        self._text = "".join(lines)
        self._edges = {0, *accumulate(map(len, lines))}
        self._last = 0

    def hold(self, text: str) -> bool:
        """Whether a text fills whole lines that follow each other: one word more is another text."""
        wanted = re.sub(r"^[-–]", "", _squeezed(text))
        # The rows of an appendix stand in their order: each is looked for from the one before.
        return bool(wanted) and (self._from(self._last, wanted) or self._from(0, wanted))

    def _from(self, start: int, wanted: str) -> bool:
        while (start := self._text.find(wanted, start)) >= 0:
            end = start + len(wanted)
            if start in self._edges and end in self._edges:
                self._last = end
                return True
            start += 1
        return False


def _body(upload: Upload, approved: Approved) -> Iterator[Difference]:
    wanted = [word for word in approved.body.split() if word.strip("|…")]
    given = _within(_words(upload, approved), approved)
    parts = SequenceMatcher(None, wanted, [word.text for word in given], autojunk=False).get_opcodes()
    for at, (kind, low, high, start, end) in enumerate(parts):
        outer = at in (0, len(parts) - 1) and kind == "insert" and not _anchored(approved)
        if kind == "equal" or outer:
            continue
        draft, file = wanted[low:high], [word.text for word in given[start:end]]
        # A reader may see a blank where the page has none; the letters are what counts.
        if "".join(draft) != "".join(file):
            yield Difference(_place(given, start, low, wanted), _cut(draft), _cut(file))


def _anchored(approved: Approved) -> bool:
    return bool(approved.ends)


def _words(upload: Upload, approved: Approved) -> list[_Word]:
    """The words in reading order, without the page numbers and without what runs on at the top of later pages."""
    words = []
    for number, page in enumerate(upload.pages, 1):
        lines = [line for line in page.splitlines() if line.strip()]
        if lines and lines[-1].strip() == str(number):
            del lines[-1]
        here = [_Word(word, number) for line in lines for word in line.split()]
        words += here[_top(here, number, approved.running if number > 1 else ()) :]
    return words


def _top(words: Sequence[_Word], number: int, running: Sequence[str]) -> int:
    """How many words at the top of a page are its number and what runs on from the page before."""
    head = [_squeezed(text) for text in running]
    told = [str(number), *head, *(f"{number}{text}" for text in head)]
    start = 0
    while start < len(words):
        joined, end = "", start
        while end < len(words) and any(text.startswith(joined) and text != joined for text in told):
            joined += words[end].text
            end += 1
            if joined in told:
                break
        if joined not in told:
            break
        # A number further down is the first of a row.
        start, told = end, head
    return start


def _within(words: Sequence[_Word], approved: Approved) -> list[_Word]:
    """The words between the addressees and whatever closes the letter; all where these are not found."""
    texts = [word.text for word in words]
    start, end = 0, len(words)
    for name, text in approved.around:
        if name == "Kính gửi" and (at := _find(texts, text.split(), start)) is not None:
            start = at + len(text.split())
    for text in approved.ends:
        if (at := _find(texts, text.split(), start)) is not None:
            end = min(end, at)
    return list(words[start:end])


def _find(texts: Sequence[str], wanted: Sequence[str], start: int) -> int | None:
    count, sought = len(wanted), list(wanted)
    return next((at for at in range(start, len(texts) - count + 1) if list(texts[at : at + count]) == sought), None)


def _place(given: Sequence[_Word], start: int, low: int, wanted: Sequence[str]) -> str:
    page = given[min(start, len(given) - 1)].page if given else 1
    before = " ".join(wanted[max(0, low - _BEFORE) : low])
    return f"trang {page}, sau «{before}»" if before else f"trang {page}, đầu nội dung"


def _cut(words: Sequence[str]) -> str:
    return " ".join(words) if len(words) <= _LONGEST else " ".join(words[:_LONGEST]) + " …"


def _squeezed(text: str) -> str:
    return "".join(text.split())
