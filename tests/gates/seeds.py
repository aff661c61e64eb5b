"""Many seeds of the simulator in as many processes as there are cores; what fails may become a test.

Run: python -m tests.gates.seeds [--first 1] [--seeds 500] [--minutes M] [--keep] [--json]
With --minutes it goes on with new seeds until the time is over. A failing seed is told; with --keep, as `make soak`
has it, it is written to tests/data/seeds.txt as well, which the tests play from then on.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Semaphore

import orjson

from congvan.simulate import draw_size
from congvan.simulation.run import simulate

KEPT = Path(__file__).parents[1] / "data" / "seeds.txt"
DAYS = 45
#: How often it says how far it has come, in seeds.
_TOLD = 50


@dataclass
class Sum:
    """What all seeds together have shown."""

    seeds: int = 0
    campaign_days: int = 0
    steps: int = 0
    checks: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)


def play(seed: int) -> dict[str, object]:
    """One seed in its drawn size."""
    verdict = simulate(seed, draw_size(seed), DAYS)
    return verdict.as_dict() | {"campaign_days": verdict.campaign_days}


def _seeds(first: int, number: int, minutes: float, room: Semaphore) -> Iterator[int]:
    """room: how many may be under way; a pool would take an endless row of them into its queue at once."""
    end = time.monotonic() + 60 * minutes
    for seed in itertools.count(first):
        room.acquire()
        if (minutes and time.monotonic() > end) or (not minutes and seed >= first + number):
            return
        yield seed


def main() -> int:
    """Play them; 1 where an invariant broke."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--first", type=int, default=1)
    options.add_argument("--seeds", type=int, default=500)
    options.add_argument("--minutes", type=float, default=0)
    options.add_argument("--keep", action="store_true", help="write failing seeds to tests/data/seeds.txt")
    options.add_argument("--json", action="store_true")
    chosen = options.parse_args()
    total = Sum()
    context = multiprocessing.get_context("spawn")
    room = Semaphore(2 * multiprocessing.cpu_count())
    with context.Pool(maxtasksperchild=50) as pool:
        for found in pool.imap_unordered(play, _seeds(chosen.first, chosen.seeds, chosen.minutes, room)):
            room.release()
            _add(total, found, KEPT if chosen.keep else None)
            if total.seeds % _TOLD == 0:
                print(f"{total.seeds} seeds, {len(total.broken)} broken", file=sys.stderr, flush=True)
    print(orjson.dumps(total.__dict__ | {"faults": dict(total.faults)}).decode() if chosen.json else _said(total))
    return 1 if total.broken else 0


def _add(total: Sum, found: dict[str, object], kept: Path | None) -> None:
    total.seeds += 1
    total.campaign_days += int(str(found["campaign_days"]))
    total.steps += int(str(found["steps"]))
    total.checks += int(str(found["checks"]))
    total.faults.update(found["faults"])  # type: ignore[arg-type]
    if not found["ok"]:
        line = f"{found['seed']} {found['tenants']} {DAYS}  # {found['broken']}"
        total.broken.append(line)
        if kept is not None:
            with kept.open("a", encoding="utf-8") as seeds:
                seeds.write(f"{line}\n")
        print(f"BROKEN {line}", file=sys.stderr, flush=True)


def _said(total: Sum) -> str:
    faults = ", ".join(f"{name} {number}" for name, number in total.faults.most_common())
    return (
        f"{total.seeds} seeds, {total.campaign_days} campaign-days, {total.steps} steps, {total.checks} checks, "
        f"{len(total.broken)} broken\nfaults that happened: {faults}"
    )


if __name__ == "__main__":
    sys.exit(main())
