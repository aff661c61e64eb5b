"""What in a plan's letter is against NĐ 30/2020/NĐ-CP or good practice, before anybody signs it.

`errors` stop a launch, the rest is shown. Rules of form bind authorities only: where no hop of the
cascade is an authority's signed letter, they are left out (NĐ 30/2020 Điều 2).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from congvan.letters import faces, numbering, rehearsal
from congvan.letters.filters import DEADLINE
from congvan.letters.lint_words import WORD_RULES
from congvan.rules.records import CampaignPlan, Cascade, Issue, LetterText

Severity = Literal["error", "warning"]

_JINJA = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_INLINE = re.compile(r"</?(?:b|i|u|a|strong|em)\b[^>]*>", re.IGNORECASE)
#: Stands for a tag between two sentences: no word, and no blank that a rule would read over.
_BREAK = "\n¶\n"


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing that a rule has found, in the words of the person who wrote the plan.

    rule: its short name. place: the dotted path in the plan, items counted from 1, or "cascade.…".
    """

    rule: str
    place: str
    message: str
    remedy: str
    severity: Severity

    def __str__(self) -> str:
        word = "Lỗi" if self.severity == "error" else "Lưu ý"
        return f"{word} [{self.rule}] {self.place}: {self.message} → {self.remedy}"


def lint(plan: CampaignPlan, cascade: Cascade, source: str = "") -> list[Remark]:
    """Every remark on this plan, errors first; source: the file as written, where its letters' form matters."""
    official = any(hop.issue is Issue.SIGNED for hop in cascade.hops)
    remarks = [*_source(source), *_secrets(plan), *_unshown(plan), *_html(plan), *_words(plan), *_promises(plan)]
    if official:
        remarks += [*_signer(plan), *_file_copy(plan.letter), *_ending(plan.letter), *_lines(plan.letter)]
        remarks += _symbols(cascade)
    return sorted(remarks, key=lambda one: one.severity != "error")


def errors(remarks: Iterable[Remark]) -> list[Remark]:
    """Those remarks that stop a launch."""
    return [one for one in remarks if one.severity == "error"]


# ------------------------------------------------------------------------------ what is looked at


def texts(plan: CampaignPlan) -> Iterator[tuple[str, str]]:
    """Every text that the letter prints, with its place; names of people are left out."""
    letter = plan.letter
    yield "letter.subject", letter.subject
    for number, name in enumerate(letter.addressees, 1):
        yield f"letter.addressees[{number}]", name
    yield from bodies(letter)
    for number, line in enumerate(letter.distribution, 1):
        yield f"letter.distribution[{number}]", line
    for number, duty in enumerate(plan.segment_duties, 1):
        yield f"segment_duties[{number}].sentence", duty.sentence


def bodies(letter: LetterText) -> Iterator[tuple[str, str]]:
    """The paragraphs in the order in which they are printed."""
    yield "letter.opening", letter.opening
    yield "letter.lead", letter.lead
    for number, text in enumerate(letter.requests, 1):
        yield f"letter.requests[{number}]", text
    yield "letter.note_to_intermediaries", letter.note_to_intermediaries
    yield "letter.confirmation", letter.confirmation
    yield "letter.closing", letter.closing


def _source(source: str) -> Iterator[Remark]:
    if source != unicodedata.normalize("NFC", source):
        yield Remark(
            "nfd",
            "",
            "tệp có chữ tiếng Việt dạng tổ hợp (NFD)",
            "lưu tệp ở Unicode dựng sẵn (NFC, TCVN 6909:2001); máy tự chuyển khi đọc",
            "warning",
        )


def _secrets(plan: CampaignPlan) -> Iterator[Remark]:
    for place, text in [("title", plan.title), *texts(plan)]:
        if stamp := numbering.secret_stamp(re.sub(r"<[^>]+>", "\n", text)):
            yield Remark(
                "secret",
                place,
                f"có dấu chỉ mức độ mật «{stamp}»",
                "chuyển theo đường văn thư mật; hệ thống này không gửi văn bản mật",
                "error",
            )


