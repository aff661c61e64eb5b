"""Takes faults out of a failing history until none can be spared: what remains is the cause."""

from __future__ import annotations

from congvan.simulation.faults import Fault
from congvan.simulation.run import Verdict, simulate

#: Replays that shrinking may cost.
_MOST_REPLAYS = 40


def shrink(failed: Verdict, days: int, malice: float = 1.0) -> list[Fault]:
    """The faults without which this seed does not break in the same way; found by bisection."""
    kept, left = list(failed.happened), _MOST_REPLAYS
    size = max(1, len(kept) // 2)
    while kept and left > 0:
        for start in range(0, len(kept), size):
            fewer = kept[:start] + kept[start + size :]
            left -= 1
            if left >= 0 and _breaks(failed, days, fewer, malice):
                kept = fewer
                break
        else:
            if size == 1:
                break
            size = max(1, size // 2)
            continue
        size = min(size, max(1, len(kept) // 2))
    return kept


def _breaks(failed: Verdict, days: int, faults: list[Fault], malice: float) -> bool:
    again = simulate(failed.seed, failed.tenants, days, only=set(faults), malice=malice)
    return bool(again.broken) and again.broken.split(":")[0] == failed.broken.split(":")[0]
