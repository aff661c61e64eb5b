"""How large a run is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """The sizes of one run.

    letters: of the dispatch beside the peers. sizes: of everything that is looked at as it grows.
    repeats: of the quick parts; what takes minutes is done once. due: in each reminder round.
    dbos, subflows: letters of the peers, which are many times slower (0: none). confirmations: at each load.
    investors: whose passing-on is followed through Prefect. idle_s: how long waiting is watched.
    """

    name: str
    letters: tuple[int, ...]
    sizes: tuple[int, ...]
    repeats: int
    due: int
    dbos: int
    subflows: int
    confirmations: int
    investors: int
    idle_s: float

    def repeats_at(self, size: int) -> int:
        """How often something is done at this size: once where it is larger than any dispatch beside the peers."""
        return 1 if size > max(self.letters) else self.repeats


FULL = Scale("make bench", (1_000, 10_000), (1_000, 10_000, 100_000), 3, 1_000, 1_000, 24, 400, 15, 20.0)
QUICK = Scale("make bench QUICK=1", (500, 2_000), (500, 2_000, 8_000), 1, 100, 200, 6, 100, 3, 5.0)
TINY = Scale("tests", (20,), (10, 40), 1, 4, 0, 0, 5, 1, 0.2)
