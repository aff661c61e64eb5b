"""The outbox: intent, attempt, outcome, each its own short transaction, never SMTP inside one.

Marking a message as sent before it leaves loses letters on a kill; sending before anything is written
doubles them. So an attempt is written down first and its outcome afterwards; an attempt without an
outcome is unknown, is counted, and is sent again under the same Message-ID.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from congvan.acts import escalations
from congvan.acts.composing import Composer
from congvan.acts.frozen import is_urgent
from congvan.acts.mails import CHASERS, LETTERS, PATIENCE, carried_with
from congvan.house import Carrier, House
from congvan.mail.sender import Outcome
from congvan.rules.protocol import Event, Fact, State, advance, settled
from congvan.rules.records import Settles
from congvan.store.ledger import Entry, Ledger
from congvan.store.tables import Attempt, Campaign, Delivery, Message

#: Messages claimed at once: what a kill can leave unknown is at most what is on the wire of these.
BATCH = 200
_FIRST_WAIT = timedelta(minutes=1)
_LONGEST_WAIT = timedelta(hours=4)


@dataclass(frozen=True, slots=True)
class Work:
    """A claimed message with what its words need."""

    message: Message
    delivery: Delivery | None
    campaign: Campaign | None


async def dispatch(house: House, carrier: Carrier, hop_id: str | None = None) -> Counter[str]:
    """Send whatever of this hop (None: of no hop) may leave now; return the outcomes counted.

    Claims, composes, sends and records batch by batch until nothing is left to claim.
    """
    tally: Counter[str] = Counter()
    composer = Composer(house)
    while works := await claim(house, hop_id):
        async with _kept(house, works):
            outgoing = await composer.compose(works)
            outcomes = [outcome async for outcome in carrier.send(outgoing)]
            await record(house, works, outcomes)
        tally.update(outcome.verdict for outcome in outcomes)
    return tally


@asynccontextmanager
async def _kept(house: House, works: Sequence[Work]) -> AsyncIterator[None]:
    """Hold the claims while they are on the wire: a slow server may take far longer than one lease."""
    keys = [work.message.id for work in works]

    async def beat() -> None:
        while True:
            await asyncio.sleep(house.settings.lease_s / 3)
            until = house.clock.wall() + house.lease
            async with house.store.act() as ledger:
                await ledger.change(
                    Message,
                    Message.id.in_(keys),
                    Message.state == "CLAIMED",
                    Message.lease_owner == house.name,
                    lease_until=until,
                )

    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)


# ------------------------------------------------------------------------------------ claim


async def claim(house: House, hop_id: str | None = None, limit: int = BATCH) -> list[Work]:
    """Take a lease on the next messages and write their attempts down.

    1. Find what may leave, and what a dead process left claimed (its attempt is unknown).
    2. Lock the deliveries, then look again: a settled one is not reminded, a withdrawn one gets nothing.
    3. Mail that may not leave at this hour is put off to the first hour at which it may.
    """
    now, wall = await house.clock.now(), house.clock.wall()
    async with house.store.act() as ledger:
        found = await _candidates(ledger, hop_id, now, wall, limit)
        deliveries = await _lock_deliveries(ledger, found)
        campaigns = await _campaigns(ledger, found)
        works: list[Work] = []
        for message in found:
            delivery = deliveries.get(message.delivery_id) if message.delivery_id else None
            if message.delivery_id and delivery is None:
                continue  # another sender holds it
            campaign = campaigns.get(message.campaign_id) if message.campaign_id else None
            if await _may_leave(house, ledger, message, delivery, campaign, now):
                works.append(Work(message, delivery, campaign))
        await _mark_claimed(house, ledger, works, now, wall)
        return works


async def _candidates(
    ledger: Ledger, hop_id: str | None, now: datetime, wall: datetime, limit: int
) -> list[Message]:
    ready = Message.state.in_(("QUEUED", "UNKNOWN")) & (Message.not_before <= now)
    abandoned = (Message.state == "CLAIMED") & (Message.lease_until < wall)
    held = select(Campaign.id).where(Campaign.held_at.is_not(None))
    query = (
        select(Message)
        .where(carried_with(hop_id))
        .where(ready | abandoned)
        .where(Message.campaign_id.is_(None) | Message.campaign_id.not_in(held))
        .order_by(Message.urgent.desc(), Message.not_before, Message.id)
        .limit(limit)
    )
    found: list[Message] = await ledger.all(query)
    return found


async def _lock_deliveries(ledger: Ledger, found: Sequence[Message]) -> dict[str, Delivery]:
    keys = sorted({message.delivery_id for message in found if message.delivery_id})
    query = select(Delivery).where(Delivery.id.in_(keys)).order_by(Delivery.id)
    if not ledger.is_sqlite:
        query = query.with_for_update(skip_locked=True)
    rows: list[Delivery] = await ledger.all(query.execution_options(populate_existing=True))
    return {row.id: row for row in rows}


async def _campaigns(ledger: Ledger, found: Sequence[Message]) -> dict[str, Campaign]:
    keys = {message.campaign_id for message in found if message.campaign_id}
    return {row.id: row for row in await ledger.all(select(Campaign).where(Campaign.id.in_(keys)))}


async def _may_leave(
    house: House,
    ledger: Ledger,
    message: Message,
    delivery: Delivery | None,
    campaign: Campaign | None,
    now: datetime,
) -> bool:
    """False where the message was cancelled or put off instead; says so in its row."""
    closed = campaign is not None and campaign.state == "CLOSED" and message.kind in CHASERS
    if closed or (delivery is not None and _pointless(message, delivery)):
        await ledger.change(
            Message, Message.id == message.id, state="CANCELLED", lease_until=None, lease_owner=None
        )
        return False
    urgent = message.urgent or (campaign is not None and is_urgent(campaign))
    first = message.kind not in CHASERS
    leaves = house.calendars.state.sending_time(now, urgent=urgent, first_letter=first)
    if leaves > now:
        await ledger.change(
            Message,
            Message.id == message.id,
            state="QUEUED", not_before=leaves, lease_until=None, lease_owner=None,
            # Patience begins with the first chance; a mailbox that is full for ever is given up one day.
            give_up_at=message.give_up_at if message.attempts else leaves + PATIENCE,
        )  # fmt: skip
        return False
    return True


def _pointless(message: Message, delivery: Delivery) -> bool:
    state = State(delivery.state)
    if state in (State.WITHDRAWN, State.EXEMPT):
        return True
    return message.kind in CHASERS and (
        settled(state, Settles(delivery.settles)) or state in (State.REJECTED, State.UNDELIVERABLE)
    )


async def _mark_claimed(
    house: House, ledger: Ledger, works: Sequence[Work], now: datetime, wall: datetime
) -> None:
    rows = [
        {
            "id": work.message.id, "state": "CLAIMED", "lease_until": wall + house.lease,
            "lease_owner": house.name, "attempts": work.message.attempts + 1,
            "unknown": work.message.unknown + (work.message.state == "CLAIMED"),
        }
        for work in works
    ]  # fmt: skip
    await ledger.change_many(Message, rows)
    await ledger.add_all(
        Attempt,
        [
            {
                "message_id": work.message.id, "ordinal": work.message.attempts + 1, "started_at": now,
                "address": work.message.address,
            }
            for work in works
        ],
    )  # fmt: skip


# ------------------------------------------------------------------------------------ record


async def record(house: House, works: Sequence[Work], outcomes: Sequence[Outcome]) -> None:
    """Write down what the mail server said, and move the deliveries by it, in one transaction."""
    now = await house.clock.now()
    by_key = {work.message.id: work for work in works}
    async with house.store.act() as ledger:
        keys = sorted(
            {work.message.delivery_id for work in works if work.message.delivery_id is not None}
        )
        deliveries: dict[str, Delivery] = {
            row.id: row
            for row in await ledger.all(
                select(Delivery).where(Delivery.id.in_(keys)).order_by(Delivery.id), lock=True
            )
        }
        changes, messages, attempts = [], [], []
        for outcome in outcomes:
            message = by_key[outcome.key].message
            messages.append(_message_after(message, outcome, now))
            attempts.append(_attempt_after(message, outcome, now))
            delivery = deliveries.get(message.delivery_id or "")
            if delivery is not None and (change := _moved(message, outcome, delivery, now)):
                changes.append(change)
        await ledger.change_many(Message, messages)
        await ledger.change_many(Attempt, attempts, keys=("message_id", "ordinal"))
        await ledger.write_many(changes, now)
        for delivery, entries, _values in changes:
            if any(entry.kind == Event.REFUSED for entry in entries):
                await escalations.open_case(house, ledger, delivery, "undeliverable", now)


def _message_after(message: Message, outcome: Outcome, now: datetime) -> dict[str, Any]:
    row = {"id": message.id, "lease_until": None, "lease_owner": None, "reply": outcome.reply[:500]}
    if outcome.verdict == "accepted":
        return row | {"state": "SENT", "sent_at": now}
    if outcome.verdict == "refused" or _gives_up(message, outcome, now):
        return row | {"state": "REFUSED"}
    later = {"not_before": now + wait_before(message.attempts + 1)}
    if outcome.verdict == "unknown":
        return row | later | {"state": "UNKNOWN", "unknown": message.unknown + 1}
    return row | later | {"state": "QUEUED"}


def _attempt_after(message: Message, outcome: Outcome, now: datetime) -> dict[str, Any]:
    return {
        "message_id": message.id,
        "ordinal": message.attempts + 1,
        "outcome": None if outcome.verdict == "unknown" else outcome.verdict,
        "finished_at": now,
        "reply": outcome.reply[:500],
    }


def wait_before(attempt: int) -> timedelta:
    """The pause after this many attempts that found the server not ready: doubling from a minute to four hours."""
    return min(_FIRST_WAIT * (1 << min(attempt - 1, 10)), _LONGEST_WAIT)


def _gives_up(message: Message, outcome: Outcome, now: datetime) -> bool:
    return outcome.verdict == "unavailable" and now + wait_before(message.attempts + 1) > message.give_up_at


def _moved(
    message: Message, outcome: Outcome, delivery: Delivery, now: datetime
) -> tuple[Delivery, list[Entry], dict[str, Any]] | None:
    """The change that an outcome makes to a delivery, or None."""
    data = {"kind": message.kind, "step": message.step, "message": message.message_id}
    state = State(delivery.state)
    if outcome.verdict == "accepted":
        if message.kind in LETTERS and state is State.QUEUED:
            return delivery, [Entry(Event.SENT, data)], {
                "state": advance(state, Event.SENT), "sent_at": now, "wake_at": now,
            }  # fmt: skip
        if message.kind in CHASERS:
            return delivery, [Entry(Fact.REMINDED, data)], {"reminders": delivery.reminders + 1}
        return delivery, [Entry(Fact.COPIED if message.kind == "copy" else Fact.NOTED, data)], {}
    if outcome.verdict == "refused" or _gives_up(message, outcome, now):
        if state in (State.QUEUED, State.SENT) and message.kind in LETTERS | CHASERS:
            # The server's words may quote the address; the code is enough for the log.
            entry = Entry(Event.REFUSED, data | {"code": outcome.code})
            return delivery, [entry], {"state": advance(state, Event.REFUSED), "wake_at": None}
        return delivery, [Entry(Fact.DELAYED, data | {"code": outcome.code})], {}
    return delivery, [Entry(Fact.DELAYED, data | {"code": outcome.code, "verdict": outcome.verdict})], {}
