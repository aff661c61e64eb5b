"""Builds the working calendars from the `holidays` package and `config/calendar.yaml`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, time
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Self

import holidays
from pydantic import ConfigDict, Field, model_validator

from congvan.errors import BadInput, Fault
from congvan.reading import lines_of, read_record
from congvan.rules.calendar import Calendar, Calendars
from congvan.rules.records import Day, Record, Text, Wall

_SATURDAY, _SUNDAY = 5, 6
#: From this month on terms reach into the next year, and its days off are announced (those of 2026 in December 2025).
_LOOKS_AHEAD_FROM = 11


class Correction(Record):
    """A day that the package does not know, by the decision that ordered it."""

    date: Day
    kind: Literal["off", "work"]
    #: state: swapped days bind the state sector; both: a statutory holiday.
    calendar: Literal["state", "both"] = "state"
    decision: Text
    recorded_on: Day


class Window(Record):
    """Days in which routine mail is held, both included."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)
    first: Day = Field(alias="from")
    last: Day = Field(alias="to")
    why: Text = ""

    @model_validator(mode="after")
    def has_days(self) -> Self:
        """A window that ends before it begins is a slip of the pen."""
        if self.last < self.first:
            raise ValueError("«to» phải từ ngày «from» trở đi")
        return self


class Hours(Record):
    """Office hours in Vietnam."""

    opens: Wall = time(7, 30)
    closes: Wall = time(17, 30)

    @model_validator(mode="after")
    def open_at_all(self) -> Self:
        """An office that never opens would hold every mail for ever."""
        if self.opens >= self.closes:
            raise ValueError("giờ làm việc không bao giờ mở: «closes» phải sau «opens»")
        return self


class CalendarFile(Record):
    """`config/calendar.yaml`."""

    office_hours: Hours = Hours()
    corrections: tuple[Correction, ...] = ()
    quiet: tuple[Window, ...] = ()
    #: The last year whose swapped days have been announced; later years are estimates.
    official_until: int = 2026


def read_calendar_file(path: Path) -> CalendarFile:
    """The file as it stands; an absent file is an empty one. Raise BadInput.

    Read as every file that people write: to `yaml.safe_load` an `off` without quotes is false and 17:30 is 1050.
    """
    if not path.exists():
        return CalendarFile()
    file, _ = read_record(path, CalendarFile)
    if twice := list(_twice(path, file)):
        raise BadInput(twice)
    return file


def _twice(path: Path, file: CalendarFile) -> Iterator[Fault]:
    """Days that are corrected twice: only one of the two would count."""
    first: dict[date, int] = {}
    for number, one in enumerate(file.corrections, 1):
        if (before := first.setdefault(one.date, number)) != number:
            field, message = f"corrections[{number}].date", f"ngày {one.date:%d/%m/%Y} đã có ở mục {before}"
            yield Fault(str(path), field, message, "giữ lại một mục cho mỗi ngày", lines_of(path).get(field))


def unannounced(file: CalendarFile, today: date) -> Iterator[tuple[str, str]]:
    """(what, remedy) for what the file does not say of years that terms reach into."""
    year = today.year + (today.month >= _LOOKS_AHEAD_FROM)
    if file.official_until < year:
        until = file.official_until
        yield (
            f"ngày nghỉ chính thức mới có đến hết năm {until}: thời hạn trong năm {year} là tạm tính",
            f"khi có thông báo ngày nghỉ năm {year}: ghi vào calendar.yaml, đặt official_until: {year}, "
            "khởi động lại rồi chạy congvan calendar apply --dry-run",
        )
    following = today.year + 1
    if following not in {one.date.year for one in file.corrections} | {one.first.year for one in file.quiet}:
        yield (
            f"calendar.yaml chưa ghi ngày nào của năm {following}",
            f"ghi những ngày giữ thư nhắc dịp Tết năm {following} vào quiet",
        )


def build(file: CalendarFile) -> Calendars:
    """The two calendars.

    The state sector swaps days (làm bù, hoán đổi); few enterprises follow, so theirs has the statutory
    holidays with their days in lieu, and nothing else.
    """
    # `weekend_workdays` is filled lazily, year by year, so only `is_working_day` is asked;
    # without `language` the names come out in another language's habit.
    vietnam: Any = holidays.country_holidays("VN", language="vi")
    in_state = {c.date: c.kind == "work" for c in file.corrections}
    in_both = {c.date: c.kind == "work" for c in file.corrections if c.calendar == "both"}

    @lru_cache(maxsize=8192)
    def state_works(day: date) -> bool:
        return in_state.get(day, bool(vietnam.is_working_day(day)))

    @lru_cache(maxsize=8192)
    def enterprise_works(day: date) -> bool:
        if day in in_both:
            return in_both[day]
        if day.weekday() in (_SATURDAY, _SUNDAY):
            return False
        names = vietnam.get_list(day)
        return not names or all(_swapped(name) for name in names)

    quiet = tuple((window.first, window.last) for window in file.quiet)
    hours = file.office_hours
    return Calendars(
        Calendar(state_works, hours.opens, hours.closes, quiet),
        Calendar(enterprise_works, hours.opens, hours.closes, quiet),
    )


def _swapped(name: str) -> bool:
    # The package's words for a day off that is worked on another day.
    return "thay cho ngày" in name
