"""The one-step scheduler: a heap of (virtual time, seeded tie-break), one transaction a step."""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from congvan.rules.calendar import instant, local
from congvan.simulation.faults import Crash, Faults, stream
from congvan.simulation.inline import Disk
from congvan.simulation.processes import Ended, Job, Process

#: Steps that a failing seed prints.
REMEMBERED = 40
#: A world in which one virtual day takes more steps than this, and so many more for each of its organisations, does
#: not come to rest. A letter is some steps, and again as many each time that a process dies with a batch in hand.
MOST_STEPS_A_DAY, AND_FOR_EACH = 20_000, 100


class Broken(Exception):
    """An invariant does not hold. The message says which, and of what."""


def _never() -> bool:
    return False


def _end_of(day: date) -> datetime:
    return instant(day + timedelta(days=1), time())


class Scheduler:
    """Virtual time. crowd: how many organisations live in it. after_step: looks at what a step has written; at_day_end:
    looks at everything."""

    def __init__(self, seed: int, disk: Disk, faults: Faults, folder: Path, starts: datetime, crowd: int) -> None:
        self.seed, self.disk, self.faults, self.folder = seed, disk, faults, folder
        self.now = starts
        self.steps = 0
        #: Steps after which the database was another.
        self.written = 0
        self._most_a_day = MOST_STEPS_A_DAY + AND_FOR_EACH * crowd
        self._past: deque[tuple[datetime, str]] = deque(maxlen=REMEMBERED)
        self.after_step: list[Callable[[str], None]] = []
        self.at_day_end: list[Callable[[], None]] = []
        self.pace = stream(seed, "pace")
        self.days = 0
        self.deaths: Counter[str] = Counter()
        self._midnight = _end_of(local(starts).date())
        self._steps_today = 0
        self._number = 0
        self._heap: list[tuple[datetime, float, int, Callable[[], None]]] = []

    # ------------------------------------------------------------------ time

    def at(self, when: datetime, act: Callable[[], None]) -> None:
        """Let something happen then; what is set for the past happens now."""
        self._number += 1
        heapq.heappush(self._heap, (max(when, self.now), self.pace.random(), self._number, act))

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Let something happen in a while."""
        self.at(self.now + timedelta(seconds=seconds), act)

    def run(self, until: datetime, over: Callable[[], bool] = _never) -> None:
        """Go on until nothing is left to happen before this instant. over: asked at each day's end; True: stop."""
        while self._heap and self._heap[0][0] < until:
            if self._pass_to(self._heap[0][0]) and over():
                return
            _when, _tie, _number, act = heapq.heappop(self._heap)
            act()
        self._pass_to(until)

    def _pass_to(self, when: datetime) -> bool:
        """True when a day has ended on the way."""
        if when < self._midnight:
            self.now = when
            return False
        day = local(when).date()
        self.days += (day - local(self._midnight).date()).days + 1
        self._midnight, self._steps_today = _end_of(day), 0
        for look in self.at_day_end:
            look()
        self.now = when
        return True

    @property
    def waits(self) -> int:
        """How much is still to happen."""
        return len(self._heap)

    # ------------------------------------------------------------------ processes

    def begin(self, process: Process, coroutine: Coroutine[Any, Any, Any], label: str, ended: Ended) -> Job:
        """Start a job in a process; its first transaction comes in a moment."""
        job = Job(process, coroutine, label, ended)
        process.jobs.append(job)
        self.after(self.pace.random(), lambda: self._step(job))
        return job

    def _step(self, job: Job) -> None:
        if job.over:
            return
        process = job.process
        if not process.is_up(self.now):
            assert process.up_at is not None
            self.at(process.up_at, lambda: self._step(job))
            return
        self._count(job)
        before = self.disk.commits
        try:
            pause = process.step(job, self.now)
        except Crash as point:
            self._past.append((self.now, f"{process.name}: {job.label}: DIES {point}"))
            pause = None
            self.deaths[str(point)] += 1
            self._bury(process)
        if self.disk.commits != before:
            self.written += 1
            for look in self.after_step:
                look(job.label)
        if pause is not None:
            self.after(self._wait(process, pause.why), lambda: self._step(job))

    def _count(self, job: Job) -> None:
        self.steps += 1
        self._steps_today += 1
        self._past.append((self.now, f"{job.process.name}: {job.label}"))
        if self._steps_today > self._most_a_day:
            raise Broken(f"restless: more than {self._most_a_day} steps in one day")

    def tell(self, what: str) -> None:
        """Add to the last line of the history what its step wrote."""
        at, line = self._past[-1]
        self._past[-1] = (at, f"{line} → {what}")

    @property
    def history(self) -> list[str]:
        """The last steps, each with its local time and what it wrote."""
        return [f"{local(at):%Y-%m-%d %H:%M:%S} {line}" for at, line in self._past]

    def _bury(self, process: Process) -> None:
        back = self.now + timedelta(seconds=self.pace.choice([1, 5, 30, 200]))
        process.die(self.now, back)

    def _wait(self, process: Process, why: str) -> float:
        on_the_wire = " with mail on the wire" if why == "mail" else ""
        if self.faults.happens(f"process stands still{on_the_wire}"):
            process.up_at = self.now + timedelta(seconds=self.pace.choice([30, 150, 900]))
        return self.pace.random() * (0.4 if why == "mail" else 0.2)
