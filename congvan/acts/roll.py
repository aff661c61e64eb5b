"""The roll of a campaign's deliveries as operators look at it: searched, filtered, sorted, by the page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Select, and_, func, not_, or_, select

from congvan.acts.campaigns import find, is_settled
from congvan.acts.frozen import reckoned
from congvan.house import House
from congvan.rules.names import fold
from congvan.rules.protocol import State, settling_states
from congvan.rules.records import Settles
from congvan.store.ledger import Ledger
from congvan.store.tables import Campaign, Case, Delivery, Hop, Request

#: Rows of an export that are read at a time.
_CHUNK = 2_000


class Mark(StrEnum):
    """What operators look for beside a state."""

    #: Something is still asked and the deadline has passed.
    OVERDUE = "overdue"
    #: The letter left, the deadline has passed, and nothing at all was heard.
    SILENT = "silent"
    #: Something is still asked of it.
    OPEN = "open"
    #: A department was told of it, and it is still open.
    ESCALATED = "escalated"
    #: It answered after the deadline.
    LATE = "late"
    #: No mailbox is known, or none takes the letter.
    UNREACHED = "unreached"
    #: It asked for something that a person has to decide.
    ASKED = "asked"
    #: Its case was taken in hand by the one who looks.
    MINE = "mine"


class Order(StrEnum):
    """By what the roll is sorted."""

    CODE = "code"
    NAME = "name"
    DUE = "due"
    ANSWER = "answer"


_COLUMNS = {
    Order.CODE: Delivery.code,
    Order.NAME: Delivery.folded,
    Order.DUE: Delivery.due_at,
    Order.ANSWER: Delivery.confirmed_at,
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which deliveries. Empty texts select everything; mine: the account that looks."""

    search: str = ""
    state: str = ""
    park: str = ""
    level: str = ""
    issuer: str = ""
    mark: str = ""
    mine: str = ""

    @property
    def everything(self) -> bool:
        """True where nothing is left out."""
        return not any((self.search, self.state, self.park, self.level, self.issuer, self.mark))


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the roll."""

    id: str
    code: str
    recipient: str
    name: str
    level: str
    park: str
    issuer: str
    state: State
    settled: bool
    due_at: datetime | None
    confirmed_at: datetime | None
    channel: str
    reminders: int
    escalated: bool
    late: bool
    overdue: bool
    reason: str


async def conditions(ledger: Ledger, campaign_id: str, wanted: Wanted, now: datetime) -> list[Any]:
    """What makes a delivery wanted, as conditions of a query."""
    found: list[Any] = [Delivery.campaign_id == campaign_id]
    found += [Delivery.folded.contains(word, autoescape=True) for word in fold(wanted.search).split()[:8]]
    if wanted.search.strip() and not fold(wanted.search):
        found.append(Delivery.id.is_(None))  # nothing that a name could hold was typed
    if wanted.state:
        found.append(Delivery.state == wanted.state)
    if wanted.park:
        found.append(Delivery.park == (wanted.park if wanted.park != "-" else ""))
    if wanted.level:
        found.append(Delivery.level == wanted.level)
    if wanted.issuer:
        hops = await ledger.all(select(Hop.id).where(Hop.campaign_id == campaign_id, Hop.issuer == wanted.issuer))
        found.append(Delivery.hop_id.in_(hops))
    if wanted.mark:
        found.append(_marked(Mark(wanted.mark), wanted, reckoned(await ledger.get(Campaign, campaign_id), now)))
    return found


def _marked(mark: Mark, wanted: Wanted, now: datetime) -> Any:
    open_ = not_(is_settled())
    match mark:
        case Mark.OVERDUE:
            return and_(Delivery.due_at < now, open_)
        case Mark.SILENT:
            return and_(Delivery.due_at < now, Delivery.state.in_((State.SENT, State.DELIVERED)))
        case Mark.OPEN:
            return open_
        case Mark.ESCALATED:
            return and_(Delivery.escalated_at.is_not(None), open_)
        case Mark.LATE:
            return Delivery.late.is_(True)
        case Mark.UNREACHED:
            return or_(Delivery.state == State.UNDELIVERABLE, and_(Delivery.address.is_(None), open_))
        case Mark.ASKED:
            return Delivery.id.in_(select(Request.delivery_id).where(Request.state == "OPEN"))
        case Mark.MINE:
            mine = select(Case.delivery_id).where(Case.claimed_by == wanted.mine, Case.closed_at.is_(None))
            return Delivery.id.in_(mine)


async def count(house: House, campaign_id: str, wanted: Wanted) -> int:
    """How many are wanted."""
    now = await house.clock.now()
    async with house.store.view() as ledger:
        where = await conditions(ledger, campaign_id, wanted, now)
        return int(await ledger.session.scalar(select(func.count()).where(*where)) or 0)


async def page(
    house: House, campaign_id: str, wanted: Wanted, order: Order, *, down: bool, limit: int, offset: int
) -> list[Entry]:
    """One page of the roll. Its rows are picked through an index first, and only those are read."""
    now = await house.clock.now()
    async with house.store.view() as ledger:
        where = await conditions(ledger, campaign_id, wanted, now)
        column = _COLUMNS[order]
        by = (column.desc(), Delivery.id.desc()) if down else (column.asc(), Delivery.id.asc())
        picked = select(Delivery.id).where(*where).order_by(*by).limit(limit).offset(offset)
        rows = await ledger.all(select(Delivery).where(Delivery.id.in_(picked)).order_by(*by))
        return await _entries(ledger, rows, now)


async def ids(house: House, campaign_id: str, wanted: Wanted, limit: int) -> list[str]:
    """The deliveries that are wanted, by code."""
    now = await house.clock.now()
    async with house.store.view() as ledger:
        where = await conditions(ledger, campaign_id, wanted, now)
        return await ledger.all(select(Delivery.id).where(*where).order_by(Delivery.code).limit(limit))


async def entries(house: House, keys: Sequence[str]) -> list[Entry]:
    """These deliveries, by code."""
    now = await house.clock.now()
    async with house.store.view() as ledger:
        rows = await ledger.all(select(Delivery).where(ledger.among(Delivery.id, keys)).order_by(Delivery.code))
        return await _entries(ledger, rows, now)


async def everything(house: House, campaign_id: str, wanted: Wanted) -> AsyncIterator[list[Entry]]:
    """All that is wanted, by code, some thousands at a time."""
    now = await house.clock.now()
    after = ""
    while True:
        async with house.store.view() as ledger:
            where = await conditions(ledger, campaign_id, wanted, now)
            query: Select[Any] = select(Delivery).where(*where, Delivery.code > after)
            rows: list[Delivery] = await ledger.all(query.order_by(Delivery.code).limit(_CHUNK))
            if not rows:
                return
            found = await _entries(ledger, rows, now)
        after = rows[-1].code
        yield found


async def _entries(ledger: Ledger, rows: Sequence[Delivery], now: datetime) -> list[Entry]:
    hops = dict(await ledger.rows(select(Hop.id, Hop.issuer).where(Hop.id.in_({row.hop_id for row in rows}))))
    clocks = {key: reckoned(await ledger.get(Campaign, key), now) for key in {row.campaign_id for row in rows}}
    return [_entry(row, hops.get(row.hop_id, ""), clocks[row.campaign_id]) for row in rows]


def _entry(row: Delivery, issuer: str, now: datetime) -> Entry:
    state = State(row.state)
    settled = state in settling_states(Settles(row.settles))
    return Entry(
        id=row.id, code=row.code, recipient=row.recipient, name=row.name, level=row.level, park=row.park,
        issuer=issuer, state=state, settled=settled, due_at=row.due_at, confirmed_at=row.confirmed_at,
        channel=row.channel or "", reminders=row.reminders, escalated=row.escalated_at is not None, late=row.late,
        overdue=not settled and row.due_at is not None and row.due_at < now, reason=row.reason or "",
    )  # fmt: skip


async def campaign_of(house: House, code: str) -> Campaign:
    """The campaign of this code; raise NotFound."""
    async with house.store.view() as ledger:
        return await find(ledger, code)
