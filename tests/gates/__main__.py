# ruff: noqa: E501 - one gate a line
"""`make gates`: what is too long for `make test` and has to hold before a release. Ends with 1 where a gate fails.

Run: python -m tests.gates [--quick]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

#: (what, command); quick: a hundredth of it, to see that every gate can be run.
GATES = (
    ("tests on real parts that take minutes", ["-m", "pytest", "-q", "-m", "gates"], ["-m", "pytest", "-q", "-m", "gates", "--co"]),
    ("500 seeds of the simulator", ["-m", "tests.gates.seeds", "--seeds", "500"], ["-m", "tests.gates.seeds", "--seeds", "4"]),
    ("planted faults", ["-m", "tests.gates.mutations"], ["-m", "tests.gates.mutations", "--only", "header"]),
    ("100 kills of a dispatch", ["-m", "bench.kill", "--kills", "100"], ["-m", "bench.kill", "--trials", "1"]),
    ("24 harms to the whole engine", ["-m", "bench.kill", "--world", "engine", "--kills", "24"], ["-m", "bench.kill", "--world", "engine", "--kills", "1"]),
    ("20,000 inputs of each kind", ["-m", "tests.gates.fuzz"], ["-m", "tests.gates.fuzz", "--examples", "20"]),
    ("100 copies of a database at work", ["-m", "tests.gates.copies", "--copies", "100"], ["-m", "tests.gates.copies", "--copies", "3"]),
)  # fmt: skip


def main() -> int:
    """Every gate, one after the other."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--quick", action="store_true")
    quick = options.parse_args().quick
    failed = []
    for what, whole, short in GATES:
        print(f"== {what}", flush=True)
        begun = time.monotonic()
        status = subprocess.run([sys.executable, *(short if quick else whole)], check=False).returncode
        print(f"== {what}: {'held' if status == 0 else 'FAILED'} after {time.monotonic() - begun:.0f} s", flush=True)
        failed += [what] if status else []
    print(f"{len(GATES) - len(failed)} of {len(GATES)} gates hold" + (f"; failed: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
