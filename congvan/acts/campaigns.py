"""Campaigns under way: held, resumed, turned and found; a person closes them (`closing`)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Select, and_, bindparam, exists, not_, or_, select

from congvan.acts import demo, mails, notices, pausing
from congvan.acts.escalations import DECIDED, lock_of_campaign
from congvan.acts.frozen import cascade_of, plan_of
from congvan.errors import NotFound
from congvan.house import House
from congvan.rules.protocol import Fact, State, settling_states
from congvan.rules.records import Settles
from congvan.store.ledger import Entry, Ledger
from congvan.store.tables import Campaign, Case, Delivery, Hop, Note, woken


async def find(ledger: Ledger, name: str) -> Campaign:
    """A campaign by its id or its code; raise NotFound."""
    row = await ledger.first(select(Campaign).where((Campaign.id == name) | (Campaign.code == name)))
    if row is None:
        raise NotFound(f"không có đợt «{name}» → xem: congvan status")
    campaign: Campaign = row
    return campaign


async def hold(house: House, name: str, by: str, why: str = "") -> None:
    """Keep back what is unsent until a named person resumes or withdraws."""
    now = await house.clock.now()
    async with house.store.act() as ledger:
        campaign = await ledger.take(Campaign, (await find(ledger, name)).id)
        if campaign.held_at is None and campaign.state == "RUNNING":
            entry = Entry(Fact.HELD, {"why": why}, actor=by)
            await ledger.write(campaign, now, entry, held_at=now, held_by=by)
            if by == notices.ENGINE:
                await notices.tell(house, ledger, campaign, "held", why, now)


async def hold_once(house: House, campaign_id: str, key: str, why: str) -> bool:
    """Hold for something that happened in Prefect, once for each such thing; True when it is new.

    key: names the thing, for example the id of a cancelled state. After a person has resumed, the same
    state must not hold the campaign again.
    """
    now = await house.clock.now()
    async with house.store.act() as ledger:
        campaign = await ledger.take(Campaign, campaign_id)
        if not await ledger.add_if_absent(Note, name=f"held:{key}", value={"campaign": campaign_id, "why": why}):
            return False
        if campaign.held_at is None and campaign.state == "RUNNING":
            entry = Entry(Fact.HELD, {"why": why}, actor=notices.PREFECT)
            await ledger.write(campaign, now, entry, held_at=now, held_by=notices.PREFECT)
            await notices.tell(house, ledger, campaign, "held", why, now)
        return True


async def resume(house: House, name: str, by: str) -> None:
    """Let a held or paused campaign go on: every hop looks at once at what has become due.

    Of a paused one all clocks are moved by the working time that it stood still.
    """
    now = await house.clock.now()
    async with house.store.act() as ledger:
        campaign = await take_whole(ledger, (await find(ledger, name)).id)
        if campaign.held_at is not None:
            await mails.lengthen_patience(ledger, campaign.id, now - campaign.held_at)
            moved = await pausing.go_on(house, ledger, campaign, now, by) if campaign.paused_at else {}
            entry = Entry(Fact.RESUMED, moved, actor=by)
            await ledger.write(campaign, now, entry, held_at=None, held_by=None, paused_at=None)
            await ledger.change(Hop, Hop.campaign_id == campaign.id, Hop.state != "WAITING", **woken(Hop, now))


async def take_whole(ledger: Ledger, campaign_id: str) -> Campaign:
    """A campaign, locked with all that belongs to it, in everybody's order."""
    deliveries = select(Delivery.id).where(Delivery.campaign_id == campaign_id)
    await ledger.all(deliveries.order_by(Delivery.id), lock=True)
    await lock_of_campaign(ledger, campaign_id)
    await ledger.all(select(Hop.id).where(Hop.campaign_id == campaign_id).order_by(Hop.id), lock=True)
    return await ledger.take(Campaign, campaign_id)


