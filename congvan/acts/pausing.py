"""A campaign stands still and goes on: its clocks stop meanwhile, and those concerned are told of both."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import select

from congvan.acts import escalations, mails
from congvan.acts.frozen import cascade_of, is_urgent, longest_term, policy_of
from congvan.errors import ActRefused
from congvan.house import House
from congvan.rules.deadlines import moved_on, paused_days
from congvan.rules.protocol import Fact, State, reached, settled
from congvan.rules.records import Deadline, Settles
from congvan.store.ledger import Entry, Ledger
from congvan.store.tables import Campaign, Case, Delivery, EventRow, Hop, Letter, Message


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

    Deadlines, grace, reminders, cases, what awaits its issue, the last dates of công văn đôn đốc: each keeps the
    working days it had left, rounded up to whole days. Terms that run on the clock (hỏa tốc) move by the time on the
    clock, and so does what is told or issued at once because it is urgent.
    """
    paused = campaign.paused_at
    assert paused is not None, "only a paused campaign goes on"
    days = paused_days(paused, now, house.calendars.state)
    told = await _told(ledger, campaign)
    moved = await _deadlines(house, ledger, campaign, now, by)
    await _cases(house, ledger, campaign, days, now)
    await _letters(house, ledger, campaign, days, now)
    last_dates = await _last_dates(house, ledger, campaign, now - paused, days)
    await _cancel_untrue(ledger, campaign)
    await _tell(house, ledger, campaign, told, moved, last_dates, now)
    return {"paused_at": paused.isoformat(), "working_days": days, "deadlines": len(moved)}


async def _told(ledger: Ledger, campaign: Campaign) -> set[str]:
    """Whom the notice of this pause has reached, or may have: it was on the wire."""
    this = Message.campaign_id == campaign.id, Message.kind == "pause", Message.created_at >= campaign.paused_at
    return set(
        await ledger.all(select(Message.delivery_id).where(*this, Message.state.in_(("SENT", "CLAIMED", "UNKNOWN"))))
    )


def _later(house: House, campaign: Campaign, at: datetime, days: int, now: datetime) -> datetime:
    """What is reckoned by the urgency of its campaign: when a case is told, when a letter is to be issued."""
    assert campaign.paused_at is not None, "only a paused campaign goes on"
    return at + (now - campaign.paused_at) if is_urgent(campaign) else moved_on(at, days, house.calendars)


def _term_later(house: House, at: datetime, deadline: Deadline, stood: timedelta, days: int) -> datetime:
    """The end of a term that has stood still for so long, in which so many working days lay."""
    return at + stood if deadline.hours else moved_on(at, days, house.calendars, deadline.calendar)


async def _deadlines(
    house: House, ledger: Ledger, campaign: Campaign, now: datetime, by: str
) -> dict[str, datetime]:
    """Move the term of everybody who owes an answer and of whom nobody was told yet; by delivery, the term before.

    A term that was given during the pause stands still from then on. Its notice leaves after the pause and says what
    has become of it: nobody was told the date as it was given.
    """
    assert campaign.paused_at is not None, "only a paused campaign goes on"
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
    given = await _given(ledger, campaign)
    days = cache(lambda since: paused_days(since, now, house.calendars.state))
    changes: list[tuple[Delivery, list[Entry], dict[str, Any]]] = []
    before: dict[str, datetime] = {}
    for row in rows:
        if row.due_at is None or not _waits(row):
            continue
        was, since = given.get(row.id, (row.due_at, campaign.paused_at))
        deadline = policy_of(campaign, hops[row.hop_id], row.level).deadline
        due = _term_later(house, row.due_at, deadline, now - since, days(since))
        before[row.id] = was
        if due != row.due_at:
            said = {"from": row.due_at.isoformat(), "to": due.isoformat(), "why": "paused", "working_days": days(since)}
            wake = {"wake_at": now} if row.wake_at is not None else {}
            changes.append((row, [Entry(Fact.MOVED, said, actor=by)], {"due_at": due} | wake))
    await ledger.write_many(changes, now)
    for hop in hops.values():
        if hop.opened_at is not None and hop.due_at is not None:
            _, since = given.get(hop.id, (hop.due_at, campaign.paused_at))
            due = _term_later(house, hop.due_at, longest_term(campaign, hop), now - since, days(since))
            await ledger.change(Hop, Hop.id == hop.id, due_at=due, board_seq=Hop.board_seq + 1)
    return before


async def _given(ledger: Ledger, campaign: Campaign) -> dict[str, tuple[datetime, datetime]]:
    """By delivery and hop whose term was extended during the pause: the term before, and when it was given last."""
    rows = await ledger.rows(
        select(EventRow.stream, EventRow.at, EventRow.data)
        .where(
            EventRow.campaign_id == campaign.id, EventRow.kind == str(Fact.EXTENDED), EventRow.at >= campaign.paused_at
        )
        .order_by(EventRow.stream, EventRow.seq)
    )
    found: dict[str, tuple[datetime, datetime]] = {}
    for row in rows:
        was = found[row.stream][0] if row.stream in found else datetime.fromisoformat(row.data["from"])
        found[row.stream] = was, row.at
    return found


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


async def _last_dates(
    house: House, ledger: Ledger, campaign: Campaign, stood: timedelta, days: int
) -> dict[str, datetime]:
    """Move the last dates of the issued công văn đôn đốc at which nobody has looked yet; by delivery named in them."""
    deadline = cascade_of(campaign).urging.deadline
    found: dict[str, datetime] = {}
    rows: list[Letter] = await ledger.all(
        select(Letter).where(
            Letter.campaign_id == campaign.id, Letter.kind == "urge", Letter.state == "ISSUED",
            Letter.awaits_until.is_not(None),
        )
    )  # fmt: skip
    for row in rows:
        last = _term_later(house, datetime.fromisoformat(row.sheet["due_at"]), deadline, stood, days)
        # What it prints stays in the context of its sheet.
        sheet, until = row.sheet | {"due_at": last.isoformat()}, escalations.next_reading(house, last)
        await ledger.change(Letter, Letter.id == row.id, sheet=sheet, awaits_until=until)
        found |= dict.fromkeys(row.sheet["context"]["deliveries"], last)
    return found


async def _cancel_untrue(ledger: Ledger, campaign: Campaign) -> None:
    """What was not told of the pause need not be told any more; a reminder of the old term says nothing true."""
    await ledger.change(
        Message, Message.campaign_id == campaign.id, Message.state.in_(("QUEUED", "UNKNOWN")),
        Message.kind.in_(mails.CHASERS | {"pause"}), state="CANCELLED",
    )  # fmt: skip


async def _tell(
    house: House, ledger: Ledger, campaign: Campaign, told: Collection[str], before: Mapping[str, datetime],
    last_dates: Mapping[str, datetime], now: datetime,
) -> None:  # fmt: skip
    """Everybody who was told of the pause and still owes an answer, and whoever else has more time by it.

    Whose case is open is told the last date of the công văn đôn đốc that he has, if one runs.
    """
    speaker = cascade_of(campaign).speaks_for
    notices = []
    for one in await _asked(ledger, campaign.id):
        assert one.due_at is not None, "only those who were reached are asked"
        old = before.get(one.id, one.due_at)
        moved = old != one.due_at
        if one.recipient == speaker or not (one.id in told or (moved and one.due_at > now)):
            continue
        said = {"old_due_at": old.isoformat()} if moved else {}
        if one.escalated_at is not None and one.id in last_dates:
            said["last"] = last_dates[one.id].isoformat()
        notices.append(_notice("resume", campaign, one, now, said))
    await mails.queue(house, ledger, notices, now)
