"""From the database to Prefect: wakes hops, opens runs, publishes the board. The database leads.

It runs beside the runner in `python -m flows`, holds a lease, and so may run in several processes.
Whatever it has done wrong or too late, the next tick does again: every step compares and repairs.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

import httpx
from prefect.client.orchestration import PrefectClient, get_client

from congvan.acts import campaigns, demo, escalations, hops, leases, mails
from congvan.clock import DemoClock
from congvan.house import House
from flows.publishing import Publisher
from flows.runs import Deployments, Runs

log = logging.getLogger("congvan.relay")

LEASE = "relay"
LEASE_FOR = timedelta(seconds=20)
#: How often every open hop is compared with its run, in seconds.
COMPARE_EVERY_S = 15.0
#: The longest the relay publishes before it looks at the wakes again, in seconds.
PUBLISH_FOR_S = 1.0


class Relay:
    """One pass a second over what is due. `pause_s`: the least pause between two jumps of a demo's clock."""

    def __init__(self, house: House, deployments: Deployments, *, every_s: float = 1.0, pause_s: float = 0.0) -> None:
        self.house = house
        self.deployments = deployments
        self.every_s = every_s
        self.pause_s = pause_s
        self._compared = 0.0
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """End after the present tick."""
        self._stopping.set()

    async def run(self) -> None:
        """Tick until stopped. A server that is away is waited for; nothing is lost meanwhile."""
        async with get_client() as client:
            runs = Runs(self.house, client, self.deployments)
            publisher = Publisher(self.house, client, self.deployments, runs)
            while not self._stopping.is_set():
                worked = await self._guarded(client, runs, publisher)
                await self._wait(0.0 if worked else self.every_s)
        await leases.drop(self.house, LEASE)

    async def _wait(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds or 0.01)
        except TimeoutError:
            return

    async def _guarded(self, client: PrefectClient, runs: Runs, publisher: Publisher) -> bool:
        try:
            if not await leases.hold(self.house, LEASE, LEASE_FOR):
                return False
            return await self.tick(runs, publisher)
        except (httpx.HTTPError, OSError) as fault:
            log.warning("Prefect cannot be reached; trying again: %s", type(fault).__name__)
            return False

    async def tick(self, runs: Runs, publisher: Publisher) -> bool:
        """Everything once: campaigns, hops, the house's own mail, the board, the clock. True if it moved a clock."""
        if await self.deployments.ensure(runs.client):
            await runs.forget()
        for campaign_id in await campaigns.due(self.house):
            await campaigns.turn(self.house, campaign_id)
        await runs.campaigns()
        await self._hops(runs)
        await self._own_mail(runs)
        loop = asyncio.get_running_loop()
        if loop.time() - self._compared > COMPARE_EVERY_S:
            self._compared = loop.time()
            await runs.compare()
        await publisher.publish(PUBLISH_FOR_S)
        return await self._move_clock()

    async def _hops(self, runs: Runs) -> None:
        now = await self.house.clock.now()
        async with self.house.store.view() as ledger:
            due = await hops.due_hops(ledger, now)
        wall = self.house.clock.wall()
        free = [hop for hop in due if hop.lease_until is None or hop.lease_until < wall]
        paused = await self.deployments.hop_paused(runs.client)
        wanted = []
        for hop in free:
            if await hops.needs_a_run(self.house, hop.id):
                if not (paused and hop.opened_at is None):
                    wanted.append(hop)
            else:
                await self._turn_here(runs, hop.id)
        await runs.wake(wanted)

    async def _turn_here(self, runs: Runs, hop_id: str) -> None:
        """A round without mail needs no process: settled, escalated, or only planned anew."""
        lease = await hops.turn(self.house, hop_id)
        if lease is None:
            return
        wake = await hops.rest(self.house, lease)
        await hops.release(self.house, lease)
        await runs.show(hop_id, wake)

    async def _own_mail(self, runs: Runs) -> None:
        """Digests that are due and mail of no hop go out by the `watch` flow."""
        now = await self.house.clock.now()
        async with self.house.store.view() as ledger:
            moments = (await escalations.next_digest_at(ledger), await mails.next_mail_at(ledger, None))
        if any(moment is not None and moment <= now for moment in moments):
            await runs.watch()

    async def _move_clock(self) -> bool:
        if not isinstance(self.house.clock, DemoClock):
            return False
        then = await demo.advance(self.house)
        if then is not None and self.pause_s:
            await asyncio.sleep(self.pause_s)
        return then is not None
