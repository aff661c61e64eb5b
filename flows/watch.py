"""The safety net: everything that belongs to no single hop, and whatever a lost wake left behind."""

from __future__ import annotations

from uuid import UUID

from prefect import flow
from prefect.client.orchestration import PrefectClient, get_client

from congvan.acts import leases
from congvan.house import House
from flows.relay import LEASE, LEASE_FOR, Relay
from flows.runs import FLOWS, NAME, Deployments, Runs
from tasks import at_work, auditor, events, mail, records


@flow(name="watch", persist_result=False)
async def watch() -> None:
    """Tell the ladder, send the mail of no hop, seal the logs, wake what nobody woke, audit, read what came back."""
    async with at_work() as house:
        await records.tell()
        await mail.send(None)
        await records.seal()
        async with get_client() as client:
            await _relay_once(house, client)
            await events.signal(client)
        await auditor.audit()
        # Last, since a mailbox that cannot be read must keep nothing else from being done.
        await mail.take_in()


async def _relay_once(house: House, client: PrefectClient) -> None:
    """The relay's own pass over everything, where no relay is alive to do it."""
    if not await leases.hold(house, LEASE, LEASE_FOR):
        return
    deployments = Deployments(_by_name)
    try:
        await Relay(house, deployments).wakes(Runs(house, client, deployments))
    finally:
        await leases.drop(house, LEASE)


async def _by_name(client: PrefectClient) -> dict[str, UUID]:
    return {name: (await client.read_deployment_by_name(f"{name}/{NAME}")).id for name in FLOWS}
