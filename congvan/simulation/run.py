"""One seed, from its world to its verdict."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from congvan.acts import launches, registry
from congvan.house import rarely_collected
from congvan.rules.calendar import instant, local
from congvan.simulation import whole
from congvan.simulation.faults import Fault, Faults, stream
from congvan.simulation.inline import Disk
from congvan.simulation.look import rows
from congvan.simulation.mailroom import Mailroom
from congvan.simulation.memory import Memory
from congvan.simulation.operators import Operators
from congvan.simulation.parts import calendars
from congvan.simulation.post import Servers
from congvan.simulation.processes import Process
from congvan.simulation.recipients import Recipients
from congvan.simulation.relay import Relay, judge
from congvan.simulation.scheduler import Broken, Scheduler
from congvan.simulation.watcher import Watcher
from congvan.simulation.world import World, draw_world

#: Once the faults have stopped the world has this long to come to rest.
REST = timedelta(days=75)

PROCESSES = ("relay", "worker-1", "worker-2", "portal-1", "portal-2")


@dataclass
class Verdict:
    """What became of one seed. broken: the invariant that does not hold, or empty."""

    seed: int
    tenants: int
    broken: str = ""
    history: list[str] = field(default_factory=list)
    steps: int = 0
    #: Steps that have written something: so many there were to be checked.
    written: int = 0
    days: int = 0
    campaign_days: int = 0
    checks: int = 0
    sha256: str = ""
    faults: dict[str, int] = field(default_factory=dict)
    happened: list[Fault] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    ends: dict[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "seed": self.seed, "tenants": self.tenants, "ok": not self.broken, "broken": self.broken,
            "steps": self.steps, "days": self.days, "campaign_days": self.campaign_days, "checks": self.checks,
            "sha256": self.sha256, "faults": self.faults, "counts": self.counts, "ends": self.ends,
            "history": self.history,
        }  # fmt: skip


class Simulation:
    """A world, its processes, and the one who watches."""

    def __init__(self, world: World, disk: Disk, folder: Path, faults: Faults) -> None:
        self.world, self.disk, self.faults = world, disk, faults
        begins, crowd = world.starts - timedelta(hours=1), len(world.register.organisations)
        self.scheduler = Scheduler(world.seed, disk, faults, folder, begins, crowd)
        self.processes = {name: self._process(name, folder) for name in PROCESSES}
        plans = {launch.plan.code: (launch.plan, launch.cascade) for _, launch in world.launches}
        self.memory = Memory(disk, calendars(), plans)
        portals = [self.processes["portal-1"], self.processes["portal-2"]]
        self.mailroom = Mailroom(disk)
        self.recipients = Recipients(self.scheduler, portals, self.memory, self.mailroom)
        self.servers = Servers(world.seed, faults, lambda: self.scheduler.now, self.recipients.receives)
        self.watcher = Watcher(self.memory, lambda: self.scheduler.now, self.scheduler.tell)
        self.scheduler.after_step.append(self.watcher.after_step)
        self.scheduler.at_day_end.append(self.watcher.day_end)
        workers = [self.processes["worker-1"], self.processes["worker-2"]]
        self.relay = Relay(self.scheduler, self.processes["relay"], workers, self.servers, self.mailroom)
        self.mailroom.came = self.relay.plan
        self.operators = Operators(self.scheduler, self.processes["portal-1"])
        self._mornings: list[datetime] = []

    def _process(self, name: str, folder: Path) -> Process:
        skew = timedelta(seconds=stream(self.world.seed, f"skew/{name}").uniform(-5, 5))
        process = Process(name, self.world.seed, self.disk, self.faults, folder, skew)
        process.start(self.scheduler.now)
        return process

    def run(self) -> Counter[str]:
        """The days of faults, then the calm, then the end; raise Broken where an invariant does not hold."""
        self._begin()
        self.scheduler.run(self.world.ends)
        self.faults.calm = self.operators.calm = True
        self.servers.down_until = self.relay.down_until = None
        self.relay.plan()
        self.scheduler.run(self.world.ends + REST, self._is_over)
        self.watcher.at_the_end()
        whole.on_the_wire(self.memory, self.servers.taken, self.servers.copied)
        return whole.nobody_forgotten(self.memory)

    def _is_over(self) -> bool:
        """Every campaign has been closed by its person, and nothing but mornings is still to come."""
        states = [one[0] for one in self.disk.look("select state from campaigns")]
        closed = len(states) == len(self.world.launches) and all(state == "CLOSED" for state in states)
        return closed and self.relay.due_at() is None and self.scheduler.waits == self._mornings_left()

    def _mornings_left(self) -> int:
        return sum(at >= self.scheduler.now for at in self._mornings)

    def stop(self) -> None:
        """Drop what is under way."""
        for process in self.processes.values():
            for job in process.jobs:
                job.coroutine.close()

    def _begin(self) -> None:
        portal = self.processes["portal-2"]

        def registered(counts: Any, error: BaseException | None) -> None:
            judge("register", error)
            if counts is None:
                register()

        def register() -> None:
            taking = registry.take_over(portal.house, self.world.register)
            self.scheduler.begin(portal, taking, "register", registered)

        register()
        for at, launch in self.world.launches:
            self.scheduler.at(at, lambda launch=launch: self._launch(launch))  # type: ignore[misc]
        day = local(self.world.starts).date()
        for number in range(self.world.days + REST.days):
            morning = instant(day + timedelta(days=number), calendars().state.opens)
            if calendars().state.is_working(local(morning).date()) and morning > self.world.starts:
                self._mornings.append(morning)
                self.scheduler.at(morning, self.operators.morning)

    def _launch(self, launch: launches.Launch) -> None:
        portal = self.processes["portal-2"]

        def ended(key: Any, error: BaseException | None) -> None:
            judge("launch", error)
            if key is None:
                self.scheduler.after(60, lambda: self._launch(launch))

        self.scheduler.begin(portal, launches.launch(portal.house, launch), f"launch {launch.plan.code}", ended)


@contextmanager
def _a_loop() -> Iterator[None]:
    """A current event loop that never runs: SQLAlchemy asks for one outside a coroutine."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        yield
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def simulate(seed: int, tenants: int, days: int, only: Collection[Fault] | None = None, malice: float = 1.0) -> Verdict:
    """Play one seed and say what became of it."""
    verdict = Verdict(seed, tenants)
    faults = Faults(seed, malice, only)
    with _a_loop(), rarely_collected(), tempfile.TemporaryDirectory() as name:
        disk = Disk()
        world = draw_world(seed, tenants, days, Path(name))
        simulation = Simulation(world, disk, Path(name), faults)
        try:
            verdict.ends = dict(sorted(simulation.run().items()))
        except Broken as broken:
            verdict.broken = str(broken)
            verdict.history = list(simulation.scheduler.history)
        simulation.stop()
        _sum_up(verdict, simulation)
    disk.close()
    return verdict


def _sum_up(verdict: Verdict, simulation: Simulation) -> None:
    scheduler = simulation.scheduler
    verdict.steps, verdict.written, verdict.days = scheduler.steps, scheduler.written, scheduler.days
    verdict.checks = simulation.memory.checks
    verdict.campaign_days = scheduler.days * len(simulation.world.launches)
    verdict.faults, verdict.happened = simulation.faults.counts(), simulation.faults.happened
    parties = (simulation.recipients, simulation.operators, simulation.servers, simulation.mailroom)
    counts = sum((party.tally for party in parties), Counter())
    counts["messages taken"] = sum(simulation.servers.taken.values())
    counts["messages twice on the wire"] = sum(
        times - 1 - simulation.servers.copied[key] for key, times in simulation.servers.taken.items()
    )
    counts["turns"] = simulation.relay.turns
    verdict.counts = dict(sorted(counts.items()))
    verdict.sha256 = log_sha256(simulation.disk)


def log_sha256(disk: Disk) -> str:
    """The SHA-256 of the whole event log, in the order in which it was written."""
    digest = hashlib.sha256()
    for event in rows(disk, "select * from events order by rowid"):
        digest.update(repr(tuple(event)).encode())
    return digest.hexdigest()
