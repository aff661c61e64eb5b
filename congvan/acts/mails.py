"""Intents to send: written down in the transaction of the act that causes them; `outbox` carries them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Select, Update, bindparam, or_, select, text, update

from congvan.house import House
from congvan.mail.message import message_id
from congvan.store.bulk import among
from congvan.store.ledger import Ledger
from congvan.store.tables import Campaign, Hop, Message, woken

#: First letters and their later editions; what carries the obligation.
LETTERS = frozenset({"letter", "slip", "bypass", "replacement"})
#: Held in the quiet window and outside office hours, and cancelled once the delivery is settled.
CHASERS = frozenset({"reminder", "overdue"})
#: Tells the unit in charge of something at once; leaves although its campaign is held.
NOTICE = "notice"
#: Pointless once nothing more is asked: cancelled then. A công văn đôn đốc is no soft reminder: nothing holds it.
ASKING = CHASERS | {"urge"}
#: Say that nothing more is asked: they reach those who were let go.
FAREWELLS = frozenset({"exemption", "withdrawal", "recall"})
#: Say that a campaign stands still, and leave although it does.
WHILE_HELD = frozenset({NOTICE, "pause"})
#: Messages that may still leave. Spelt as in the partial index, or SQLite does not see that the index holds them all.
OPEN = text("messages.state IN ('QUEUED','CLAIMED','UNKNOWN')")
#: A server was asked before; one that asked for time has left its reply, and cost no attempt.
TRIED = (Message.attempts > 0) | Message.reply.is_not(None)
#: How long a server may go on saying "not now" before the mailbox counts as unreachable.
PATIENCE = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Mail:
    """The intent to send one message. step: unique for its delivery and kind; letters, digits, - and _ stand in it."""

    kind: str
    step: str
    recipient: str
    address: str
    not_before: datetime
    delivery_id: str | None = None
    hop_id: str | None = None
    campaign_id: str | None = None
    urgent: bool = False
    context: Mapping[str, Any] = field(default_factory=dict)
    enclosures: Sequence[Mapping[str, str]] = ()


def of_code(code: str) -> str:
    """An organisation's code as it stands in a step: no dot, which a Message-ID parts by; no two codes spelt alike.

    An underscore is spelt out as well, so that no code looks like a dot, or like the `_again` of a further mailbox.
    """
    return code.replace("_", "_u").replace(".", "_d")


async def queue(house: House, ledger: Ledger, mails: Sequence[Mail], now: datetime) -> None:
    """Write the intents down, in the transaction of the act that causes them."""
    domain = house.settings.mail_from.rpartition("@")[2]
    rows = []
    for mail in mails:
        key = house.new_id(now)
        rows.append(
            {
                "id": key, "campaign_id": mail.campaign_id, "hop_id": mail.hop_id, "delivery_id": mail.delivery_id,
                "recipient": mail.recipient, "kind": mail.kind, "step": mail.step,
                "message_id": message_id(mail.delivery_id or key, mail.kind, mail.step, domain),
                "address": mail.address, "context": dict(mail.context),
                "enclosures": [dict(one) for one in mail.enclosures], "state": "QUEUED", "urgent": mail.urgent,
                "not_before": mail.not_before, "give_up_at": mail.not_before + PATIENCE, "created_at": now,
            }
        )  # fmt: skip
    await ledger.pour(Message, rows)


async def next_mail_at(ledger: Ledger, hop_id: str | None) -> datetime | None:
    """When the next message of this hop (None: of no hop) may leave or is to be taken over; None: nothing waits."""
    found: datetime | None = await ledger.session.scalar(_next(hop_id is not None), {"hop": hop_id})
    return found


@cache
def _next(of_a_hop: bool) -> Select[tuple[datetime]]:
    waiting = select(Message.not_before).where(OPEN, carried_with(of_a_hop), not_held())
    return waiting.order_by(Message.not_before).limit(1)


@cache
def carried_with(of_a_hop: bool) -> Any:
    """The messages that a dispatch carries: of the hop bound as `hop`, or else those of no hop, and what was left
    over when a campaign was closed, since its hops are not turned any more."""
    if of_a_hop:
        return Message.hop_id == bindparam("hop")
    closed = select(Campaign.id).where(Campaign.state == "CLOSED")
    return or_(Message.hop_id.is_(None), Message.campaign_id.in_(closed))


@cache
def not_held() -> Any:
    """The messages that no held campaign keeps back."""
    held = select(Campaign.id).where(Campaign.held_at.is_not(None))
    return or_(Message.campaign_id.is_(None), Message.campaign_id.not_in(held), Message.kind.in_(WHILE_HELD))


async def on_the_wire(ledger: Ledger, delivery_ids: Sequence[str]) -> set[str]:
    """Of these deliveries, locked by the caller, those whose letter is being sent or may have been."""
    letters = ledger.among(Message.delivery_id, delivery_ids), Message.kind.in_(LETTERS)
    found: list[str] = await ledger.all(
        select(Message.delivery_id).where(*letters, Message.state.in_(("CLAIMED", "UNKNOWN")))
    )
    return set(found)


async def lengthen_patience(ledger: Ledger, campaign_id: str, held: timedelta) -> None:
    """The time that a campaign was held does not count against mail tried before it. For the rest, patience begins
    with the first attempt."""
    rows = await ledger.rows(
        select(Message.id, Message.give_up_at).where(
            Message.campaign_id == campaign_id, OPEN, Message.kind.not_in(WHILE_HELD), TRIED
        )
    )  # fmt: skip
    await ledger.change_many(Message, [{"id": row.id, "give_up_at": row.give_up_at + held} for row in rows])


async def cancel_chasers(ledger: Ledger, delivery_id: str) -> None:
    """A settled delivery is not reminded any more."""
    await ledger.changed(_cancelling(ASKING, ledger.is_sqlite), {"keys": [delivery_id]})


async def cancel_stale(ledger: Ledger, delivery_ids: Sequence[str]) -> None:
    """Reminders that were written down and never left, of deliveries that have come to their next step."""
    if delivery_ids:
        await ledger.changed(_cancelling(CHASERS, ledger.is_sqlite), {"keys": list(delivery_ids)})


@cache
def _cancelling(kinds: frozenset[str], is_sqlite: bool) -> Update:
    """Messages of the deliveries bound as `keys` that have not left."""
    messages: Any = Message.__table__
    asked = among(messages.c.delivery_id, "keys", is_sqlite), messages.c.kind.in_(sorted(kinds))
    return update(messages).where(*asked, messages.c.state.in_(("QUEUED", "UNKNOWN"))).values(state="CANCELLED")


async def wake_hop(ledger: Ledger, hop_id: str, now: datetime) -> None:
    """Something becomes due in this hop, now or then. A level, not an edge: it stays until a turn has moved it on."""
    await ledger.changed(_waking(), {"hop": hop_id, "now": now})


async def wake_campaign(ledger: Ledger, campaign_id: str, now: datetime) -> None:
    """Let the campaign look at itself."""
    await ledger.change(Campaign, Campaign.id == campaign_id, **woken(Campaign, now))


@cache
def _waking() -> Update:
    hops: Any = Hop.__table__
    return update(hops).where(hops.c.id == bindparam("hop")).values(woken(hops.c))
