"""Thu hồi: an issued letter is taken back from everybody who got it (codes 13, 15, 16 of QCVN 102)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select

from congvan.acts import escalations, mails, papers, registry, wording
from congvan.acts.frozen import is_urgent, rule_of, upwards
from congvan.errors import ActRefused
from congvan.house import House
from congvan.rules.protocol import Event, Fact, State, advance, reached
from congvan.rules.records import Issue
from congvan.store.ledger import Entry, Ledger
from congvan.store.tables import Campaign, Delivery, Hop, Letter, Message

REQUESTED, AGREED, REFUSED = "requested", "agreed", "refused"
#: Taken back with everybody's before it had left: there is nothing to give back.
UNSENT = "unsent"


async def hops_of(ledger: Ledger, hop: Hop) -> list[Hop]:
    """A hop and all below it: everybody who gets its letter, whichever letter carries it down."""
    found, above = [hop], [hop.id]
    while above:
        issuers = select(Delivery.child_hop_id).where(Delivery.hop_id.in_(above), Delivery.child_hop_id.is_not(None))
        rows: list[Hop] = await ledger.all(select(Hop).where(Hop.id.in_(issuers)).order_by(Hop.ordinal))
        rows = [row for row in rows if row.id not in {one.id for one in found}]
        found += rows
        above = [row.id for row in rows]
    return found


async def taken_back(ledger: Ledger, hop: Hop) -> bool:
    """Whether the letter of a hop, or one above it which that letter encloses, was recalled and not replaced."""
    carried = [one.letter_id for one in await upwards(ledger, hop) if one.letter_id]
    cancelled = select(Letter.id).where(Letter.id.in_(carried), Letter.state == "CANCELLED")
    return await ledger.first(cancelled) is not None


async def branch(ledger: Ledger, hop: Hop) -> tuple[list[Delivery], dict[str, Hop]]:
    """Every obligation that a hop and those below it carry, locked, and these hops by id."""
    hops = {one.id: one for one in await hops_of(ledger, hop)}
    rows: list[Delivery] = await ledger.all(
        select(Delivery).where(Delivery.hop_id.in_(hops)).order_by(Delivery.id), lock=True
    )
    return rows, hops


async def locked_branch(ledger: Ledger, hop: Hop) -> tuple[list[Delivery], dict[str, Hop]]:
    """As `branch`, with the hops locked too; whoever joined between the two locks would be forgotten."""
    _rows, hops = await branch(ledger, hop)
    locked: list[Hop] = await ledger.all(select(Hop).where(Hop.id.in_(hops)).order_by(Hop.id), lock=True)
    rows, _hops = await branch(ledger, hop)
    return rows, {one.id: one for one in locked}


async def recall(house: House, letter_id: str, by: str, why: str) -> int:
    """Take an issued letter back from everybody who got it; return how many are asked to give it back (13).

    NĐ 30/2020 Điều 18.4: who got an electronic document destroys it and tells the sender. Nothing more is asked
    of them until another letter takes its place; what has not left stays here.
    """
    if not why.strip():
        raise ActRefused("Cần ghi rõ lý do thu hồi.")
    now = await house.clock.now()
    async with house.store.act() as ledger:
        letter = await ledger.get(Letter, letter_id)
        hop = await ledger.get(Hop, letter.hop_id) if letter.hop_id else None
        if hop is None or letter.state != "ISSUED":
            raise ActRefused("Chỉ thu hồi được văn bản đã ban hành của một chặng.")
        campaign = await ledger.get(Campaign, letter.campaign_id)
        if campaign.state == "CLOSED":
            raise ActRefused("Đợt triển khai đã kết thúc.")
        if rule_of(campaign, hop).issue is not Issue.SIGNED:
            # Nothing of ours could take its place, and those below would stay without any.
            raise ActRefused("Chỉ thu hồi được văn bản do cơ quan ban hành; văn bản của doanh nghiệp thì không.")
        rows, hops = await locked_branch(ledger, hop)
        hop = hops[hop.id]
        asked = await _take_back(house, ledger, campaign, letter, rows, now, by, why)
        await _from_copies(house, ledger, campaign, hop, letter, now, why)
        entry = Entry(Fact.LETTER_RECALLED, {"letter": letter.id, "why": why, "asked": asked}, actor=by)
        await ledger.write(hop, now, entry)
        for one in hops.values():
            if one.opened_at is not None:
                await mails.wake_hop(ledger, one.id, now)
        await mails.wake_campaign(ledger, campaign.id, now)
        await ledger.change(Letter, Letter.id == letter.id, Letter.state == "ISSUED", state="CANCELLED")
        about = Letter.about == letter.id, Letter.kind == "correction", Letter.state == "PENDING_ISSUE"
        await papers.drop(ledger, await ledger.all(select(Letter).where(*about)))
        return asked


async def _take_back(
    house: House, ledger: Ledger, campaign: Campaign, letter: Letter, rows: Sequence[Delivery], now: datetime,
    by: str, why: str,
) -> int:  # fmt: skip
    changes: list[tuple[Delivery, list[Entry], dict[str, Any]]] = []
    told: list[mails.Mail] = []
    leaving = await mails.on_the_wire(ledger, [row.id for row in rows])
    for row in rows:
        state = State(row.state)
        if state in (State.WITHDRAWN, State.EXEMPT):
            continue
        had_it = (reached(state) or row.id in leaving) and row.address is not None and row.due_at is not None
        entries = [Entry(Event.RECALLED, {"why": why, "letter": letter.id}, actor=by)]
        entries += await escalations.close_cases(ledger, row, now, by=by, why=Event.RECALLED.value)
        values: dict[str, Any] = {
            "state": advance(state, Event.RECALLED), "reason": why, "settled_at": now, "wake_at": None,
            "recall": REQUESTED if had_it else UNSENT, "link_version": row.link_version + 1,
        }  # fmt: skip
        changes.append((row, entries, values))
        if had_it:
            told.append(_request(campaign, letter, row, now, why))
    keys = [row.id for row, _, _ in changes]
    await ledger.change(
        Message, Message.delivery_id.in_(keys), Message.state.in_(("QUEUED", "UNKNOWN")), state="CANCELLED"
    )
    await ledger.write_many(changes, now)
    await mails.queue(house, ledger, told, now)
    return len(told)


def _request(campaign: Campaign, letter: Letter, row: Delivery, now: datetime, why: str) -> mails.Mail:
    assert row.address is not None, "the caller looked"
    return mails.Mail(
        kind="recall", step=f"{row.round}-{row.link_version}", recipient=row.recipient, address=row.address,
        not_before=now, delivery_id=row.id, campaign_id=campaign.id, urgent=is_urgent(campaign),
        context=said_of(letter, why),
    )  # fmt: skip


def said_of(letter: Letter, why: str) -> dict[str, Any]:
    """What a mail about a letter says of it."""
    return {"document": wording.document(letter), "subject": letter.subject, "why": why}


async def _from_copies(
    house: House, ledger: Ledger, campaign: Campaign, hop: Hop, letter: Letter, now: datetime, why: str
) -> None:
    told = [
        mails.Mail(
            kind="recall", step=f"{letter.id}-{mails.of_code(code)}", recipient=code, address=address, not_before=now,
            campaign_id=campaign.id, urgent=is_urgent(campaign), context=said_of(letter, why) | {"name": name},
        )
        for code, address, name in await copies(ledger, hop)
    ]  # fmt: skip
    await keep_back_copies(ledger, hop)
    await mails.queue(house, ledger, told, now)


async def copies(ledger: Ledger, hop: Hop, *, everybody: bool = False) -> list[tuple[str, str, str]]:
    """(code, mailbox, name) of those on the distribution list for whom this hop's letter, or what replaced it, has
    left or may have; everybody: of the whole list."""
    rows: list[Message] = await ledger.all(
        select(Message)
        .where(Message.hop_id == hop.id, Message.kind == "copy", Message.state != "REFUSED")
        .order_by(Message.created_at, Message.id)
    )
    left = select(Message.recipient).where(*_to_the_list(hop), Message.state.in_(("SENT", "CLAIMED", "UNKNOWN")))
    known = set(await ledger.all(left))
    boxes = {row.recipient: row.address for row in rows if everybody or row.recipient in known}
    return [(code, box, (await registry.organisation(ledger, code)).name) for code, box in boxes.items()]


async def keep_back_copies(ledger: Ledger, hop: Hop) -> None:
    """What waits to be sent to the distribution list stays here."""
    await ledger.change(Message, *_to_the_list(hop), Message.state.in_(("QUEUED", "UNKNOWN")), state="CANCELLED")


def _to_the_list(hop: Hop) -> tuple[Any, ...]:
    kinds = Message.kind.in_(("copy", "replacement"))
    return Message.campaign_id == hop.campaign_id, Message.delivery_id.is_(None), kinds


async def answer(
    house: House, delivery_id: str, *, agreed: bool, by: str, channel: str = "phone", why: str = ""
) -> None:
    """A recipient has destroyed the letter that was taken back (15), or refuses to, with a reason (16)."""
    if not agreed and not why.strip():
        raise ActRefused("Cần ghi rõ lý do từ chối yêu cầu thu hồi.")
    now = await house.clock.now()
    async with house.store.act() as ledger:
        row = await ledger.take(Delivery, delivery_id)
        if row.recall in (None, UNSENT):
            raise ActRefused("Văn bản gửi nơi nhận này không bị thu hồi.")
        new = AGREED if agreed else REFUSED
        if row.recall != new:
            fact = Fact.RECALL_AGREED if agreed else Fact.RECALL_REFUSED
            data = {"code": "15" if agreed else "16"} | ({"why": why} if why else {})
            await ledger.write(row, now, Entry(fact, data, by, channel), recall=new)
