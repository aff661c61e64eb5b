"""Counts: what the command line, the board, the pages and the reports all show, from one place."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

from sqlalchemy import Select, case, func, select

from congvan.acts.frozen import cascade_of, reckoned
from congvan.errors import NotFound
from congvan.house import House
from congvan.rules.protocol import State, answered, settled
from congvan.rules.records import Settles
from congvan.store.ledger import Ledger
from congvan.store.tables import Campaign, Delivery, Hop, WayRow


def _grouped(*by: Any) -> Select[Any]:
    return select(
        *by,
        Delivery.state,
        Delivery.settles,
        func.count(),
        func.sum(case((Delivery.escalated_at.is_not(None), 1), else_=0)),
        func.sum(case((Delivery.late, 1), else_=0)),
        func.sum(case((Delivery.due_at.is_(None), 1), else_=0)),
    )


async def totals(ledger: Ledger, campaign_id: str, now: datetime) -> dict[str, int]:
    """Deliveries of a campaign by state, with how many are overdue, escalated and late."""
    rows = await ledger.rows(
        _grouped().where(Delivery.campaign_id == campaign_id).group_by(Delivery.state, Delivery.settles)
    )
    counts = _sum(rows)
    counts["overdue"] = (await _overdue_by_hop(ledger, campaign_id, now)).total()
    return dict(counts)


async def hop_totals(ledger: Ledger, campaign_id: str, now: datetime) -> dict[str, dict[str, int]]:
    """The same, by hop."""
    rows = await ledger.rows(
        _grouped(Delivery.hop_id)
        .where(Delivery.campaign_id == campaign_id)
        .group_by(Delivery.hop_id, Delivery.state, Delivery.settles)
    )
    by_hop: dict[str, list[Any]] = {}
    for row in rows:
        by_hop.setdefault(row[0], []).append(row[1:])
    overdue = await _overdue_by_hop(ledger, campaign_id, now)
    return {hop: dict(_sum(found)) | {"overdue": overdue[hop]} for hop, found in by_hop.items()}


def _sum(rows: Any) -> Counter[str]:
    counts: Counter[str] = Counter(dict.fromkeys(("total", "settled", "not_sent", "escalated", "late"), 0))
    for state, settles, number, escalated, late, unopened in rows:
        counts[state] += number
        counts["escalated"] += int(escalated or 0)
        counts["late"] += int(late or 0)
        if settled(State(state), Settles(settles)):
            counts["settled"] += number
        elif state == State.QUEUED:
            counts["not_sent"] += int(unopened or 0)
        counts["total"] += number
    return counts


async def _overdue_by_hop(ledger: Ledger, campaign_id: str, now: datetime) -> Counter[str]:
    now = reckoned(await ledger.get(Campaign, campaign_id), now)
    rows = await ledger.rows(
        select(Delivery.hop_id, Delivery.state, Delivery.settles, func.count())
        .where(Delivery.campaign_id == campaign_id, Delivery.due_at < now)
        .group_by(Delivery.hop_id, Delivery.state, Delivery.settles)
    )
    counts: Counter[str] = Counter()
    for hop_id, state, settles, number in rows:
        if not settled(State(state), Settles(settles)):
            counts[hop_id] += number
    return counts


async def for_mail(ledger: Ledger, campaign_id: str, now: datetime) -> dict[str, int]:
    """The figures as `mail.contexts.Figures` names them."""
    counts = await totals(ledger, campaign_id, now)
    waiting = max(0, counts.get("total", 0) - counts.get("settled", 0) - counts["overdue"])
    return {
        "total": counts.get("total", 0), "settled": counts.get("settled", 0), "waiting": waiting,
        "overdue": counts["overdue"], "undeliverable": counts.get("UNDELIVERABLE", 0),
        "rejected": counts.get("REJECTED", 0), "not_sent": counts.get("not_sent", 0), "late": counts["late"],
    }  # fmt: skip


async def status(house: House, name: str | None = None) -> dict[str, Any]:
    """What `congvan status --json` prints."""
    now = await house.clock.now()
    async with house.store.view() as ledger:
        query = select(Campaign).order_by(Campaign.launched_at, Campaign.code)
        if name:
            query = query.where((Campaign.id == name) | (Campaign.code == name))
        campaigns: list[Campaign] = await ledger.all(query)
        return {"campaigns": [await _campaign(ledger, campaign, now) for campaign in campaigns]}


async def _campaign(ledger: Ledger, campaign: Campaign, now: datetime) -> dict[str, Any]:
    by_hop = await hop_totals(ledger, campaign.id, now)
    hops: list[Hop] = await ledger.all(
        select(Hop).where(Hop.campaign_id == campaign.id).order_by(Hop.ordinal)
    )
    return {
        "id": campaign.id, "code": campaign.code, "subject": campaign.subject, "state": campaign.state,
        "mode": campaign.mode, "held": campaign.held_at is not None,
        "paused": campaign.paused_at is not None,
        "launched_at": campaign.launched_at.isoformat(), "flow_run": campaign.run_id,
        "totals": await totals(ledger, campaign.id, now),
        "hops": [
            {
                "id": hop.id, "issuer": hop.issuer, "level": hop.level, "state": hop.state,
                "wake_at": hop.wake_at.isoformat() if hop.wake_at else None, "flow_run": hop.run_id,
                "bypassed": hop.bypassed_at is not None, "totals": by_hop.get(hop.id, {}),
            }
            for hop in hops
        ],
    }  # fmt: skip


async def hop(house: House, hop_id: str, most: int) -> dict[str, Any]:
    """One hop with its first recipients, `most` at the most, as its page in Prefect shows them."""
    async with house.store.view() as ledger:
        row = await ledger.get(Hop, hop_id)
        campaign = await ledger.get(Campaign, row.campaign_id)
        recipients: list[Delivery] = await ledger.all(
            select(Delivery).where(Delivery.hop_id == hop_id).order_by(Delivery.code).limit(most)
        )
        alike = select(Delivery.state, Delivery.settles, func.count()).where(Delivery.hop_id == hop_id)
        counted = await ledger.rows(alike.group_by(Delivery.state, Delivery.settles))
    states: Counter[str] = Counter()
    for state, _settles, number in counted:
        states[state] += number
    return {
        "campaign": campaign.code, "name": row.issuer_name, "totals": dict(states), "total": states.total(),
        "settled": sum(number for state, settles, number in counted if settled(State(state), Settles(settles))),
        "recipients": [
            {"recipient": one.recipient, "name": one.name, "state": one.state, "due_at": one.due_at,
             "reminders": one.reminders}
            for one in recipients
        ],
    }  # fmt: skip


async def deliveries(house: House, name: str) -> list[dict[str, Any]]:
    """What `congvan deliveries --json` prints, one mapping a recipient."""
    async with house.store.view() as ledger:
        campaign = await ledger.first(
            select(Campaign).where((Campaign.id == name) | (Campaign.code == name))
        )
        if campaign is None:
            raise NotFound(f"không có đợt «{name}» → xem: congvan status")
        hops = {hop.id: hop for hop in await ledger.all(select(Hop).where(Hop.campaign_id == campaign.id))}
        rows: list[Delivery] = await ledger.all(
            select(Delivery).where(Delivery.campaign_id == campaign.id).order_by(Delivery.code)
        )
        return [_delivery(row, hops[row.hop_id]) for row in rows]


def _delivery(row: Delivery, hop: Hop) -> dict[str, Any]:
    return {
        "id": row.id, "code": row.code, "recipient": row.recipient, "name": row.name, "level": row.level,
        "park": row.park, "issuer": hop.issuer, "state": row.state, "settles": row.settles,
        "due_at": row.due_at.isoformat() if row.due_at else None, "reminders": row.reminders, "urged": row.urged,
        "escalated": row.escalated_at is not None, "late": row.late,
        "confirmed_at": row.confirmed_at.isoformat() if row.confirmed_at else None, "channel": row.channel,
        "flow_run": row.run_id,
    }  # fmt: skip


async def branches(ledger: Ledger, campaign: Campaign) -> list[dict[str, Any]]:
    """Each issuer's branch: children on its ways, how many were reached, how many answered."""
    rows = await ledger.rows(
        select(Hop.issuer, Hop.issuer_name, Hop.level, Delivery.state, func.count(func.distinct(Delivery.id)))
        .join(WayRow, WayRow.hop_id == Hop.id)
        .join(Delivery, Delivery.id == WayRow.delivery_id)
        .where(Hop.campaign_id == campaign.id, Hop.level != cascade_of(campaign).root)
        .group_by(Hop.ordinal, Hop.issuer, Hop.issuer_name, Hop.level, Delivery.state)
        .order_by(Hop.ordinal)
    )
    found: dict[str, dict[str, Any]] = {}
    for issuer, name, level, state, number in rows:
        branch = found.setdefault(
            issuer, {"issuer": issuer, "name": name, "level": level, "total": 0, "answered": 0, "reached": 0}
        )
        branch["total"] += number
        branch["answered"] += number if answered(State(state)) else 0
        branch["reached"] += number if State(state) not in (State.QUEUED, State.UNDELIVERABLE) else 0
    return list(found.values())
