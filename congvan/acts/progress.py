"""How far a campaign has come: totals, hop by hop, park by park, and answers over time against their deadlines.

Two readings of the deliveries, whatever is shown, each answered by an index alone and in its order: one grouped by
everything that is counted, one by the hour of the answer.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import String, case, cast, func, select

from congvan.acts.frozen import cascade_of, reckoned
from congvan.acts.registry import park_names
from congvan.house import House
from congvan.rules.protocol import State, answered, settled
from congvan.rules.records import Settles
from congvan.store.ledger import Ledger
from congvan.store.tables import Campaign, Delivery, Hop, Letter

__all__ = ["Branch", "Campaign", "Figures", "Progress", "choices", "levels_of", "progress"]

_HOUR = "%Y-%m-%d %H"


@dataclass
class Figures:
    """Counts of some deliveries. asked: not exempt and not withdrawn."""

    total: int = 0
    settled: int = 0
    answered: int = 0
    overdue: int = 0
    escalated: int = 0
    late: int = 0
    states: Counter[str] = field(default_factory=Counter)

    def add(self, state: State, number: int, *, done: bool, overdue: int) -> None:
        """Count some more, all in one state."""
        self.total += number
        self.states[state] += number
        self.settled += number if done else 0
        self.answered += number if answered(state) else 0
        self.overdue += overdue

    @property
    def asked(self) -> int:
        """Of how many an answer is, or was, wanted."""
        return self.total - self.states[State.EXEMPT] - self.states[State.WITHDRAWN]


@dataclass(frozen=True)
class Branch:
    """One hop with its figures, and the hops below it. level: as people call it."""

    hop_id: str
    issuer: str
    name: str
    level: str
    state: str
    due_at: datetime | None
    opened_at: datetime | None
    bypassed: bool
    run_id: str | None
    letter_id: str | None
    letter_state: str
    figures: Figures
    below: list[Branch]

    @property
    def whole(self) -> tuple[int, int, int]:
        """(total, settled, overdue) of this hop and of all below it."""
        own = (self.figures.total, self.figures.settled, self.figures.overdue)
        parts = [own, *(one.whole for one in self.below)]
        return sum(one[0] for one in parts), sum(one[1] for one in parts), sum(one[2] for one in parts)


@dataclass(frozen=True)
class Progress:
    """Everything that a campaign's page counts. parks: (code, name, figures), the code "" for none.

    answers: [(hour, how many came in it)], deadlines: [(instant, how many are due then)], in order.
    """

    campaign: Campaign
    now: datetime
    total: Figures
    roots: list[Branch]
    parks: list[tuple[str, str, Figures]]
    levels: dict[str, str]
    answers: list[tuple[datetime, int]]
    deadlines: list[tuple[datetime, int]]


async def progress(house: House, campaign: Campaign) -> Progress:
    """How a campaign stands now."""
    now = await house.clock.now()
    async with house.store.view() as ledger:
        groups = await ledger.rows(_groups(campaign.id))
        answers = await _hours(ledger, campaign.id)
        hops = await ledger.rows(_hops(campaign.id))
        names = await park_names(ledger)
    counted = _counted(groups, reckoned(campaign, now))
    parks = [(code, names.get(code, code), one) for code, one in sorted(counted.by_park.items()) if code]
    levels = levels_of(campaign)
    tree = _tree(hops, counted.by_hop, levels)
    return Progress(campaign, now, counted.total, tree, parks, levels, answers, sorted(counted.due.items()))


async def choices(house: House, campaign_id: str, most: int) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """What a table can be filtered by: parks by code, and (code, "code name") of at most so many issuers."""
    async with house.store.view() as ledger:
        parks = await park_names(ledger)
        query = select(Hop.issuer, Hop.issuer_name).where(Hop.campaign_id == campaign_id).order_by(Hop.ordinal)
        issuers = [(code, f"{code} {name}") for code, name in await ledger.rows(query.limit(most))]
    return dict(sorted(parks.items(), key=lambda pair: pair[1])), issuers


def levels_of(campaign: Campaign) -> dict[str, str]:
    """The levels of the chain by code, as people call them."""
    return dict(cascade_of(campaign).levels)


def _groups(campaign_id: str) -> Any:
    # In the order of the index, so that no sorting is needed.
    by = (Delivery.hop_id, Delivery.state, Delivery.settles, Delivery.park, Delivery.due_at)
    return (
        select(
            *by, func.count(), func.sum(case((Delivery.late, 1), else_=0)),
            func.sum(case((Delivery.escalated_at.is_not(None), 1), else_=0)),
        )
        .where(Delivery.campaign_id == campaign_id)
        .group_by(*by)
    )  # fmt: skip


def _hops(campaign_id: str) -> Any:
    """Every hop with the hop that carries its issuer's own letter, and the state of its letter."""
    return (
        select(
            Hop.id, Hop.issuer, Hop.issuer_name, Hop.level, Hop.state, Hop.due_at, Hop.opened_at, Hop.bypassed_at,
            Hop.run_id, Hop.letter_id, Letter.state.label("letter_state"), Delivery.hop_id.label("above"),
        )
        .outerjoin(Letter, Letter.id == Hop.letter_id)
        .outerjoin(Delivery, Delivery.id == Hop.parent_delivery_id)
        .where(Hop.campaign_id == campaign_id)
        .order_by(Hop.ordinal, Hop.id)
    )  # fmt: skip


