"""Numbers for whoever watches the machine: queues, lags, what is overdue. Counts only."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, literal, select

from congvan.acts import board, leases, waking
from congvan.acts.mails import OPEN, PATIENCE, not_held
from congvan.house import House
from congvan.rules.protocol import State, settled
from congvan.rules.records import Settles
from congvan.store.ledger import Ledger
from congvan.store.tables import Campaign, Case, Delivery, Hop, Incoming, Letter, Message

#: Metric → what it says.
HELP: Mapping[str, str] = {
    "congvan_messages": "Messages of the outbox by state",
    "congvan_mails_sent_total": "Mails recorded as sent",
    "congvan_messages_due": "Messages that may leave now and have not, without those of held campaigns",
    "congvan_oldest_due_seconds": "How long the oldest unsent message has been due or tried, but for holds",
    "congvan_deliveries": "Deliveries of running campaigns by state",
    "congvan_deliveries_overdue": "Open deliveries past their deadline",
    "congvan_hops": "Hops of running campaigns by state",
    "congvan_hops_due": "Hops at which something is due",
    "congvan_board_behind": "Deliveries that Prefect does not show as they are yet",
    "congvan_cases_open": "Open cases, by whether somebody has claimed them",
    "congvan_letters_awaiting_issue": "Letters that await number, date and signature",
    "congvan_incoming": "Mails that came back, by kind",
    "congvan_campaigns_held": "Campaigns that are held",
    "congvan_relay_alive": "1 while a relay holds its lease",
}
Labels = tuple[tuple[str, str], ...]


async def snapshot(house: House) -> dict[str, dict[Labels, float]]:
    """Every metric with its labels, on one snapshot of the database."""
    now = await house.clock.now()
    async with house.store.view() as ledger:
        due = Message.state.in_(("QUEUED", "UNKNOWN")) & (Message.not_before <= now) & not_held()
        # Each attempt puts `not_before` off; patience counts from the first one, before it from the first chance.
        patience = await ledger.first(select(func.min(Message.give_up_at)).where(OPEN, not_held()))
        oldest = now - (patience - PATIENCE) if patience else timedelta()
        messages = await _by(ledger, Message.state, "state")
        return {
            "congvan_messages": messages,
            "congvan_mails_sent_total": _one(messages.get((("state", "SENT"),), 0.0)),
            "congvan_messages_due": _one(await ledger.count(select(Message.id).where(due))),
            "congvan_oldest_due_seconds": _one(max(oldest.total_seconds(), 0)),
            **await _deliveries(ledger, now),
            "congvan_hops": await _by(ledger, Hop.state, "state", Hop.campaign_id.in_(_running())),
            "congvan_hops_due": _one(await ledger.count(select(Hop.id).where(*waking.is_due(now)))),
            "congvan_board_behind": _one(await board.behind(ledger)),
            "congvan_cases_open": await _cases(ledger),
            "congvan_letters_awaiting_issue": _one(
                await ledger.count(select(Letter.id).where(Letter.state == "PENDING_ISSUE"))
            ),
            "congvan_incoming": await _by(ledger, Incoming.kind, "kind"),
            "congvan_campaigns_held": _one(
                await ledger.count(_running().where(Campaign.held_at.is_not(None)))
            ),
        } | {"congvan_relay_alive": _one(float(await leases.held(house, leases.RELAY)))}


def _running() -> Any:
    return select(Campaign.id).where(Campaign.state == "RUNNING")


def _one(value: float) -> dict[Labels, float]:
    return {(): value}


async def _by(ledger: Ledger, column: Any, name: str, *where: Any) -> dict[Labels, float]:
    rows = await ledger.rows(select(column, func.count()).where(*where).group_by(column))
    return {((name, str(value)),): float(number) for value, number in rows}


async def _deliveries(ledger: Ledger, now: datetime) -> dict[str, dict[Labels, float]]:
    # While a campaign is paused its clock stands still: `frozen.reckoned`.
    clock = func.coalesce(Campaign.paused_at, literal(now, Campaign.paused_at.type))
    late = func.sum((Delivery.due_at < clock).cast(Delivery.reminders.type))
    rows = await ledger.rows(
        select(Delivery.state, Delivery.settles, func.count(), late)
        .join(Campaign, Campaign.id == Delivery.campaign_id)
        .where(Campaign.state == "RUNNING")
        .group_by(Delivery.state, Delivery.settles)
    )
    by_state: dict[Labels, float] = {}
    overdue = 0
    for state, settles, number, past in rows:
        key = (("state", str(state)),)
        by_state[key] = by_state.get(key, 0) + number
        overdue += 0 if settled(State(state), Settles(settles)) else int(past or 0)
    return {"congvan_deliveries": by_state, "congvan_deliveries_overdue": _one(overdue)}


async def _cases(ledger: Ledger) -> dict[Labels, float]:
    claimed = Case.claimed_by.is_not(None)
    rows = await ledger.rows(
        select(Case.kind, claimed, func.count()).where(Case.closed_at.is_(None)).group_by(Case.kind, claimed)
    )
    return {(("kind", kind), ("claimed", "yes" if taken else "no")): float(number) for kind, taken, number in rows}
