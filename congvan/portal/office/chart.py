"""A chart of answers over time against what is due: the shapes of a picture and its numbers as a table.

The template draws it as SVG without styles in attributes, which the pages' policy forbids.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate

from congvan.rules.calendar import local

#: The picture in its own units; it is stretched to the width of the page.
WIDTH, HEIGHT = 720, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 14, 12, 34
_MOST_POINTS = 240
_MOST_DAYS = 400
_HOUR = timedelta(hours=1)

Counts = Sequence[tuple[datetime, int]]


@dataclass(frozen=True, slots=True)
class Day:
    """One line of the table beside the picture: how many had answered, and how many should have, by its end."""

    day: str
    answered: int
    due: int


@dataclass(frozen=True, slots=True)
class Chart:
    """came, due: paths. rows: [(y, number)] of the grid; ticks: [(x, day)]; now_x: where the present is.

    answered, expected: how many have answered and how many should have by now; first_due: the first deadline.
    """

    came: str
    due: str
    rows: tuple[tuple[float, int], ...]
    ticks: tuple[tuple[float, str], ...]
    now_x: float
    answered: int
    expected: int
    first_due: datetime
    days: tuple[Day, ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    top: int = _TOP
    bottom: int = HEIGHT - _BOTTOM


def draw(answers: Counts, deadlines: Counts, total: int, start: datetime, now: datetime) -> Chart | None:
    """The chart of a campaign; None while nothing is due yet. answers: by the hour in which they came."""
    if not deadlines or not total:
        return None
    came = list(_sums([(min(hour + _HOUR, now), number) for hour, number in answers if hour <= now]))
    due = _sums(deadlines)
    answered = came[-1][1] if came else 0
    scale = _Scale(start, max(now, due[-1][0]), max(total, due[-1][1], answered))
    return Chart(
        came=_line([(start, 0), *_thin(came), (now, answered)], scale),
        due=_steps([(start, 0), *due, (scale.end, due[-1][1])], scale),
        rows=tuple((scale.y(scale.top * part / 4), round(scale.top * part / 4)) for part in range(5)),
        ticks=tuple((scale.x(at), f"{local(at):%d/%m}") for at in _ticks(scale)),
        now_x=scale.x(now), answered=answered, first_due=due[0][0],
        expected=max((number for at, number in due if at <= now), default=0),
        days=_days(came, due, start, scale.end, now),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Scale:
    start: datetime
    end: datetime
    top: int

    def x(self, at: datetime) -> float:
        span = max((self.end - self.start).total_seconds(), 1.0)
        share = min(max((at - self.start).total_seconds() / span, 0.0), 1.0)
        return round(_LEFT + share * (WIDTH - _LEFT - _RIGHT), 1)

    def y(self, number: float) -> float:
        return round(HEIGHT - _BOTTOM - number / self.top * (HEIGHT - _TOP - _BOTTOM), 1)


def _sums(counts: Counts) -> list[tuple[datetime, int]]:
    ordered = sorted(counts)
    sums = accumulate(number for _at, number in ordered)
    return [(at, number) for (at, _), number in zip(ordered, sums, strict=True)]


def _thin(points: Counts) -> list[tuple[datetime, int]]:
    return list(points[:: len(points) // _MOST_POINTS + 1])


def _line(points: Counts, scale: _Scale) -> str:
    return "M" + "L".join(f"{scale.x(at)} {scale.y(number)}" for at, number in points)


def _steps(points: Counts, scale: _Scale) -> str:
    at, number = points[0]
    drawn = [f"M{scale.x(at)} {scale.y(number)}"]
    for at, number in points[1:]:
        drawn.append(f"H{scale.x(at)}V{scale.y(number)}")
    return "".join(drawn)


def _ticks(scale: _Scale) -> list[datetime]:
    """Midnights in Vietnam, at most eight of them."""
    first = local(scale.start).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    days = max((scale.end - first).days + 1, 1)
    every = -(-days // 8)
    return [at for n in range(0, days, every) if scale.start <= (at := first + timedelta(days=n)) <= scale.end]


def _days(came: Counts, due: Counts, start: datetime, end: datetime, now: datetime) -> tuple[Day, ...]:
    found: list[Day] = []
    at = local(start).replace(hour=0, minute=0, second=0, microsecond=0)
    while at <= min(end, now) and len(found) < _MOST_DAYS:
        day, at = at, at + timedelta(days=1)
        answered = max((number for one, number in came if one <= at), default=0)
        expected = max((number for one, number in due if one <= at), default=0)
        found.append(Day(f"{day:%d/%m/%Y}", answered, expected))
    return tuple(found)
