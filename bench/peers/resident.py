"""The memory of this process. `getrusage` would count the parent's as well: a child inherits it across exec."""

from __future__ import annotations

import re
from pathlib import Path


def peak_kb() -> int:
    """Resident memory at its largest, in KiB."""
    return _read("VmHWM")


def resident_kb() -> int:
    """Resident memory now, in KiB."""
    return _read("VmRSS")


def _read(name: str, process: str = "self") -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text(), re.MULTILINE)
    assert found is not None, "only Linux tells this"
    return int(found[1])
