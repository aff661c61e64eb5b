"""Two faults planted into the engine, and the seed with which the simulator finds each, with its seconds.

Run: python -m tests.gates.planted
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any
from unittest import mock

from congvan.acts.escalations import close_cases
from congvan.simulation.run import simulate

TENANTS, DAYS = 12, 12
_WITHIN_S = 60.0


async def _leaves_open(*given: Any, **named: Any) -> list[Any]:
    """Closes the cases of whoever has no deadline only: those that a person was told of stay open."""
    delivery = given[1]
    return [] if delivery.due_at is not None else await close_cases(*given, **named)


async def _never_told(*_given: Any, **_named: Any) -> None:
    return None


#: What is planted, and where. The simulator is not told.
PLANTED: dict[str, Callable[[], Any]] = {
    "an answer leaves its case open": lambda: mock.patch("congvan.acts.escalations.close_cases", _leaves_open),
    "whoever cannot be reached opens no case": lambda: mock.patch("congvan.acts.escalations.open_case", _never_told),
}


def found(plant: Callable[[], Any]) -> tuple[int, str, float]:
    """The first seed that breaks, what it breaks, and after how many seconds; seed 0: not found in time."""
    began = time.monotonic()
    with plant():
        seed = 0
        while time.monotonic() - began < _WITHIN_S:
            seed += 1
            verdict = simulate(seed, TENANTS, DAYS)
            if verdict.broken:
                return seed, verdict.broken, time.monotonic() - began
    return 0, "", time.monotonic() - began


def main() -> int:
    """Plant each; 1 where one is not found within a minute."""
    missed = 0
    for what, plant in PLANTED.items():
        seed, broken, seconds = found(plant)
        missed += not seed
        print(f"{what}: " + (f"seed {seed}, {seconds:.1f} s: {broken}" if seed else "NOT FOUND"), flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
