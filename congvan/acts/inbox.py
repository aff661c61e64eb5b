"""What comes back: bounces, receipts and answers, taken in once and put beside the delivery they are about.

Nothing that comes by mail confirms: a person's answer is shown to an operator, who decides.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Protocol

from sqlalchemy import not_, select

from congvan.acts import brakes, escalations, mailboxes
from congvan.acts.judging import refusal
from congvan.acts.mails import CHASERS, LETTERS
from congvan.house import House
from congvan.mail import bounces
from congvan.mail.address import AddressUnusable, domain_of, parse_address
from congvan.mail.imap import Fetched, Mailbox
from congvan.rules.protocol import Event, Fact, State
from congvan.store.database import passes
from congvan.store.ledger import Entry, Ledger
from congvan.store.tables import Delivery, Incoming, Message

log = logging.getLogger(__name__)

_MAIL = "mail"
#: Message-IDs of one mail that are looked up: a mail can name thousands, and while it is taken in nobody writes.
_NAMED_MAX = 50


class Source(Protocol):
    """Where mail is read. `mail.imap.Mailbox` is the real one."""

    @property
    def name(self) -> str:
        """What tells it from other mailboxes."""
        ...

    def newer(self, uidvalidity: int, uid: int) -> AsyncIterator[Fetched]:
        """What came after this uid; everything where the folder was numbered anew."""
        ...


@dataclass(frozen=True, slots=True)
class _Place:
    """What a mail is about. by: token, message_id or empty."""

    delivery_id: str | None = None
    message: Message | None = None
    by: str = ""


async def read(house: House, source: Source) -> Counter[str]:
    """Take in whatever is new in a mailbox; return the kinds counted, "again" for what was known.

    1. From the last uid on that was met. 2. Each mail and what it changes are one transaction, so it is taken in
    wholly or not at all, and once. 3. One that cannot be dealt with is kept without its effect, for a person;
    while the database is at fault none is, and the next reading takes it again.
    Nothing in the mailbox is changed. Raises MailboxUnreadable.
    """
    async with house.store.view() as ledger:
        last = await ledger.note(_last_met(source.name)) or {"uidvalidity": 0, "uid": 0}
    tally: Counter[str] = Counter()
    try:
        async for fetched in source.newer(last["uidvalidity"], last["uid"]):
            tally[await _take_in(house, source.name, fetched)] += 1
    finally:
        # What was taken in before a mailbox broke off is not met again.
        if tally["bounce_hard"]:
            await brakes.look_at_reports(house)
    return tally


def _last_met(mailbox: str) -> str:
    """The note that says how far a mailbox was read: what is known already, after the folder was numbered anew, makes
    no row. Its name has room for no long mailbox, and need not tell one."""
    return f"mailbox-{sha256(mailbox.encode()).hexdigest()}"


async def read_configured(house: House) -> dict[str, int] | None:
    """Take in what is new in the mailbox of the settings; None where none is named. Raises MailboxUnreadable."""
    mailbox = configured(house)
    return dict(await read(house, mailbox)) if mailbox is not None else None


def configured(house: House) -> Mailbox | None:
    """The mailbox of the settings; None where none is named. Raises ValueError."""
    url = house.settings.imap_url
    return Mailbox.parse(url) if url else None


async def _take_in(house: House, mailbox: str, fetched: Fetched) -> str:
    # The one loop that carries mail in: one that trips us must not hold up those behind it.
    try:
        found = bounces.classify(fetched.raw, [house.settings.mail_from])
    except Exception as fault:
        # No traceback here or below: it may quote the mail, or the row that a database refuses.
        said = "%s: a mail could not be read; it is kept as unknown"
        log.error(said, type(fault).__name__, extra={"uid": fetched.uid})
        found = bounces.Incoming("unknown")
    try:
        return await _record(house, mailbox, fetched, found, effective=True)
    except Exception as fault:
        if passes(fault):
            raise
        said = "%s: a mail could not be dealt with; it is kept without its effect"
        log.error(said, type(fault).__name__, extra={"uid": fetched.uid})
        return await _record(house, mailbox, fetched, found, effective=False)


async def _record(
    house: House, mailbox: str, fetched: Fetched, found: bounces.Incoming, *, effective: bool
) -> str:
    now = await house.clock.now()
    async with house.store.act() as ledger:
        await ledger.set_note(_last_met(mailbox), {"uidvalidity": fetched.uidvalidity, "uid": fetched.uid})
        if await _is_known(ledger, mailbox, fetched, found):
            return "again"
        place = await _place(house, ledger, found) if effective else _Place()
        key = house.new_id(now)
        await ledger.add(
            Incoming,
            id=key, mailbox=mailbox, uidvalidity=fetched.uidvalidity, uid=fetched.uid,
            message_id=found.message_id[:400], kind=found.kind, delivery_id=place.delivery_id,
            about=place.message.id if place.message is not None else None, matched_by=place.by,
            sender=_clean(found.recipient)[:400], subject=_clean(found.subject)[:1000], text=_clean(found.text),
            status=found.status[:16], diagnostic=_clean(found.diagnostic)[:1000], read_at=now,
        )  # fmt: skip
        if place.delivery_id is not None:
            await _effect(house, ledger, key, place, found, now)
        elif (
            place.message is not None
            and found.kind == "bounce_hard"
            and _is_believed(place, found, [place.message.address])
        ):
            await _effect_on_office(house, ledger, key, place.message.id, now)
    return found.kind


def _clean(text: str) -> str:
    # PostgreSQL keeps no NUL, and no half of a surrogate pair is UTF-8.
    return text.replace("\x00", "").encode("utf-8", "replace").decode()


async def _is_known(ledger: Ledger, mailbox: str, fetched: Fetched, found: bounces.Incoming) -> bool:
    """By its number; and by its Message-ID where the folder was numbered anew, for then all of it comes again. Else two
    of one Message-ID are two: one mail to two of our addresses."""
    here = Incoming.mailbox == mailbox
    same = (Incoming.uidvalidity == fetched.uidvalidity) & (Incoming.uid == fetched.uid)
    if found.message_id:
        moved = (
            (Incoming.uidvalidity != fetched.uidvalidity)
            & (Incoming.message_id == found.message_id[:400])
            & (Incoming.kind == found.kind)
            & (Incoming.subject == _clean(found.subject)[:1000])
        )
        same = same | moved
    return bool(await ledger.first(select(Incoming.id).where(here, same)))


# ------------------------------------------------------------------------------------ what it is about


async def _place(house: House, ledger: Ledger, found: bounces.Incoming) -> _Place:
    """By the token of the address it came to, which carries our signature; else by our Message-IDs in it.

    A token that we did not sign is a forgery or a typing error: then nothing else is believed either.
    """
    key = _read_token(house, found.token)
    if found.token and key is None:
        return _Place()
    message = await _quoted(house, ledger, found)
    if key is not None:
        delivery = await ledger.find(Delivery, key)
        if delivery is not None:
            # ENVID (RFC 3461 section 4.4) is the message's own id; it counts only beside a signed token.
            message = message or await ledger.find(Message, found.envelope_id)
            own = message if message is not None and message.delivery_id == key else None
            return _Place(delivery.id, own, "token")
        # Mail of no delivery (digests, copies) carries its own id.
        message = await ledger.find(Message, key) or message
        return _Place(message.delivery_id, message, "token") if message is not None else _Place()
    return _Place(message.delivery_id, message, "message_id") if message is not None else _Place()


def _read_token(house: House, token: str) -> str | None:
    return house.links.read_mail_token(token) if token.isascii() and token else None


async def _quoted(house: House, ledger: Ledger, found: bounces.Incoming) -> Message | None:
    """The letter of ours that it names: the returned one, else the last of the thread."""
    ours = f"@{parse_address(house.settings.mail_from).domain.lower()}>"
    named = [one for one in dict.fromkeys((found.original_message_id, *reversed(found.references))) if one]
    # Stable: of a thread of thousands it is ours that are looked for, the last ones first.
    named = sorted(named, key=lambda one: not one.lower().endswith(ours))[:_NAMED_MAX]
    known: Sequence[Message] = await ledger.all(select(Message).where(Message.message_id.in_(named))) if named else ()
    return min(known, key=lambda one: named.index(one.message_id), default=None)


# ------------------------------------------------------------------------------------ what it changes


async def _effect(
    house: House, ledger: Ledger, key: str, place: _Place, found: bounces.Incoming, now: datetime
) -> None:
    assert place.delivery_id is not None, "the caller looked"
    if found.kind in ("auto_reply", "relayed", "unknown"):
        return  # filed; it says nothing of the letter
    delivery = await ledger.take(Delivery, place.delivery_id)
    data: dict[str, Any] = {"incoming": key}
    if found.status:
        data["status"] = found.status
    if found.kind == "human":
        await ledger.write(delivery, now, Entry(Fact.NOTED, data | {"answer": True}, "recipient", _MAIL))
    elif not (_is_believed(place, found, _mailboxes(delivery)) and _is_present(place, found, delivery)):
        # Not of a mail system, about a stranger's mailbox, about a letter that was sent to another mailbox since, or
        # about a notice beside it.
        await ledger.write(delivery, now, Entry(Fact.NOTED, data | {"report": found.kind}, channel=_MAIL))
    elif found.kind == "bounce_hard":
        changed, entries, values = refusal(delivery, data, now, _MAIL)
        await ledger.write(changed, now, entries, **values)
        if entries[0].kind == Event.REFUSED:
            await escalations.open_case(house, ledger, delivery, "undeliverable", now)
        elif entries[0].kind == Event.READDRESSED:
            await mailboxes.send_anew(house, ledger, delivery.id, now)
    elif found.kind == "bounce_soft":
        await ledger.write(delivery, now, Entry(Fact.DELAYED, data, channel=_MAIL))
    elif State(delivery.state) is State.SENT:
        entry = Entry(Event.ARRIVED, data, channel=_MAIL)
        await ledger.write(delivery, now, entry, state=State.DELIVERED, arrived_at=now)


async def _effect_on_office(house: House, ledger: Ledger, key: str, message_id: str, now: datetime) -> None:
    """A digest, a copy, a report or a notice did not arrive: the office's next mailbox gets it, once."""
    message = await ledger.take(Message, message_id)
    # Several servers may report of one mail; each would use up a mailbox.
    before = Incoming.about == message.id, Incoming.kind == "bounce_hard", Incoming.id != key
    if message.state != "REFUSED" and await ledger.first(select(Incoming.id).where(*before)) is None:
        await mailboxes.next_for_offices(house, ledger, [message], now)


