"""What came of a campaign, for reports: figures by group, answers by day, and everyone who is open, with what
was done about each. Read from one snapshot; every table adds up to the same total."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import func, select

from congvan.acts import registry
from congvan.acts.frozen import cascade_of
from congvan.acts.officers import full_names
from congvan.rules.calendar import local
from congvan.rules.labels import STILL_OPEN
from congvan.rules.protocol import State, answered, settled
from congvan.rules.records import Settles
from congvan.store.ledger import Ledger
from congvan.store.tables import Campaign, Case, Delivery, EventRow, Hop


@dataclass(slots=True)
class Tally:
    """Recipients of one group, each in exactly one of: done, exempt, withdrawn, and the five of STILL_OPEN.

    late: of those done, after their deadline.
    """

    name: str = ""
    total: int = 0
    late: int = 0
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def asked(self) -> int:
        """Of how many an answer is, or was, wanted."""
        return self.total - self.counts["exempt"] - self.counts["withdrawn"]

    def as_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        kinds = ("done", *STILL_OPEN, "exempt", "withdrawn")
        numbers = {kind: self.counts[kind] for kind in kinds}
        return {"name": self.name, "total": self.total, "asked": self.asked, "late": self.late, **numbers}


@dataclass(frozen=True, slots=True)
class OpenOne:
    """One who has not settled. issuer: who wrote to it; done: what was done about it, in words."""

    code: str
    name: str
    park: str
    issuer: str
    kind: str
    due_at: datetime | None
    reminders: int
    reason: str
    done: str


@dataclass(frozen=True, slots=True)
class Results:
    """Everything that a report says. days: each day from the launch on with how many had answered by its end."""

    as_of: datetime
    total: Tally
    groups: list[Tally]
    days: list[tuple[date, int]]
    open: list[OpenOne]


def kind_of(state: State, settles: Settles) -> str:
    """What a recipient counts as in a report."""
    if state in (State.EXEMPT, State.WITHDRAWN):
        return str(state.value).lower()
    if settled(state, settles):
        return "done"
    if state in (State.UNDELIVERABLE, State.REJECTED):
        return str(state.value).lower()
    if state is State.QUEUED:
        return "not_sent"
    return "partial" if answered(state) else "silent"


async def results(ledger: Ledger, campaign: Campaign, now: datetime) -> Results:
    """How a campaign stands at this instant."""
    parks = await registry.park_names(ledger)
    total, groups = await _tallies(ledger, campaign, parks)
    return Results(now, total, groups, await _days(ledger, campaign, now), await _open(ledger, campaign, parks))


async def _tallies(ledger: Ledger, campaign: Campaign, parks: Mapping[str, str]) -> tuple[Tally, list[Tally]]:
    by = (Delivery.level, Delivery.park, Delivery.state, Delivery.settles, Delivery.late)
    rows = await ledger.rows(
        select(*by, func.count()).where(Delivery.campaign_id == campaign.id).group_by(*by)
    )
    levels = cascade_of(campaign).levels
    order = {level: number for number, level in enumerate(levels)}
    with_parks = {row.level for row in rows if row.park}
    total, groups = Tally("Tổng cộng"), dict[tuple[int, str], Tally]()
    for level, park, state, settles, late, number in rows:
        outside = " ngoài khu công nghiệp" if level in with_parks else ""
        name = parks.get(park, park) if park else f"{levels.get(level, level)}{outside}"
        key = (len(order), name) if park else (order.get(level, 0), name)
        kind = kind_of(State(state), Settles(settles))
        for tally in (total, groups.setdefault(key, Tally(name))):
            tally.total += number
            tally.counts[kind] += number
            tally.late += number if late and kind == "done" else 0
    return total, [groups[key] for key in sorted(groups)]


async def _days(ledger: Ledger, campaign: Campaign, now: datetime) -> list[tuple[date, int]]:
    """By the end of each day how many had answered, of those that count as done."""
    rows = await ledger.rows(
        select(Delivery.state, Delivery.settles, Delivery.settled_at).where(
            Delivery.campaign_id == campaign.id, Delivery.settled_at.is_not(None)
        )
    )
    came = Counter(
        local(row.settled_at).date() for row in rows if kind_of(State(row.state), Settles(row.settles)) == "done"
    )
    day, last = local(campaign.launched_at).date(), local(now).date()
    found, number = [], sum(count for one, count in came.items() if one < day)
    while day <= last:
        number += came[day]
        found.append((day, number))
        day += timedelta(days=1)
    return found


# ------------------------------------------------------------------------------------ who is open


async def _open(ledger: Ledger, campaign: Campaign, parks: Mapping[str, str]) -> list[OpenOne]:
    rows: list[Delivery] = await ledger.all(
        select(Delivery).where(
            Delivery.campaign_id == campaign.id,
            Delivery.state.not_in([State.EXEMPT, State.WITHDRAWN, State.COMPLETED]),
        )
    )
    open_ones = [(row, kind) for row in rows if (kind := kind_of(State(row.state), Settles(row.settles))) in STILL_OPEN]
    hops = {hop.id: hop for hop in await ledger.all(select(Hop).where(Hop.campaign_id == campaign.id))}
    cases = await _cases(ledger, campaign)
    resent, rungs = await _tried(ledger, campaign), await _rungs(ledger, campaign)
    officers = await full_names(ledger)
    found = [
        OpenOne(
            row.code, row.name, parks.get(row.park, ""), hops[row.hop_id].issuer_name, kind, row.due_at, row.reminders,
            row.reason or "" if kind == "rejected" else "",
            _done(rungs, row, cases.get(row.id, ()), resent.get(row.id, 0), officers),
        )
        for row, kind in open_ones
    ]  # fmt: skip
    order = {kind: number for number, kind in enumerate(STILL_OPEN)}
    return sorted(found, key=lambda one: (order[one.kind], one.park, one.code))


async def _cases(ledger: Ledger, campaign: Campaign) -> dict[str, list[Case]]:
    found: dict[str, list[Case]] = {}
    for case in await ledger.all(
        select(Case).where(Case.campaign_id == campaign.id, Case.closed_at.is_(None)).order_by(Case.opened_at)
    ):
        found.setdefault(case.delivery_id, []).append(case)
    return found


async def _tried(ledger: Ledger, campaign: Campaign) -> dict[str, int]:
    """How often a letter was sent to another mailbox, or once more."""
    rows = await ledger.rows(
        select(EventRow.stream, func.count())
        .where(EventRow.campaign_id == campaign.id, EventRow.kind == "readdressed")
        .group_by(EventRow.stream)
    )
    return {stream: int(number) for stream, number in rows}


async def _rungs(ledger: Ledger, campaign: Campaign) -> list[str]:
    """Whom each rung tells, by name; "" for the report upwards, of which this is the paper."""
    found = []
    for rung in cascade_of(campaign).ladder:
        office = await registry.organisation(ledger, rung.to)
        found.append("" if rung.template == "report" else office.short_name or office.name)
    return found


def _done(
    rungs: Sequence[str], row: Delivery, cases: Sequence[Case], resent: int, officers: Mapping[str, str]
) -> str:
    said = []
    if row.reminders:
        said.append(f"đã nhắc {row.reminders} lần")
    if row.urged:
        said.append(f"đã đôn đốc {row.urged} lần")
    if resent:
        said.append(f"đã gửi lại {resent} lần")
    if row.extended:
        said.append(f"đã gia hạn {row.extended} lần")
    told = [name for name in rungs[: max((case.rung for case in cases), default=0)] if name]
    if told:
        said.append(f"đã báo cáo {', '.join(told)}")
    said += [f"{officers[case.claimed_by]} đang xử lý" for case in cases if case.claimed_by]
    return "; ".join(dict.fromkeys(said))
