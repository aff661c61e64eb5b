"""What the pages show: read-only, each on one snapshot. Nothing here writes, not even that somebody looked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Select, bindparam, func, select

from congvan.acts import figures, letters, registry, wording
from congvan.acts.confirmations import duties_of, questions_of
from congvan.acts.frozen import cascade_of, plan_of, rule_of, upwards
from congvan.acts.obligations import Below, Branch, Enclosed, Obligation, Office, Said, Shown
from congvan.errors import LinkInvalid, LinkRevoked, NotFound
from congvan.house import House
from congvan.links import Link
from congvan.rules.protocol import Event, State
from congvan.rules.records import Cascade, Issue, Organisation, Settles
from congvan.rules.uploads import PDF
from congvan.store.ledger import Ledger
from congvan.store.tables import (
    Campaign,
    Delivery,
    EventRow,
    Hop,
    Letter,
    ParkRow,
    Request,
    WayRow,
)

_ANSWERS = (Event.ACKNOWLEDGED, Event.STARTED, Event.FORWARDED, Event.COMPLETED, Event.REJECTED)


# ------------------------------------------------------------------------------------ a recipient


async def obligation(house: House, link: Link) -> Obligation:
    """What stands behind a link; raise LinkInvalid for a delivery that is not there, LinkRevoked."""
    async with house.store.view() as ledger:
        delivery = await _behind(ledger, link)
        campaign = await ledger.get(Campaign, delivery.campaign_id)
        hop = await ledger.get(Hop, delivery.hop_id)
        plan, taken_in = plan_of(campaign), rule_of(campaign, hop).issue is Issue.TAKEN_IN
        way = await upwards(ledger, hop)
        letter = await wording.shown_letter(ledger, campaign, hop, way)
        cascade = cascade_of(campaign)
        named = delivery.recipient, cascade.speaks_for, cascade.drafting_unit, letter.issuer if letter else None
        records = await registry.records(ledger, named)
        return Obligation(
            delivery_id=delivery.id,
            code=delivery.code,
            recipient=delivery.name,
            recipient_en=records.get(delivery.recipient, {}).get("name_en", ""),
            state=State(delivery.state),
            settles=Settles(delivery.settles),
            due_at=delivery.due_at,
            extended=delivery.extended,
            late=delivery.late,
            reason=delivery.reason or "",
            answered_by=delivery.answered_by or {},
            answers=await _answers(ledger, delivery.id),
            campaign=campaign.code,
            subject=plan.directives[0].subject if taken_in else letter.subject if letter else campaign.subject,
            illustration=campaign.mode != "live",
            urgency=plan.urgency,
            issuer=plan.directives[0].issuer if taken_in else _issuer_name(hop, letter, records),
            directive=wording.all_cited(plan.directives),
            taken_in=taken_in,
            office=_office(cascade, records),
            letter=_shown(letter),
            files=await _files(ledger, campaign, hop, way),
            duties=tuple(duties_of(campaign, delivery)),
            questions=questions_of(campaign, delivery),
            paused_at=campaign.paused_at,
            left_out=await _left_out(ledger, delivery.id),
            colleague=bool(link.delegate),
            branch=await _branch(ledger, campaign, delivery),
        )


async def enclosure(house: House, link: Link, sha256: str) -> tuple[Enclosed, bytes]:
    """A file of this delivery with its bytes; raise NotFound for any other file, however real its hash."""
    async with house.store.view() as ledger:
        delivery = await _behind(ledger, link)
        campaign = await ledger.get(Campaign, delivery.campaign_id)
        hop = await ledger.get(Hop, delivery.hop_id)
        for file in (*await _files(ledger, campaign, hop), *await _prepared(ledger, delivery)):
            if file.sha256 == sha256:
                return file, await ledger.file(sha256)
    raise NotFound("Nơi nhận này không có tệp đó.")


async def below(house: House, link: Link, *, limit: int, offset: int, fresh: bool = False) -> list[Below]:
    """The recipients of this delivery's branch by name, each once; fresh: those whom nobody has reached yet."""
    async with house.store.view() as ledger:
        delivery = await _behind(ledger, link)
        if delivery.child_hop_id is None:
            return []
        parks = {row.code: row.name for row in await ledger.all(select(ParkRow))}
        rows: list[Delivery] = await ledger.all(
            select(Delivery)
            .where(
                Delivery.id.in_(_on_the_way(delivery.child_hop_id)),
                *((Delivery.due_at.is_(None), Delivery.state == State.QUEUED) if fresh else ()),
            )
            .order_by(Delivery.name, Delivery.id)
            .limit(limit)
            .offset(offset)
        )
        return [
            Below(
                row.id,
                row.name,
                parks.get(row.park, ""),
                State(row.state),
                row.due_at,
                row.confirmed_at,
                row.late,
                row.hop_id == delivery.child_hop_id,
            )
            for row in rows
        ]


async def _left_out(ledger: Ledger, delivery_id: str) -> str:
    state = await ledger.session.scalar(_asked_to_be_left_out(), {"delivery": delivery_id})
    return str(state) if state in ("OPEN", "DECLINED") else ""


