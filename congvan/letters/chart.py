"""A drawing for the report: how many had answered at the end of each day, against the deadline. SVG, pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from html import escape

_WIDTH, _HEIGHT = 640, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 16, 26, 34
_INK, _LINE, _FILL, _DUE = "#1a1a1a", "#1f4e79", "#dbe7f3", "#a61c1c"
#: Days that bear their date below the axis, at the most.
_LABELS = 8


def answers_over_time(days: Sequence[tuple[date, int]], total: int, due: date | None) -> str:
    """The drawing. days: each with how many had answered by its end; total: of how many; due: the deadline's day."""
    if not days or total <= 0:
        return ""
    first = days[0][0]
    last = max(days[-1][0], due or days[-1][0], first + timedelta(days=1))
    span = (last - first).days

    def x(day: date) -> float:
        return round(_LEFT + (_WIDTH - _LEFT - _RIGHT) * (day - first).days / span, 1)

    def y(number: float) -> float:
        return round(_HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * number / total, 1)

    parts = [_grid(total, y), _axis(first, last, x)]
    parts.append(_area([(x(day), y(number)) for day, number in days], y(0)))
    if due is not None and first <= due:
        parts.append(_deadline(x(due), due))
    end_day, end = days[-1]
    anchor = "end" if x(end_day) > _WIDTH - 130 else "start"
    label = f"{end}/{total} ({round(100 * end / total)}%)"
    beside = -6 if anchor == "end" else 6
    parts.append(_text(x(end_day) + beside, max(_TOP + 10, y(end) - 6), label, anchor, bold=True))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}">'
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>{"".join(parts)}</svg>'
    )


def _text(x: float, y: float, words: str, anchor: str, *, bold: bool = False, colour: str = _INK) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return (
        f'<text x="{x:g}" y="{y:g}" font-family="CV Serif, serif" font-size="13" fill="{colour}" '
        f'text-anchor="{anchor}"{weight}>{escape(words)}</text>'
    )


def _grid(total: int, y: Callable[[float], float]) -> str:
    lines = []
    for percent in (0, 25, 50, 75, 100):
        at = y(total * percent / 100)
        lines.append(
            f'<line x1="{_LEFT}" y1="{at}" x2="{_WIDTH - _RIGHT}" y2="{at}" stroke="#c8ced4" stroke-width="0.7"/>'
            + _text(_LEFT - 6, at + 4, f"{percent}%", "end")
        )
    return "".join(lines)


def _axis(first: date, last: date, x: Callable[[date], float]) -> str:
    step = max(1, -(-((last - first).days) // _LABELS))
    days = [first + timedelta(days=number) for number in range(0, (last - first).days + 1, step)]
    return "".join(
        f'<line x1="{x(day)}" y1="{_HEIGHT - _BOTTOM}" x2="{x(day)}" y2="{_HEIGHT - _BOTTOM + 4}" stroke="{_INK}"/>'
        + _text(x(day), _HEIGHT - _BOTTOM + 18, f"{day:%d/%m}", "middle")
        for day in days
    )


def _area(points: Sequence[tuple[float, float]], floor: float) -> str:
    line = " ".join(f"{a:g},{b:g}" for a, b in points)
    return (
        f'<polygon points="{points[0][0]:g},{floor:g} {line} {points[-1][0]:g},{floor:g}" fill="{_FILL}"/>'
        f'<polyline points="{line}" fill="none" stroke="{_LINE}" stroke-width="2"/>'
        f'<circle cx="{points[-1][0]:g}" cy="{points[-1][1]:g}" r="3" fill="{_LINE}"/>'
    )


def _deadline(at: float, due: date) -> str:
    anchor = "end" if at > _WIDTH - 150 else "start"
    return (
        f'<line x1="{at:g}" y1="{_TOP - 6}" x2="{at:g}" y2="{_HEIGHT - _BOTTOM}" stroke="{_DUE}" stroke-width="1.4" '
        f'stroke-dasharray="5 3"/>'
        + _text(at + (-5 if anchor == "end" else 5), _TOP - 10, f"Thời hạn {due:%d/%m/%Y}", anchor, colour=_DUE)
    )
