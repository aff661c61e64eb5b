"""`python -m flows.worker`: a worker of the pool CONGVAN_WORK_POOL that forks its runs; options as for Prefect's own.

`prefect worker start` runs the same flows, and imports everything anew for each of them.
"""

from __future__ import annotations

import os
import runpy
import sys

from flows import forking


def main() -> None:
    """Become Prefect's worker of that pool; 2 as the exit status where none is named."""
    pool = os.environ.get("CONGVAN_WORK_POOL")
    if not pool:
        print("CONGVAN_WORK_POOL is not set: name the work pool whose runs this worker takes", file=sys.stderr)
        sys.exit(2)
    forking.install()
    sys.argv[1:1] = ["worker", "start", "--type", "process", "--pool", pool]
    runpy.run_module("prefect", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
