"""Named rights that one process holds at a time."""

from __future__ import annotations

from datetime import timedelta

from congvan.house import House
from congvan.store.database import passes
from congvan.store.tables import Campaign, Hop, Lease

#: The right of the process that has hops done what is due. While nobody holds it, nothing leaves.
RELAY = "relay"
#: A lease that reaches further than this many times what one lasts was taken by a clock that was wrong; one that is a
#: little ahead takes and keeps its leases like any other.
_TOO_FAR = 3


async def hold(house: House, name: str, duration: timedelta) -> bool:
    """Take or keep a right; False while another process holds it."""
    wall = house.clock.wall()
    async with house.store.act() as ledger:
        free = (Lease.owner == house.name) | (Lease.until < wall) | (Lease.until > wall + _TOO_FAR * duration)
        if await ledger.change(Lease, Lease.name == name, free, owner=house.name, until=wall + duration):
            return True
        return await ledger.add_if_absent(Lease, name=name, owner=house.name, until=wall + duration)


async def held(house: House, name: str) -> bool:
    """True while some process holds this right."""
    async with house.store.view() as ledger:
        row = await ledger.find(Lease, name)
        return row is not None and row.until >= house.clock.wall()


async def missing(house: House, name: str = "") -> str:
    """What is missing: "no database" while it does not answer, "no relay" while nobody holds the right of this name; ""
    where nothing is."""
    try:
        await house.clock.now()
        found = await held(house, name or RELAY)
    except Exception as fault:
        if not passes(fault):
            raise
        return "no database"
    return f"no {name}" if name and not found else ""


async def free_of_another_clock(house: House) -> None:
    """Free the hops and campaigns that were taken by a clock which was far ahead, and whose holder was killed: each
    would be kept from its turn until that time comes again."""
    far = house.clock.wall() + _TOO_FAR * house.lease
    async with house.store.act() as ledger:
        for table in (Hop, Campaign):
            await ledger.change(table, table.lease_until > far, lease_until=None, lease_owner=None)


async def drop(house: House, name: str) -> None:
    """Give a right back."""
    async with house.store.act() as ledger:
        await ledger.remove(Lease, Lease.name == name, Lease.owner == house.name)