@dataclass
class _Counted:
    total: Figures = field(default_factory=Figures)
    by_hop: dict[str, Figures] = field(default_factory=dict)
    by_park: dict[str, Figures] = field(default_factory=dict)
    #: How many answers are due at each instant; of withdrawn and exempt ones none is.
    due: Counter[datetime] = field(default_factory=Counter)


def _counted(rows: Any, now: datetime) -> _Counted:
    made = _Counted()
    for hop, state_text, settles, park, due_at, number, late, escalated in rows:
        state = State(state_text)
        done = settled(state, Settles(settles))
        overdue = number if not done and due_at is not None and due_at < now else 0
        for figures in (
            made.total, made.by_hop.setdefault(hop, Figures()), made.by_park.setdefault(park, Figures()),
        ):  # fmt: skip
            figures.add(state, number, done=done, overdue=overdue)
            figures.escalated += int(escalated or 0)
            figures.late += int(late or 0)
        if due_at is not None and state not in (State.WITHDRAWN, State.EXEMPT):
            made.due[due_at] += number
    return made


async def _hours(ledger: Ledger, campaign_id: str) -> list[tuple[datetime, int]]:
    """How many answers came in each hour."""
    if ledger.is_sqlite:
        # SQLite keeps instants as text in UTC: the first letters are the hour.
        hour = func.substr(cast(Delivery.confirmed_at, String), 1, 13)
    else:
        hour = func.to_char(func.timezone("UTC", Delivery.confirmed_at), "YYYY-MM-DD HH24")
    query = (
        select(hour, func.count())
        .where(
            Delivery.campaign_id == campaign_id,
            Delivery.confirmed_at.is_not(None),
            Delivery.state.in_([state for state in State if answered(state)]),
        )
        .group_by(hour)
        .order_by(hour)
    )
    return [(datetime.strptime(text, _HOUR).replace(tzinfo=UTC), number) for text, number in await ledger.rows(query)]


def _tree(hops: Any, figures: dict[str, Figures], levels: dict[str, str]) -> list[Branch]:
    """The hops as they hang below each other."""
    made = {
        hop.id: Branch(
            hop.id, hop.issuer, hop.issuer_name, levels.get(hop.level, hop.level), hop.state, hop.due_at,
            hop.opened_at, hop.bypassed_at is not None, hop.run_id, hop.letter_id, hop.letter_state or "",
            figures.get(hop.id, Figures()), [],
        )
        for hop in hops
    }  # fmt: skip
    roots: list[Branch] = []
    for hop in hops:
        above = made.get(hop.above)
        (above.below if above is not None else roots).append(made[hop.id])
    return roots
