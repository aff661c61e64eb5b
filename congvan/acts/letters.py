"""Letters: submitted, chased, enclosed. One number has one content; what was issued never changes.

An authority's letter leaves only as an issued document; in exercise and demo the engine numbers it
itself and every page says "BẢN MINH HỌA". A company's letter is issued by the company's own act.
How a letter is drafted stands in `drafting`, how it is issued in `issuing`, its numbers in `numbers`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Select, select

from congvan.acts import demo, mails, renewing
from congvan.acts.drafting import Draft, draft, insert, prepare
from congvan.acts.frozen import cascade_of, rule_of, upwards
from congvan.acts.issuing import company_letter, issue, issue_company, play_issue, sheet_to_sign, to_sign
from congvan.acts.papers import asked_again, enclosure, file_name, issue_until, next_in_hand, wanted
from congvan.acts.signed_files import Issued
from congvan.acts.terms import printed_due, term_below
from congvan.errors import NotFound
from congvan.house import House
from congvan.rules.protocol import Fact
from congvan.rules.records import Issue
from congvan.rules.uploads import PDF
from congvan.store.bulk import among
from congvan.store.ledger import Entry, Ledger
from congvan.store.tables import Campaign, Hop, Letter, WayRow

__all__ = [
    "PDF",
    "Draft",
    "Issued",
    "chase",
    "company_letter",
    "draft",
    "enclosures",
    "file_name",
    "issue",
    "issue_company",
    "issue_until",
    "of_campaign",
    "play_issue",
    "prepare",
    "printed_due",
    "sheet_to_sign",
    "submit",
    "term_below",
    "to_sign",
]


async def submit(house: House, hop_id: str) -> Letter:
    """Draft an authority's letter and hand it to the person who issues it; return the letter.

    NĐ 30/2020 Điều 18: it is issued on the day of signature or the next working day; urgent ones at once.
    """
    made = await draft(house, hop_id)
    rendered = house.press.render(made.sheet)
    now = await house.clock.now()
    async with house.store.act() as ledger:
        hop = await ledger.take(Hop, hop_id)
        if hop.letter_id is not None:
            known: Letter = await ledger.take(Letter, hop.letter_id)
            if known.state != "DRAFT":
                return known
            letter_id = known.id
        else:
            letter_id = await insert(house, ledger, hop, made, rendered, now, "DRAFT")
        campaign = await ledger.get(Campaign, hop.campaign_id)
        await _await_issue(house, ledger, campaign, hop, letter_id, now)
        return await ledger.get(Letter, letter_id)


async def _await_issue(
    house: House, ledger: Ledger, campaign: Campaign, hop: Hop, letter_id: str, now: datetime
) -> None:
    cascade = cascade_of(campaign)
    rule = rule_of(campaign, hop)
    person = rule.issue_by[0] if rule.issue_by else cascade.drafting_unit or cascade.speaks_for
    until = issue_until(house, campaign, now)
    await ledger.change(
        Letter, Letter.id == letter_id, state="PENDING_ISSUE", awaits=person, awaits_until=until
    )
    await ledger.write(hop, now, Entry(Fact.NOTED, {"awaits": person}), state="PENDING_ISSUE")
    if campaign.mode == "demo":
        at = demo.office_time(house, now, 3)
        await demo.play(house, ledger, person, "issue", at, {"letter": letter_id}, campaign.id)


async def chase(house: House, hop_id: str) -> None:
    """Remind whoever has a letter in hand that should have been issued: clerk, drafting unit, head of the office."""
    now = await house.clock.now()
    async with house.store.view() as ledger:
        letter = await ledger.get(Letter, (await ledger.get(Hop, hop_id)).letter_id)
    if not _is_late(letter, now):
        return
    await renewing.renew(house, letter.id)
    async with house.store.act() as ledger:
        hop = await ledger.take(Hop, hop_id)
        letter = await ledger.take(Letter, hop.letter_id)
        if not _is_late(letter, now):
            return
        campaign = await ledger.get(Campaign, hop.campaign_id)
        cascade = cascade_of(campaign)
        people = [*rule_of(campaign, hop).issue_by, cascade.drafting_unit or cascade.speaks_for]
        office, box = await next_in_hand(ledger, list(dict.fromkeys(people)), letter.chased, now)
        again = asked_again(house, campaign, now)
        await ledger.change(Letter, Letter.id == letter.id, awaits_until=again, chased=letter.chased + 1)
        await ledger.write(hop, now, Entry(Fact.ISSUE_CHASED, {"whom": office.code, "round": letter.chased + 1}))
        if box:
            recipients = await ledger.count(select(WayRow.delivery_id).where(WayRow.hop_id == hop.id).distinct())
            await mails.queue(house, ledger, [wanted(letter, campaign, office, box, again, now, recipients)], now)


def _is_late(letter: Letter, now: datetime) -> bool:
    """Whether it should have been issued by now."""
    return letter.state == "PENDING_ISSUE" and letter.awaits_until is not None and letter.awaits_until <= now


# ------------------------------------------------------------------------------------ enclosures


async def enclosures(
    ledger: Ledger, campaign: Campaign, hop: Hop, way: Sequence[Hop] = ()
) -> list[dict[str, str]]:
    """What a recipient of this hop gets, letter first: every issued letter on the way, then the documents
    from above, unchanged and with their hashes. way: as `upwards` gives it, where it is known."""
    issued: list[Letter] = []
    for at in way or await upwards(ledger, hop):
        letter = await ledger.find(Letter, at.letter_id) if at.letter_id else None
        # A bypassed issuer's letter was never issued: its recipients get the one above. A slip is the
        # receiving office's own paper and goes no further.
        own_paper = at is not hop and rule_of(campaign, at).issue is Issue.TAKEN_IN
        if letter is not None and letter.state == "ISSUED" and letter.sha256 and not own_paper:
            issued.append(letter)
    corrected = await _corrections(ledger, issued)
    found = [enclosure(one) for letter in issued for one in (letter, *corrected.get(letter.id, ()))]
    return found + [dict(one) for one in campaign.upstream]


async def _corrections(ledger: Ledger, issued: Sequence[Letter]) -> dict[str | None, list[Letter]]:
    """What was issued to correct each of these letters: whoever gets that one later gets these with it."""
    if not issued:
        return {}
    found: dict[str | None, list[Letter]] = {}
    keys = {"keys": [one.id for one in issued]}
    for one in await ledger.session.scalars(_correcting(ledger.is_sqlite), keys):
        found.setdefault(one.about, []).append(one)
    return found


@cache
def _correcting(is_sqlite: bool) -> Select[tuple[Letter]]:
    about = among(Letter.about, "keys", is_sqlite)
    return select(Letter).where(about, Letter.kind == "correction", Letter.state == "ISSUED").order_by(Letter.issued_at)


async def of_campaign(house: House, name: str) -> list[dict[str, Any]]:
    """Every letter of a campaign, as `congvan letters --json` prints it."""
    async with house.store.view() as ledger:
        campaign = await ledger.first(select(Campaign).where((Campaign.id == name) | (Campaign.code == name)))
        if campaign is None:
            raise NotFound(f"không có đợt «{name}» → xem: congvan status")
        rows: list[Letter] = await ledger.all(
            select(Letter).where(Letter.campaign_id == campaign.id).order_by(Letter.created_at, Letter.id)
        )
        return [
            {
                "id": row.id, "issuer": row.issuer, "kind": row.kind, "state": row.state, "number": row.symbol,
                "date": row.issued_on.isoformat() if row.issued_on else None, "sha256": row.sha256,
                "file": file_name(row), "subject": row.subject, "awaits": row.awaits,
            }
            for row in rows
        ]  # fmt: skip
