"""Every measure in one run: `make bench`, `make bench QUICK=1`.

Prints each section as it is found. A full run keeps them in bench/results.json and writes docs/performance.md;
a quick one only prints, since its sizes say little. With --only NAME … some are measured and the others stay
as they were; with --note the file is written again from what is kept.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
import traceback
from collections.abc import Callable, Mapping

from bench.figures import Section, keep, kept
from bench.harness import Bench, NotInstalled, PeerFailed, bench
from bench.measures import confirming, dispatching, first_letter, recovery, rounds, through_prefect, waiting
from bench.report import KEPT, NOTE, made, shown, text, write
from bench.scale import FULL, QUICK, Scale

Measure = Callable[[Bench, Scale], Section]
MEASURES: Mapping[str, Measure] = {
    "dispatching": dispatching.measure,
    "launching": dispatching.launching,
    "weight": dispatching.weight,
    "confirming": confirming.measure,
    "passing-on": through_prefect.measure,
    "reminding": rounds.reminding,
    "deadlines": rounds.deadlines,
    "waiting": waiting.measure,
    "recovery": recovery.measure,
    "first-letter": first_letter.measure,
}

#: Measured only by name: it installs everything anew, twice.
APART = ("first-letter",)
#: A quick run leaves out as well what takes a minute at any size.
SLOW = (*APART, "waiting")


def main() -> int:
    """What the command line says."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--quick", action="store_true")
    options.add_argument("--only", nargs="+", choices=MEASURES)
    options.add_argument("--note", action="store_true", help="measure nothing, write the note from what is kept")
    chosen = options.parse_args()
    logging.disable(logging.WARNING)
    scale = QUICK if chosen.quick else FULL
    missed = 0
    if not chosen.note:
        with bench() as on:
            for name in chosen.only or [one for one in MEASURES if one not in (SLOW if chosen.quick else APART)]:
                missed += _one(on, scale, name, to_keep=not chosen.quick)
    if not chosen.quick:
        write(NOTE, text(kept(KEPT)))
        print(f"written: {NOTE}")
    print(f"targets missed, or parts that failed: {missed}")
    return 1 if missed else 0


def _one(on: Bench, scale: Scale, name: str, *, to_keep: bool) -> int:
    began = time.monotonic()
    how = made(scale.name)
    try:
        section = MEASURES[name](on, scale)
    except (NotInstalled, PeerFailed) as absent:
        section = Section(name, missing=[str(absent)])
    except (AssertionError, RuntimeError, OSError, EOFError):
        # The other parts are measured all the same; this one stays as it was.
        traceback.print_exc()
        return 1
    print(f"## {section.title}\n\n" + "\n".join(shown(section)))
    print(f"({name}: {time.monotonic() - began:.0f} s)\n", flush=True)
    if to_keep:
        keep(KEPT, name, section, how)
    return sum(one.met is False for one in section.ratios)


if __name__ == "__main__":
    sys.exit(main())
