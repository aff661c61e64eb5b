"""A hop: an issuer and everyone directly below it. `turn` is all that a woken hop does.

The flow, the relay and the simulator call the same function. Correctness rests on the lease and on
compare-and-set, never on who called or how often.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Select, String, Update, bindparam, or_, select, update

from congvan.acts import chasing, mails, opening, waking
from congvan.acts.frozen import cascade_of, plan_of, rule_of
from congvan.house import House
from congvan.rules.protocol import Fact, State, settling_states
from congvan.rules.records import Issue, Settles
from congvan.store.database import Refused
from congvan.store.ledger import Entry, Ledger
from congvan.store.tables import Campaign, Delivery, Hop


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to turn a hop. seen: the wakes that this turn answers."""

    hop_id: str
    owner: str
    seen: int


# ------------------------------------------------------------------------------------ the turn


async def turn(house: House, hop_id: str) -> Lease | None:
    """Decide and record all that is due in a hop; None when somebody else holds it.

    1. Take the lease; who gets none leaves without touching anything.
    2. Not released yet: nothing.
    3. Released: draft the letter, have it issued, open, once.
    4. Open: remind and escalate whoever is due, write their mails down.
    5. Everybody settled: settled.
    Whoever called sends the mails and then calls `rest`.
    """
    lease = await take(house, hop_id)
    if lease is None:
        return None
    try:
        await _decide(house, hop_id)
    except Exception:
        # Whoever tries again at once finds it free. A database that is away leaves it to run out.
        with suppress(Exception):
            await release(house, lease)
        raise
    return lease


async def _decide(house: House, hop_id: str) -> None:
    async with house.store.view() as ledger:
        hop = await ledger.get(Hop, hop_id)
        campaign = await ledger.get(Campaign, hop.campaign_id)
    # Read back once per process and kept: not while a transaction holds the database.
    cascade_of(campaign)
    plan_of(campaign)
    if campaign.held_at is None and campaign.state == "RUNNING":
        if hop.opened_at is None:
            await opening.toward_opening(house, hop)
        await chasing.chase(house, hop_id)
        await _settle(house, hop_id)
    elif campaign.held_at is None and hop.opened_at is None and rule_of(campaign, hop).issue is Issue.COMPANY:
        # A company passes on after the closing: its letter leaves, and nobody is chased for an answer.
        await opening.toward_opening(house, hop)


async def take(house: House, hop_id: str) -> Lease | None:
    """A lease on the hop, or None where another turn holds one that is still good."""
    wall = house.clock.wall()
    owner = house.new_id(wall)
    async with house.store.act() as ledger:
        lease = {"hop": hop_id, "wall": wall, "until": wall + house.lease, "by": owner}
        if not await ledger.changed(_taken(), lease):
            return None
        hop = await ledger.get(Hop, hop_id)
        return Lease(hop_id, owner, hop.wake_seq)


async def rest(house: House, lease: Lease) -> datetime | None:
    """Commit when this hop is to be woken next; None: never by the clock.

    Whoever has just been sent to is planned first. An act that came in meanwhile has raised `wake_seq`;
    then the hop stays due, and so the wake is not lost.
    """
    await chasing.chase(house, lease.hop_id)
    async with house.store.act() as ledger:
        wake = await waking.next_wake(house, ledger, lease.hop_id)
        await ledger.changed(_resting(), {"hop": lease.hop_id, "by": lease.owner, "seen": lease.seen, "wake": wake})
    return await waking.planned(house, lease.hop_id)


@asynccontextmanager
async def kept(house: House, lease: Lease) -> AsyncIterator[None]:
    """Keep the lease while mail is sent, which may take longer than one lease lasts."""

    async def beat() -> None:
        held = True
        while held:
            # A database that is away for a moment must not cost the lease of what is on the wire.
            with suppress(Refused):
                held = await extend_lease(house, lease)
            await asyncio.sleep(house.settings.lease_s / 3)

    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)


@asynccontextmanager
async def given_back(house: House, lease: Lease) -> AsyncIterator[None]:
    """Give the lease back at the end, also of a turn that fails or is told to stop: nobody has to wait for it."""
    try:
        yield
    finally:
        await release(house, lease)


async def extend_lease(house: House, lease: Lease) -> bool:
    """Hold on for another while; False when the lease was lost."""
    async with house.store.act() as ledger:
        until = house.clock.wall() + house.lease
        return await ledger.changed(_extended(), {"hop": lease.hop_id, "by": lease.owner, "until": until})


async def release(house: House, lease: Lease) -> None:
    """Give the lease back."""
    async with house.store.act() as ledger:
        await ledger.changed(_released(), {"hop": lease.hop_id, "by": lease.owner})


# ------------------------------------------------------------------------------------ settled


async def _settle(house: House, hop_id: str) -> None:
    now = await house.clock.now()
    async with house.store.act() as ledger:
        hop = await ledger.take(Hop, hop_id)
        if hop.opened_at is None:
            return
        somebody = await has_open(ledger, hop_id)
        if hop.state == "OPEN" and not somebody:
            await ledger.write(hop, now, Entry(Fact.SETTLED), state="SETTLED", settled_at=now)
            await mails.wake_campaign(ledger, hop.campaign_id, now)
        elif hop.state == "SETTLED" and somebody:
            # One who had acknowledged has rejected since and was written to anew: he is chased like the others.
            await ledger.write(hop, now, Entry(Fact.NOTED, {"open again": True}), state="OPEN", settled_at=None)


async def has_open(ledger: Ledger, hop_id: str) -> bool:
    """True while somebody of this hop has not settled."""
    return bool(await ledger.session.scalar(_open_of(), {"hop": hop_id}))


@cache
def _open_of() -> Select[tuple[str]]:
    # Each way of being open names all columns of an index, so that nobody who has settled is read: everybody's
    # answer asks this, and of thousands most have settled in the end. Built once, for the same reason.
    hop_id = bindparam("hop", type_=String)
    campaign = select(Hop.campaign_id).where(Hop.id == hop_id).scalar_subquery()
    open_ones = [
        (Delivery.campaign_id == campaign)
        & (Delivery.hop_id == hop_id)
        & (Delivery.settles == settles.value)
        & Delivery.state.in_([state.value for state in State if state not in settling_states(settles)])
        for settles in Settles
    ]
    return select(Delivery.id).where(or_(*open_ones)).limit(1)


# ------------------------------------------------------------------------------------ statements of every turn


@cache
def _taken() -> Update:
    hop: Any = Hop.__table__
    free = or_(hop.c.lease_until.is_(None), hop.c.lease_until < bindparam("wall"))
    values = {"lease_until": bindparam("until"), "lease_owner": bindparam("by"), "turns": hop.c.turns + 1}
    return update(hop).where(hop.c.id == bindparam("hop"), free).values(values)


@cache
def _of_lease() -> Update:
    hop: Any = Hop.__table__
    return update(hop).where(hop.c.id == bindparam("hop"), hop.c.lease_owner == bindparam("by"))


@cache
def _resting() -> Update:
    hop: Any = Hop.__table__
    return _of_lease().where(hop.c.wake_seq == bindparam("seen")).values(wake_at=bindparam("wake"))


@cache
def _extended() -> Update:
    return _of_lease().values(lease_until=bindparam("until"))


@cache
def _released() -> Update:
    return _of_lease().values(lease_until=None, lease_owner=None)
