"""Cases: somebody has to look at a delivery. Each rung of the ladder is told in one digest a day.

A department gets at most one mail each working day over all campaigns; urgent directives are told of
once a round. Silent, undeliverable and rejected are never mixed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import Any

from sqlalchemy import select

from congvan.acts import figures, mails, papers, registry, wording
from congvan.acts.digest import Line, workbook
from congvan.acts.frozen import cascade_of, is_urgent
from congvan.house import House
from congvan.rules.calendar import instant, local
from congvan.rules.deadlines import after
from congvan.rules.protocol import Fact
from congvan.rules.records import Rung
from congvan.store.ledger import Entry, Ledger
from congvan.store.tables import Campaign, Case, Delivery, Digest, Hop

#: When a department reads its mail.
DIGEST_AT = time(8, 0)
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


async def open_case(house: House, ledger: Ledger, delivery: Delivery, kind: str, now: datetime) -> bool:
    """Open a case unless one of this kind is open; True when it is new. Nobody is told yet."""
    campaign = await ledger.get(Campaign, delivery.campaign_id)
    return await ledger.add_if_absent(
        Case,
        id=house.new_id(now),
        delivery_id=delivery.id,
        campaign_id=delivery.campaign_id,
        kind=kind,
        opened_at=now,
        rung=0,
        tell_at=_tell_at(house, campaign, 0, now),
        notes=[],
    )


async def keep_told(house: House, ledger: Ledger, delivery: Delivery, now: datetime) -> None:
    """Whoever was escalated because no mail reached him is reached again and still owes the answer: from
    now on he is silent. Nothing becomes due by the clock after an escalation, so somebody has to be told."""
    if delivery.escalated_at is not None:
        await open_case(house, ledger, delivery, "silent", now)


async def close_cases(
    ledger: Ledger, delivery: Delivery, now: datetime, *, by: str, why: str, kinds: Sequence[str] = ()
) -> list[Entry]:
    """Close the open cases of a delivery; the entries that its log should hold."""
    open_ones: list[Case] = await ledger.all(
        select(Case).where(Case.delivery_id == delivery.id, Case.closed_at.is_(None)), lock=True
    )
    entries = []
    for case in open_ones:
        if kinds and case.kind not in kinds:
            continue
        await ledger.change(
            Case, Case.id == case.id, closed_at=now, closed_by=by, closed_why=why, tell_at=None
        )
        entries.append(Entry(Fact.ESCALATION_CLOSED, {"case": case.kind, "why": why}, actor=by))
    return entries


def _tell_at(house: House, campaign: Campaign, rung: int, now: datetime) -> datetime | None:
    """When the next rung is told: at the department's hour of a working day; urgent ones at once."""
    ladder = cascade_of(campaign).ladder
    if rung >= len(ladder):
        return None
    step = ladder[rung]
    start = after(now, step.after_working_days, step.after_hours, house.calendars)
    return start if is_urgent(campaign) else next_reading(house, start)


def next_reading(house: House, now: datetime) -> datetime:
    """The next instant at which a department reads its digest, from now on."""
    wall = local(now)
    day = wall.date() if wall.time() <= DIGEST_AT else wall.date() + timedelta(days=1)
    return instant(house.calendars.state.on_or_after(day), DIGEST_AT)


async def next_digest_at(ledger: Ledger) -> datetime | None:
    """When the next rung is to be told of something, or somebody of a letter in his hand; None: of nothing."""
    told: datetime | None = await ledger.first(
        select(Case.tell_at)
        .join(Campaign, Campaign.id == Case.campaign_id)
        .where(Case.closed_at.is_(None), Case.tell_at.is_not(None), Campaign.held_at.is_(None))
        .order_by(Case.tell_at)
    )
    return min((at for at in (told, await papers.next_chase_at(ledger)) if at is not None), default=None)


