"""Plays Prefect and the relay: finds what is due and has it done by a worker, once, twice, late, or not yet."""

from __future__ import annotations

from collections import deque
from collections.abc import Coroutine
from datetime import datetime, timedelta
from typing import Any

from congvan.acts import campaigns, escalations, hops, inbox, mails, outbox, telling, waking
from congvan.acts.composing import Composer
from congvan.errors import StaleDelivery
from congvan.house import House
from congvan.simulation.faults import Faults
from congvan.simulation.look import instant_of
from congvan.simulation.mailroom import Mailroom
from congvan.simulation.post import Servers
from congvan.simulation.processes import Process
from congvan.simulation.scheduler import Broken, Scheduler

_DUE = """
select min(at) from (
  select min(max(h.wake_at, coalesce(h.lease_until, h.wake_at))) at from hops h join campaigns c on c.id = h.campaign_id
   where c.held_at is null and (c.state = 'RUNNING' or h.opened_at is null)
  union all select min(wake_at) from campaigns where held_at is null and state = 'RUNNING'
  union all select min(k.tell_at) from cases k join campaigns c on c.id = k.campaign_id
   where k.closed_at is null and c.held_at is null
  union all select min(l.awaits_until) from letters l join campaigns c on c.id = l.campaign_id
   where l.state = 'PENDING_ISSUE' and l.hop_id is null and c.held_at is null
      or l.kind = 'urge' and l.state = 'ISSUED' and c.held_at is null and c.state = 'RUNNING'
  union all select min(case when state = 'CLAIMED' then lease_until else not_before end)
   from messages m where state in ('QUEUED','CLAIMED','UNKNOWN')
    and (hop_id is null or exists (select 1 from campaigns c where c.id = m.campaign_id and c.state = 'CLOSED'))
    and (m.kind in ('pause', 'held')
         or not exists (select 1 from campaigns c where c.id = m.campaign_id and c.held_at is not null)))
"""

#: What a large batch has been told is written down meanwhile, as `outbox.dispatch` does; it does so each second.
_RECORD_EVERY = timedelta(seconds=10)

#: Without one the look at the campaigns is left out: it would be a transaction that finds nothing.
_CAMPAIGN_WAITS = "select 1 from campaigns where wake_at is not null and state = 'RUNNING' limit 1"


