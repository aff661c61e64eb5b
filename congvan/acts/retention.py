"""What is kept no longer than the rules say: contact data and the words of mails, never a row of a register.

No event is touched: personal data never stand in the log, so it verifies afterwards as before.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

from sqlalchemy import ColumnElement, Text, cast, or_, select

from congvan.acts import campaigns
from congvan.house import House
from congvan.reading import read_record
from congvan.rules.calendar import instant, local
from congvan.rules.protocol import Fact
from congvan.rules.retention import Retention, months_before
from congvan.store.ledger import Entry, Ledger
from congvan.store.office import BookChange, Entered
from congvan.store.tables import (
    Attempt,
    Campaign,
    Case,
    Delegate,
    Delivery,
    File,
    Incoming,
    Letter,
    Message,
    OrganisationRow,
    Request,
    Table,
)

#: What is known of a mail that came in, beside when and about what: whose mailbox it names, and what somebody wrote.
_NAMED = {"sender": "", "diagnostic": ""}
_WRITTEN = {"subject": "", "text": ""}
_EMPTY = ("{}", "[]", "null")


@dataclass(frozen=True, slots=True)
class Purged:
    """What was purged of one campaign; of the registry where campaign is empty. contacts, mails: rows."""

    campaign: str
    contacts: int
    mails: int


def rules(house: House) -> Retention:
    """The rules as they are written now; without a file everything is kept. Raise BadInput."""
    path = house.settings.config / "retention.yaml"
    return read_record(path, Retention)[0] if path.exists() else Retention()


async def purge(house: House, rule: Retention, by: str, *, dry_run: bool = False) -> list[Purged]:
    """Purge what is older than the rules allow, campaign by campaign; with dry_run only count it."""
    now = await house.clock.now()
    async with house.store.view() as ledger:
        ended = await ledger.rows(
            select(Campaign.id, Campaign.closed_at).where(Campaign.state == "CLOSED").order_by(Campaign.closed_at)
        )
    found = []
    for key, closed in ended:
        old = _past(rule.contacts_months, closed, now), _past(rule.mail_months, closed, now)
        found.append(await _campaign(house, key, by, now, *old, dry_run=dry_run))
    if rule.contacts_months is not None:
        day = local(months_before(now, rule.contacts_months)).date()
        found.append(await _registry(house, day, now, dry_run=dry_run))
    found.append(await _of_no_campaign(house, rule, now, dry_run=dry_run))
    return [one for one in found if one.contacts or one.mails]


def _past(months: int | None, closed: datetime, now: datetime) -> bool:
    return months is not None and closed <= months_before(now, months)


async def _campaign(
    house: House, key: str, by: str, now: datetime, contacts: bool, mails: bool, *, dry_run: bool
) -> Purged:
    async with house.store.act() as ledger:
        changes = (contacts or mails) and not dry_run
        campaign = await campaigns.take_whole(ledger, key) if changes else await ledger.get(Campaign, key)
        done = Purged(
            campaign.code,
            await _contacts(ledger, key, dry_run) if contacts else 0,
            await _mails(ledger, key, dry_run, words=mails) if contacts or mails else 0,
        )
        if (done.contacts or done.mails) and not dry_run:
            entry = Entry(Fact.PURGED, {"contacts": done.contacts, "mails": done.mails}, actor=by)
            await ledger.write(campaign, now, entry)
        return done


async def _contacts(ledger: Ledger, key: str, dry_run: bool) -> int:
    mine = select(Message.id).where(Message.campaign_id == key)
    steps: list[tuple[type[Table], list[ColumnElement[bool]], dict[str, Any]]] = [
        (Delivery, [Delivery.campaign_id == key, Delivery.address.is_not(None)], {"address": None}),
        (Delivery, [Delivery.campaign_id == key, _said(Delivery.mailboxes)], {"mailboxes": []}),
        (Delivery, [Delivery.campaign_id == key, _said(Delivery.answered_by)], {"answered_by": {}}),
        (Request, [Request.campaign_id == key, _said(Request.words)], {"words": {}}),
        # Whom somebody has telephoned, and under which number.
        (Case, [Case.campaign_id == key, _said(Case.notes)], {"notes": []}),
        (Delegate, [Delegate.campaign_id == key, Delegate.address != ""], {"address": "", "name": "", "named_by": ""}),
        (Message, [Message.campaign_id == key, Message.address != ""], {"address": ""}),
        (Attempt, [Attempt.message_id.in_(mine), Attempt.address != ""], {"address": ""}),
    ]
    return sum([await _change(ledger, *step, dry_run) for step in steps])


async def _mails(ledger: Ledger, key: str, dry_run: bool, *, words: bool) -> int:
    """What mails name people and mailboxes in: servers' answers, senders, the tables of digests and their words.

    words: also what people wrote.
    """
    read = _NAMED | (_WRITTEN if words else {})
    mine = select(Message.id).where(Message.campaign_id == key)
    about = select(Delivery.id).where(Delivery.campaign_id == key)
    steps: list[tuple[type[Table], list[ColumnElement[bool]], dict[str, Any]]] = [
        (Attempt, [Attempt.message_id.in_(mine), Attempt.reply.is_not(None)], {"reply": None}),
        (Incoming, [Incoming.delivery_id.in_(about), _holds(read)], dict(read)),
        (Message, [Message.campaign_id == key, or_(_said(Message.context), Message.reply.is_not(None))],
         {"context": {}, "reply": None}),
    ]  # fmt: skip
    files = await _tables_of_digests(ledger, key, dry_run)
    return files + sum([await _change(ledger, *step, dry_run) for step in steps])


def _holds(names: Iterable[str]) -> ColumnElement[bool]:
    """A mail that came in of which one of these is known."""
    return or_(*(getattr(Incoming, name) != "" for name in names))


def _said(column: Any) -> ColumnElement[bool]:
    """A JSON column that holds something."""
    there: ColumnElement[bool] = column.is_not(None) & cast(column, Text).not_in(_EMPTY)
    return there


async def _change(
    ledger: Ledger, table: type[Table], guards: Iterable[ColumnElement[bool]], values: dict[str, Any], dry_run: bool
) -> int:
    if dry_run:
        return await ledger.count(select(table).where(*guards))
    return await ledger.change(table, *guards, **values)


async def _tables_of_digests(ledger: Ledger, key: str, dry_run: bool) -> int:
    """The tables that were sent with digests hold mailboxes; the mails stay in the register, without them.

    A draft that was enclosed beside its table is the file of a letter, issued or dropped, and stays.
    """
    sent = await ledger.all(select(Message.enclosures).where(Message.campaign_id == key, Message.kind == "digest"))
    hashes = {one["sha256"] for enclosures in sent for one in enclosures}
    own = [File.sha256.in_(hashes)]
    for table in (Letter, Entered):
        own.append(File.sha256.not_in(select(table.sha256).where(table.sha256.is_not(None))))
    if dry_run:
        return await ledger.count(select(File).where(*own))
    return await ledger.remove(File, *own)


async def _of_no_campaign(house: House, rule: Retention, now: datetime, *, dry_run: bool) -> Purged:
    """What came in and could not be placed, and what we sent for no campaign."""
    months = [one for one in (rule.contacts_months, rule.mail_months) if one is not None]
    if not months:
        return Purged("", 0, 0)
    before = months_before(now, min(months))
    own = [Message.campaign_id.is_(None), Message.created_at <= before]
    mine = select(Message.id).where(*own)
    unplaced: ColumnElement[bool] = Incoming.delivery_id.is_(None)
    steps: list[tuple[type[Table], list[ColumnElement[bool]], dict[str, Any]]] = [
        (Attempt, [Attempt.message_id.in_(mine), Attempt.address != ""], {"address": "", "reply": None}),
        (Message, [*own, Message.address != ""], {"address": "", "context": {}, "reply": None}),
    ]
    if rule.mail_months is not None:
        read, whole = months_before(now, rule.mail_months), _NAMED | _WRITTEN
        steps.append((Incoming, [unplaced, Incoming.read_at <= read, _holds(whole)], dict(whole)))
        unplaced = unplaced & (Incoming.read_at > read)  # each is counted once
    steps.append((Incoming, [unplaced, Incoming.read_at <= before, _holds(_NAMED)], dict(_NAMED)))
    async with house.store.act() as ledger:
        return Purged("", 0, sum([await _change(ledger, *step, dry_run) for step in steps]))


async def _registry(house: House, before: date, now: datetime, *, dry_run: bool) -> Purged:
    """Contacts of the registry whose time ended before that day."""
    gone = 0
    async with house.store.act() as ledger:
        for row in await ledger.all(select(OrganisationRow).order_by(OrganisationRow.code)):
            number = _number_ended(row, before)
            if number and not dry_run:
                # The whole record is written: it must be the one that stands there then, with every correction.
                held = await ledger.take(OrganisationRow, row.code)
                number = _number_ended(held, before)
                kept = [one for one in held.record.get("contacts", ()) if not _ended(one, before)]
                record = held.record | {"contacts": kept}
                await ledger.change(OrganisationRow, OrganisationRow.code == row.code, record=record, changed_at=now)
            gone += number
        # Who changed a card, when and on what paper stays; what stood on it goes.
        old = [BookChange.at < instant(before, time()), _said(BookChange.after)]
        gone += await _change(ledger, BookChange, old, {"before": None, "after": {}}, dry_run)
    return Purged("", gone, 0)


def _number_ended(row: OrganisationRow, before: date) -> int:
    return sum(_ended(one, before) for one in row.record.get("contacts", ()))


def _ended(contact: dict[str, Any], before: date) -> bool:
    until = contact.get("valid_until")
    return bool(until) and date.fromisoformat(str(until)) < before
