"""Named places at which a test may kill the process, to prove that a kill there is survived."""

from __future__ import annotations

import os
import signal


def failpoint(name: str) -> None:
    """Die here, as by SIGKILL, when CONGVAN_FAILPOINT names this point: how the tests prove that it is survived."""
    if os.environ.get("CONGVAN_FAILPOINT") == name:
        os.kill(os.getpid(), signal.SIGKILL)