def _mailboxes(delivery: Delivery) -> list[str]:
    return [one for one in (delivery.address, *(delivery.mailboxes or ())) if one]


def _is_believed(place: _Place, found: bounces.Incoming, mailboxes: Sequence[str]) -> bool:
    """Whether a report may speak of these mailboxes: it names none elsewhere. Without a signed token it has to look
    like a mail system's at least, since whoever was copied in knows our Message-ID."""
    if place.by != "token" and not found.by_system:
        return False
    named = _domain(found.recipient)
    own = map(_domain, mailboxes)
    # Some servers name a host of the domain, or the domain of a host.
    return not named or any(f".{named}".endswith(f".{one}") or one.endswith(f".{named}") for one in own)


def _domain(address: str) -> str:
    try:
        return parse_address(address).domain
    except AddressUnusable:
        return domain_of(address) if "@" in address else ""


def _is_present(place: _Place, found: bounces.Incoming, delivery: Delivery) -> bool:
    """Whether it is about the round that runs now: since a readdressing, old reports say nothing new."""
    message = place.message
    if message is None:
        return delivery.round == 1 or found.recipient.lower() == (delivery.address or "").lower()
    if message.kind not in LETTERS | CHASERS:
        return False
    return message.step.split("-")[0] == str(delivery.round)


# ------------------------------------------------------------------------------------ what operators see


async def unplaced(house: House, limit: int = 200) -> list[dict[str, Any]]:
    """What stands beside no delivery, newest first: nobody could place it, or it is about mail to an office."""
    says_nothing = Incoming.about.is_not(None) & Incoming.kind.in_(("auto_reply", "delivered", "relayed"))
    query = select(Incoming).where(Incoming.delivery_id.is_(None), not_(says_nothing))
    async with house.store.view() as ledger:
        found: Sequence[Incoming] = await ledger.all(query.order_by(Incoming.id.desc()).limit(limit))
        return [shown(one) for one in found]


def shown(one: Incoming) -> dict[str, Any]:
    """A mail that came in, as an operator sees it."""
    return {
        "id": one.id, "read_at": one.read_at, "kind": one.kind, "sender": one.sender, "subject": one.subject,
        "text": one.text, "status": one.status, "diagnostic": one.diagnostic, "matched_by": one.matched_by,
        "about": one.about,
    }  # fmt: skip
