"""Whether a hop may open: by its issuer's obligation, by the clock, or past an issuer who need not pass on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from congvan.acts import mails, recalls
from congvan.acts.frozen import policy_of, rule_of
from congvan.acts.registry import organisation
from congvan.house import House
from congvan.rules.protocol import Fact, State, releases
from congvan.rules.records import Issue, Release
from congvan.store.ledger import Entry, Ledger
from congvan.store.tables import Campaign, Delivery, Hop

PASSED_ON = (State.FORWARDED, State.COMPLETED)


async def released(house: House, ledger: Ledger, campaign: Campaign, hop: Hop) -> bool:
    """True when this hop may open: by the obligation above, or past it; the first hop always."""
    now = await house.clock.now()
    return await opens_at(house, ledger, campaign, hop, now) == now


async def opens_at(house: House, ledger: Ledger, campaign: Campaign, hop: Hop, now: datetime) -> datetime | None:
    """`now` when this hop may open, else when it may by the clock alone (`at_deadline`); None: it waits for a person.

    No letter that was recalled is passed on, not past anybody either.
    """
    if hop.parent_delivery_id is None:
        return now
    if await recalls.taken_back(ledger, hop):
        return None
    if hop.bypassed_at is not None:
        return now
    parent = await ledger.get(Delivery, hop.parent_delivery_id)
    above = await ledger.get(Hop, parent.hop_id)
    policy = policy_of(campaign, above, parent.level)
    one = await organisation(ledger, parent.recipient)
    authority = bool(one.standing_authority) or rule_of(campaign, hop).issue is not Issue.COMPANY
    may = partial(releases, policy.release, State(parent.state), authority=authority)
    if may(past_due=parent.due_at is not None and now >= parent.due_at):
        return now
    return parent.due_at if may(past_due=True) else None


async def past_exempt(
    ledger: Ledger, campaign: Campaign, hop: Hop, delivery: Delivery, by: str, now: datetime
) -> None:
    """Who need not pass on leaves nobody behind: those below a company get the letter of this hop, as past a silent
    one, once it has left."""
    if delivery.child_hop_id is None or hop.opened_at is None or rule_of(campaign, hop).issue is Issue.TAKEN_IN:
        return
    below = await ledger.take(Hop, delivery.child_hop_id)
    if below.opened_at is None and below.bypassed_at is None and rule_of(campaign, below).issue is Issue.COMPANY:
        entry = Entry(Fact.BYPASSED, {"exempt": delivery.recipient, "why": delivery.reason or ""}, actor=by)
        await ledger.write(below, now, entry, bypassed_at=now)
        await mails.wake_hop(ledger, below.id, now)


async def release_below(
    house: House, ledger: Ledger, campaign: Campaign, hop: Hop, deliveries: Sequence[Delivery], now: datetime
) -> None:
    """A hop has opened: wake those below that wait for no answer, now (`at_once`) or when the term of their issuer
    ends, and those whose company was exempted before this letter left."""
    for delivery in deliveries:
        if delivery.child_hop_id is None:
            continue
        if State(delivery.state) is State.EXEMPT:
            await past_exempt(ledger, campaign, hop, delivery, "engine", now)
            continue
        waits = policy_of(campaign, hop, delivery.level).release is Release.ON_FORWARD
        if waits and State(delivery.state) not in PASSED_ON:
            continue
        below = await ledger.get(Hop, delivery.child_hop_id)
        at = await opens_at(house, ledger, campaign, below, now) if below.opened_at is None else None
        if at is not None:
            await mails.wake_hop(ledger, below.id, at)
