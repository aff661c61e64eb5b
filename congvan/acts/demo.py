"""The demo's clock and its played parties. Nothing here runs in a live campaign.

The clock stands still while anything is due, leased or on the wire; then it jumps to the next instant
at which something happens: a wake, a digest, a mail that may leave, a played act.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import select

from congvan.acts import escalations, mails
from congvan.acts.played import office_time, play
from congvan.clock import DemoClock
from congvan.errors import ActRefused
from congvan.house import House
from congvan.rules.calendar import local
from congvan.store.ledger import Ledger
from congvan.store.tables import Campaign, Delivery, Hop, Message, PlayedAct

__all__ = [
    "advance", "due_acts", "intend", "next_instant", "office_time", "over", "play", "played", "progress",
    "start_clock",
]  # fmt: skip

_OPEN_MAIL = ("QUEUED", "UNKNOWN", "CLAIMED")


async def start_clock(house: House, at: datetime) -> None:
    """Set the demo's clock, unless it already runs: a demo that is started again goes on.

    Raise ActRefused for a database in which something else is under way: it would be played there for ever after.
    """
    async with house.store.act() as ledger:
        if await ledger.note(DemoClock.NOTE) is None:
            if await ledger.first(select(Campaign.id)) is not None:
                raise ActRefused("Cơ sở dữ liệu này đang được dùng thật; bản diễn cần một cơ sở dữ liệu riêng.")
            await ledger.set_note(DemoClock.NOTE, {"now": at.isoformat()})


async def intend(house: House, actor: str, at: datetime, link: str) -> None:
    """A recipient who has read a mail will answer it then; once, however many mails it gets."""
    async with house.store.act() as ledger:
        await play(house, ledger, actor, "answer", at, {"link": link}, "demo")


async def due_acts(house: House, limit: int = 200) -> list[PlayedAct]:
    """What played parties have to do now, earliest first."""
    now = await house.clock.now()
    async with house.store.view() as ledger:
        found: list[PlayedAct] = await ledger.all(
            select(PlayedAct)
            .where(PlayedAct.done_at.is_(None), PlayedAct.at <= now)
            .order_by(PlayedAct.at, PlayedAct.id)
            .limit(limit)
        )
        return found


async def played(house: House, act_id: str) -> None:
    """This act was done."""
    now = await house.clock.now()
    async with house.store.act() as ledger:
        await ledger.change(PlayedAct, PlayedAct.id == act_id, done_at=now)


async def advance(house: House) -> datetime | None:
    """Move the clock to the next instant at which something happens; None while it has to stand still."""
    wall = house.clock.wall()
    async with house.store.act() as ledger:
        value = await ledger.note(DemoClock.NOTE)
        if value is None:
            return None
        now = datetime.fromisoformat(value["now"])
        if await _busy(ledger, now, wall):
            return None
        then = await next_instant(ledger)
        if then is None or then <= now:
            return None
        await ledger.set_note(DemoClock.NOTE, {"now": then.isoformat()})
        return then


async def _busy(ledger: Ledger, now: datetime, wall: datetime) -> bool:
    held = select(Campaign.id).where(Campaign.held_at.is_not(None))
    closed = select(Campaign.id).where(Campaign.state == "CLOSED")
    questions = (
        select(Hop.id).where(
            Hop.wake_at <= now, Hop.campaign_id.not_in(held), Hop.opened_at.is_(None) | Hop.campaign_id.not_in(closed)
        ),
        select(Hop.id).where(Hop.lease_until > wall),
        select(Message.id).where(Message.state.in_(_OPEN_MAIL), Message.not_before <= now, mails.not_held()),
        select(Message.id).where(Message.state == "CLAIMED"),
        select(PlayedAct.id).where(PlayedAct.done_at.is_(None), PlayedAct.at <= now),
        select(Campaign.id).where(Campaign.wake_at <= now, Campaign.state == "RUNNING", Campaign.held_at.is_(None)),
    )
    for question in questions:
        if await ledger.first(question) is not None:
            return True
    digest = await escalations.next_digest_at(ledger)
    return digest is not None and digest <= now


async def next_instant(ledger: Ledger) -> datetime | None:
    """The next instant at which anything happens by the clock; None: never."""
    running = select(Campaign.id).where(Campaign.held_at.is_(None), Campaign.state == "RUNNING")
    questions: tuple[Any, ...] = (
        select(Hop.wake_at).where(Hop.wake_at.is_not(None), Hop.campaign_id.in_(running)).order_by(Hop.wake_at),
        select(Message.not_before)
        .where(Message.state.in_(_OPEN_MAIL), mails.not_held())
        .order_by(Message.not_before),
        select(PlayedAct.at).where(PlayedAct.done_at.is_(None)).order_by(PlayedAct.at),
        select(Campaign.wake_at)
        .where(Campaign.wake_at.is_not(None), Campaign.id.in_(running))
        .order_by(Campaign.wake_at),
    )
    moments = [await ledger.first(question) for question in questions]
    moments.append(await escalations.next_digest_at(ledger))
    return min((moment for moment in moments if moment is not None), default=None)


async def over(house: House) -> bool:
    """True when every campaign is closed, its report has left, and nobody has anything to do."""
    async with house.store.view() as ledger:
        if await ledger.first(select(Campaign.id)) is None:
            return False
        if await ledger.first(select(Campaign.id).where(Campaign.state != "CLOSED")) is not None:
            return False
        if await ledger.first(select(PlayedAct.id).where(PlayedAct.done_at.is_(None))) is not None:
            return False
        return await ledger.first(select(Message.id).where(Message.state.in_(_OPEN_MAIL))) is None


async def progress(house: House) -> dict[str, Any]:
    """For the terminal: the played day and how many have answered."""
    now = await house.clock.now()
    async with house.store.view() as ledger:
        sent = await ledger.count(select(Message.id).where(Message.state == "SENT"))
        total = await ledger.count(select(Delivery.id))
        done = await ledger.count(select(Delivery.id).where(Delivery.settled_at.is_not(None)))
        open_hops = await ledger.count(select(Hop.id).where(Hop.opened_at.is_not(None)))
        hops = await ledger.count(select(Hop.id))
    return {
        "now": f"{local(now):%d/%m/%Y %H:%M}", "sent": sent, "total": total, "settled": done, "hops": hops,
        "open_hops": open_hops,
    }  # fmt: skip
