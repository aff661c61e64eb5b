"""Taking messages in hand: a lease on each, and its attempt written down before the first byte leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, cast

from sqlalchemy import case, insert, literal, select, update

from congvan.acts.frozen import is_urgent
from congvan.acts.mails import ASKING, CHASERS, FAREWELLS, LETTERS, OPEN, PATIENCE, carried_with, not_held
from congvan.house import House
from congvan.rules.protocol import State, settled
from congvan.rules.records import Settles
from congvan.store.ledger import Ledger
from congvan.store.tables import Attempt, Campaign, Delivery, Message

#: Messages claimed at once: a tenth of a letter's cost was that of its batch with half as many. What a kill leaves
#: unknown is what was on the wire of them, as the journal has it.
BATCH = 500
#: The same while somebody waits for each of them.
PRESSED_BATCH = 150
#: What composing and recording need. Instants cost most of reading a row on SQLite, so only one of them each.
_MESSAGE = (
    Message.id, Message.campaign_id, Message.hop_id, Message.delivery_id, Message.recipient, Message.kind,
    Message.step, Message.message_id, Message.address, Message.context, Message.enclosures, Message.state,
    Message.urgent, Message.give_up_at, Message.attempts, Message.unknown,
)  # fmt: skip
_DELIVERY = (
    Delivery.id, Delivery.campaign_id, Delivery.hop_id, Delivery.code, Delivery.recipient, Delivery.name,
    Delivery.level, Delivery.park, Delivery.segments, Delivery.settles, Delivery.child_hop_id, Delivery.state,
    Delivery.due_at, Delivery.reminders, Delivery.link_version, Delivery.round,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Work:
    """A claimed message with what its words need, as they stood before the claim. ordinal: of this attempt."""

    message: Message
    delivery: Delivery | None
    campaign: Campaign | None
    ordinal: int


class Gate(Protocol):
    """What a claim has to pass before anything leaves: `reconciling.Watermark`."""

    async def passes(self, ledger: Ledger) -> bool:
        """False where nothing may leave."""
        ...

    async def raised(self, ledger: Ledger) -> None:
        """Something was claimed in this transaction."""
        ...


async def claim(house: House, hop_id: str | None = None, limit: int = BATCH, gate: Gate | None = None) -> list[Work]:
    """Take a lease on the next messages and write their attempts down.

    1. Find what may leave, and what a dead process left claimed (its attempt is unknown).
    2. Lock the deliveries, then look again: a settled one is not reminded, a withdrawn one gets nothing.
    3. Mail that may not leave at this hour is put off to the first hour at which it may.
    """
    now, wall = await house.clock.now(), house.clock.wall()
    async with house.store.act() as ledger:
        if gate is not None and not await gate.passes(ledger):
            return []
        found = await _candidates(ledger, hop_id, now, wall, limit)
        if not found:
            return []
        deliveries = await _lock_deliveries(ledger, found)
        campaigns = await _campaigns(ledger, found)
        works: list[Work] = []
        for message in found:
            delivery = deliveries.get(message.delivery_id) if message.delivery_id else None
            if message.delivery_id and delivery is None:
                continue  # another sender holds it
            works.append(Work(message, delivery, campaigns.get(message.campaign_id or ""), message.attempts + 1))
        works = await _those_that_may_leave(house, ledger, works, now)
        await _mark_claimed(house, ledger, works, now, wall)
        if gate is not None and works:
            await gate.raised(ledger)
        return works


async def _candidates(
    ledger: Ledger, hop_id: str | None, now: datetime, wall: datetime, limit: int
) -> list[Message]:
    ready = Message.state.in_(("QUEUED", "UNKNOWN")) & (Message.not_before <= now)
    abandoned = (Message.state == "CLAIMED") & (Message.lease_until < wall)
    # All mail of one hop is of one urgency; ordering by it would sort the whole queue for every batch.
    first = () if hop_id else (Message.urgent.desc(),)
    query = (
        select(*_MESSAGE)
        .where(OPEN, carried_with(hop_id))
        .where(ready | abandoned)
        .where(not_held())
        .order_by(*first, Message.not_before, *(() if hop_id else (Message.id,)))
        .limit(limit)
    )
    if not ledger.is_sqlite:
        # Another sender takes the next ones: without this both would choose the same, and one find all held.
        query = query.with_for_update(of=Message, skip_locked=True)
    # Rows of the same names without the session's book-keeping: nothing here writes them back.
    return cast("list[Message]", list(await ledger.batch(query)))


async def _lock_deliveries(ledger: Ledger, found: Sequence[Message]) -> Mapping[str, Delivery]:
    keys = sorted({message.delivery_id for message in found if message.delivery_id})
    query = select(*_DELIVERY).where(ledger.among(Delivery.id, keys)).order_by(Delivery.id)
    if not ledger.is_sqlite:
        query = query.with_for_update(skip_locked=True)
    return {row.id: cast(Delivery, row) for row in await ledger.batch(query)}


async def _campaigns(ledger: Ledger, found: Sequence[Message]) -> dict[str, Campaign]:
    keys = {message.campaign_id for message in found if message.campaign_id}
    return {row.id: row for row in await ledger.all(select(Campaign).where(Campaign.id.in_(keys)))}


async def _those_that_may_leave(
    house: House, ledger: Ledger, works: Sequence[Work], now: datetime
) -> list[Work]:
    """The others are cancelled or put off, and their rows say so."""
    hours: dict[tuple[bool, bool], datetime] = {}
    leaving: list[Work] = []
    for work in works:
        message, campaign = work.message, work.campaign
        freed = {
            "lease_until": None, "lease_owner": None, "unknown": message.unknown + (message.state == "CLAIMED"),
        }  # fmt: skip
        if _pointless(work):
            await ledger.change(Message, Message.id == message.id, state="CANCELLED", **freed)
            continue
        urgent = message.urgent or (campaign is not None and is_urgent(campaign))
        kind = (urgent, message.kind not in CHASERS)
        if kind not in hours:
            hours[kind] = house.calendars.state.sending_time(now, urgent=kind[0], first_letter=kind[1])
        leaves = hours[kind]
        if leaves > now:
            # Patience begins with the first chance; a mailbox that is full for ever is given up one day.
            give_up_at = message.give_up_at if message.attempts else leaves + PATIENCE
            await ledger.change(
                Message, Message.id == message.id, state="QUEUED", not_before=leaves, give_up_at=give_up_at, **freed
            )
            continue
        leaving.append(work)
    return leaving


def _pointless(work: Work) -> bool:
    message, delivery = work.message, work.delivery
    if work.campaign is not None and work.campaign.state == "CLOSED" and message.kind in CHASERS:
        return True
    if delivery is None:
        return False
    if message.kind in LETTERS and _round_of(message) < delivery.round:
        return True  # given back by a sender after it was sent anew, or another took its place
    state = State(delivery.state)
    if state in (State.WITHDRAWN, State.EXEMPT):
        return message.kind not in FAREWELLS
    return message.kind in ASKING and (
        settled(state, Settles(delivery.settles)) or state in (State.REJECTED, State.UNDELIVERABLE)
    )


def _round_of(message: Message) -> int:
    # A letter's step begins with the round for which it was made.
    return int(message.step.partition("-")[0])


async def _mark_claimed(
    house: House, ledger: Ledger, works: Sequence[Work], now: datetime, wall: datetime
) -> None:
    if not works:
        return
    keys = [work.message.id for work in works]
    table: Any = Message.__table__
    taken_over = case((table.c.state == "CLAIMED", 1), else_=0)
    await ledger.session.execute(
        update(table).where(ledger.among(table.c.id, keys)).values(
            state="CLAIMED", lease_until=wall + house.lease, lease_owner=house.name,
            attempts=table.c.attempts + 1, unknown=table.c.unknown + taken_over,
        )
    )  # fmt: skip
    started = literal(now, Attempt.__table__.c.started_at.type)
    rows = select(table.c.id, table.c.attempts, started, table.c.address).where(ledger.among(table.c.id, keys))
    columns = ["message_id", "ordinal", "started_at", "address"]
    await ledger.session.execute(insert(Attempt.__table__).from_select(columns, rows))  # type: ignore[arg-type]
