"""Gia hạn: more time for one recipient, for many, or for everybody who still owes an answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from congvan.acts import campaigns, escalations, mails
from congvan.acts.frozen import is_urgent
from congvan.errors import ActRefused
from congvan.house import House
from congvan.rules.deadlines import too_far
from congvan.rules.protocol import Fact, State, reached, settled
from congvan.rules.records import Settles
from congvan.store.ledger import Entry, Ledger
from congvan.store.tables import Campaign, Delivery, Hop, WayRow

#: Why one of many gets no more time, in the order in which it is looked at.
REASONS = {
    "not_open": "chặng chưa mở", "settled": "đã xong", "not_later": "thời hạn mới không muộn hơn thời hạn cũ",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Whom:
    """Which recipients of a campaign; empty: all of them. issuer: on whose ways they stand."""

    issuer: str = ""
    park: str = ""
    level: str = ""


async def extend(house: House, delivery_id: str, due_at: datetime, by: str, why: str) -> None:
    """Give one recipient more time, with a notice; a deadline that was told never moves earlier."""
    now = await house.clock.now()
    async with house.store.act() as ledger:
        row = await ledger.take(Delivery, delivery_id)
        campaign = await ledger.get(Campaign, row.campaign_id)
        _check(campaign, due_at, now)
        if reason := _keeps(row, due_at):
            raise ActRefused(f"Không gia hạn được: {REASONS[reason]}.")
        await _extend(house, ledger, campaign, [row], due_at, now, by, why)


async def extend_many(
    house: House, campaign_name: str, due_at: datetime, by: str, why: str, whom: Whom | None = None
) -> Mapping[str, int]:
    """Give everybody of a campaign who owes an answer more time; how many, and why the others did not.

    Where it is for all, letters that leave later (a late passing-on) count with the new date, too.
    """
    now, whom = await house.clock.now(), whom or Whom()
    counts: Counter[str] = Counter({"extended": 0})
    async with house.store.act() as ledger:
        campaign = await campaigns.find(ledger, campaign_name)
        _check(campaign, due_at, now)
        chosen = []
        for row in await _chosen(ledger, campaign, whom):
            reason = _keeps(row, due_at)
            counts[reason or "extended"] += 1
            if not reason:
                chosen.append(row)
        await _extend(house, ledger, campaign, chosen, due_at, now, by, why)
        if whom == Whom():
            await _extend_hops(ledger, campaign, due_at, now, by, why)
    return counts


async def _extend_hops(
    ledger: Ledger, campaign: Campaign, due_at: datetime, now: datetime, by: str, why: str
) -> None:
    """What leaves later counts with the new date; the log says since when."""
    later = Hop.campaign_id == campaign.id, Hop.opened_at.is_not(None), Hop.due_at < due_at
    hops: list[Hop] = await ledger.all(select(Hop).where(*later).order_by(Hop.id), lock=True)
    for hop in hops:
        assert hop.due_at is not None, "an open hop has a deadline"
        said = {"from": hop.due_at.isoformat(), "to": due_at.isoformat(), "why": why}
        await ledger.write(hop, now, Entry(Fact.EXTENDED, said, actor=by), due_at=due_at)


def _check(campaign: Campaign, due_at: datetime, now: datetime) -> None:
    if campaign.state == "CLOSED":
        raise ActRefused("Đợt triển khai đã kết thúc; trả lời muộn vẫn được nhận.")
    if due_at <= now:
        raise ActRefused("Thời hạn mới đã qua.")
    if too_far(due_at, now):
        raise ActRefused("Thời hạn mới quá xa: không quá 5 năm kể từ hôm nay; xem lại năm đã ghi.")


def _keeps(row: Delivery, due_at: datetime) -> str:
    """Why this one keeps its deadline, as a key of REASONS; empty: it is moved."""
    if settled(State(row.state), Settles(row.settles)):
        return "settled"
    if row.due_at is None:
        return "not_open"
    return "not_later" if due_at <= row.due_at else ""


async def _chosen(ledger: Ledger, campaign: Campaign, whom: Whom) -> list[Delivery]:
    query = select(Delivery).where(Delivery.campaign_id == campaign.id)
    ways = select(WayRow.delivery_id).join(Hop, Hop.id == WayRow.hop_id).where(Hop.campaign_id == campaign.id)
    if whom.issuer:
        query = query.where(Delivery.id.in_(ways.where(Hop.issuer == whom.issuer)))
    if whom.park:
        query = query.where(Delivery.id.in_(ways.where(WayRow.park == whom.park)))
    if whom.level:
        query = query.where(Delivery.level == whom.level)
    found: list[Delivery] = await ledger.all(query.order_by(Delivery.id), lock=True)
    return found


async def _extend(
    house: House, ledger: Ledger, campaign: Campaign, rows: Sequence[Delivery], due_at: datetime, now: datetime,
    by: str, why: str,
) -> None:  # fmt: skip
    changes: list[tuple[Delivery, list[Entry], dict[str, Any]]] = []
    before = {row.id: row.due_at for row in rows}
    for row in rows:
        assert row.due_at is not None, "the caller looked"
        said = {"from": row.due_at.isoformat(), "to": due_at.isoformat(), "why": why}
        entries = [Entry(Fact.EXTENDED, said, actor=by)]
        entries += await escalations.close_cases(ledger, row, now, by=by, why="extended", kinds=("silent",))
        values = {
            "due_at": due_at, "extended": row.extended + 1, "escalated_at": None, "steps_taken": 0, "wake_at": now,
        }  # fmt: skip
        changes.append((row, entries, values))
    await ledger.write_many(changes, now)
    notices = [_notice(campaign, row, before[row.id], now, why) for row in rows if _is_told(row)]
    await mails.queue(house, ledger, notices, now)
    for hop_id in sorted({row.hop_id for row in rows}):
        await mails.wake_hop(ledger, hop_id, now)


def _is_told(row: Delivery) -> bool:
    return bool(row.address) and reached(State(row.state)) and State(row.state) is not State.REJECTED


def _notice(campaign: Campaign, row: Delivery, old: datetime | None, now: datetime, why: str) -> mails.Mail:
    assert row.address is not None, "only who was reached is told"
    assert old is not None, "only an opened delivery is extended"
    return mails.Mail(
        kind="extension", step=str(row.extended), recipient=row.recipient, address=row.address, not_before=now,
        delivery_id=row.id, hop_id=row.hop_id, campaign_id=campaign.id, urgent=is_urgent(campaign),
        context={"old_due_at": old.isoformat(), "why": why},
    )  # fmt: skip
