"""One cell at a time: what a clerk typed, as the value that a record holds."""

from __future__ import annotations

import re
from datetime import date, datetime

from email_validator import EmailNotValidError, validate_email

from congvan.registry.columns import Column, Holds
from congvan.registry.faults import shown
from congvan.registry.workbook import Cell, Unread
from congvan.rules.names import fold, illegible, one_line
from congvan.rules.records import nfc

Value = str | int | bool | date | tuple[str, ...] | None

#: What a spreadsheet would run as a formula when the text is opened there again (OWASP, CSV injection).
_FORMULA_LIKE = re.compile("[=+\\-@\uff1d\uff0b\uff0d\uff20]")
_GUARDED = re.compile("'+[=+\\-@\uff1d\uff0b\uff0d\uff20]")
#: What may begin with a plus or a minus in such a column.
_HARMLESS = {Holds.PHONE: re.compile(r"\+?[\d\s().-]+"), Holds.NUMBER: re.compile(r"-?\d+")}
#: A spreadsheet has taken its first 0 for nothing, also where it wrote the file as CSV since.
_SHORT_TAX_CODE = re.compile(r"[0-9]{9}")
#: Numbers of services, which are dialled as they are.
_WITHOUT_AREA = ("1800", "1900")
_ISO = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})")
_DAY_FIRST = re.compile(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})")
_YES = frozenset({"co", "x", "1", "true", "yes", "dung"})
_NO = frozenset({"", "khong", "0", "false", "no", "sai"})


class BadCell(ValueError):
    """This cell cannot be used; message and remedy say why."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message, self.remedy = message, remedy


def value_of(cell: Cell, column: Column) -> Value:
    """The value of a cell, None when it is empty; raise BadCell. Only several codes may stand on several lines."""
    if cell is Unread.FORMULA:
        raise BadCell("ô chứa công thức", "chép ô rồi dán lại theo kiểu «chỉ giá trị»")
    if cell is Unread.ERROR:
        raise BadCell("ô báo lỗi của bảng tính (#N/A, #REF!…)", "gõ giá trị đúng; không có gì thì xóa ô")
    if column.holds is Holds.DATE and isinstance(cell, date):
        return cell.date() if isinstance(cell, datetime) else cell
    text = _text(cell, column)
    if not text:
        return None
    if column.holds is not Holds.CODES:
        text = one_line(text)
    if column.holds is Holds.TAX_CODE and _SHORT_TAX_CODE.fullmatch(text):
        return f"0{text}"
    match column.holds:
        case Holds.DATE:
            return _date(text)
        case Holds.FLAG:
            return _flag(text)
        case Holds.CODES:
            return tuple(dict.fromkeys(part for one in re.split(r"[;,\n]", text) if (part := one.strip())))
        case Holds.EMAIL:
            return mailbox(text)
        case _:
            return text


def _text(cell: Cell, column: Column) -> str:
    if isinstance(cell, bool):
        return "1" if cell else "0"
    if isinstance(cell, float):
        return _digits(cell, column)
    if isinstance(cell, date):
        raise BadCell(f"bảng tính đã đổi ô thành ngày {cell:%d/%m/%Y}", "đặt định dạng ô là văn bản rồi gõ lại giá trị")
    return clean(str(cell), column.holds)


def _digits(number: float, column: Column) -> str:
    """A number as it was typed: spreadsheets keep 1 as 1.0, and drop the 0 or the + before a telephone number."""
    text = str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)
    if column.holds is Holds.TAX_CODE and not text.isdigit():
        raise BadCell(f"«{text}» không phải là mã số thuế", "đặt định dạng ô là văn bản rồi gõ lại giá trị")
    if column.holds is not Holds.PHONE or not text.isdigit():
        return text
    if text.startswith("84") and len(text) in (11, 12):
        return f"+{text}"
    return f"0{text}" if len(text) in (9, 10) and not text.startswith(_WITHOUT_AREA) else text


def clean(text: str, holds: Holds = Holds.TEXT) -> str:
    """The text in NFC without blanks around it; raise BadCell on control characters and formulas."""
    text = str(nfc(text))
    if strange := illegible(text):
        raise BadCell(f"«{shown(text)}» có ký tự không đọc được ({strange})", "gõ lại ô này, hoặc lưu tệp theo UTF-8")
    if _GUARDED.match(text):
        return text[1:]
    harmless = _HARMLESS.get(holds)
    if _FORMULA_LIKE.match(text) and not (harmless and harmless.fullmatch(text)):
        raise BadCell(
            f"«{shown(text)}» bắt đầu như một công thức",
            "bỏ ký tự = + - @ ở đầu ô; ô không có gì thì để trống",
        )
    return text


def guard(text: str) -> str:
    """The text as it may stand in a file that a spreadsheet opens; `clean` takes the guard off again."""
    return f"'{text}" if _FORMULA_LIKE.match(text) or _GUARDED.match(text) else text


def _date(text: str) -> date:
    if found := _ISO.fullmatch(text.removesuffix(" 00:00:00")):
        year, month, day = map(int, found.groups())
    elif found := _DAY_FIRST.fullmatch(text):
        day, month, year = map(int, found.groups())
    else:
        raise BadCell(f"«{shown(text)}» không phải là ngày", "ghi theo dạng dd/mm/yyyy, ví dụ 29/11/2023")
    try:
        return date(year, month, day)
    except ValueError as error:
        raise BadCell(f"không có ngày {shown(text)}", "ghi một ngày có thật, dạng dd/mm/yyyy") from error


def _flag(text: str) -> bool:
    answer = fold(text)
    if answer not in _YES | _NO:
        raise BadCell(f"«{shown(text)}» không phải là có hoặc không", "ghi «có» hoặc để trống")
    return answer in _YES


def mailbox(text: str) -> str:
    """The address in the form that SMTP can use.

    An internationalised domain becomes its ASCII form (RFC 5891), which every server accepts. A name
    before the @ with other letters stays as it is: it needs SMTPUTF8 (RFC 6531) at the relay and at the
    recipient's, and `needs_smtputf8` lists it. Raise BadCell for anything else.
    """
    if len(re.findall("@", text)) > 1:
        raise BadCell(f"«{shown(text)}» có nhiều hộp thư trong một ô", "ghi mỗi hộp thư thành một dòng riêng")
    try:
        checked = validate_email(text, check_deliverability=False)
    except EmailNotValidError as error:
        raise BadCell(
            f"«{shown(text)}» không phải là địa chỉ thư điện tử ({error})",
            "ghi dạng ten@tenmien, ví dụ vanthu@congty.vn",
        ) from error
    return f"{checked.local_part}@{checked.ascii_domain}"