async def tell(house: House) -> list[str]:
    """Write the digests that are due, one for each rung's owner; return their ids.

    1. Lock the due cases of every campaign that is not held.
    2. Group them by the owner of their next rung; a rung that consists of the silent party alone is passed by.
       What is not urgent waits for the owner's next reading: at night, on days off, after the day's digest.
    3. One digest, its table and its mail for each owner; each delivery's log names the digest.
    4. Who has a letter of no hop in hand that should have been issued is reminded of it as well.
    """
    await papers.chase(house)
    now = await house.clock.now()
    async with house.store.act() as ledger:
        due = await _due_cases(ledger, now)
        keys = {delivery.campaign_id for _, delivery in due}
        campaigns = {one.id: one for one in await ledger.all(select(Campaign).where(Campaign.id.in_(keys)))}
        groups: dict[str, list[tuple[Case, Delivery, Rung]]] = {}
        for case, delivery in due:
            ladder = cascade_of(campaigns[case.campaign_id]).ladder
            rung = ladder[min(case.rung, len(ladder) - 1)]
            groups.setdefault(rung.to, []).append((case, delivery, rung))
        made = []
        for owner, members in sorted(groups.items()):
            ready = await _put_off(house, ledger, owner, members, campaigns, now)
            if ready:
                made.append(await _tell_one(house, ledger, owner, ready, campaigns, now))
        return made


async def _put_off(
    house: House,
    ledger: Ledger,
    owner: str,
    members: Sequence[tuple[Case, Delivery, Rung]],
    campaigns: Mapping[str, Campaign],
    now: datetime,
) -> list[tuple[Case, Delivery, Rung]]:
    """Put off what this owner does not read now; return the rest.

    Digests come late after a standstill, and clocks differ a little: neither may bring a second one.
    """
    wall, state = local(now), house.calendars.state
    had = Digest.owner == owner, Digest.day == wall.date(), Digest.ordinal == 0
    if await ledger.first(select(Digest.id).where(*had)) is not None:
        later = next_reading(house, instant(wall.date() + timedelta(days=1), time()))
    elif state.is_working(wall.date()) and DIGEST_AT <= wall.time() < state.closes:
        return list(members)
    else:
        later = next_reading(house, now)
    routine = [case.id for case, _, _ in members if not is_urgent(campaigns[case.campaign_id])]
    await ledger.change(Case, Case.id.in_(routine), tell_at=later)
    return [member for member in members if member[0].id not in routine]


async def _due_cases(ledger: Ledger, now: datetime) -> list[tuple[Case, Delivery]]:
    held = select(Campaign.id).where(Campaign.held_at.is_not(None))
    query = select(Case.delivery_id).where(
        Case.closed_at.is_(None), Case.tell_at <= now, Case.campaign_id.not_in(held)
    )
    keys = sorted(set(await ledger.all(query)))
    deliveries = {
        row.id: row
        for row in await ledger.all(
            select(Delivery).where(Delivery.id.in_(keys)).order_by(Delivery.id), lock=True
        )
    }
    cases: list[Case] = await ledger.all(
        select(Case)
        .where(Case.delivery_id.in_(keys), Case.closed_at.is_(None), Case.tell_at <= now)
        .order_by(Case.id),
        lock=True,
    )
    return [(case, deliveries[case.delivery_id]) for case in cases]


async def _tell_one(
    house: House,
    ledger: Ledger,
    owner: str,
    members: Sequence[tuple[Case, Delivery, Rung]],
    campaigns: Mapping[str, Campaign],
    now: datetime,
) -> str:
    digest_id, day = house.new_id(now), local(now).date()
    ordinal = 0
    if all(is_urgent(campaigns[case.campaign_id]) for case, _, _ in members):
        ordinal = 1 + await ledger.count(
            select(Digest.id).where(Digest.owner == owner, Digest.day == day, Digest.ordinal > 0)
        )
    # The last rung is the report upwards, which leaves only as an issued document: no mail tells of it.
    others = [row for row in members if row[1].recipient != owner and row[2].template != "report"]
    if others:
        await _mail(house, ledger, owner, others, campaigns, now, digest_id)
    await ledger.add(
        Digest, id=digest_id, owner=owner, day=day, ordinal=ordinal, made_at=now, cases=len(members)
    )
    for case, _delivery, _rung in members:
        rung = case.rung + 1
        tell_at = _tell_at(house, campaigns[case.campaign_id], rung, now)
        await ledger.change(Case, Case.id == case.id, rung=rung, tell_at=tell_at, digest_id=digest_id)
    changes: list[tuple[Delivery, list[Entry], dict[str, Any]]] = []
    for case, delivery, _rung in members:
        data = {"digest": digest_id, "to": owner, "rung": case.rung + 1, "case": case.kind}
        changes.append((delivery, [Entry(Fact.TOLD, data)], {}))
    await ledger.write_many(_merged(changes), now)
    for campaign_id in sorted({case.campaign_id for case, _d, _r in members}):
        await ledger.change(
            Campaign, Campaign.id == campaign_id, wake_at=now, wake_seq=Campaign.wake_seq + 1
        )
    return digest_id


