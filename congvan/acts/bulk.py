"""The same act for many: looked at first, with whom it would reach and whom not and why; then done, one by one.

What was looked at is what is done: where the selection has changed meanwhile, it has to be looked at again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import select

from congvan.acts import deliveries, escalations, extending, roll
from congvan.acts.roll import Wanted
from congvan.errors import ActRefused, ImpossibleMove, StaleDelivery
from congvan.house import House
from congvan.rules.deadlines import too_far
from congvan.rules.protocol import State, settled
from congvan.rules.records import Settles
from congvan.store.tables import Case, Delivery

#: Recipients in one go: each is a transaction of its own, and somebody waits for the page.
MOST = 1_000
_NAMES = 20


class What(StrEnum):
    """What can be done for many."""

    EXTEND = "extend"
    RESEND = "resend"
    CLAIM = "claim"
    EXEMPT = "exempt"


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be done. due_at: of an extension. why: the reason, or the note of a claim."""

    what: What
    why: str = ""
    due_at: datetime | None = None


@dataclass(frozen=True)
class Outlook:
    """What would happen. chosen: the deliveries that it reaches, each with the number of its letter (`round`) or, to
    claim, the length of its log (`event_seq`); names: the first of them. skipped: reason → codes.

    more: how many lie beyond the most of one go. mark: two outlooks with the same mark reach the same, and nobody has
    done it meanwhile.
    """

    chosen: Mapping[str, int]
    names: Sequence[str]
    skipped: dict[str, list[str]]
    more: int

    @property
    def mark(self) -> str:
        """A short hash of whom it reaches, as they stand."""
        lines = "\n".join(f"{key} {seen}" for key, seen in self.chosen.items())
        return hashlib.sha256(lines.encode()).hexdigest()[:32]


async def look(house: House, campaign_id: str, wanted: Wanted, order: Order) -> Outlook:
    """What an order would do to whoever is wanted; nothing changes."""
    now = await house.clock.now()
    async with house.store.view() as ledger:
        where = await roll.conditions(ledger, campaign_id, wanted, now)
        # Columns, not rows: of tens of thousands only this much is looked at.
        columns = (
            Delivery.id, Delivery.recipient, Delivery.name, Delivery.state, Delivery.settles, Delivery.due_at,
            Delivery.address, Delivery.round, Delivery.event_seq,
        )  # fmt: skip
        rows = await ledger.rows(select(*columns).where(*where).order_by(Delivery.code))
        cases = set(
            await ledger.all(
                select(Case.delivery_id).where(Case.campaign_id == campaign_id, Case.closed_at.is_(None))
            )
        )
    chosen: list[Any] = []
    skipped: dict[str, list[str]] = {}
    for row in rows:
        if reason := _skips(row, order, row.id in cases, now):
            skipped.setdefault(reason, []).append(row.recipient)
        else:
            chosen.append(row)
    taken = chosen[:MOST]
    # Letters come and go meanwhile, so the log's length is asked only of whoever is silent already.
    seen = {row.id: row.event_seq if order.what is What.CLAIM else row.round for row in taken}
    return Outlook(
        seen, [f"{row.recipient} {row.name}" for row in taken[:_NAMES]], skipped,
        len(chosen) - len(taken),
    )  # fmt: skip


def _skips(row: Any, order: Order, has_case: bool, now: datetime) -> str:
    """Why this one is left out, as a name of words in the template; empty: it is reached."""
    state = State(row.state)
    if order.what is What.CLAIM:
        return "" if has_case else "no_case"
    if settled(state, Settles(row.settles)):
        return "settled"
    if order.what is What.EXEMPT:
        return ""
    if row.due_at is None:
        return "not_open"
    if order.what is What.EXTEND:
        if order.due_at is None or order.due_at <= row.due_at or order.due_at <= now:
            return "not_later"
        return "too_far" if too_far(order.due_at, now) else ""
    return "no_mailbox" if row.address is None else ""


async def carry_out(house: House, chosen: Mapping[str, int], order: Order, by: str) -> tuple[int, int]:
    """Do it; (how many it reached, how many it did not because somebody was first)."""
    done = failed = 0
    for key, seen in chosen.items():
        try:
            await _one(house, key, seen, order, by)
            done += 1
        except (ActRefused, ImpossibleMove, StaleDelivery):
            failed += 1
    return done, failed


async def _one(house: House, key: str, seen: int, order: Order, by: str) -> None:
    match order.what:
        case What.EXTEND:
            assert order.due_at is not None, "an extension has a date"
            await extending.extend(house, key, order.due_at, by, order.why)
        case What.RESEND:
            await deliveries.resend(house, key, by, why=order.why, round_shown=seen)
        case What.CLAIM:
            await escalations.claim(house, key, by, order.why)
        case What.EXEMPT:
            await deliveries.exempt(house, key, by, order.why)
