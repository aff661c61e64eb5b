"""Processes of the engine in virtual time: each runs its coroutines, one transaction at a time, until it dies."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from congvan.clock import HandClock
from congvan.house import House
from congvan.simulation.faults import Crash, Faults, stream
from congvan.simulation.inline import Disk, Pause
from congvan.simulation.parts import new_house

#: Called when a job has ended: what it returned, or why it failed (None, None: its process died).
Ended = Callable[[Any, BaseException | None], None]


@dataclass(eq=False)
class Job:
    """A coroutine under way in a process."""

    process: Process
    coroutine: Coroutine[Any, Any, Any]
    label: str
    ended: Ended
    over: bool = False
    steps: int = 0


@dataclass(eq=False)
class Process:
    """One process of the engine: a worker, the relay, a portal. skew: how far its clock is off."""

    name: str
    seed: int
    disk: Disk
    faults: Faults
    folder: Path
    skew: timedelta = timedelta()
    #: The skew to which its clock is set back, and when.
    jumped: tuple[datetime, timedelta] | None = None
    life: int = 0
    jobs: list[Job] = field(default_factory=list)
    up_at: datetime | None = None
    house: House = field(init=False)

    def start(self, now: datetime) -> None:
        """A fresh house on the same database."""
        self.life += 1
        name = f"{self.name}/{self.life}"
        self.house = new_house(self.seed, name, self.disk, now + self.skew, self.folder, self.dies)

    def dies(self, point: str) -> None:
        """Raise Crash where the seed says that this process dies here."""
        if self.faults.happens(f"dies {point}"):
            raise Crash(point)

    def is_up(self, now: datetime) -> bool:
        """False while it is being started again."""
        return self.up_at is None or now >= self.up_at

    def step(self, job: Job, now: datetime) -> Pause | None:
        """Run a job up to its next pause; None: it has ended. Raise Crash where the process died."""
        clock = self.house.clock
        assert isinstance(clock, HandClock)
        self._set_clock(now)
        clock.set(now + self.skew)
        try:
            if job.steps:
                self.dies("between transactions")
            job.steps += 1
            pause: Pause = job.coroutine.send(None)
            return pause
        except StopIteration as done:
            self._end(job, done.value, None)
        except Exception as error:  # what an act may raise is judged by whoever called it
            self._end(job, None, error)
        return None

    def _set_clock(self, now: datetime) -> None:
        """Somebody sets the machine's clock wrong, and some minutes later right again."""
        if self.jumped is not None and now >= self.jumped[0]:
            self.skew, self.jumped = self.jumped[1], None
        elif self.jumped is None and self.faults.happens("clock jumps"):
            chance = stream(self.seed, f"jump/{len(self.faults.happened)}")
            self.jumped = (now + timedelta(minutes=chance.randint(1, 15)), self.skew)
            self.skew += timedelta(seconds=chance.choice([-1800, -300, -20, 20, 300, 3600]))

    def _end(self, job: Job, value: Any, error: BaseException | None) -> None:
        job.over = True
        self.jobs.remove(job)
        job.ended(value, error)

    def die(self, now: datetime, back_at: datetime) -> None:
        """Drop everything that was under way and start again later."""
        lost, self.jobs = self.jobs, []
        for job in lost:
            job.over = True
            job.coroutine.close()
        self.up_at = back_at
        self.start(now)
        for job in lost:
            job.ended(None, None)