class Relay:
    """One relay and two workers. A wake is a level: what was lost is found again at the next look."""

    def __init__(
        self, scheduler: Scheduler, relay: Process, workers: list[Process], servers: Servers, mailroom: Mailroom
    ) -> None:
        self.scheduler, self.relay, self.workers, self.servers = scheduler, relay, workers, servers
        self.mailroom = mailroom
        self.queues: dict[str, deque[str]] = {worker.name: deque() for worker in workers}
        self.busy: dict[str, str | None] = {worker.name: None for worker in workers}
        self.looking = False
        self.down_until: datetime | None = None
        self.turns = 0
        self._planned: datetime | None = None
        scheduler.after_step.append(lambda _label: self.plan())

    @property
    def faults(self) -> Faults:
        """The world's faults."""
        return self.scheduler.faults

    # ------------------------------------------------------------------ when to look

    def due_at(self) -> datetime | None:
        """The first instant at which something is due: now where mail lies unread, else as the database says."""
        if self.mailroom.unread:
            return self.scheduler.now
        return instant_of(self.scheduler.disk.look(_DUE)[0][0])

    def plan(self, least: float = 1.0) -> None:
        """See to it that the relay looks when something becomes due."""
        soonest = self.scheduler.now + timedelta(seconds=least)
        if self.looking or (self._planned is not None and self.scheduler.now < self._planned <= soonest):
            return
        due = self.due_at()
        if due is None:
            return
        when = max(due, soonest)
        if self.down_until is not None:
            when = max(when, self.down_until)
        if self._planned is None or when < self._planned or self._planned <= self.scheduler.now:
            self._planned = when
            self.scheduler.at(when, lambda: self._look(when))

    def _look(self, planned: datetime) -> None:
        if planned != self._planned or self.looking:
            return
        self._planned = None
        if self.faults.happens("Prefect's database lost"):
            # Whatever waits for a worker is forgotten with it; what runs, runs on.
            for queue in self.queues.values():
                queue.clear()
        if self.faults.happens("engine down"):
            self.down_until = self.scheduler.now + timedelta(hours=self.scheduler.pace.choice([1, 6, 30, 72]))
            self.plan()
        elif self.faults.happens("wake lost"):
            self.plan(self.scheduler.pace.choice([5, 60, 900]))
        else:
            self.looking = True
            self.scheduler.begin(self.relay, self._tick(self.relay.house), "relay looks", self._looked)

    def _looked(self, _value: Any, error: BaseException | None) -> None:
        self.looking = False
        judge("relay", error)
        self.plan(40)

    # ------------------------------------------------------------------ what to do

    async def _tick(self, house: House) -> None:
        if self.scheduler.disk.look(_CAMPAIGN_WAITS):
            for campaign_id in await campaigns.due(house):
                await campaigns.turn(house, campaign_id)
        now = await house.clock.now()
        async with house.store.view() as ledger:
            due = await waking.due_hops(ledger, now, free_at=house.clock.wall())
            moments = (await escalations.next_digest_at(ledger), await mails.next_mail_at(ledger, None))
        for hop in due:
            if await waking.needs_a_run(house, hop.id):
                self._hand_out(hop.id)
            else:
                await self._turn(house, None, hop.id)
        if self.mailroom.unread or any(moment is not None and moment <= now for moment in moments):
            self._hand_out("")

    def _hand_out(self, job: str) -> None:
        """Give a hop (empty: the house's own mail and digests) to a worker that has not got it yet."""
        first = self.scheduler.pace.randrange(len(self.workers))
        for number in range(2 if self.faults.happens("wake doubled") else 1):
            worker = self.workers[(first + number) % len(self.workers)]
            taken = job in self.queues[worker.name] or self.busy[worker.name] == job
            if not taken and (number or not self._is_given(job)):
                self.queues[worker.name].append(job)
                self._next(worker)

    def _is_given(self, job: str) -> bool:
        return any(job in queue for queue in self.queues.values()) or job in self.busy.values()

    def _next(self, worker: Process) -> None:
        queue = self.queues[worker.name]
        if self.busy[worker.name] is not None or not queue:
            return
        job = self.busy[worker.name] = queue.popleft()
        self.turns += 1
        what = f"turns hop {job[-6:]}" if job else "tells and sends the house's mail"
        self.scheduler.begin(worker, self._work(worker, job), what, lambda _v, e: self._done(worker, what, e))

    def _done(self, worker: Process, what: str, error: BaseException | None) -> None:
        self.busy[worker.name] = None
        judge(what, error)
        self._next(worker)
        self.plan()

    def _work(self, worker: Process, job: str) -> Coroutine[Any, Any, None]:
        return self._turn(worker.house, worker, job) if job else self._watch(worker.house, worker)

    async def _turn(self, house: House, worker: Process | None, hop_id: str) -> None:
        lease = await hops.turn(house, hop_id)
        if lease is None:
            return
        if worker is not None:
            await self._send(house, worker, hop_id)
        await hops.rest(house, lease)
        await hops.release(house, lease)

    async def _watch(self, house: House, worker: Process) -> None:
        await inbox.read(house, self.mailroom)
        await telling.tell(house)
        await self._send(house, worker, None)

    async def _send(self, house: House, worker: Process, hop_id: str | None) -> None:
        """`outbox.dispatch` without its heartbeat, which needs a loop in real time: a process that stands
        still here for longer than its lease is one whose heart has stopped."""
        composer, carrier = Composer(house), self.servers.carrier(worker.dies)
        while works := await outbox.claim(house, hop_id):
            outgoing = await composer.compose(works)
            waiting, written = [], self.scheduler.now
            async for outcome in carrier.send(outgoing):
                waiting.append(outcome)
                if self.scheduler.now - written > _RECORD_EVERY:
                    await outbox.record(house, works, waiting)
                    waiting, written = [], self.scheduler.now
            await outbox.record(house, works, waiting)


def judge(what: str, error: BaseException | None) -> None:
    """The engine's own work must not fail: whoever raises here would raise again at every wake."""
    if error is not None and not isinstance(error, StaleDelivery):
        raise Broken(f"an act broke: {what}: {type(error).__name__}: {error}") from error
