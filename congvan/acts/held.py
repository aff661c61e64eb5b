"""A campaign that the engine or Prefect has held: the unit in charge is told, for nobody else will let it go."""

from __future__ import annotations

from datetime import datetime

from congvan.acts import figures, mails, registry
from congvan.acts.frozen import cascade_of
from congvan.house import House
from congvan.store.ledger import Ledger
from congvan.store.tables import Campaign

#: Who holds a campaign where no person did.
ENGINE, PREFECT = "engine", "prefect"


async def tell(house: House, ledger: Ledger, campaign: Campaign, why: str, now: datetime) -> None:
    """Write to the unit in charge that nothing leaves any more, why, and what it can do. In the act that holds."""
    cascade = cascade_of(campaign)
    unit = await registry.organisation(ledger, cascade.drafting_unit or cascade.speaks_for)
    boxes = sorted(unit.contacts, key=lambda contact: contact.order)
    if not boxes:
        return  # refused at launch; a mailbox removed later is shown by `doctor`
    context = {
        "name": unit.name, "code": campaign.code, "why": why, "since": now.isoformat(),
        "figures": await figures.for_mail(ledger, campaign.id, now),
    }  # fmt: skip
    mail = mails.Mail(
        kind=mails.HELD, step=f"{campaign.id}-{campaign.event_seq}", recipient=unit.code, address=boxes[0].email,
        not_before=now, campaign_id=campaign.id, urgent=True, context=context,
    )  # fmt: skip
    await mails.queue(house, ledger, [mail], now)
