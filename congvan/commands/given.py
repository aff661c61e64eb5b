"""What people type as values: dates, numbers, files, addresses. Each is read, or refused with a remedy."""

from __future__ import annotations

import getpass
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from congvan.errors import BadInput, Fault

if TYPE_CHECKING:
    from congvan.rules.requirements import Wrong
    from congvan.rules.uploads import Upload

_COMMAND = "congvan"
_DAY = re.compile(r"(?:(?P<y>\d{4})-(?P<m>\d{1,2})-(?P<d>\d{1,2}))|(?:(?P<D>\d{1,2})/(?P<M>\d{1,2})/(?P<Y>\d{4}))")
#: What the calendar's data reaches; before and after, every weekday would count as worked.
YEARS = range(2000, 2100)
#: No register of an office comes near it in a year, and every database can hold it.
_LARGEST_NUMBER = 999_999
#: A scanned letter of a hundred pages.
LARGEST_PDF_BYTES = 30 * 1024 * 1024


def refuse(field: str, message: str, remedy: str, file: str = _COMMAND) -> BadInput:
    """A fault in one option or argument."""
    return BadInput([Fault(file, field, message, remedy)])


def _whole(_: object, tokens: Sequence[Any]) -> int:
    (token,) = tokens
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", token.value):
        raise ValueError("phải là số nguyên")
    return int(token.value)


#: A whole number: 5.5 is refused, and not taken for 6.
Whole = Annotated[int, Parameter(converter=_whole)]


def year(value: int, field: str) -> int:
    """A year of a register; raise BadInput."""
    if not 1945 <= value <= 2999:
        raise refuse(field, f"«{value}» không phải là năm", "ghi bốn chữ số")
    return value


def number(value: int, field: str) -> int:
    """A number of a register; raise BadInput."""
    if not 1 <= value <= _LARGEST_NUMBER:
        raise refuse(field, f"«{value}» không phải là số văn bản", f"ghi một số từ 1 đến {_LARGEST_NUMBER}")
    return value


def day(text: str, field: str) -> date:
    """A day as 2024-02-06 or 06/02/2024, in a year that the calendar has; raise BadInput."""
    found = _DAY.fullmatch(text.strip())
    try:
        if found is None:
            raise ValueError
        written = [found[a] or found[b] for a, b in (("y", "Y"), ("m", "M"), ("d", "D"))]
        read = date(*map(int, written))
    except ValueError:
        raise refuse(field, f"«{text}» không phải là một ngày có thật", "ghi 2024-02-06 hoặc 06/02/2024") from None
    if read.year not in YEARS:
        raise refuse(field, f"«{text}»: lịch không có năm {read.year}", f"chọn năm {YEARS[0]}–{YEARS[-1]}")
    return read


def until(text: str, field: str) -> datetime:
    """An instant: a day (then 17:00) or a day and an hour, in Vietnam unless a zone is given; raise BadInput."""
    from congvan.rules.calendar import VIETNAM, instant

    words = text.strip().replace("T", " ").split(" ", 1)
    if _DAY.fullmatch(words[0]):
        found = day(words[0], field)
        try:
            at = time.fromisoformat(words[1].strip()) if len(words) == 2 else time(17)
        except ValueError:
            raise refuse(field, f"«{words[1]}» không phải là giờ", 'ghi "2024-02-06 17:00"') from None
        return instant(found, at) if at.tzinfo is None else datetime.combine(found, at).astimezone(VIETNAM)
    raise refuse(field, f"«{text}» không phải là ngày giờ", 'ghi "2024-02-06 17:00" hoặc 2024-02-06')


def letter_number(text: str, field: str) -> str:
    """Số of a letter: digits, at most one letter after them; raise BadInput."""
    from congvan.letters.numbering import is_number

    if not is_number(text.strip()):
        raise refuse(field, f"«{text}» không phải là số văn bản", "chỉ ghi phần số, ví dụ 125 hoặc 125a")
    return text.strip()


def pdf(path: Path | None, field: str) -> bytes | None:
    """The bytes of a PDF file, or None where none was named; raise BadInput."""
    if path is None:
        return None
    try:
        if path.stat().st_size > LARGEST_PDF_BYTES:
            raise refuse(field, "tệp lớn hơn 30 MB", "quét lại ở độ phân giải 200–300 dpi", str(path))
        data = path.read_bytes()
    except OSError as error:
        reason = f"không đọc được tệp ({error.strerror})"
        raise refuse(field, reason, "kiểm tra đường dẫn và quyền đọc", str(path)) from None
    # ISO 32000-1 7.5.2: the header stands within the first 1,024 bytes.
    if b"%PDF-" not in data[:1024]:
        raise refuse(field, "không phải là tệp PDF", "xuất hoặc quét văn bản đã ký thành PDF", str(path))
    return data


def address(text: str | None, field: str) -> str | None:
    """A mailbox in the form that SMTP can use, or None where none was named; raise BadInput."""
    if text is None:
        return None
    from congvan.registry.cells import BadCell, mailbox

    try:
        return mailbox(text.strip())
    except BadCell as error:
        raise refuse(field, error.message, error.remedy) from None


def words(text: str, field: str, what: str) -> str:
    """A text that must say something; raise BadInput."""
    if not text.strip():
        raise refuse(field, f"thiếu {what}", f"ghi {what} sau {field}")
    return text.strip()


def person(by: str | None) -> str:
    """Who acts: as named, else the account on this machine."""
    if by is not None:
        return words(by, "--by", "họ tên người thực hiện")
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        raise refuse("--by", "không rõ ai thực hiện", "thêm --by và họ tên") from None


def pairs(given: Sequence[str], field: str) -> dict[str, str]:
    """key=value, each key once; raise BadInput."""
    found: dict[str, str] = {}
    for one in given:
        key, equals, value = one.partition("=")
        if not equals or not key.strip() or key.strip() in found:
            raise refuse(field, f"«{one}» không phải là mã=giá trị, hoặc ghi hai lần", "ghi ví dụ so_nguoi=25")
        found[key.strip()] = value
    return found


def uploads(given: Sequence[str], field: str) -> tuple[dict[str, Upload], list[Upload]]:
    """Files by the key before "=", and those without a key; raise BadInput."""
    from congvan.rules.uploads import LARGEST_BYTES, upload

    named: dict[str, Upload] = {}
    beside: list[Upload] = []
    for one in given:
        key, equals, value = one.partition("=")
        path = Path(value if equals else one)
        try:
            if path.stat().st_size > LARGEST_BYTES:
                raise refuse(field, "tệp lớn hơn 10 MB", "chia nhỏ hoặc nén lại", str(path))
            file = upload(path.name, path.read_bytes())
        except OSError as error:
            reason = f"không đọc được tệp ({error.strerror})"
            raise refuse(field, reason, "kiểm tra đường dẫn và quyền đọc", str(path)) from None
        if equals:
            named[key.strip()] = file
        else:
            beside.append(file)
    return named, beside


def wrong_answers(wrong: Mapping[str, Wrong], words_file: Path) -> BadInput:
    """What is wrong with the fields of a report, in the words of the pages."""
    import yaml

    texts = yaml.safe_load(words_file.read_text("utf-8"))
    return BadInput(
        Fault(_COMMAND, key, "chưa đúng", texts[one.code]["vi"].format(**{k: _plain(v) for k, v in one.values.items()}))
        for key, one in wrong.items()
    )


def _plain(value: object) -> str:
    return f"{value:%d/%m/%Y}" if isinstance(value, date) else str(value)