def _merged(
    changes: Sequence[tuple[Delivery, list[Entry], dict[str, Any]]],
) -> list[tuple[Delivery, list[Entry], dict[str, Any]]]:
    # A delivery may stand in two cases; its chain is written once.
    by_id: dict[str, tuple[Delivery, list[Entry], dict[str, Any]]] = {}
    for delivery, entries, values in changes:
        known = by_id.setdefault(delivery.id, (delivery, [], {}))
        known[1].extend(entries)
        known[2].update(values)
    return list(by_id.values())


async def _mail(
    house: House,
    ledger: Ledger,
    owner: str,
    members: Sequence[tuple[Case, Delivery, Rung]],
    campaigns: Mapping[str, Campaign],
    now: datetime,
    digest_id: str,
) -> None:
    office = await registry.organisation(ledger, owner)
    lines = await describe(house, ledger, [(case, delivery) for case, delivery, _ in members], campaigns, now)
    sheet = await ledger.keep_file(workbook(lines, now), XLSX)
    told_of = {delivery.campaign_id for _, delivery, _ in members}
    context = {
        "name": office.name,
        "lines": [line.as_dict() for line in lines],
        "campaigns": [await _chapter(ledger, campaigns[key], now) for key in sorted(told_of)],
    }
    contacts = sorted(office.contacts, key=lambda contact: contact.order)
    if not contacts:
        return  # refused at launch; a mailbox removed later is shown by `doctor`
    mail = mails.Mail(
        kind="digest", step=digest_id, recipient=owner, address=contacts[0].email, not_before=now,
        campaign_id=min(told_of), urgent=True, context=context,
        enclosures=[{"name": f"tong-hop-{local(now):%Y-%m-%d}.xlsx", "sha256": sheet, "media_type": XLSX}],
    )  # fmt: skip
    await mails.queue(house, ledger, [mail], now)


async def describe(
    house: House,
    ledger: Ledger,
    members: Sequence[tuple[Case | None, Delivery]],
    campaigns: Mapping[str, Campaign],
    now: datetime,
) -> list[Line]:
    """The lines of a digest or a report, sorted by campaign, issuer, park and days overdue."""
    hops = {row.id: row for row in await ledger.all(select(Hop).where(Hop.id.in_({d.hop_id for _, d in members})))}
    parks = await registry.park_names(ledger)
    lines = [
        Line.of(case, delivery, hops[delivery.hop_id], campaigns[delivery.campaign_id], parks, house.calendars, now)
        for case, delivery in members
    ]
    return sorted(lines, key=lambda line: (line.campaign, line.issuer, line.park, -line.days_late, line.code))


async def _chapter(ledger: Ledger, campaign: Campaign, now: datetime) -> dict[str, Any]:
    letter = await wording.speaking_letter(ledger, campaign)
    return {
        "code": campaign.code, "subject": campaign.subject, "document": wording.document(letter),
        "figures": await figures.for_mail(ledger, campaign.id, now),
    }  # fmt: skip


async def claim(house: House, delivery_id: str, by: str, note: str = "") -> None:
    """A named person takes the case of a delivery in hand."""
    now = await house.clock.now()
    async with house.store.act() as ledger:
        delivery = await ledger.take(Delivery, delivery_id)
        cases: list[Case] = await ledger.all(
            select(Case).where(Case.delivery_id == delivery_id, Case.closed_at.is_(None)), lock=True
        )
        for case in cases:
            notes = [*case.notes, {"at": now.isoformat(), "by": by, "note": note}]
            await ledger.change(Case, Case.id == case.id, claimed_by=by, notes=notes)
        await ledger.write(delivery, now, Entry(Fact.CLAIMED, {"note": note}, actor=by))
