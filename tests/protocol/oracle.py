"""The working days of 2020–2030 once more, slowly and from other sources: the moon, the statute book, the swaps.

Shares nothing with `congvan.almanac`: no `holidays` package, no configuration file. Lunar dates come from the
new moons themselves (Meeus, Astronomical Algorithms, chapters 25 and 49), at UTC+7.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from math import radians, sin
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

DAY = timedelta(days=1)
FIRST, LAST = date(2020, 1, 1), date(2030, 12, 31)
_VIETNAM = timedelta(hours=7)
_J2000 = datetime(2000, 1, 1, 12, tzinfo=UTC)
#: Terrestrial time runs this far ahead of UTC in these years.
_DELTA_T = timedelta(seconds=70)

#: Days off that are worked on a Saturday instead, as the Government announced them, for its own offices only.
SWAPPED = {
    date(2024, 4, 29): date(2024, 5, 4),
    date(2025, 5, 2): date(2025, 4, 26),
    date(2026, 1, 2): date(2026, 1, 10),
    date(2026, 8, 31): date(2026, 8, 22),
}
#: Which neighbour of 2 September is off too, by the weekday of 2 September (0 = Monday): as decided 2021–2026.
_BESIDE = {0: DAY, 1: -DAY, 2: -DAY, 3: DAY, 4: -DAY, 5: -DAY, 6: DAY}


def _new_moon(k: int) -> datetime:
    t = k / 1236.85
    sun, moon = radians(2.5534 + 29.1053567 * k), radians(201.5643 + 385.81693528 * k)
    node, omega = radians(160.7108 + 390.67050284 * k), radians(124.7746 - 1.56375588 * k)
    e = 1 - 0.002516 * t
    shift = (
        -0.40720 * sin(moon) + 0.17241 * e * sin(sun) + 0.01608 * sin(2 * moon) + 0.01039 * sin(2 * node)
        + 0.00739 * e * sin(moon - sun) - 0.00514 * e * sin(moon + sun) + 0.00208 * e * e * sin(2 * sun)
        - 0.00111 * sin(moon - 2 * node) - 0.00057 * sin(moon + 2 * node) + 0.00056 * e * sin(2 * moon + sun)
        - 0.00042 * sin(3 * moon) + 0.00042 * e * sin(sun + 2 * node) - 0.00017 * sin(omega)
    )  # fmt: skip
    days = 2451550.09766 + 29.530588861 * k + 0.00015437 * t * t + shift - 2451545.0
    return _J2000 + timedelta(days=days) - _DELTA_T


def _sun_longitude(at: datetime) -> float:
    t = (at - _J2000) / timedelta(days=36525)
    mean, anomaly = 280.46646 + 36000.76983 * t, radians(357.52911 + 35999.05029 * t)
    centre = 1.914602 * sin(anomaly) + 0.019993 * sin(2 * anomaly) + 0.000289 * sin(3 * anomaly)
    return (mean + centre - 0.00569) % 360


def _day_of_longitude(degrees: float, start: datetime) -> date:
    at = start
    while (_sun_longitude(at) - degrees) % 360 > 180:
        at += timedelta(minutes=10)
    return (at + _VIETNAM).date()


def lunar_month(year: int, number: int) -> date:
    """The first day of lunar month 1 or 3: the month in which the sun reaches 330° or 30° (leap months have none)."""
    degrees, around = {1: (330.0, (2, 15)), 3: (30.0, (4, 15))}[number]
    term = _day_of_longitude(degrees, datetime(year, *around, tzinfo=UTC))
    k = int((year - 2000) * 12.3685) - 3
    moons = [(_new_moon(n) + _VIETNAM).date() for n in range(k, k + 12)]
    return max(moon for moon in moons if moon <= term)


def _tet(first: date) -> Iterator[date]:
    """The eve and four days; of those that fall on a weekend the first is made good before, the second after."""
    days = [first + n * DAY for n in range(-1, 4)]
    yield from days
    lost = sum(day.weekday() >= 5 for day in days)
    if lost >= 1:
        yield days[0] - DAY
    if lost >= 2:
        yield days[-1] + DAY


@cache
def statutory(year: int) -> frozenset[date]:
    """Bộ luật Lao động 2019 Điều 112, with the days in lieu of those that fall on a weekend."""
    national = date(year, 9, 2)
    fixed = {date(year, 1, 1), lunar_month(year, 3) + 9 * DAY, date(year, 4, 30), date(year, 5, 1), national}
    if year >= 2021:
        fixed.add(national + _BESIDE[national.weekday()])
    if year >= 2026:
        fixed.add(date(year, 11, 24))
    off = fixed | set(_tet(lunar_month(year, 1)))
    for day in sorted(fixed):
        if day.weekday() >= 5:
            instead = day
            while instead in off or instead.weekday() >= 5:
                instead += DAY
            off.add(instead)
    return frozenset(off)


def enterprise_works(day: date) -> bool:
    """Statutory holidays only; swapped days do not bind enterprises."""
    return day.weekday() < 5 and day not in statutory(day.year)


def state_works(day: date) -> bool:
    """With the swapped days."""
    if day in SWAPPED:
        return False
    return day in SWAPPED.values() or enterprise_works(day)


def moments(first: date, last: date) -> st.SearchStrategy[datetime]:
    """Minutes by the clock on a Vietnamese wall."""
    midnights = st.dates(first, last).map(lambda day: datetime.combine(day, time(), ZoneInfo("Asia/Ho_Chi_Minh")))
    return st.builds(lambda day, minutes: day + timedelta(minutes=minutes), midnights, st.integers(0, 1439))


def works(name: str, day: date) -> bool:
    """state, enterprise, or both."""
    return {"state": state_works(day), "enterprise": enterprise_works(day)}.get(
        name, state_works(day) and enterprise_works(day)
    )


def term(start: date, days: int, name: str) -> date:
    """The last day of a term, one day at a time: count, then roll forward to a day on which both work."""
    counted = "enterprise" if name == "enterprise" else "state"
    day = start
    while days > 0:
        day += DAY
        if works(counted, day):
            days -= 1
    while not works(name, day):
        day += DAY
    return day