def _unshown(plan: CampaignPlan) -> Iterator[Remark]:
    above = [
        (f"directives[{number}].{field}", getattr(one, field))
        for number, one in enumerate(plan.directives, 1)
        for field in ("kind", "issuer", "authority", "subject")
    ]
    for place, text in [*texts(plan), *above]:
        if letters := faces.unshown(text):
            message = f"phông chữ của văn bản không có «{letters}»"
            yield Remark("typeface", place, message, "viết bằng chữ Latinh", "error")


def _html(plan: CampaignPlan) -> Iterator[Remark]:
    for place, text in bodies(plan.letter):
        if found := rehearsal.refused(plan, text, item=place.startswith("letter.requests")):
            yield Remark("html", place, *found, "error")
        if re.search(r"https?://|www\.|<a\b", text):
            yield Remark(
                "link",
                place,
                "văn bản không in đường dẫn",
                "bỏ đường dẫn; thư điện tử gửi kèm đã có đường dẫn riêng của từng nơi nhận",
                "error",
            )
        for name in re.findall(r"(?<!\{)\{(\w*)\}(?!\})", text):
            if name != "deadline":
                yield Remark("placeholder", place, f"không có giá trị cho {{{name}}}", "chỉ dùng {deadline}", "error")
        for found in _JINJA.findall(DEADLINE.sub("", text)):
            if re.search(r"\bdeadlines?\b", found):
                yield Remark("placeholder", place, f"«{found}» không in thời hạn", "chỉ viết {deadline}", "error")


def _words(plan: CampaignPlan) -> Iterator[Remark]:
    for place, text in texts(plan):
        plain = _plain(text)
        for rule, find, severity in WORD_RULES:
            for message, remedy in find(plain):
                yield Remark(rule, place, message, remedy, severity)


def _plain(text: str) -> str:
    """The words without tags; what a block, a cell or a line parts is not read as one sentence."""
    return re.sub(r"<[^>]+>", _BREAK, _INLINE.sub("", text)) if "<" in text else text


def _promises(plan: CampaignPlan) -> Iterator[Remark]:
    """What the campaign holds recipients to has to stand in the letter (Luật Giao dịch điện tử 2023 Điều 16)."""
    letter = plan.letter
    if not letter.confirmation:
        yield Remark(
            "confirmation",
            "letter.confirmation",
            "văn bản không đề nghị xác nhận việc tiếp nhận",
            "thêm đoạn nêu việc xác nhận, thời hạn {deadline} và nơi nhận xác nhận",
            "error",
        )
    elif not DEADLINE.search(letter.confirmation):
        yield Remark(
            "confirmation",
            "letter.confirmation",
            "thời hạn trong đoạn xác nhận không phải là thời hạn được tính",
            "viết «trước {deadline}»",
            "error",
        )
    printed = _squeezed(" ".join(text for _, text in bodies(letter)))
    for number, duty in enumerate(plan.segment_duties, 1):
        if _squeezed(duty.sentence) not in printed:
            yield Remark(
                "segment_duty",
                f"segment_duties[{number}].sentence",
                "câu này không có trong văn bản",
                "chép đúng câu của văn bản, hoặc thêm câu ấy vào văn bản",
                "error",
            )


def _squeezed(text: str) -> str:
    return " ".join(text.split()).rstrip(" ./")


# ------------------------------------------------------------------------------ form (authorities)

_PREFIX = re.compile(r"\b(TM|KT|TL|TUQ|Q)\.(?=[^\s.])")
_HONOURS = re.compile(r"^(?:GS|PGS|TS|ThS|CN|KS|BS|NGND|NGƯT|Ông|Bà)\b\.?", re.IGNORECASE)


def _signer(plan: CampaignPlan) -> Iterator[Remark]:
    signer = plan.letter.signer
    for name, text in (("authority", signer.authority), ("position", signer.position)):
        if found := _PREFIX.search(text):
            yield Remark(
                "authority_space",
                f"letter.signer.{name}",
                f"thiếu dấu cách sau «{found[0]}»",
                f"viết «{_PREFIX.sub(found[1] + '. ', text)}» (Phụ lục I, mục II.7b)",
                "error",
            )
    if found := _HONOURS.match(signer.name):
        yield Remark(
            "honours",
            "letter.signer.name",
            f"trước họ tên không ghi «{found[0]}»",
            "chỉ ghi họ và tên (Phụ lục I, mục II.7)",
            "error",
        )


