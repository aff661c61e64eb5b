"""What a person wrote above the letter that he answers: quoted text, its heading and signatures cut off.

The headings are those of the programs in use here, in Vietnamese and English. Every pattern looks at one
line, or at a few joined ones, and is bounded: text of others must not cost time.
"""

from __future__ import annotations

import re

from congvan.rules.names import without_unseen

#: "Vào Th 2, 4 thg 12, 2023 vào lúc 09:15 … <…> đã viết:", "On Mon, Dec 4, 2023 at 9:15 AM … wrote:"
_WROTE = re.compile(
    r"^\W{0,3}(?:Vào|Ngày|Lúc|Hôm|Thứ|Trong|On|Le|Am)\b.{4,400}?"
    r"\b(?:đã viết|viết|đã gửi|wrote|writes|a écrit|schrieb)\s{0,2}[:：]?\s*$",
    re.IGNORECASE,
)
_RULE = re.compile(
    r"^[\s>*_-]{0,40}(?:Thư gốc|Tin nhắn gốc|Thông điệp gốc|Nội dung gốc|Thư gốc đính kèm|"
    r"Thư (?:được )?chuyển tiếp|Tin nhắn (?:được )?chuyển tiếp|Thư đã chuyển tiếp|Bắt đầu thư được chuyển tiếp|"
    r"Original Message|Forwarded message|Begin forwarded message|Reply above this line)"
    r"[\s*:_-]{0,60}$",
    re.IGNORECASE,
)
_FIELD = re.compile(
    r"^[\s>*|]{0,8}(?P<name>Từ|Người gửi|Gửi từ|From|Đã gửi|Ngày gửi|Gửi lúc|Ngày|Thời gian|Sent|Date|Tới|Đến|"
    r"Người nhận|Gửi đến|Gửi tới|To|Cc|Đồng gửi|Chủ đề|Tiêu đề|Đề mục|Subject)\*{0,2}\s{0,2}:",
    re.IGNORECASE,
)
_SENDER = {"từ", "người gửi", "gửi từ", "from"}
_UNDERSCORES = re.compile(r"^\s{0,4}_{20,}\s*$")
#: What a device or a program puts below by itself; a person may have sent something from somewhere, too.
_MOBILE = re.compile(
    r"^\s{0,4}(?:(?:Đã gửi|Được gửi|Gửi) (?:từ|bằng)|Sent (?:from|with)|(?:Get|Tải)(?= Outlook))\s"
    r"(?:(?:my|an?|the|điện thoại|thiết bị|máy|ứng dụng)\s){0,3}"
    r"(?:iPhone|iPad|Android|Samsung|Galaxy|Xiaomi|Redmi|Huawei|OPPO|vivo|Realme|Nokia|BlackBerry|Windows|Outlook|Yahoo"
    r"|Gmail|Mail for|Mail cho|Thư cho|Zimbra|mobile|phone|di động|thông minh)\b[^:]{0,30}$",
    re.IGNORECASE,
)
_SIGNATURE = re.compile(r"^--\s?$")


def own_words(text: str) -> str:
    """What the writer of this mail wrote himself: above the letter that he answers, else all that is not quoted."""
    lines = without_unseen(text).replace("\xa0", " ").split("\n")[:2000]
    end = next((number for number in range(len(lines)) if _ends_here(lines, number)), len(lines))
    own = _unquoted([line for line in lines[:end] if not _MOBILE.match(line)])
    # He may write below what he answers. Better a heading beside his answer than an answer that nobody sees.
    return own or _unquoted(lines)


def _unquoted(lines: list[str]) -> str:
    kept = [line.rstrip() for line in lines if not line.lstrip().startswith((">", "|>"))]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip()


def _ends_here(lines: list[str], number: int) -> bool:
    line = lines[number]
    if _SIGNATURE.match(line) or _RULE.match(line):
        return True
    if _UNDERSCORES.match(line) and _heading(lines, number + 1):
        return True
    return _heading(lines, number) or _wrote(lines, number)


def _wrote(lines: list[str], number: int) -> bool:
    """A heading that a program may have broken over up to three lines."""
    joined = ""
    for line in lines[number : number + 3]:
        joined = f"{joined} {line.strip()}".strip()
        if not line.strip():
            return False
        if len(joined) < 500 and _WROTE.match(joined):
            return True
    return False


def _heading(lines: list[str], number: int) -> bool:
    """Outlook's block: a sender line and at least two more fields within the next lines."""
    rest = [line for line in lines[number : number + 10] if line.strip()]
    first = _FIELD.match(rest[0]) if rest else None
    if first is None or first["name"].casefold() not in _SENDER:
        return False
    return sum(_FIELD.match(line) is not None for line in rest[:7]) >= 3
