"""All that an operator sees of one delivery, and the papers that are kept as evidence beside an answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from congvan.acts.campaigns import find
from congvan.acts.frozen import cascade_of, reckoned, rule_of
from congvan.acts.history import history
from congvan.errors import NotFound
from congvan.house import House
from congvan.rules.protocol import Event, Fact, State, settled
from congvan.rules.records import Issue, Organisation, Settles
from congvan.store.ledger import Ledger
from congvan.store.tables import (
    Campaign,
    Case,
    Delegate,
    Delivery,
    EventRow,
    Hop,
    OrganisationRow,
    ParkRow,
    Request,
    WayRow,
)

#: What the mail and the clock bring: it changes nothing for somebody who is about to act.
_CARRIAGE = {
    Event.SENT, Event.ARRIVED, Fact.ATTEMPTED, Fact.DELAYED, Fact.REMINDED, Fact.URGED, Fact.COPIED, Fact.ESCALATED,
    Fact.TOLD,
}  # fmt: skip


@dataclass(frozen=True)
class Dossier:
    """One delivery with everything around it.

    ways: (issuer's code, issuer's name, park) of every way that leads to it. organisation: as the registry has it
    now. below: its own hop, if it has somebody below it; company: that hop's letter is the company's own.
    """

    delivery: Delivery
    campaign: Campaign
    hop: Hop
    organisation: Organisation | None
    park: str
    level: str
    settled: bool
    overdue: bool
    now: datetime
    cases: Sequence[Case]
    requests: Sequence[Request]
    ways: Sequence[tuple[str, str, str]]
    delegates: Sequence[Delegate]
    below: Hop | None
    company: bool
    history: dict[str, Any]


async def dossier(house: House, campaign: str, delivery_id: str) -> Dossier:
    """The dossier of a delivery of this campaign; raise NotFound for one of another campaign."""
    now = await house.clock.now()
    async with house.store.view() as ledger:
        row = await find(ledger, campaign)
        delivery = await ledger.find(Delivery, delivery_id)
        if delivery is None or delivery.campaign_id != row.id:
            raise NotFound(f"không có nơi nhận «{delivery_id}» trong đợt {campaign}")
        known = await ledger.find(OrganisationRow, delivery.recipient)
        park = await ledger.find(ParkRow, delivery.park) if delivery.park else None
        below = await ledger.find(Hop, delivery.child_hop_id) if delivery.child_hop_id else None
        done = settled(State(delivery.state), Settles(delivery.settles))
        overdue = not done and delivery.due_at is not None and delivery.due_at < reckoned(row, now)
        cases = select(Case).where(Case.delivery_id == delivery_id)
        made = Dossier(
            delivery=delivery, campaign=row, hop=await ledger.get(Hop, delivery.hop_id),
            organisation=Organisation.model_validate(known.record) if known else None,
            park=park.name if park else "", level=cascade_of(row).levels.get(delivery.level, delivery.level),
            settled=done, overdue=overdue, now=now,
            cases=await ledger.all(cases.order_by(Case.closed_at.is_not(None), Case.opened_at)),
            requests=await ledger.all(
                select(Request).where(Request.delivery_id == delivery_id).order_by(Request.made_at)
            ),
            ways=await _ways(ledger, delivery_id), below=below,
            delegates=await ledger.all(select(Delegate).where(Delegate.delivery_id == delivery_id)),
            company=below is not None and rule_of(row, below).issue is Issue.COMPANY, history={},
        )  # fmt: skip
    made.history.update(await history(house, delivery_id))
    return made


async def _ways(ledger: Ledger, delivery_id: str) -> list[tuple[str, str, str]]:
    query = (
        select(Hop.issuer, Hop.issuer_name, WayRow.park)
        .join(Hop, Hop.id == WayRow.hop_id)
        .where(WayRow.delivery_id == delivery_id)
        .order_by(Hop.ordinal)
    )
    return [(issuer, name, park) for issuer, name, park in await ledger.rows(query)]


def meanwhile(found: Dossier, shown: int | None) -> list[dict[str, Any]]:
    """What has happened since a page showed the log up to this number, but for the mail's own coming and going; None:
    no page was shown.

    Whoever acts has read what the page said; an answer or another's act since then may make it the wrong thing to do.
    """
    if shown is None:
        return []
    return [one for one in found.history["events"] if one["seq"] > shown and one["kind"] not in _CARRIAGE]


# ------------------------------------------------------------------------------------ papers


def papers_of(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The files that a line of the log names: beside a report, as answers to its questions, as evidence."""
    answers = data.get("answers") or {}
    named = [*(data.get("files") or ()), *(one for one in answers.values() if isinstance(one, dict))]
    return [one for one in named if "sha256" in one]


async def paper(house: House, campaign: str, delivery_id: str, sha256: str) -> tuple[str, str, bytes]:
    """(name, media type, bytes) of a file that this delivery's log names; raise NotFound for any other file."""
    async with house.store.view() as ledger:
        row = await find(ledger, campaign)
        events: list[EventRow] = await ledger.all(
            select(EventRow).where(EventRow.stream == delivery_id, EventRow.campaign_id == row.id)
        )
        for named in (one for event in events for one in papers_of(event.data)):
            if named["sha256"] == sha256:
                return str(named["name"]), str(named["media_type"]), await ledger.file(sha256)
    raise NotFound("Nơi nhận này không có văn bản đó.")