def _file_copy(letter: LetterText) -> Iterator[Remark]:
    """The last line of Nơi nhận is "Lưu: VT, ‹đơn vị soạn thảo›" (Phụ lục I, mục II.9d)."""
    place = f"letter.distribution[{len(letter.distribution)}]"
    last = letter.distribution[-1].rstrip(" .;") if letter.distribution else ""
    if not last.startswith("Lưu"):
        message, remedy = "thiếu dòng lưu ở cuối Nơi nhận", "thêm «Lưu: VT, ‹đơn vị soạn thảo›»"
    elif not re.match(r"Lưu: VT\b", last):
        message, remedy = f"«{last}» không lưu ở văn thư", "viết «Lưu: VT, ‹đơn vị soạn thảo›»"
    elif ";" in last:
        message, remedy = f"«{last}» ngăn cách bằng dấu chấm phẩy", "ngăn cách bằng dấu phẩy: «Lưu: VT, …»"
    else:
        return
    yield Remark("file_copy", place, message, remedy, "error")


def _ending(letter: LetterText) -> Iterator[Remark]:
    """The words end with "./.", and only there (Phụ lục III, mẫu 1.5)."""
    printed = [(place, _plain(text).strip(f"{_BREAK} ")) for place, text in bodies(letter) if text]
    end, last = printed[-1] if printed else ("letter.opening", "")
    if not last.endswith("./."):
        yield Remark("ending", end, "nội dung không kết thúc bằng «./.»", "thêm «./.» vào cuối", "error")
    for place, text in printed:
        body = text.removesuffix("./.") if place == end else text
        if "./." in body:
            yield Remark("ending", place, "«./.» đứng giữa văn bản", "chỉ dùng «./.» ở cuối nội dung", "error")


def _lines(letter: LetterText) -> Iterator[Remark]:
    if found := re.match(r"(V/v|Về việc)\b:?", letter.subject, re.IGNORECASE):
        yield Remark(
            "subject", "letter.subject", f"«{found[0]}» sẽ in hai lần", f"bỏ «{found[0]}» ở đầu trích yếu", "error"
        )
    if letter.subject.endswith((".", ";", ",")):
        yield Remark("subject", "letter.subject", "trích yếu không có dấu ở cuối", "bỏ dấu ở cuối", "warning")
    for field in ("addressees", "distribution"):
        for number, line in enumerate(getattr(letter, field), 1):
            if line.startswith(("-", "+", "•")) or line.endswith((";", ".")):
                yield Remark(
                    "list_marks",
                    f"letter.{field}[{number}]",
                    "gạch đầu dòng và dấu cuối dòng do máy đặt",
                    "chỉ ghi tên nơi nhận",
                    "warning",
                )


#: Capitals at first; small letters follow in TTr, CTr, QyĐ (Phụ lục III).
_GROUP = "[A-ZÂĂĐÊÔƠƯ0-9][A-ZÂĂĐÊÔƠƯa-zâăđêôơư0-9]*"


def _symbols(cascade: Cascade) -> Iterator[Remark]:
    """Số, ký hiệu: a slash after the number, hyphens between groups, no spaces (Phụ lục I, mục II.3)."""
    for number, hop in enumerate(cascade.hops, 1):
        if hop.issue is not Issue.SIGNED:
            continue
        written = hop.symbol.replace("{abbreviation}", "A")
        if not re.fullmatch(rf"\{{number\}}/{_GROUP}(?:[-.&/]{_GROUP})*", written):
            yield Remark(
                "symbol",
                f"cascade.hops[{number}].symbol",
                f"ký hiệu «{hop.symbol}» không đúng thể thức",
                "viết như «{number}/VP-TH»: chữ in hoa, dấu gạch nối, không cách chữ",
                "error",
            )