async def ready_to_close(ledger: Ledger, campaign: Campaign) -> bool:
    """True when everybody has settled, or whoever has not stands in a case of which the last rung was told.

    Whoever was never reached because the way to him is shut is told of with the one who shut it, or a
    person shut it by letting that one go. Whoever is still on the way is waited for.
    """
    if campaign.state != "RUNNING":
        return False
    opened, opening = (await ledger.session.execute(_hops_of(), {"campaign": campaign.id})).one()
    if not opened or opening:
        return False
    last = len(cascade_of(campaign).ladder)
    open_ones = await _unsettled(ledger, campaign.id)
    if not open_ones:
        return True
    told = set(await ledger.session.scalars(_told(), {"campaign": campaign.id, "last": last}))
    if any(one.due_at is not None and one.id not in told for one in open_ones):
        return False
    return not await _on_the_way(ledger, {one.hop_id for one in open_ones if one.due_at is None})


async def _on_the_way(ledger: Ledger, hop_ids: set[str]) -> bool:
    """True while one of these unopened hops is to open: whoever is above it settled and was not let go."""
    parents = select(Hop.parent_delivery_id).where(Hop.id.in_(hop_ids), Hop.opened_at.is_(None))
    rows = await ledger.rows(select(Delivery.state, Delivery.settles).where(Delivery.id.in_(parents)))
    shut = (State.WITHDRAWN, State.EXEMPT)
    return any(row.state in settling_states(Settles(row.settles)) and row.state not in shut for row in rows)


@cache
def _hops_of() -> Select[tuple[bool, bool]]:
    """Whether hops of a campaign are open, and whether one is about to open."""
    hops = select(Hop.id).where(Hop.campaign_id == bindparam("campaign"))
    opening = hops.where(Hop.opened_at.is_(None), Hop.wake_at.is_not(None))
    return select(exists(hops.where(Hop.opened_at.is_not(None))), exists(opening))


@cache
def _told() -> Select[tuple[str]]:
    """Deliveries of a campaign of which the last rung was told, or which a person decided on and which nobody has
    sent anew or given more time since: then the clock runs again."""
    last_rung = (Case.rung >= bindparam("last")) & Case.closed_at.is_(None)
    decided = (Case.closed_why == DECIDED) & (Delivery.wake_at.is_(None) | Delivery.escalated_at.is_not(None))
    told = select(Case.delivery_id).join(Delivery, Delivery.id == Case.delivery_id)
    return told.where(Case.campaign_id == bindparam("campaign"), last_rung | decided)


async def _unsettled(ledger: Ledger, campaign_id: str) -> Sequence[Any]:
    return (await ledger.session.execute(_not_settled(), {"campaign": campaign_id})).all()


@cache
def _not_settled() -> Select[tuple[str, datetime | None, str]]:
    columns = select(Delivery.id, Delivery.due_at, Delivery.hop_id)
    return columns.where(Delivery.campaign_id == bindparam("campaign"), not_(is_settled()))


def is_settled() -> Any:
    """The condition that nothing more is asked of a delivery."""
    return or_(
        *(
            and_(Delivery.settles == settles.value, Delivery.state.in_(sorted(settling_states(settles))))
            for settles in Settles
        )
    )


async def turn(house: House, campaign_id: str) -> None:
    """What a woken campaign does: see whether it can be closed. In a demo the leader's hand is played."""
    now = await house.clock.now()
    async with house.store.act() as ledger:
        campaign = await ledger.take(Campaign, campaign_id)
        if campaign.state == "CLOSED":
            return
        ready = await ready_to_close(ledger, campaign)
        if ready and campaign.mode == "demo":
            at = demo.office_time(house, now, 4)
            leader = cascade_of(campaign).speaks_for
            by = {"by": plan_of(campaign).letter.signer.name}
            await demo.play(house, ledger, leader, "close", at, by, campaign_id)
        # Nothing here is due by the clock: whoever settles a hop or tells the last rung wakes the campaign.
        await ledger.change(Campaign, Campaign.id == campaign_id, wake_at=None)


async def is_over(house: House, campaign_id: str) -> bool:
    """True when a person has closed it."""
    async with house.store.view() as ledger:
        return (await ledger.get(Campaign, campaign_id)).state == "CLOSED"


async def code_of(house: House, campaign_id: str) -> str:
    """What people call it."""
    async with house.store.view() as ledger:
        return (await ledger.get(Campaign, campaign_id)).code


async def due(house: House) -> list[str]:
    """Campaigns that were woken."""
    now = await house.clock.now()
    async with house.store.view() as ledger:
        return await ledger.all(
            select(Campaign.id).where(
                Campaign.wake_at <= now, Campaign.state == "RUNNING", Campaign.held_at.is_(None)
            )
        )
