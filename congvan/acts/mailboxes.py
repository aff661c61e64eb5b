"""The mailboxes of an organisation, tried in order: after a refusal for good the next one gets the mail."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select

from congvan.acts import letters, mails, opening, registry
from congvan.acts.frozen import is_urgent
from congvan.house import House
from congvan.rules.calendar import local
from congvan.store.ledger import Ledger
from congvan.store.tables import Campaign, Delivery, Hop, Message


async def send_anew(house: House, ledger: Ledger, delivery_id: str, now: datetime) -> None:
    """The letter of one whose mailbox has just become the next of his list; what was meant for the last one ends."""
    # Read past what this transaction has in hand: outcomes are written without the session.
    row = await ledger.find(Delivery, delivery_id, fresh=True)
    assert row is not None, "the caller has just changed it"
    hop = await ledger.get(Hop, row.hop_id)
    campaign = await ledger.get(Campaign, row.campaign_id)
    waiting = Message.delivery_id == row.id, Message.state.in_(("QUEUED", "UNKNOWN"))
    await ledger.change(Message, *waiting, state="CANCELLED")
    leaves = house.calendars.state.sending_time(now, urgent=is_urgent(campaign), first_letter=True)
    enclosed = await letters.enclosures(ledger, campaign, hop)
    await mails.queue(house, ledger, [opening.letter_mail(campaign, hop, row, leaves, enclosed, now)], now)
    await mails.wake_hop(ledger, hop.id, now)


async def next_for_offices(house: House, ledger: Ledger, refused: Sequence[Message], now: datetime) -> None:
    """Digests, copies, reports and reminders of a waiting letter: the next mailbox of the office gets them."""
    for message in refused:
        office = await registry.organisation(ledger, message.recipient)
        stem = message.step.partition("_again")[0]
        known: list[str] = await ledger.all(
            select(Message.address).where(
                Message.kind == message.kind, Message.recipient == message.recipient,
                (Message.step == stem) | Message.step.like(f"{stem}_again%"),
            )
        )  # fmt: skip
        left = [box for box in registry.mailboxes(office, local(now).date()) if box not in known]
        if not left:
            continue
        again = mails.Mail(
            kind=message.kind, step=f"{stem}_again{len(known)}", recipient=message.recipient, address=left[0],
            not_before=now, hop_id=message.hop_id, campaign_id=message.campaign_id, urgent=message.urgent,
            context=message.context, enclosures=message.enclosures,
        )  # fmt: skip
        await mails.queue(house, ledger, [again], now)
        if message.hop_id:
            await mails.wake_hop(ledger, message.hop_id, now)
