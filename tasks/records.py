"""Turns and rests of hops and campaigns: what the database is told."""

from __future__ import annotations

from datetime import datetime

from congvan.acts import closing, hops, seals, telling
from congvan.acts.hops import Lease
from tasks import effect, house


@effect
async def turn(hop_id: str) -> Lease | None:
    """Decide and record all that is due in a hop; None when somebody else holds it."""
    return await hops.turn(house(), hop_id)


@effect
async def rest(lease: Lease) -> datetime | None:
    """Commit when the hop is woken next."""
    return await hops.rest(house(), lease)


@effect
async def tell() -> int:
    """Write the digests that are due; how many."""
    return len(await telling.tell(house()))


@effect
async def seal() -> int:
    """Seal every campaign in which something happened; how many."""
    return await seals.seal_all(house())


@effect
async def close(campaign: str, by: str) -> str:
    """Close a campaign in a person's name; the report's letter."""
    return await closing.close(house(), campaign, by)
