"""When a hop is to be woken, which hops are due now, and whether a turn of one needs a process."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Integer, Select, bindparam, or_, select, tuple_

from congvan.acts import chasing, mails, releasing
from congvan.house import House
from congvan.store.ledger import Ledger
from congvan.store.tables import Campaign, Delivery, Hop, Letter

#: Due hops that are given at a time.
_AT_A_TIME = 100


async def next_wake(house: House, ledger: Ledger, hop_id: str) -> datetime | None:
    """The next instant at which something of this hop becomes due by the clock.

    A letter whose way was shut meanwhile (its issuer was let go, or rejected) is not waited for: whoever
    opens the way again wakes the hop.
    """
    hop = await ledger.get(Hop, hop_id)
    moments = [await mails.next_mail_at(ledger, hop_id)]
    campaign = await ledger.get(Campaign, hop.campaign_id)
    if campaign.state == "CLOSED":
        return None  # what is left to send is carried with the mail of no hop
    if hop.opened_at is None:
        moments.append(await _opens_at(house, ledger, campaign, hop))
    if hop.state != "SETTLED":
        # One that has not opened may have recipients whom its company has reached by itself.
        moments.append(await ledger.session.scalar(_first_wake(), {"hop": hop_id}))
    return min((moment for moment in moments if moment is not None), default=None)


async def _opens_at(house: House, ledger: Ledger, campaign: Campaign, hop: Hop) -> datetime | None:
    """When a hop that has not opened is to be looked at, by the clock."""
    now = await house.clock.now()
    opens = await releasing.opens_at(house, ledger, campaign, hop, now)
    if opens != now:
        return opens
    letter = await ledger.find(Letter, hop.letter_id) if hop.state == "PENDING_ISSUE" and hop.letter_id else None
    if letter is not None and letter.state != "ISSUED":
        return letter.awaits_until
    # Turned while its campaign was held, which opens nothing: the resumption wakes no hop that waits.
    return hop.wake_at or now


async def planned(house: House, hop_id: str) -> datetime | None:
    """When this hop is to be woken, as the database has it now."""
    async with house.store.view() as ledger:
        found: datetime | None = await ledger.session.scalar(_wake_of(), {"hop": hop_id})
        return found


async def due_hops(
    ledger: Ledger,
    now: datetime,
    *,
    free_at: datetime | None = None,
    opened: bool = False,
    without: Collection[tuple[str, int]] = (),
) -> list[Hop]:
    """Hops at which something is due, longest due first, of campaigns that are not held.

    free_at: only those on which nobody has a lease then, by the wall clock. opened: only those that have opened.
    without: hops that are left out as long as they have had so many turns.
    """
    values = {"now": now, "most": _AT_A_TIME, "wall": free_at, "without": list(without)}
    query = _due(free_at is not None, opened, bool(without))
    return list(await ledger.session.scalars(query, values))


def is_due(now: Any) -> tuple[Any, ...]:
    """The conditions under which something is due at a hop."""
    held = select(Campaign.id).where(Campaign.held_at.is_not(None))
    closed = select(Campaign.id).where(Campaign.state == "CLOSED")
    # After the closing a hop may still open: a company passes on late.
    return Hop.wake_at <= now, Hop.campaign_id.not_in(held), Hop.opened_at.is_(None) | Hop.campaign_id.not_in(closed)


async def needs_a_run(house: House, hop_id: str) -> bool:
    """True when a turn of this hop would open something or send mail; other rounds need no process."""
    now = await house.clock.now()
    async with house.store.view() as ledger:
        hop = await ledger.get(Hop, hop_id)
        if hop.opened_at is None or hop.state == "PENDING_ISSUE":
            return True
        mail_at = await mails.next_mail_at(ledger, hop_id)
        if mail_at is not None and mail_at <= now:
            return True
        campaign = await ledger.get(Campaign, hop.campaign_id)
        return await chasing.reminds(house, ledger, campaign, hop, now)


@cache
def _due(free: bool, opened: bool, some_left_out: bool) -> Select[tuple[Hop]]:
    """Built once: asked at every look of the relay."""
    query = select(Hop).where(*is_due(bindparam("now")))
    if free:
        query = query.where(or_(Hop.lease_until.is_(None), Hop.lease_until < bindparam("wall")))
    if opened:
        query = query.where(Hop.opened_at.is_not(None))
    if some_left_out:
        query = query.where(tuple_(Hop.id, Hop.turns).not_in(bindparam("without", expanding=True)))
    return query.order_by(Hop.wake_at, Hop.id).limit(bindparam("most", type_=Integer))


@cache
def _wake_of() -> Select[Any]:
    return select(Hop.wake_at).where(Hop.id == bindparam("hop"))


@cache
def _first_wake() -> Select[Any]:
    wakes = Delivery.hop_id == bindparam("hop"), Delivery.wake_at.is_not(None)
    return select(Delivery.wake_at).where(*wakes).order_by(Delivery.wake_at).limit(1)
