"""What a leader decides about a whole campaign or hop: take it back from everybody, go past a silent issuer."""

from __future__ import annotations

import contextlib

from sqlalchemy import func, select

from congvan.acts import campaigns, deliveries, mails, papers, recalls
from congvan.acts.frozen import rule_of
from congvan.acts.roll import Mark, Wanted, conditions
from congvan.errors import ActRefused
from congvan.house import House
from congvan.rules.protocol import Fact
from congvan.rules.records import Issue
from congvan.store.ledger import Entry
from congvan.store.tables import Delivery, Hop

#: Recipients from whom a letter is taken back in one go; the rest wait for the next.
MOST = 1_000


async def open_ones(house: House, campaign_id: str) -> int:
    """How many recipients still owe something."""
    now = await house.clock.now()
    async with house.store.view() as ledger:
        where = await conditions(ledger, campaign_id, Wanted(mark=Mark.OPEN), now)
        return int(await ledger.session.scalar(select(func.count()).where(*where)) or 0)


async def replacements(house: House, campaign_id: str) -> int:
    """How many letters are to take the place of others, and await their issue."""
    async with house.store.view() as ledger:
        return len(await papers.replacements(ledger, campaign_id))


async def withdraw_all(house: House, name: str, by: str, why: str) -> int:
    """Take the letter back from everybody who still owes something; how many are left for the next go.

    Each recipient is an act of its own with its notice. When nobody is left a held campaign goes on, so that
    the notices leave and it can be closed.
    """
    if not why.strip():
        raise ActRefused("Cần ghi rõ lý do.")
    now = await house.clock.now()
    async with house.store.view() as ledger:
        campaign = await campaigns.find(ledger, name)
        if campaign.state != "RUNNING":
            raise ActRefused("Đợt triển khai đã kết thúc; trả lời muộn vẫn được nhận.")
        where = await conditions(ledger, campaign.id, Wanted(mark=Mark.OPEN), now)
        keys = await ledger.all(select(Delivery.id).where(*where).order_by(Delivery.code).limit(MOST))
    for key in keys:
        # Whoever was exempted meanwhile owes nothing any more.
        with contextlib.suppress(ActRefused):
            await deliveries.withdraw(house, key, by, why)
    left = await open_ones(house, campaign.id)
    if not left:
        await campaigns.resume(house, name, by)
    return left


async def release(house: House, name: str, issuer: str, by: str, why: str) -> None:
    """Go past an issuer who has not passed the letter on: those below get the letter of the hop above.

    The issuer's own obligation stays. Raise ActRefused where its hop has opened already, or where the hop above
    has no letter of its own or none out yet, or one that was recalled, or where the issuer's letter awaits its issue.
    """
    if not why.strip():
        raise ActRefused("Cần ghi rõ lý do.")
    now = await house.clock.now()
    async with house.store.act() as ledger:
        campaign = await campaigns.find(ledger, name)
        if campaign.state != "RUNNING":
            raise ActRefused("Đợt triển khai đã kết thúc; trả lời muộn vẫn được nhận.")
        found = await ledger.first(select(Hop.id).where(Hop.campaign_id == campaign.id, Hop.issuer == issuer))
        if found is None:
            raise ActRefused("Đơn vị này không có nơi nhận bên dưới trong đợt.")
        parent_id = await ledger.first(select(Hop.parent_delivery_id).where(Hop.id == found))
        parent = await ledger.take(Delivery, parent_id) if parent_id else None
        above = await ledger.get(Hop, parent.hop_id) if parent else None
        hop = await ledger.take(Hop, found)
        if hop.opened_at is not None or hop.bypassed_at is not None:
            raise ActRefused("Chặng này đã mở.")
        if parent is None or above is None or above.opened_at is None:
            raise ActRefused("Chặng trên chưa mở: chưa có văn bản để gửi.")
        if rule_of(campaign, above).issue is Issue.TAKEN_IN or hop.state == "PENDING_ISSUE":
            raise ActRefused("Cơ quan chuyển tiếp bằng văn bản của mình: ban hành văn bản ấy.")
        if await recalls.taken_back(ledger, hop):
            raise ActRefused("Văn bản gửi đơn vị này đã bị thu hồi; chuyển tiếp sau khi có văn bản thay thế.")
        entry = Entry(Fact.BYPASSED, {"silent": parent.recipient, "why": why}, actor=by)
        await ledger.write(hop, now, entry, bypassed_at=now)
        await mails.wake_hop(ledger, hop.id, now)
