"""Who is sent to next, and when: rates, limits per domain, and the obedience to "slow down".

Instants here are the loop's monotonic seconds: pacing is about now, never about dates.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

Job = TypeVar("Job")


@dataclass(frozen=True, slots=True)
class Limits:
    """How hard a server and a domain may be pressed. None = no limit of its own.

    rate_per_s, domain_rate_per_s: messages started a second. per_domain: messages on their way to one
    domain at a time. per_connection: messages before a connection is renewed.
    first_pause_s doubles with every "slow down" up to longest_pause_s. What would have to wait longer than
    patience_s is handed back untried, so that no lease is held for a server that does not want us.
    """

    rate_per_s: float | None = None
    domain_rate_per_s: float | None = None
    per_domain: int | None = None
    per_connection: int = 1_000
    first_pause_s: float = 1.0
    longest_pause_s: float = 300.0
    patience_s: float = 5.0


class Rate:
    """At most `per_s` starts a second, evenly spaced."""

    __slots__ = ("_gap_s", "_next_at")

    def __init__(self, per_s: float | None) -> None:
        self._gap_s = 1 / per_s if per_s else 0.0
        self._next_at = 0.0

    def wait_s(self, now: float) -> float:
        """Seconds until the next start is allowed; 0 = now."""
        return max(self._next_at - now, 0.0)

    def start(self, now: float) -> None:
        """One has started."""
        self._next_at = max(self._next_at, now - self._gap_s) + self._gap_s


#: Shared by all that have no rate of their own: it never lets wait.
_UNLIMITED = Rate(None)


class Pause:
    """A pause that doubles while the server keeps asking for it."""

    __slots__ = ("_length_s", "_limits", "_until")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._length_s = 0.0
        self._until = 0.0

    def wait_s(self, now: float) -> float:
        """Seconds of the pause that are left."""
        return max(self._until - now, 0.0)

    def lengthen(self, now: float) -> None:
        """The server asked again; what several connections heard at once counts once."""
        if now < self._until:
            return
        doubled = self._length_s * 2 or self._limits.first_pause_s
        self._length_s = min(doubled, self._limits.longest_pause_s)
        self._until = now + self._length_s

    def forget(self, now: float) -> None:
        """The server takes mail again. A running pause stays: the message had been under way before it."""
        if now >= self._until:
            self._length_s = self._until = 0.0

    @property
    def forgotten(self) -> bool:
        return not self._length_s


class _Domain(Generic[Job]):
    __slots__ = ("active", "pause", "rate", "waiting")

    def __init__(self, limits: Limits) -> None:
        self.waiting: deque[Job] = deque()
        self.active = 0
        self.rate = Rate(limits.domain_rate_per_s) if limits.domain_rate_per_s else _UNLIMITED
        self.pause = Pause(limits)


class Pacer(Generic[Job]):
    """A queue that deals out jobs by turns among the domains that may be sent to now.

    `give_back` gets a job whose way is shut for longer than anybody should wait.
    """

    def __init__(self, limits: Limits, give_back: Callable[[Job], None]) -> None:
        self._limits = limits
        self._give_back = give_back
        self._domains: OrderedDict[str, _Domain[Job]] = OrderedDict()
        self._server_rate = Rate(limits.rate_per_s)
        self.server_pause = Pause(limits)
        self._idle: deque[asyncio.Future[None]] = deque()

    def add(self, domain: str, job: Job, *, first: bool = False) -> None:
        """Queue a job; `first` puts one back that was taken."""
        entry = self._domains.get(domain)
        if entry is None:
            entry = self._domains[domain] = _Domain(self._limits)
        entry.waiting.appendleft(job) if first else entry.waiting.append(job)
        self._wake(1)

    def withdraw(self, unwanted: Callable[[Job], bool]) -> list[Job]:
        """Forget jobs that have not been taken, and return them."""
        gone: list[Job] = []
        for entry in self._domains.values():
            gone += [job for job in entry.waiting if unwanted(job)]
            entry.waiting = deque(job for job in entry.waiting if not unwanted(job))
        return gone

    async def take(self) -> Job:
        """The next job that may start; waits as long as it takes."""
        loop = asyncio.get_running_loop()
        while True:
            job, wait_s = self._pick(loop.time())
            if job is not None:
                return job
            idle = loop.create_future()
            self._idle.append(idle)
            timer = loop.call_later(wait_s, self._wake, len(self._idle)) if wait_s is not None else None
            try:
                await idle
            finally:
                if timer is not None:
                    timer.cancel()

    def done(self, domain: str) -> None:
        """A taken job has ended, one way or another."""
        entry = self._domains.get(domain)
        if entry is not None:
            entry.active -= 1
            self._forget_if_plain(domain, entry, asyncio.get_running_loop().time())
        self._wake(1)

    def slow_down(self, domain: str | None, now: float) -> None:
        """The server asked for it: for one domain, or (None) for everything."""
        if domain is None:
            self.server_pause.lengthen(now)
        elif domain in self._domains:
            self._domains[domain].pause.lengthen(now)

    def went_well(self, domain: str, now: float) -> None:
        """A message was accepted: a pause that has passed starts small again."""
        self.server_pause.forget(now)
        if domain in self._domains:
            self._domains[domain].pause.forget(now)

    # ------------------------------------------------------------ inside

    def _pick(self, now: float) -> tuple[Job | None, float | None]:
        """A job to start now, or the seconds after which to look again (None = when something happens)."""
        if self._refused(self.server_pause, now):
            for entry in self._domains.values():
                self._hand_back(entry)
            return None, None
        wait_s = max(self.server_pause.wait_s(now), self._server_rate.wait_s(now))
        if wait_s > 0:
            return None, wait_s if any(entry.waiting for entry in self._domains.values()) else None
        return self._pick_domain(now)

    def _pick_domain(self, now: float) -> tuple[Job | None, float | None]:
        soonest: float | None = None
        for name, entry in self._domains.items():
            if not entry.waiting or self._full(entry):
                continue
            if self._refused(entry.pause, now):
                self._hand_back(entry)
                continue
            wait_s = max(entry.pause.wait_s(now), entry.rate.wait_s(now))
            if wait_s > 0:
                soonest = wait_s if soonest is None else min(soonest, wait_s)
                continue
            return self._start(name, entry, now), None
        return None, soonest

    def _start(self, name: str, entry: _Domain[Job], now: float) -> Job:
        entry.active += 1
        entry.rate.start(now)
        self._server_rate.start(now)
        # By turns: a domain with a thousand letters does not hold up one with a single letter.
        self._domains.move_to_end(name)
        return entry.waiting.popleft()

    def _full(self, entry: _Domain[Job]) -> bool:
        return self._limits.per_domain is not None and entry.active >= self._limits.per_domain

    def _refused(self, pause: Pause, now: float) -> bool:
        return pause.wait_s(now) > self._limits.patience_s

    def _hand_back(self, entry: _Domain[Job]) -> None:
        while entry.waiting:
            self._give_back(entry.waiting.popleft())

    def _forget_if_plain(self, name: str, entry: _Domain[Job], now: float) -> None:
        """Keep no row for a domain about which there is nothing to remember."""
        plain = entry.pause.forgotten and entry.rate.wait_s(now) == 0
        if plain and not entry.waiting and not entry.active:
            del self._domains[name]

    def _wake(self, count: int) -> None:
        while count > 0 and self._idle:
            idle = self._idle.popleft()
            if not idle.done():
                idle.set_result(None)
                count -= 1
