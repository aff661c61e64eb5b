"""Working days, office hours and quiet windows of one office. Pure: the days come in as data.

`congvan.almanac` builds a `Calendar` from the `holidays` package and `config/calendar.yaml`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

#: Vietnam has had one zone without summer time since 1975; instants are stored in UTC.
VIETNAM = ZoneInfo("Asia/Ho_Chi_Minh")
_DAY = timedelta(days=1)
#: No run of days off comes near this; a longer search means a calendar that never works.
_LONGEST_BREAK_DAYS = 60
#: Days on which one office works while the other has its longest break.
_LONGEST_ROLL_DAYS = 15


class NoWorkingDay(ValueError):
    """This calendar has no working day for two months."""


def local(instant: datetime) -> datetime:
    """An instant as the clock on the wall in Vietnam shows it; refuses naive values."""
    if instant.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    return instant.astimezone(VIETNAM)


def instant(day: date, at: time) -> datetime:
    """The UTC instant of a wall-clock time in Vietnam."""
    return datetime.combine(day, at, VIETNAM).astimezone(UTC)


@dataclass(frozen=True)
class Calendar:
    """One office's working time.

    is_working: says whether a day is worked. opens, closes: office hours in Vietnam.
    quiet: closed date ranges in which routine mail is held (Tết).
    """

    is_working: Callable[[date], bool]
    opens: time = time(7, 30)
    closes: time = time(17, 30)
    quiet: tuple[tuple[date, date], ...] = field(default=())

    def on_or_after(self, day: date) -> date:
        """The first working day from this one on; raise NoWorkingDay where there is none."""
        for _ in range(_LONGEST_BREAK_DAYS):
            if self.is_working(day):
                return day
            day += _DAY
        raise NoWorkingDay

    def add(self, day: date, working_days: int) -> date:
        """The day that many working days after (before, if negative) this one, which is not counted.

        Bộ luật Dân sự 2015 Điều 147–148: the day of the event does not count.
        """
        step = _DAY if working_days >= 0 else -_DAY
        left, idle = abs(working_days), 0
        while left:
            day += step
            idle += 1
            if self.is_working(day):
                left, idle = left - 1, 0
            if idle > _LONGEST_BREAK_DAYS:
                raise NoWorkingDay
        return day

    def count(self, start: date, end: date) -> int:
        """Working days after start up to and with end; negative when end lies before start."""
        if end < start:
            return -self.count(end, start)
        days = (end - start).days
        return sum(self.is_working(start + n * _DAY) for n in range(1, days + 1))

    def is_quiet(self, day: date) -> bool:
        """True in a window in which routine mail is held."""
        return any(first <= day <= last for first, last in self.quiet)

    def sending_time(self, now: datetime, *, urgent: bool = False, first_letter: bool = False) -> datetime:
        """The first instant from now on at which mail may leave.

        Office hours of working days; routine reminders are also held in the quiet window, first
        letters are not. Urgent directives leave at once (NĐ 30/2020 Điều 18.1).
        """
        if urgent:
            return now
        wall = local(now)
        if wall.time() >= self.closes:
            wall = datetime.combine(wall.date() + _DAY, time(0), VIETNAM)
        day = self.on_or_after(wall.date())
        while not first_letter and self.is_quiet(day):
            day = self.on_or_after(day + _DAY)
        if day == wall.date() and wall.time() >= self.opens:
            return now
        return instant(day, self.opens)


def both(first: Calendar, second: Calendar) -> Calendar:
    """The days that are worked in both calendars, in the first one's hours."""
    return Calendar(
        lambda day: first.is_working(day) and second.is_working(day),
        first.opens,
        first.closes,
        first.quiet + tuple(window for window in second.quiet if window not in first.quiet),
    )


@dataclass(frozen=True)
class Calendars:
    """The state's calendar (with swapped days) and the enterprises' (statutory holidays only)."""

    state: Calendar
    enterprise: Calendar

    def named(self, name: str) -> Calendar:
        """state, enterprise or both; raise KeyError for another name."""
        if name == "both":
            return both(self.state, self.enterprise)
        return {"state": self.state, "enterprise": self.enterprise}[name]

    def term(self, start: date, working_days: int, name: str = "both") -> date:
        """The last day of a term.

        `both` counts on the state calendar and rolls forward to a day that both work: no deadline of
        an enterprise falls on a make-up Saturday.
        """
        counted = self._counting(name).add(start, working_days)
        return self.named(name).on_or_after(counted)

    def terms_to(self, day: date, start: date, name: str = "both") -> Iterator[int]:
        """The terms in working days that end on this day, the shortest first; none of them does on a day off.

        There are several where a term rolls forward over days that one office alone works.
        """
        longest = self._counting(name).count(start, day)
        for working_days in range(max(0, longest - _LONGEST_ROLL_DAYS), longest + 1):
            if self.term(start, working_days, name) == day:
                yield working_days

    def _counting(self, name: str) -> Calendar:
        return self.enterprise if name == "enterprise" else self.state
