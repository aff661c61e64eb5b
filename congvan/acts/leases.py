"""Named rights that one process holds at a time."""

from __future__ import annotations

from datetime import timedelta

from congvan.house import House
from congvan.store.tables import Lease


async def hold(house: House, name: str, duration: timedelta) -> bool:
    """Take or keep a right; False while another process holds it."""
    wall = house.clock.wall()
    async with house.store.act() as ledger:
        free = (Lease.owner == house.name) | (Lease.until < wall)
        if await ledger.change(Lease, Lease.name == name, free, owner=house.name, until=wall + duration):
            return True
        return await ledger.add_if_absent(Lease, name=name, owner=house.name, until=wall + duration)


async def held(house: House, name: str) -> bool:
    """True while some process holds this right."""
    async with house.store.view() as ledger:
        row = await ledger.find(Lease, name)
        return row is not None and row.until >= house.clock.wall()


async def drop(house: House, name: str) -> None:
    """Give a right back."""
    async with house.store.act() as ledger:
        await ledger.remove(Lease, Lease.name == name, Lease.owner == house.name)
