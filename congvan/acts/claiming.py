"""Taking messages in hand: a lease on each, and its attempt written down before the first byte leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Protocol, cast

from sqlalchemy import Insert, Integer, Select, Update, bindparam, case, insert, select, update

from congvan.acts.frozen import is_urgent
from congvan.acts.mails import ASKING, CHASERS, FAREWELLS, LETTERS, OPEN, PATIENCE, TRIED, carried_with, not_held
from congvan.house import House
from congvan.rules.protocol import State, answered, settled
from congvan.rules.records import Settles
from congvan.store.bulk import among
from congvan.store.ledger import Ledger, locked
from congvan.store.tables import Attempt, Campaign, Delivery, Message

#: Messages claimed at once: a tenth of a letter's cost was that of its batch with half as many. What a kill leaves
#: unknown is what was on the wire of them, as the journal has it.
BATCH = 500
#: The same while somebody waits for each of them.
PRESSED_BATCH = 100
#: What composing and recording need. Instants cost most of reading a row on SQLite, so only one of them each.
_MESSAGE = (
    Message.id, Message.campaign_id, Message.hop_id, Message.delivery_id, Message.recipient, Message.kind,
    Message.step, Message.message_id, Message.address, Message.context, Message.enclosures, Message.state,
    Message.urgent, Message.give_up_at, Message.attempts, Message.unknown, Message.reply,
)  # fmt: skip
_DELIVERY = (
    Delivery.id, Delivery.campaign_id, Delivery.hop_id, Delivery.code, Delivery.recipient, Delivery.name,
    Delivery.level, Delivery.park, Delivery.segments, Delivery.settles, Delivery.child_hop_id, Delivery.state,
    Delivery.due_at, Delivery.reminders, Delivery.link_version, Delivery.round, Delivery.channel,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Work:
    """A claimed message with what its words need, as they stood before the claim. ordinal: of this attempt."""

    message: Message
    delivery: Delivery | None
    campaign: Campaign | None
    ordinal: int

    @property
    def is_first(self) -> bool:
        """True where no server was asked before; one that asked for time has left its reply, and cost no attempt."""
        return self.ordinal == 1 and self.message.reply is None


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
    query = _next(hop_id is not None, ledger.is_sqlite)
    of_a_hop = {"hop": hop_id} if hop_id is not None else {}
    # Rows of the same names without the session's book-keeping: nothing here writes them back.
    return cast("list[Message]", list(await ledger.batch(query, now=now, wall=wall, most=limit, **of_a_hop)))


@cache
def _next(of_a_hop: bool, is_sqlite: bool) -> Select[Any]:
    ready = Message.state.in_(("QUEUED", "UNKNOWN")) & (Message.not_before <= bindparam("now"))
    abandoned = (Message.state == "CLAIMED") & (Message.lease_until < bindparam("wall"))
    # All mail of one hop is of one urgency; ordering by it would sort the whole queue for every batch.
    order = (Message.not_before,) if of_a_hop else (Message.urgent.desc(), Message.not_before, Message.id)
    query = (
        select(*_MESSAGE)
        .where(OPEN, carried_with(of_a_hop))
        .where(ready | abandoned)
        .where(not_held())
        .order_by(*order)
        .limit(bindparam("most", type_=Integer))
    )
    # Another sender takes the next ones: without this both would choose the same, and one find all held.
    return query if is_sqlite else locked(query, of=Message, skip_locked=True)


async def _lock_deliveries(ledger: Ledger, found: Sequence[Message]) -> Mapping[str, Delivery]:
    keys = sorted({message.delivery_id for message in found if message.delivery_id})
    return {row.id: cast(Delivery, row) for row in await ledger.batch(_of_messages(ledger.is_sqlite), keys=keys)}


@cache
def _of_messages(is_sqlite: bool) -> Select[Any]:
    query = select(*_DELIVERY).where(among(Delivery.id, "keys", is_sqlite)).order_by(Delivery.id)
    return query if is_sqlite else locked(query, skip_locked=True)


async def _campaigns(ledger: Ledger, found: Sequence[Message]) -> dict[str, Campaign]:
    keys = {message.campaign_id for message in found if message.campaign_id}
    return {key: await ledger.get(Campaign, key) for key in sorted(keys)}


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
            # For what was tried, patience runs on overnight; for the rest the claim begins it.
            give_up_at = leaves + PATIENCE if work.is_first else message.give_up_at
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
    if message.kind in LETTERS and round_of(message) < delivery.round:
        return True  # given back by a sender after it was sent anew, or another took its place
    state = State(delivery.state)
    doubtful = message.unknown or message.state == "CLAIMED"
    if message.kind in LETTERS and doubtful and delivery.channel == "link" and answered(state):
        return True  # whoever has answered by its link has it, whatever the mail server never said
    if state in (State.WITHDRAWN, State.EXEMPT):
        return message.kind not in FAREWELLS
    return message.kind in ASKING and (
        settled(state, Settles(delivery.settles)) or state in (State.REJECTED, State.UNDELIVERABLE)
    )


def round_of(message: Message) -> int:
    """The round for which a letter or a reminder of a delivery was made: its step begins with it."""
    return int(message.step.partition("-")[0])


async def _mark_claimed(
    house: House, ledger: Ledger, works: Sequence[Work], now: datetime, wall: datetime
) -> None:
    if not works:
        return
    keys = [work.message.id for work in works]
    bound = {"until": wall + house.lease, "owner": house.name, "patient_until": now + PATIENCE}
    await ledger.session.execute(_taking(ledger.is_sqlite), {"keys": keys, **bound})
    await ledger.session.execute(_attempting(ledger.is_sqlite), {"keys": keys, "now": now})


@cache
def _taking(is_sqlite: bool) -> Update:
    table: Any = Message.__table__
    taken_over = case((table.c.state == "CLAIMED", 1), else_=0)
    # Patience begins with the first attempt: a letter may have lain here for days, held or with the engine off.
    patient_until = bindparam("patient_until", type_=table.c.give_up_at.type)
    return update(table).where(among(table.c.id, "keys", is_sqlite)).values(
        state="CLAIMED", lease_until=bindparam("until"), lease_owner=bindparam("owner"),
        attempts=table.c.attempts + 1, unknown=table.c.unknown + taken_over,
        give_up_at=case((TRIED, table.c.give_up_at), else_=patient_until),
    )  # fmt: skip


@cache
def _attempting(is_sqlite: bool) -> Insert:
    """The attempt of each message that has just been taken, with the number that it has there."""
    table: Any = Message.__table__
    attempts: Any = Attempt.__table__
    started = bindparam("now", type_=attempts.c.started_at.type)
    rows = select(table.c.id, table.c.attempts, started, table.c.address).where(among(table.c.id, "keys", is_sqlite))
    return insert(attempts).from_select(["message_id", "ordinal", "started_at", "address"], rows)
