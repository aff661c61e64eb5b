"""The safety net: everything that belongs to no single hop, and whatever a lost wake left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from uuid import UUID

import httpx
from prefect import flow
from prefect.client.orchestration import PrefectClient, get_client

from congvan.acts import leases
from congvan.house import House
from flows.clients import client_of_board
from flows.publishing import Publisher
from flows.registered import FLOWS, NAME, Deployments
from flows.relay import LEASE_FOR, Relay
from flows.runs import Runs
from tasks import at_work, auditor, events, mail, records


@flow(name="watch", persist_result=False)
async def watch() -> None:
    """Tell the ladder, send the mail of no hop, seal the logs, wake what nobody woke, audit, read what came back.

    A step that fails keeps no other from being done; the run fails at its end.
    """
    faults: list[Exception] = []
    async with at_work() as house, get_client() as client:
        steps: tuple[Callable[[], Awaitable[object]], ...] = (
            records.tell, lambda: mail.send(None), records.seal, lambda: _relay_once(house, client),
            lambda: events.signal(client), auditor.audit, mail.take_in,
        )  # fmt: skip
        for step in steps:
            try:
                await step()
            except Exception as fault:
                faults.append(fault)
        if faults:
            raise faults[0]


async def _relay_once(house: House, client: PrefectClient) -> None:
    """The relay's own pass over everything, and over the board while its lease lasts, where no relay is alive to do
    it."""
    loop = asyncio.get_running_loop()
    until = loop.time() + LEASE_FOR.total_seconds() / 4
    if not await leases.hold(house, leases.RELAY, LEASE_FOR):
        return
    deployments = Deployments(_by_name)
    runs = Runs(house, client, deployments)
    try:
        await Relay(house, deployments).wakes(runs)
        # A board that is away is shown later.
        with suppress(httpx.HTTPError):
            async with client_of_board(house.settings, client) as board_client:
                await Publisher(house, client, deployments, runs, board_client).publish(lambda: loop.time() < until)
    finally:
        await leases.drop(house, leases.RELAY)


async def _by_name(client: PrefectClient) -> dict[str, UUID]:
    return {name: (await client.read_deployment_by_name(f"{name}/{NAME}")).id for name in FLOWS}
