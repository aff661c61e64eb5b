"""The receipt by mail: what stands recorded, when, under which code; to the organisation's own mailbox."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import select

from congvan.acts import mails
from congvan.acts.frozen import is_urgent
from congvan.errors import ActRefused, LinkRevoked
from congvan.house import House
from congvan.links import Link
from congvan.rules.protocol import Event
from congvan.store.ledger import Ledger
from congvan.store.tables import Campaign, Delivery, EventRow, Message

ANSWERS = (Event.ACKNOWLEDGED, Event.STARTED, Event.FORWARDED, Event.COMPLETED, Event.REJECTED)


async def send(house: House, delivery_id: str, link: Link | None) -> bool:
    """Mail the receipt of the last answer; False where it was mailed already. Raise ActRefused, LinkRevoked."""
    now = await house.clock.now()
    async with house.store.act() as ledger:
        delivery = await ledger.take(Delivery, delivery_id)
        if link is not None and link.version != delivery.link_version:
            raise LinkRevoked
        campaign = await ledger.get(Campaign, delivery.campaign_id)
        return await queue(house, ledger, campaign, delivery, now)


async def queue(house: House, ledger: Ledger, campaign: Campaign, delivery: Delivery, now: datetime) -> bool:
    """Write the receipt of the last answer down to be sent, once."""
    last: EventRow | None = await ledger.first(
        select(EventRow)
        .where(EventRow.stream == delivery.id, EventRow.kind.in_([event.value for event in ANSWERS]))
        .order_by(EventRow.seq.desc())
    )
    if last is None or delivery.address is None:
        raise ActRefused("Chưa có trả lời nào được ghi nhận.")
    step = str(last.seq)
    mine = Message.delivery_id == delivery.id, Message.kind == "receipt", Message.step == step
    if await ledger.first(select(Message.id).where(*mine)) is not None:
        return False
    said: dict[str, Any] = {"event": last.kind, "at": last.at.isoformat(), "mark": last.hash[:12]}
    said |= {"late": delivery.late, "answered_by": delivery.answered_by or {}}
    mail = mails.Mail(
        kind="receipt", step=step, recipient=delivery.recipient, address=delivery.address, not_before=now,
        delivery_id=delivery.id, hop_id=delivery.hop_id, campaign_id=campaign.id, urgent=is_urgent(campaign),
        context=said,
    )  # fmt: skip
    await mails.queue(house, ledger, [mail], now)
    await mails.wake_hop(ledger, delivery.hop_id, now)
    return True
