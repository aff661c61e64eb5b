"""What trees of processes cost, from /proc: processor seconds and the largest memory of each kind."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(slots=True)
class Use:
    """One kind of process. cpu_s: of all of them together; peak_kb: the largest single one; most: at one time."""

    cpu_s: float = 0.0
    peak_kb: int = 0
    most: int = 0


class Meter:
    """Looks at trees of processes again and again: what was killed keeps no account of itself."""

    def __init__(self) -> None:
        #: A tree's leader → (kind of the leader, kind of those below it).
        self._leaders: dict[int, tuple[str, str]] = {}
        #: A leader → (its own seconds, those of all below it, also of those that ended).
        self._spent: dict[int, tuple[float, float]] = {}
        self._peak: dict[str, int] = defaultdict(int)
        self._most: dict[str, int] = defaultdict(int)

    def watch(self, pid: int, kind: str, below: str = "") -> None:
        """Count this process under a kind, and what it starts under another."""
        self._leaders[pid] = (kind, below or kind)

    def look(self) -> None:
        """One look at everything."""
        stats = _stats()
        children = _children(stats)
        alive: dict[str, int] = defaultdict(int)
        for leader, (kind, below) in self._leaders.items():
            if leader not in stats:
                continue
            tree = _tree(leader, children)
            own = sum(map(int, stats[leader][11:13])) / _TICK
            whole = sum(sum(map(int, stats[pid][11:15])) for pid in tree if pid in stats) / _TICK
            before = self._spent.get(leader, (0.0, 0.0))
            self._spent[leader] = (max(own, before[0]), max(whole - own, before[1]))
            for pid in tree:
                name = kind if pid == leader else below
                alive[name] += 1
                self._peak[name] = max(self._peak[name], _peak_kb(pid))
        for name, number in alive.items():
            self._most[name] = max(self._most[name], number)

    def found(self) -> dict[str, Use]:
        """By kind, so far."""
        used: dict[str, Use] = defaultdict(Use)
        for leader, (own, below) in self._spent.items():
            kind, kind_below = self._leaders[leader]
            used[kind].cpu_s += own
            used[kind_below].cpu_s += below
        for kind, peak in self._peak.items():
            used[kind].peak_kb = peak
            used[kind].most = self._most[kind]
        return dict(used)


def _stats() -> dict[int, list[str]]:
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            found[int(path.parent.name)] = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended meanwhile; whoever waited for it has its time
    return found


def _children(stats: dict[int, list[str]]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    for pid, fields in stats.items():
        found[int(fields[1])].append(pid)
    return found


def _tree(leader: int, children: dict[int, list[int]]) -> list[int]:
    found, rest = [], [leader]
    while rest:
        pid = rest.pop()
        found.append(pid)
        rest += children.get(pid, [])
    return found


def _peak_kb(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)
