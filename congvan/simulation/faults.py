"""What goes wrong, and when: drawn from the seed, counted when it really happened, and removable one by one.

Every opportunity is drawn by its own number, so that taking one fault out of a history leaves the draws
of the others as they were: that is what makes a failing history shrink.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection
from random import Random

#: One fault that happened: its kind and which opportunity of that kind it was.
Fault = tuple[str, int]

#: The chance of each fault at each opportunity, in parts of one, in a world of average malice.
CHANCES = {
    # crashes, at the numbered points of a process
    "dies before commit": 0.004,
    "dies after commit": 0.004,
    "dies between transactions": 0.002,
    "dies at connect": 0.003,
    "dies at mail": 0.002,
    "dies at rcpt": 0.002,
    "dies in the body": 0.003,
    "dies after the final dot": 0.006,
    "dies after 250": 0.006,
    # mail servers
    "not now": 0.08,
    "no reply, not taken": 0.02,
    "no reply, but taken": 0.02,
    "accepted twice": 0.01,
    "server down": 0.004,
    "mail comes back later": 0.006,
    # scheduling
    "wake lost": 0.05,
    "wake doubled": 0.08,
    "Prefect's database lost": 0.004,
    "process stands still": 0.004,
    "process stands still with mail on the wire": 0.012,
    "engine down": 0.0008,
    "clock jumps": 0.004,
}  # fmt: skip


class Crash(BaseException):
    """The process dies here. Not an Exception: no code of the engine may survive it."""


class Faults:
    """Draws faults for one seed. only: the faults that may happen; None: all that are drawn."""

    def __init__(self, seed: int, malice: float = 1.0, only: Collection[Fault] | None = None) -> None:
        self._seed = seed
        self._malice = malice
        self._only = only
        self._asked = dict.fromkeys(CHANCES, 0)
        self._below = {kind: chance * malice * 2**64 for kind, chance in CHANCES.items()}
        #: In the order in which they happened.
        self.happened: list[Fault] = []
        self.calm = False

    def happens(self, kind: str) -> bool:
        """Whether this fault happens now."""
        number = self._asked[kind] = self._asked[kind] + 1
        if self.calm or _drawn(self._seed, kind, number) >= self._below[kind]:
            return False
        if self._only is not None and (kind, number) not in self._only:
            return False
        self.happened.append((kind, number))
        return True

    def counts(self) -> dict[str, int]:
        """How often each kind really happened."""
        return dict(sorted(Counter(kind for kind, _ in self.happened).items()))


def draw(seed: int, kind: str, number: int) -> float:
    """A number from 0 up to 1 that depends on nothing but what it is asked for."""
    return _drawn(seed, kind, number) / 2**64


def _drawn(seed: int, kind: str, number: int) -> int:
    return int.from_bytes(hashlib.blake2b(f"{seed}/{kind}/{number}".encode(), digest_size=8).digest(), "big")


def stream(seed: int, name: str) -> Random:
    """A party's own random numbers: what one party does changes nothing for the others."""
    return Random(f"{seed}/{name}")
