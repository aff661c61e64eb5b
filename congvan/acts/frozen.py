"""What a campaign froze at its launch: plan, cascade and rules, read back as records, and the way up from a hop."""

from __future__ import annotations

from datetime import datetime
from functools import cache, lru_cache
from typing import Any

import orjson
from sqlalchemy import Select, bindparam, literal, select

from congvan.rules import cascade as rules
from congvan.rules.deadlines import Standing
from congvan.rules.protocol import State
from congvan.rules.records import CampaignPlan, Cascade, Deadline, HopRule, Policy, Settles
from congvan.store.ledger import Ledger
from congvan.store.tables import Campaign, Delivery, Hop


@lru_cache(maxsize=64)
def _read(text: bytes, model: type[Any]) -> Any:
    return model.model_validate_json(text)


def plan_of(campaign: Campaign) -> CampaignPlan:
    """The plan as it was launched."""
    plan: CampaignPlan = _read(orjson.dumps(campaign.plan), CampaignPlan)
    return plan


def cascade_of(campaign: Campaign) -> Cascade:
    """The cascade as it was at launch."""
    cascade: Cascade = _read(orjson.dumps(campaign.cascade), Cascade)
    return cascade


def rule_of(campaign: Campaign, hop: Hop) -> HopRule:
    """The tier that this hop belongs to."""
    rule = cascade_of(campaign).rule_of(hop.level)
    assert rule is not None, "a hop is only made from a rule"
    return rule


def policy_of(campaign: Campaign, hop: Hop, level: str) -> Policy:
    """How recipients of a level are held to their answer in this hop."""
    return rules.policy_for(cascade_of(campaign), plan_of(campaign), hop.level, level)


def longest_term(campaign: Campaign, hop: Hop) -> Deadline:
    """The term that the due date of a hop as a whole follows: the longest of its recipients' levels."""
    terms = [policy_of(campaign, hop, who.level).deadline for who in rule_of(campaign, hop).recipients]
    # One in working days is longer than any that runs on the clock.
    return max(terms, key=lambda term: (not term.hours, term.hours or term.working_days))


def is_urgent(campaign: Campaign) -> bool:
    """Khẩn and above: passes office hours and quiet windows."""
    return plan_of(campaign).urgency.passes_quiet_hours


def standing(delivery: Delivery) -> Standing:
    """What the rules need to know of a delivery that was opened."""
    assert delivery.due_at is not None, "only an opened delivery has a standing"
    return Standing(
        state=State(delivery.state),
        settles=Settles(delivery.settles),
        due_at=delivery.due_at,
        sent_at=delivery.sent_at,
        steps_taken=delivery.steps_taken,
        escalated=delivery.escalated_at is not None,
    )


def reckoned(campaign: Campaign, now: datetime) -> datetime:
    """The instant against which terms are held: while a campaign is paused its clock stands still."""
    return campaign.paused_at or now


async def above_of(ledger: Ledger, hop: Hop) -> Hop | None:
    """The hop that a hop's issuer is a recipient of; None at the top."""
    if hop.parent_delivery_id is None:
        return None
    parent = await ledger.get(Delivery, hop.parent_delivery_id)
    return await ledger.get(Hop, parent.hop_id)


async def upwards(ledger: Ledger, hop: Hop) -> list[Hop]:
    """A hop and those above it, up to the first; by one statement, since whoever opens a page asks this."""
    if hop.parent_delivery_id is None:
        return [hop]
    return [hop, *await ledger.session.scalars(_above(), {"parent": hop.parent_delivery_id})]


@cache
def _above() -> Select[tuple[Hop]]:
    """The hops above the delivery bound as `parent`, its own first."""
    hops, deliveries = Hop.__table__, Delivery.__table__
    columns = hops.c.id, hops.c.parent_delivery_id
    nearest = select(*columns, literal(0).label("steps")).join(deliveries, deliveries.c.hop_id == hops.c.id)
    way = nearest.where(deliveries.c.id == bindparam("parent")).cte("way", recursive=True)
    further = select(*columns, way.c.steps + 1).join(deliveries, deliveries.c.hop_id == hops.c.id)
    way = way.union_all(further.join(way, way.c.parent_delivery_id == deliveries.c.id))
    return select(Hop).join(way, way.c.id == Hop.id).order_by(way.c.steps)
