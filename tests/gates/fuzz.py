"""The fuzzers with as many examples as wanted. Ends with 1 where something raised that should not.

Run: python -m tests.gates.fuzz [--examples 20000]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys


def main() -> int:
    """pytest's own verdict."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--examples", type=int, default=20_000)
    environment = os.environ | {"CONGVAN_FUZZ": str(options.parse_args().examples)}
    files = ["tests/contract/test_fuzz.py", "tests/contract/test_fuzz_inbox.py"]
    tests = [*files, "-q", "-n", "2", "--timeout", "3000", "--durations", "10"]
    return subprocess.run([sys.executable, "-m", "pytest", *tests], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
