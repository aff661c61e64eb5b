"""Rules of spelling and wording: each takes one plain text and gives what is wrong and what to do."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import Literal

Found = Iterator[tuple[str, str]]

#: Words that Vietnamese doubles on purpose.
_REDUPLICATED = frozenset(
    {"luôn", "ngày", "đêm", "người", "nhà", "nơi", "đời", "lần", "từ", "dần", "mãi", "thường", "ai", "đâu", "chầm"}
)
#: Agency and office names as Phụ lục II capitalises them; also feasts of the lunar year.
CAPITALISED = (
    "Ủy ban nhân dân",
    "Hội đồng nhân dân",
    "Ban Quản lý Khu kinh tế",
    "Ban Quản lý các khu công nghiệp",
    "Thủ tướng Chính phủ",
    "Phó Thủ tướng Chính phủ",
    "Văn phòng Chính phủ",
    "Tết Nguyên đán",
)
#: New placement of the tone (hoà, uỷ): on the second vowel of an open oa, oe, uy; qu is a consonant.
_NEW_TONE = re.compile(r"\w*(?:o[àáảãạèéẻẽẹ]|(?<![qQ])u[ỳýỷỹỵ])(?!\w)", re.IGNORECASE)
_TONES = "\u0300\u0301\u0303\u0309\u0323"


def doubled_phrase(text: str) -> Found:
    """Two or more words said twice: "Chủ đầu tư chủ đầu tư"."""
    seen = re.search(r"\b(\w+(?:\s+\w+){1,5})\s+\1\b", text, re.IGNORECASE)
    if seen:
        yield f"lặp «{seen[1]}»", f"viết «{seen[1]}» một lần"


def doubled_word(text: str) -> Found:
    """One word said twice, unless Vietnamese doubles it."""
    for seen in re.finditer(r"\b([^\W\d_]+)\s+\1\b", text, re.IGNORECASE):
        if seen[1].lower() not in _REDUPLICATED:
            yield f"lặp từ «{seen[0]}»", "bỏ một từ nếu là lặp nhầm"


def spaces(text: str) -> Found:
    """Two spaces, a space before a mark, none after it."""
    if re.search(r"\S[ \t]{2,}\S", text):
        yield "có hai dấu cách liền nhau", "để một dấu cách"
    if seen := re.search(r"\S+ +[,;:.!?)](?!\.)", text):
        yield f"dấu cách thừa trước dấu câu: «{seen[0]}»", "viết dấu câu liền sau chữ"
    if seen := re.search(r"[^\W\d_]+[,;](?=[^\W\d_])", text):
        yield f"thiếu dấu cách sau «{seen[0]}»", "thêm dấu cách sau dấu câu"


def before_day(text: str) -> Found:
    """ "trước ngày X" leaves open whether X counts."""
    if re.search(r"\btrước ngày\b", text, re.IGNORECASE):
        yield "«trước ngày …» không rõ có tính ngày ấy hay không", "viết «trước 17 giờ 00 ngày …»"


def tones(text: str) -> Found:
    """New tone placement; the engine's own words use the old one (hòa, ủy)."""
    for word in dict.fromkeys(seen[0] for seen in _NEW_TONE.finditer(text)):
        yield f"«{word}» đặt dấu thanh khác với phần còn lại của văn bản", f"viết «{_old_tone(word)}»"


def _old_tone(word: str) -> str:
    """The word with its tone on the vowel before: "hoà" → "hòa"."""
    head, last = unicodedata.normalize("NFD", word[:-1]), unicodedata.normalize("NFD", word[-1])
    tone = "".join(sign for sign in last if sign in _TONES)
    return unicodedata.normalize("NFC", head + tone + last.replace(tone, ""))


def capitals(text: str) -> Found:
    """Agency names with other capitals than Phụ lục II gives them; whole capitals are a heading."""
    for name in CAPITALISED:
        for seen in re.finditer(re.escape(name), text, re.IGNORECASE):
            if seen[0] not in {name, name.upper()}:
                yield f"«{seen[0]}» sai chữ hoa", f"viết «{name}» (NĐ 30/2020, Phụ lục II)"


def days(text: str) -> Found:
    """Days below 10 and months 1 and 2 need a zero (Phụ lục I, mục II.4b)."""
    for seen in re.finditer(r"(?<![\d/])(\d{1,2})/(\d{1,2})/(\d{4})(?!\d)", text):
        day, month, year = seen.groups()
        if len(day) == 1 or month in {"1", "2"}:
            right = f"{int(day):02d}/{month.zfill(2) if month in {'1', '2'} else month}/{year}"
            yield f"ngày «{seen[0]}» thiếu số 0", f"viết «{right}»"


def prefix_space(text: str) -> Found:
    """KT.TRƯỞNG BAN in running text or Nơi nhận."""
    if seen := re.search(r"\b(?:TM|KT|TL|TUQ)\.(?=[^\W\d])", text):
        yield f"thiếu dấu cách sau «{seen[0]}»", f"viết «{seen[0]} »"


def demand(text: str) -> Found:
    """A board asks enterprises; it has no power to fine for silence."""
    if re.search(r"(?<!theo )\byêu cầu (?:các|Quý|quý) (?:đơn vị|doanh nghiệp|chủ đầu tư)", text):
        yield "văn bản phối hợp gửi doanh nghiệp nên dùng «đề nghị»", "thay «yêu cầu» bằng «đề nghị»"


#: Name, finder, severity.
WORD_RULES: tuple[tuple[str, Callable[[str], Found], Literal["error", "warning"]], ...] = (
    ("doubled_phrase", doubled_phrase, "error"),
    ("doubled_word", doubled_word, "warning"),
    ("spaces", spaces, "warning"),
    ("before_day", before_day, "warning"),
    ("tones", tones, "warning"),
    ("capitals", capitals, "warning"),
    ("days", days, "warning"),
    ("prefix_space", prefix_space, "error"),
    ("demand", demand, "warning"),
)
