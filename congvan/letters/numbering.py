"""How numbers, dates, symbols and stamps are written (NĐ 30/2020/NĐ-CP, Phụ lục I). Pure formatting."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, datetime, timedelta, timezone

from congvan.rules.records import NUMBER, Urgency, padded

#: Vietnam keeps UTC+7 all year; a letter never speaks of another zone.
VIETNAM = timezone(timedelta(hours=7), "ICT")

#: What stands where the clerk has not yet written the number or the date.
BLANK = "…"
#: Wide blanks of the draft's own header: room for a pen.
BLANK_NUMBER = "\u2003\u2003"
BLANK_DAY = "\u2003"

#: Points follow the Vietnamese alphabet (Phụ lục I, mục II.6d): đ stands after d; f, j, w, z do not occur.
POINTS = "abcdđeghiklmnopqrstuvxy"

STAMPS: dict[Urgency, str] = {
    Urgency.NORMAL: "",
    Urgency.URGENT: "KHẨN",
    Urgency.VERY_URGENT: "THƯỢNG KHẨN",
    Urgency.FLASH: "HỎA TỐC",
    Urgency.FLASH_TIMED: "HỎA TỐC HẸN GIỜ",
}

# A stamp of secrecy stands alone on its line, in capitals; "bảo mật" and "bí mật" in running text are words.
_SECRET = re.compile(r"^[^\w\n]*(?:(?:TUYỆT|TỐI)\s+)?MẬT[^\w\n]*$|\b(?:TUYỆT|TỐI)\s+MẬT\b", re.MULTILINE)
_SPOKEN_OF = re.compile(r"\b(?:(?:TUYỆT|TỐI)\s+)?MẬT\b")


def code(number: str, symbol: str, *, abbreviation: str = "", blank: str = BLANK) -> str:
    """Số và ký hiệu as one: "05/VP-TH".

    symbol: the notation alone ("VP-TH") or a pattern with {number} and {abbreviation}.
    blank: what stands for a number that is not given yet.
    """
    written = padded(number) if number else blank
    if "{number}" not in symbol:
        return f"{written}/{symbol}" if symbol else written
    return symbol.replace("{number}", written).replace("{abbreviation}", abbreviation)


def is_number(text: str) -> bool:
    """Whether this may stand as số: digits, at most one letter after them; no document has the number 0."""
    return re.fullmatch(NUMBER, text) is not None


def short_day(day: date | None) -> str:
    """ "08/12/2023"; an unknown day is "…/…/…"."""
    if day is None:
        return f"{BLANK}/{BLANK}/{BLANK}"
    return f"{day.day:02d}/{day.month:02d}/{day.year}"


def long_day(day: date) -> str:
    """ "ngày 05 tháng 02 năm 2024": days below 10 and months 1 and 2 get a zero, month 3 does not
    (Phụ lục I, mục II.4b)."""
    month = f"{day.month:02d}" if day.month <= 2 else str(day.month)
    return f"ngày {day.day:02d} tháng {month} năm {day.year}"


def date_line(place: str, day: date | None) -> str:
    """Địa danh và thời gian: "Hà Nội, ngày 05 tháng 02 năm 2024"; a draft leaves room for the pen."""
    written = long_day(day) if day else f"ngày {BLANK_DAY} tháng {BLANK_DAY} năm {BLANK_DAY}"
    return f"{place}, {written}" if place else written


def moment(instant: datetime) -> str:
    """ "17 giờ 00 ngày 08/12/2023", in Vietnam. Raise ValueError for a naive instant."""
    if instant.tzinfo is None:
        raise ValueError("a deadline is an aware instant")
    local = instant.astimezone(VIETNAM)
    return f"{local.hour:02d} giờ {local.minute:02d} ngày {short_day(local.date())}"


def point(index: int) -> str:
    """The letter of the point at this place, from 0: a, b, c, d, đ, e, g…; after y come aa, ab…"""
    turn, place = divmod(index, len(POINTS))
    return (POINTS[turn - 1] if turn else "") + POINTS[place]


def roman(number: int) -> str:
    """Phụ lục I, II, III… Raise ValueError below 1."""
    if number < 1:
        raise ValueError("appendices count from 1")
    steps = ((100, "C"), (90, "XC"), (50, "L"), (40, "XL"), (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I"))
    written = ""
    for value, sign in steps:
        times, number = divmod(number, value)
        written += sign * times
    return written


def listed(items: Iterable[str]) -> str:
    """ "A", "A và B", "A, B và C"."""
    names = [item for item in items if item]
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} và {names[-1]}"


def thousands(number: int | float) -> str:
    """1234567 → "1.234.567"; a fraction keeps one place after a comma."""
    whole = f"{number:,}" if isinstance(number, int) else f"{number:,.1f}"
    return whole.translate(str.maketrans(",.", ".,"))


def secret_stamp(text: str) -> str:
    """The secrecy stamp in this text (MẬT, TỐI MẬT, TUYỆT MẬT), or "".

    Classified documents never travel by this engine (NĐ 30/2020 Điều 15.2, 16.3, 22.4).
    """
    found = _SECRET.search(text)
    return " ".join(found[0].split()) if found else ""


def quoted(text: str) -> str:
    """Somebody else's words within a letter: a stamp of secrecy that they speak of stands in small letters, for the
    letter that quotes them bears none."""
    return _SPOKEN_OF.sub(lambda found: found[0].lower(), text)
