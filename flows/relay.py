"""From the database to Prefect: wakes hops, opens runs, publishes the board. The database leads.

It runs beside the runner in `python -m flows`, holds a lease, and so may run in several processes.
Whatever it has done wrong or too late, the next tick does again: every step compares and repairs.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial

import httpx
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound

from congvan.acts import campaigns, demo, escalations, hops, leases, mails, prefect_runs, reconciling, waking
from congvan.clock import DemoClock
from congvan.errors import place_of
from congvan.house import House
from congvan.store.database import passes
from congvan.store.tables import Hop
from flows.apart import apart
from flows.clients import client_of_board
from flows.left_behind import drop_late_watches, end_left_behind
from flows.publishing import Publisher
from flows.registered import Deployments
from flows.runs import TRIPPED_S, Runs

log = logging.getLogger("congvan.relay")

LEASE_FOR = timedelta(seconds=20)
#: How often open hops are compared with their runs, in seconds; of hundreds some each time (`InTurn`).
COMPARE_EVERY_S = 15.0
#: The pauses of the publisher, when there is nothing to publish or no room, and of a demo's clock, in seconds.
PUBLISH_EVERY_S = 0.5
CLOCK_EVERY_S = 0.02
#: A demo's clock that stands is looked at again after this share of the time for which it has stood, and after this
#: many seconds at the latest.
CLOCK_SHARE, CLOCK_LATEST_S = 0.1, 0.1
#: How often it is looked for deployments that are gone, and for watches that nobody has begun; in seconds.
LOOK_EVERY_S = 60.0
#: How often the log is told of the same fault of Prefect.
COMPLAIN_EVERY_S = 60.0


class Relay:
    """Three loops under one lease: wakes, the board, and in a demo the clock. None waits for another.

    every_s: the pause between two looks at what is due. pause_s: the least pause between two jumps of a
    demo's clock.
    """

    def __init__(self, house: House, deployments: Deployments, *, every_s: float = 1.0, pause_s: float = 0.0) -> None:
        self.house = house
        self.deployments = deployments
        self.every_s = every_s
        self.pause_s = pause_s
        self._compared = self._looked = -math.inf
        #: When the log was last told of each kind of fault; by the loop's clock.
        self._complained: dict[str, float] = {}
        self._leading = False
        #: When the lease that was renewed last was asked for; by the loop's clock.
        self._renewed = -math.inf
        #: What the log was told last.
        self._told: bool | None = None
        self._moved = 0.0
        #: Nothing may leave before a person has reconciled, so no process is started that could only find that out.
        self._restored = False
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """End after what is under way."""
        self._stopping.set()

    async def run(self) -> None:
        """Work until stopped. A server that is away is waited for; nothing is lost meanwhile."""
        async with get_client() as client, client_of_board(self.house.settings, client) as board_client:
            runs = Runs(self.house, client, self.deployments)
            publisher = Publisher(self.house, client, self.deployments, runs, board_client)

            async def publish() -> None:
                if self.deployments.ids:
                    await publisher.publish(lambda: self._leads() and not self._stopping.is_set())

            loops = [self._loop(self._lead, 5.0, always=True), self._loop(lambda: self.wakes(runs), self.every_s)]
            loops.append(self._loop(publish, PUBLISH_EVERY_S))
            if isinstance(self.house.clock, DemoClock):
                loops.append(self._loop(self._move_clock, CLOCK_EVERY_S))
            try:
                async with asyncio.TaskGroup() as together:
                    for loop in loops:
                        together.create_task(loop)
            finally:
                await leases.drop(self.house, leases.RELAY)

    def _leads(self) -> bool:
        """Not any more where this process stood still until its lease had run out."""
        since = asyncio.get_running_loop().time() - self._renewed
        return self._leading and since < LEASE_FOR.total_seconds()

    async def _loop(self, step: Callable[[], Awaitable[None]], pause_s: float, *, always: bool = False) -> None:
        while not self._stopping.is_set():
            try:
                if always or self._leads():
                    await step()
            except (httpx.HTTPError, ObjectNotFound) as fault:
                # Not found: somebody has deleted what was just about to be set; `compare` finds that out.
                self._complain(fault)
                await self._wait(1.0)
            except Exception as fault:
                if passes(fault):
                    # A database that restarts or whose disk is full comes back, and then somebody has to be there.
                    log.warning("the database refuses; trying again: %s", type(getattr(fault, "orig", fault)).__name__)
                else:
                    # What trips in one of the loops keeps the others neither from their letters nor from the board.
                    log.error("the relay has tripped; trying again: %s", place_of(fault))
                await self._wait(1.0)
            await self._wait(pause_s if self._leads() else 0.2)

    def _complain(self, fault: Exception) -> None:
        """Not each second: at a start the server is away for as long as it needs to come up."""
        now, kind = asyncio.get_running_loop().time(), type(fault).__name__
        if now - self._complained.get(kind, -math.inf) > COMPLAIN_EVERY_S:
            self._complained[kind] = now
            log.warning("Prefect cannot be reached; trying again: %s", kind)

    async def _wait(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return

    async def _lead(self) -> None:
        # It lasts from now on, however long the database is waited for.
        asked = asyncio.get_running_loop().time()
        try:
            self._leading = await leases.hold(self.house, leases.RELAY, LEASE_FOR)
        except Exception:
            # Whatever it was that tripped, somebody else may lead soon.
            self._leading = False
            raise
        self._renewed = asked
        if self._leading is not self._told:
            self._told = self._leading
            log.info("this relay %s", "leads" if self._leading else "stands by: another process holds the lease")

    async def wakes(self, runs: Runs) -> None:
        """Campaigns, hops and the house's own mail: whatever is due gets its run."""
        registered = await self.deployments.ensure(runs.client)
        if registered and not await prefect_runs.know_prefect(self.house, await runs.campaign_flow()):
            runs.forget()
        loop = asyncio.get_running_loop()
        if loop.time() - self._looked > LOOK_EVERY_S:
            self._looked = loop.time()
            await self.deployments.look_for_all(runs.client)
            await drop_late_watches(runs.client, self.deployments.ids["watch"], self.house.clock.wall())
        if loop.time() - self._compared > COMPARE_EVERY_S:
            self._compared = loop.time()
            await runs.compare()
            self._restored = await reconciling.is_restored(self.house)
            await leases.free_of_another_clock(self.house)
            await end_left_behind(self.house, runs.client, self.deployments.ids)
        for campaign_id in await campaigns.due(self.house):
            with apart(f"campaign {campaign_id}"):
                await campaigns.turn(self.house, campaign_id)
        await runs.campaigns()
        if not self._restored:
            await self._hops(runs)
            await self._own_mail(runs)

    async def _hops(self, runs: Runs) -> None:
        now = await self.house.clock.now()
        async with self.house.store.view() as ledger:
            # While the deployment is paused no hop opens, and those that wait to do so keep no other from its turn.
            free = await waking.due_hops(
                ledger, now, free_at=self.house.clock.wall(), opened=self.deployments.paused,
                without=runs.left_alone(),
            )  # fmt: skip
        wanted: list[Hop] = []
        for hop in free:
            with apart(f"hop {hop.issuer} ({hop.id})", partial(runs.put_off, hop, TRIPPED_S, turns=2)):
                if await waking.needs_a_run(self.house, hop.id):
                    wanted.append(hop)
                else:
                    await self._turn_here(runs, hop.id)
        await runs.wake(wanted)

    async def _turn_here(self, runs: Runs, hop_id: str) -> None:
        """A round without mail needs no process: settled, escalated, or only planned anew."""
        lease = await hops.turn(self.house, hop_id)
        if lease is None:
            return
        async with hops.given_back(self.house, lease):
            wake = await hops.rest(self.house, lease)
        await runs.show(hop_id, wake)

    async def _own_mail(self, runs: Runs) -> None:
        """Digests that are due and mail of no hop go out by the `watch` flow."""
        now = await self.house.clock.now()
        async with self.house.store.view() as ledger:
            moments = (await escalations.next_digest_at(ledger), await mails.next_mail_at(ledger, None))
        if any(moment is not None and moment <= now for moment in moments):
            await runs.watch()

    async def _move_clock(self) -> None:
        loop = asyncio.get_running_loop()
        if await demo.advance(self.house) is None:
            await self._wait(min((loop.time() - self._moved) * CLOCK_SHARE, CLOCK_LATEST_S))
        else:
            self._moved = loop.time()
            await self._wait(self.pause_s)
