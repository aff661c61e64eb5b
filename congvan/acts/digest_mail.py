"""The mail of one digest: what it says of each case, the table and the drafts that it encloses, whom it goes to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from congvan.acts import figures, mails, registry, urging, wording
from congvan.acts.digest import workbook
from congvan.acts.escalations import describe
from congvan.house import House
from congvan.rules.calendar import local
from congvan.rules.records import Rung
from congvan.store.ledger import Ledger
from congvan.store.tables import Campaign, Case, Delivery

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

#: Recipients that the mail itself lists, the longest overdue first: programs cut off what is longer than a hundred
#: kilobytes. All stand in the table.
LISTED = 150

#: A case, its delivery, and the rung that is told of it.
Told = tuple[Case, Delivery, Rung]


async def queue(
    house: House,
    ledger: Ledger,
    owner: str,
    members: Sequence[Told],
    campaigns: Mapping[str, Campaign],
    now: datetime,
    digest_id: str,
) -> None:
    """Write the mail down for the rung's owner and for whoever is to know of it as well."""
    lines = await describe(house, ledger, [(case, delivery) for case, delivery, _ in members], campaigns, now)
    sheet = await ledger.keep_file(workbook(lines, now), XLSX)
    told_of = {delivery.campaign_id for _, delivery, _ in members}
    longest = set(sorted(range(len(lines)), key=lambda place: -lines[place].days_late)[:LISTED])
    context = {
        "template": members[0][2].template,
        "lines": [line.as_dict() for place, line in enumerate(lines) if place in longest],
        "more": len(lines) - len(longest),
        "campaigns": [await _chapter(ledger, campaigns[key], now) for key in sorted(told_of)],
    }
    enclosed = [{"name": f"tong-hop-{local(now):%Y-%m-%d}.xlsx", "sha256": sheet, "media_type": XLSX}]
    for key in sorted(told_of):
        _, draft = await urging.shown(ledger, campaigns[key])
        enclosed += [draft] if draft else []
    also = dict.fromkeys(code for _, _, rung in members for code in rung.also)
    queued: list[mails.Mail] = []
    for code in (owner, *(code for code in also if code != owner)):
        reader = await registry.organisation(ledger, code)
        boxes = registry.mailboxes(reader, local(now).date())
        if boxes:  # refused at launch; a mailbox removed later is shown by `doctor`
            queued.append(
                mails.Mail(
                    kind="digest", step=digest_id if code == owner else f"{digest_id}-{len(queued)}", recipient=code,
                    address=boxes[0], not_before=now, campaign_id=min(told_of), urgent=True,
                    context=context | {"name": reader.name}, enclosures=enclosed,
                )
            )  # fmt: skip
    await mails.queue(house, ledger, queued, now)


async def _chapter(ledger: Ledger, campaign: Campaign, now: datetime) -> dict[str, Any]:
    letter = await wording.speaking_letter(ledger, campaign)
    return {
        "code": campaign.code, "subject": campaign.subject, "document": wording.document(letter),
        "figures": await figures.for_mail(ledger, campaign.id, now), "note": (await urging.shown(ledger, campaign))[0],
    }  # fmt: skip
