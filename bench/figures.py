"""Ratios and exponents: what a measure found, how it is kept, how it is read."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Ratio:
    """One thing against another, once for each repeat. at_least, at_most: the target, if there is one."""

    what: str
    against: str
    values: tuple[float, ...]
    at_least: float | None = None
    at_most: float | None = None

    @property
    def middle(self) -> float:
        """The median over the repeats."""
        return median(self.values)

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None: there is none."""
        if self.at_least is None and self.at_most is None:
            return None
        return (self.at_least or 0.0) <= self.middle <= (math.inf if self.at_most is None else self.at_most)

    def row(self) -> tuple[str, str, str, str, str]:
        """The cells of its line."""
        spread = f" ({number(min(self.values))}–{number(max(self.values))})" if len(self.values) > 1 else ""
        target = f"≥ {number(self.at_least)}" if self.at_least is not None else ""
        target = f"≤ {number(self.at_most)}" if self.at_most is not None else target
        met = {None: "", True: "met", False: "**missed**"}[self.met]
        return self.what, self.against, number(self.middle) + spread, target, met


@dataclass(frozen=True, slots=True)
class Growth:
    """One measure at several sizes. points: (size, value); what is measured stays within the run."""

    what: str
    points: tuple[tuple[int, float], ...]
    at_most: float = 1.1

    @property
    def exponent(self) -> float:
        """The slope of the line through the points, both axes logarithmic: 1 is linear, 0 does not grow."""
        xs = [math.log(size) for size, _ in self.points]
        ys = [math.log(max(value, 1e-9)) for _, value in self.points]
        mid_x, mid_y = sum(xs) / len(xs), sum(ys) / len(ys)
        over = sum((x - mid_x) * (y - mid_y) for x, y in zip(xs, ys, strict=True))
        return over / sum((x - mid_x) ** 2 for x in xs)

    def row(self) -> tuple[str, str, str, str]:
        """The cells of its line: sizes, what each costs as a multiple of the first, the exponent."""
        first = max(self.points[0][1], 1e-9)
        sizes = " · ".join(f"{size:,}" for size, _ in self.points)
        multiples = " · ".join(number(value / first) for _, value in self.points)
        met = "" if self.exponent <= self.at_most else " **grows faster**"
        return self.what, sizes, multiples, f"{self.exponent:.2f}{met}"


@dataclass(slots=True)
class Section:
    """What one measure found. missing: what was not measured, and why."""

    title: str
    ratios: list[Ratio] = field(default_factory=list)
    growths: list[Growth] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def number(value: float) -> str:
    """Three figures that mean something."""
    if value == 0:
        return "0"
    places = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(places, 4)}f}"


def middle(values: Iterable[float]) -> float:
    """The median."""
    return median(values)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which this share lies (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]


def grown(what: str, found: Mapping[int, Sequence[float]], at_most: float = 1.1) -> Growth:
    """The growth of medians."""
    return Growth(what, tuple((size, middle(values)) for size, values in sorted(found.items())), at_most)


# ------------------------------------------------------------------------------------ kept as JSON


def keep(path: Path, name: str, section: Section, made: Mapping[str, str]) -> None:
    """Put a section in the place of the one of its name. made: by which command, from which commit, on what."""
    known = json.loads(path.read_text("utf-8")) if path.exists() else {}
    known[name] = asdict(section) | {"made": dict(made)}
    path.write_text(json.dumps(known, ensure_ascii=False, indent=1) + "\n", "utf-8")


def kept(path: Path) -> dict[str, tuple[Section, dict[str, str]]]:
    """Every section that is kept, with how it was made."""
    known: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return {
        name: (
            Section(
                one["title"],
                [Ratio(**row | {"values": tuple(row["values"])}) for row in one["ratios"]],
                [Growth(**row | {"points": tuple(map(tuple, row["points"]))}) for row in one["growths"]],
                one["notes"],
                one["missing"],
            ),
            one["made"],
        )
        for name, one in known.items()
    }  # fmt: skip