@cache
def _asked_to_be_left_out() -> Select[tuple[str]]:
    asked = Request.delivery_id == bindparam("delivery"), Request.kind == "not_applicable"
    return select(Request.state).where(*asked).order_by(Request.made_at.desc(), Request.id.desc()).limit(1)


async def _behind(ledger: Ledger, link: Link) -> Delivery:
    delivery = await ledger.find(Delivery, link.delivery_id)
    if delivery is None:
        raise LinkInvalid
    if delivery.link_version != link.version:
        raise LinkRevoked
    return delivery


def _issuer_name(hop: Hop, letter: Letter | None, records: Mapping[str, dict[str, Any]]) -> str:
    """Past a silent issuer the letter is not the hop's own."""
    if letter is None or letter.issuer == hop.issuer:
        return hop.issuer_name
    return str(records.get(letter.issuer, {}).get("name", letter.issuer))


def _office(cascade: Cascade, records: Mapping[str, dict[str, Any]]) -> Office:
    speaker = records.get(cascade.speaks_for, {})
    unit = records.get(cascade.drafting_unit or "", {})
    asked = unit or speaker
    contacts = Organisation.model_validate(asked).contacts if asked else ()
    first = min(contacts, key=lambda one: one.order, default=None)
    return Office(
        name=speaker.get("name", cascade.speaks_for),
        name_en=speaker.get("name_en", ""),
        unit=unit.get("name", ""),
        mailbox=first.email if first else "",
        phone=first.phone if first else "",
    )


async def _answers(ledger: Ledger, delivery_id: str) -> tuple[Said, ...]:
    rows = await ledger.session.scalars(_answered(), {"delivery": delivery_id})
    return tuple(Said(Event(row.kind), row.at, row.channel, row.hash[:12], row.data) for row in rows)


@cache
def _answered() -> Select[tuple[EventRow]]:
    answers = EventRow.kind.in_([event.value for event in _ANSWERS])
    return select(EventRow).where(EventRow.stream == bindparam("delivery"), answers).order_by(EventRow.seq)


# ------------------------------------------------------------------------------------ letters and files


def _shown(letter: Letter | None) -> Shown | None:
    if letter is None:
        return None
    return Shown(
        letter.html, letter.kind, letter.state, letter.symbol, letter.issued_on, letter.subject, letter.sha256,
        letters.file_name(letter),
    )  # fmt: skip


async def _files(
    ledger: Ledger, campaign: Campaign, hop: Hop, way: Sequence[Hop] = ()
) -> tuple[Enclosed, ...]:
    enclosed = await letters.enclosures(ledger, campaign, hop, way)
    sizes = await wording.sizes_of(ledger, (one["sha256"] for one in enclosed))
    return tuple(
        Enclosed(one["name"], one["sha256"], one["media_type"], sizes.get(one["sha256"], 0)) for one in enclosed
    )


async def _prepared(ledger: Ledger, delivery: Delivery) -> tuple[Enclosed, ...]:
    """The letter of the hop below, prepared or issued: its author may read it."""
    hop = await ledger.find(Hop, delivery.child_hop_id) if delivery.child_hop_id else None
    letter = await ledger.find(Letter, hop.letter_id) if hop and hop.letter_id else None
    if letter is None or letter.sha256 is None:
        return ()
    return (Enclosed(letters.file_name(letter), letter.sha256, PDF, 0),)


async def _branch(ledger: Ledger, campaign: Campaign, delivery: Delivery) -> Branch | None:
    hop = await ledger.find(Hop, delivery.child_hop_id) if delivery.child_hop_id else None
    if hop is None:
        return None
    rule = rule_of(campaign, hop)
    company = rule.issue is Issue.COMPANY
    letter = await ledger.find(Letter, hop.letter_id) if hop.letter_id else None
    to = cascade_of(campaign).levels.get(rule.recipients[0].level, "")
    rows = await ledger.rows(
        select(Delivery.state, func.count()).where(Delivery.id.in_(_on_the_way(hop.id))).group_by(Delivery.state)
    )
    counted = dict(rows)
    counts = tuple((state, counted[state.value]) for state in State if state.value in counted)
    # An authority's draft is nobody's business but its clerk's.
    own = letter if letter is not None and (company or letter.state == "ISSUED") else None
    return Branch(to, company, hop.opened_at, hop.bypassed_at, _shown(own), counts)


def _on_the_way(hop_id: str) -> Select[tuple[str]]:
    return select(WayRow.delivery_id).where(WayRow.hop_id == hop_id)


# ------------------------------------------------------------------------------------ the overview


async def overview(house: House) -> list[dict[str, Any]]:
    """Every campaign with its totals by state and hop, as `congvan status --json`, and with issuers' names."""
    campaigns: list[dict[str, Any]] = (await figures.status(house))["campaigns"]
    async with house.store.view() as ledger:
        names = dict(await ledger.rows(select(Hop.id, Hop.issuer_name)))
        levels = {row.id: cascade_of(row).levels for row in await ledger.all(select(Campaign))}
    for campaign in campaigns:
        for hop in campaign["hops"]:
            hop["name"] = names.get(hop["id"], hop["issuer"])
            hop["level_name"] = levels[campaign["id"]].get(hop["level"], hop["level"])
    return campaigns
