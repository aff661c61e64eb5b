"""What becomes of a letter that belongs to no hop once it is issued: a report, a replacement, a correction…

Nothing of it leaves before: the clerk's issue is what sends it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import select

from congvan.acts import escalations, figures, mails, notices, papers, recalls, registry, replacing, urging, wording
from congvan.acts.drafting import redraft
from congvan.acts.frozen import cascade_of, is_urgent
from congvan.errors import ActRefused
from congvan.house import House
from congvan.rules.calendar import local
from congvan.rules.protocol import Fact
from congvan.store.ledger import Entry, Ledger
from congvan.store.tables import Campaign, Delivery, Hop, Letter


async def lock(ledger: Ledger, letter: Letter) -> None:
    """Whatever its issue changes, before the letter itself."""
    if letter.kind == "urge":
        await urging.named(ledger, letter, lock=True)
    elif letter.about is not None:
        old = await ledger.get(Letter, letter.about)
        await recalls.locked_branch(ledger, await ledger.get(Hop, old.hop_id))
        await escalations.lock_of_campaign(ledger, letter.campaign_id)
    await ledger.take(Campaign, letter.campaign_id)


async def issued(
    house: House, ledger: Ledger, campaign: Campaign, letter: Letter, data: dict[str, Any], now: datetime, by: str
) -> None:
    """In the transaction of its issue."""
    await papers.chase_no_more(ledger, letter.id)
    if letter.kind == "report":
        await _send_report(house, ledger, campaign, letter, data, now)
    elif letter.kind == "correction":
        await replacing.correct(house, ledger, campaign, letter, now, by)
    elif letter.kind == "urge":
        if campaign.state == "CLOSED":
            raise ActRefused("Đợt triển khai đã kết thúc, không đôn đốc nữa; trả lời muộn vẫn được nhận.")
        await urging.send(house, ledger, campaign, letter, now, by)
    elif campaign.state == "CLOSED":
        raise ActRefused("Đợt triển khai đã kết thúc, không còn ai theo dõi việc trả lời văn bản thay thế.")
    else:
        await replacing.take_the_place(house, ledger, campaign, letter, now, by)


async def afterwards(house: House, letter: Letter) -> None:
    """After it: what companies below have not passed on yet cites the new letter. A kill in between leaves a page
    that shows the old draft; what is passed on is drafted anew at that moment."""
    if not papers.replaces(letter):
        return
    async with house.store.view() as ledger:
        old = await ledger.get(Letter, letter.about)
        below = select(Delivery.child_hop_id).where(Delivery.hop_id == old.hop_id)
        unopened: list[str] = await ledger.all(select(Hop.id).where(Hop.id.in_(below), Hop.opened_at.is_(None)))
    await redraft(house, unopened)


async def _send_report(
    house: House, ledger: Ledger, campaign: Campaign, letter: Letter, data: dict[str, Any], now: datetime
) -> None:
    """The issued report goes to whoever gave the directive; nothing else is ever addressed to them unissued. Where no
    mailbox is known, the unit in charge takes it there."""
    city = await registry.organisation(ledger, cascade_of(campaign).reports_to)
    boxes = registry.mailboxes(city, local(now).date())
    if not boxes:
        why = f"Danh bạ không còn hộp thư nào của {city.name}; báo cáo số {letter.symbol} chưa được gửi đi"
        await notices.tell(house, ledger, campaign, "unsent_report", why, now)
        await ledger.write(await ledger.take(Campaign, campaign.id), now, Entry(Fact.LETTER_ISSUED, data))
        return
    mail = mails.Mail(
        kind="report", step=letter.id, recipient=city.code, address=boxes[0], not_before=now,
        campaign_id=campaign.id, urgent=is_urgent(campaign), enclosures=[papers.enclosure(letter)],
        context={
            "subject": letter.subject, "name": city.name, "figures": await figures.for_mail(ledger, campaign.id, now),
            "document": wording.document(letter),
        },
    )  # fmt: skip
    await mails.queue(house, ledger, [mail], now)
    row = await ledger.take(Campaign, campaign.id)
    entry = Entry(Fact.REPORTED, data)
    await ledger.write(row, now, entry)
