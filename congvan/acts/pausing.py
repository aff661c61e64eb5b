"""A campaign stands still and goes on: its clocks stop meanwhile, and those concerned are told of both."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import select

from congvan.acts import mails
from congvan.acts.frozen import cascade_of, is_urgent, policy_of
from congvan.errors import ActRefused
from congvan.house import House
from congvan.rules.deadlines import moved_on, paused_days
from congvan.rules.protocol import Fact, State, reached, settled
from congvan.rules.records import Settles
from congvan.store.ledger import Entry, Ledger
from congvan.store.tables import Campaign, Case, Delivery, Hop, Letter, Message


async def pause(house: House, campaign_id: str, by: str, why: str) -> int:
    """Stop every clock of a campaign and tell those who owe an answer; return how many are told.

    A hold keeps the mail back while the terms run on; a pause is a decision about the terms themselves.
    """
    if not why.strip():
        raise ActRefused("Cần ghi rõ lý do tạm dừng.")
    now = await house.clock.now()
    async with house.store.act() as ledger:
        told = await _asked(ledger, campaign_id)
        campaign = await ledger.take(Campaign, campaign_id)
        if campaign.state != "RUNNING":
            raise ActRefused("Đợt triển khai đã kết thúc.")
        if campaign.paused_at is not None:
            return 0
        held = {} if campaign.held_at is not None else {"held_at": now, "held_by": by}
        await ledger.write(campaign, now, Entry(Fact.PAUSED, {"why": why}, actor=by), paused_at=now, **held)
        speaker = cascade_of(campaign).speaks_for
        notices = [
            _notice("pause", campaign, one, now, {"why": why, "old_due_at": one.due_at.isoformat()})
            for one in told
            if one.recipient != speaker and one.due_at is not None
        ]
        await mails.queue(house, ledger, notices, now)
        return len(notices)


async def _asked(ledger: Ledger, campaign_id: str) -> list[Delivery]:
    """Those who were reached and still owe an answer."""
    rows: list[Delivery] = await ledger.all(
        select(Delivery)
        .where(Delivery.campaign_id == campaign_id, Delivery.due_at.is_not(None))
        .order_by(Delivery.id),
        lock=True,
    )
    return [row for row in rows if row.address and _waits(row) and reached(State(row.state))]


def _waits(row: Delivery) -> bool:
    state = State(row.state)
    return not settled(state, Settles(row.settles)) and state is not State.REJECTED


def _notice(kind: str, campaign: Campaign, one: Delivery, now: datetime, context: dict[str, Any]) -> mails.Mail:
    assert one.address is not None, "only who was reached is told"
    # Of no hop: hops rest while the campaign is held.
    return mails.Mail(
        kind=kind, step=str(campaign.event_seq), recipient=one.recipient, address=one.address, not_before=now,
        delivery_id=one.id, campaign_id=campaign.id, urgent=is_urgent(campaign), context=context,
    )  # fmt: skip


async def go_on(house: House, ledger: Ledger, campaign: Campaign, now: datetime, by: str) -> dict[str, Any]:
    """Move all clocks of a paused campaign by the working time that it stood still; what the log says of it.

    Deadlines, grace, reminders, cases, what awaits its issue: each keeps the working days it had left, rounded
    up to whole days. Terms that run on the clock (hỏa tốc) move by the time on the clock.
    """
    paused = campaign.paused_at
    assert paused is not None, "only a paused campaign goes on"
    days = paused_days(paused, now, house.calendars.state)
    moved = await _deadlines(house, ledger, campaign, days, now, by)
    await _cases(house, ledger, campaign, days, now)
    await _letters(house, ledger, campaign, days, now)
    await _mail(ledger, campaign, now)
    told = set(
        await ledger.all(
            select(Message.delivery_id).where(
                Message.campaign_id == campaign.id, Message.kind == "pause", Message.state == "SENT"
            )
        )
    )
    await _tell(house, ledger, campaign, [one for one in moved if one[0].id in told or one[1] != one[0].due_at], now)
    return {"paused_at": paused.isoformat(), "working_days": days, "deadlines": len(moved)}


def _later(house: House, campaign: Campaign, at: datetime, days: int, now: datetime, name: str = "state") -> datetime:
    assert campaign.paused_at is not None, "only a paused campaign goes on"
    return at + (now - campaign.paused_at) if is_urgent(campaign) else moved_on(at, days, house.calendars, name)


async def _deadlines(
    house: House, ledger: Ledger, campaign: Campaign, days: int, now: datetime, by: str
) -> list[tuple[Delivery, datetime]]:
    """Move the term of everybody who owes an answer and of whom nobody was told yet; (delivery, term before)."""
    hops: dict[str, Hop] = {
        hop.id: hop for hop in await ledger.all(select(Hop).where(Hop.campaign_id == campaign.id).order_by(Hop.id))
    }
    # Also whom a company has reached by itself while its hop could not open.
    rows: list[Delivery] = await ledger.all(
        select(Delivery)
        .where(Delivery.campaign_id == campaign.id, Delivery.due_at.is_not(None), Delivery.escalated_at.is_(None))
        .order_by(Delivery.id),
        lock=True,
    )
    changes: list[tuple[Delivery, list[Entry], dict[str, Any]]] = []
    before: list[tuple[Delivery, datetime]] = []
    for row in rows:
        if row.due_at is None or not _waits(row):
            continue
        deadline = policy_of(campaign, hops[row.hop_id], row.level).deadline
        due = row.due_at + (now - campaign.paused_at) if deadline.hours and campaign.paused_at else moved_on(
            row.due_at, days, house.calendars, deadline.calendar
        )  # fmt: skip
        before.append((row, row.due_at))
        if due != row.due_at:
            said = {"from": row.due_at.isoformat(), "to": due.isoformat(), "why": "paused", "working_days": days}
            wake = {"wake_at": now} if row.wake_at is not None else {}
            changes.append((row, [Entry(Fact.MOVED, said, actor=by)], {"due_at": due} | wake))
    await ledger.write_many(changes, now)
    for hop in hops.values():
        if hop.opened_at is None:
            continue
        assert hop.due_at is not None, "an open hop has a deadline"
        await ledger.change(Hop, Hop.id == hop.id, due_at=_later(house, campaign, hop.due_at, days, now, "both"))
    return before


async def _cases(house: House, ledger: Ledger, campaign: Campaign, days: int, now: datetime) -> None:
    open_ones: list[Case] = await ledger.all(
        select(Case).where(Case.campaign_id == campaign.id, Case.closed_at.is_(None)), lock=True
    )
    for case in open_ones:
        later = {
            name: _later(house, campaign, at, days, now)
            for name, at in (("tell_at", case.tell_at), ("next_at", case.next_at))
            if at is not None
        }
        if later:
            await ledger.change(Case, Case.id == case.id, **later)


async def _letters(house: House, ledger: Ledger, campaign: Campaign, days: int, now: datetime) -> None:
    rows: list[Letter] = await ledger.all(
        select(Letter).where(Letter.campaign_id == campaign.id, Letter.state == "PENDING_ISSUE")
    )
    for row in rows:
        if row.awaits_until is not None:
            until = _later(house, campaign, row.awaits_until, days, now)
            await ledger.change(Letter, Letter.id == row.id, awaits_until=until)


async def _mail(ledger: Ledger, campaign: Campaign, now: datetime) -> None:
    """What was not told of the pause need not be told any more; a reminder of the old term says nothing true."""
    assert campaign.paused_at is not None, "only a paused campaign goes on"
    waiting = Message.state.in_(("QUEUED", "UNKNOWN"))
    here = Message.campaign_id == campaign.id
    await ledger.change(
        Message, here, waiting, Message.kind.in_(mails.CHASERS | mails.WHILE_HELD), state="CANCELLED"
    )
    rows: list[Message] = await ledger.all(select(Message).where(here, waiting))
    for row in rows:
        later = row.give_up_at + (now - campaign.paused_at)
        await ledger.change(Message, Message.id == row.id, give_up_at=later)


async def _tell(
    house: House, ledger: Ledger, campaign: Campaign, before: list[tuple[Delivery, datetime]], now: datetime
) -> None:
    speaker = cascade_of(campaign).speaks_for
    notices = [
        _notice("resume", campaign, one, now, {"old_due_at": old.isoformat()})
        for one, old in before
        # Whose term has passed in spite of all gets the reminder that is due instead.
        if one.due_at is not None and one.due_at > now and one.address and one.recipient != speaker
        and reached(State(one.state))
    ]  # fmt: skip
    await mails.queue(house, ledger, notices, now)
