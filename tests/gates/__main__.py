# ruff: noqa: E501 - one gate a line
"""`make gates`: what is too long for `make test` and has to hold before a release. Ends with 1 where a gate fails.

Run: python -m tests.gates [--quick]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

Gate = tuple[str, list[str], list[str]]

#: Of the tests on real parts, those that wait nearly all of their time for a lease or a clock.
_WAITING = ("tests/flows/test_two_engines.py", "tests/flows/test_hours_without_mail.py")
_TESTS = ["-m", "pytest", "-q", "-m", "gates"]
_OTHERS = [f"--ignore={one}" for one in _WAITING]

#: (what, command, the same in short: to see that every gate can be run). All rows run beside each other: what is played
#: on real processes, and what computes, which gets only what is left by them.
REAL: tuple[tuple[Gate, ...], ...] = (
    (
        ("tests on real parts that wait", [*_TESTS, *_WAITING], [*_TESTS, *_WAITING, "--co"]),
    ),
    (
        ("tests on real parts that take minutes", [*_TESTS, *_OTHERS], [*_TESTS, *_OTHERS, "--co"]),
        ("24 harms to the whole engine", ["-m", "bench.kill", "--world", "engine", "--kills", "24"], ["-m", "bench.kill", "--world", "engine", "--kills", "1"]),
        ("100 kills of a dispatch", ["-m", "bench.kill", "--kills", "100"], ["-m", "bench.kill", "--trials", "1"]),
        ("10,000 confirmations of a portal that is killed", ["-m", "bench.portal", "kill", "--answers", "10000"], ["-m", "bench.portal", "kill", "--trials", "1"]),
        ("10,000 answers beside reminders", ["-m", "tests.gates.races"], ["-m", "tests.gates.races", "--races", "1000"]),
        ("disk, descriptors, memory, names", ["-m", "tests.gates.machine"], ["-m", "tests.gates.machine", "--only", "memory"]),
    ),
)  # fmt: skip
COMPUTED: tuple[tuple[Gate, ...], ...] = (
    (
        ("500 seeds of the simulator", ["-m", "tests.gates.seeds", "--seeds", "500"], ["-m", "tests.gates.seeds", "--seeds", "4"]),
    ),
    (
        ("bugs planted for the simulator", ["-m", "tests.gates.planted"], ["-m", "tests.gates.planted"]),
        ("planted faults", ["-m", "tests.gates.mutations"], ["-m", "tests.gates.mutations", "--only", "header"]),
        ("100 copies of a database at work", ["-m", "tests.gates.copies", "--copies", "100"], ["-m", "tests.gates.copies", "--copies", "3"]),
        # Last: it fills both cores.
        ("20,000 inputs of each kind", ["-m", "tests.gates.fuzz"], ["-m", "tests.gates.fuzz", "--examples", "20"]),
    ),
)  # fmt: skip
#: Niceness of what computes.
_PATIENT = 19


def hold(row: Sequence[Gate], *, quick: bool, niceness: int = 0) -> list[str]:
    """Run the gates of a row, one after the other; those that failed. What each said is told when it has ended."""
    failed = []
    for what, whole, short in row:
        begun = time.monotonic()
        ran = subprocess.run(
            ["nice", "-n", str(niceness), sys.executable, *(short if quick else whole)], check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        held = "held" if ran.returncode == 0 else "FAILED"
        print(f"== {what}\n{ran.stdout}== {what}: {held} after {time.monotonic() - begun:.0f} s", flush=True)
        failed += [what] if ran.returncode else []
    return failed


def main() -> int:
    """Every gate."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--quick", action="store_true")
    quick = options.parse_args().quick
    with ThreadPoolExecutor(len(REAL) + len(COMPUTED)) as beside:
        rows = [beside.submit(hold, row, quick=quick) for row in REAL]
        rows += [beside.submit(hold, row, quick=quick, niceness=_PATIENT) for row in COMPUTED]
        failed = [what for row in rows for what in row.result()]
    number = sum(map(len, REAL + COMPUTED))
    print(f"{number - len(failed)} of {number} gates hold" + (f"; failed: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
