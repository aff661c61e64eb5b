"""What the issue of a replacement or a correction does to those who got the letter that it is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from congvan.acts import escalations, mails, recalls, wording
from congvan.acts.frozen import is_urgent, longest_term, plan_of, policy_of
from congvan.acts.papers import enclosure
from congvan.acts.terms import printed_due
from congvan.errors import ActRefused
from congvan.house import House
from congvan.rules.deadlines import personal_due_at
from congvan.rules.protocol import Event, Fact, State, advance, reached, settled
from congvan.rules.records import Settles
from congvan.store.ledger import Entry, Ledger
from congvan.store.tables import Campaign, Delivery, Hop, Letter, Message

Change = tuple[Delivery, list[Entry], dict[str, Any]]


async def take_the_place(
    house: House, ledger: Ledger, campaign: Campaign, letter: Letter, now: datetime, by: str
) -> None:
    """The new letter takes the place of the one it is about, in the transaction of its issue.

    1. The old one is Thay thế (or was taken back before); the hop carries the new one.
    2. Everybody to whom the old one went gets the new one, past whoever carried it down: it was his enclosure.
       What of the old one waits to be sent stays here: who was never sent it gets the new one alone.
    3. Who owes an answer owes it to the new letter, by its date. Who had answered answers again if the plan says
       so; who had passed it on need not do that again, those below have it.
    4. Who was let go, or taken back from alone, is left in peace.
    """
    old = await ledger.get(Letter, letter.about)
    hop = await ledger.get(Hop, old.hop_id)
    rows, hops = await recalls.locked_branch(ledger, hop)
    hop = hops[hop.id]
    if hop.letter_id != old.id:
        raise ActRefused("Văn bản mà văn bản này thay thế đã được thay thế bằng văn bản khác.")
    why = str(letter.sheet["context"]["replaces"].get("why", ""))
    changes = []
    for row in rows:
        term = _term(house, campaign, hops[row.hop_id], row, letter, now)
        if (made := _begun_anew(campaign, row, hops, letter, term, now, by)) is not None:
            changes.append(made)
    for row, entries, _values in changes:
        entries += await escalations.close_cases(ledger, row, now, by=by, why=Event.REPLACED.value)
    anew = {row.id for row, _, _ in changes}
    informed = [row for row in rows if row.id not in anew and _had_it(row)]
    await ledger.write_many(changes, now)
    await _keep_back(ledger, rows)
    said = recalls.said_of(letter, why) | {"old_document": wording.document(old)}
    enclosed = [enclosure(letter), *(dict(one) for one in campaign.upstream)]
    queued = [_mail(campaign, row, said, enclosed, now) for row, _, _ in changes if row.address and row.due_at]
    queued += [_mail(campaign, row, said | {"inform": True}, enclosed, now) for row in informed]
    await mails.queue(house, ledger, queued, now)
    await _to_copies(house, ledger, campaign, hop, letter, said, enclosed, now, "replacement")
    await _nowhere(house, ledger, [row for row, _, _ in changes if not row.address and row.due_at], now)
    # For whom the hop has no term yet the new date holds; that one of its recipients has more time is his alone.
    due = personal_due_at(
        longest_term(campaign, hop), printed_due(letter), letter.created_at, now, house.calendars
    )
    await _in_its_place(ledger, campaign, hop, old, letter, due, now, by)
    await _passed_on_anew(ledger, [row for row, _, _ in changes], hops, now)
    for one in hops.values():
        if one.opened_at is not None or one.bypassed_at is not None:
            await mails.wake_hop(ledger, one.id, now)


async def _passed_on_anew(ledger: Ledger, rows: Sequence[Delivery], hops: Mapping[str, Hop], now: datetime) -> None:
    """A company whose letter could not leave yet passes the new one on: its own cites the old one, and prints the old
    date."""
    for row in rows:
        below = hops.get(row.child_hop_id or "")
        if below is None or below.opened_at is not None or below.letter_id is None:
            continue
        issued = Letter.id == below.letter_id, Letter.state == "ISSUED"
        if await ledger.change(Letter, *issued, state="REPLACED"):
            entry = Entry(Fact.LETTER_REPLACED, {"old": below.letter_id})
            await ledger.write(below, now, entry, letter_id=None)


async def _keep_back(ledger: Ledger, rows: Sequence[Delivery]) -> None:
    await ledger.change(
        Message,
        ledger.among(Message.delivery_id, [row.id for row in rows]),
        Message.kind.in_(mails.LETTERS | mails.ASKING),
        Message.state.in_(("QUEUED", "UNKNOWN")),
        state="CANCELLED",
    )


def _term(
    house: House, campaign: Campaign, hop: Hop, row: Delivery, letter: Letter, now: datetime
) -> datetime:
    """What the new letter prints, or the recipient's own minimum where it lay with the signer for long or a pause came
    between, as for any letter; and never earlier than what the old one said."""
    deadline = policy_of(campaign, hop, row.level).deadline
    term = personal_due_at(deadline, printed_due(letter, row.level), letter.created_at, now, house.calendars)
    return max(term, row.due_at) if row.due_at else term


def _begun_anew(
    campaign: Campaign,
    row: Delivery,
    hops: Mapping[str, Hop],
    letter: Letter,
    term: datetime,
    now: datetime,
    by: str,
) -> Change | None:
    """The change of one who owes the new letter an answer, until `term`, or None."""
    state, settles = State(row.state), Settles(row.settles)
    taken_back = state is State.WITHDRAWN and row.recall is not None
    if state is State.EXEMPT or (state is State.WITHDRAWN and not taken_back):
        return None
    if row.due_at is None and hops[row.hop_id].opened_at is None:
        # Its hop is shut: it waits for the new letter as it had waited for the old one.
        waits: dict[str, Any] = {"state": State.QUEUED.value, "settled_at": None, "recall": None, "reason": None}
        return (row, [Entry(Event.REPLACED, {"letter": letter.id}, actor=by)], waits) if taken_back else None
    if settled(state, settles) and not taken_back and not plan_of(campaign).changes.confirm_replacement:
        return None
    below = hops.get(row.child_hop_id or "")
    passed_on = settles is Settles.FORWARD and below is not None and below.opened_at is not None
    values: dict[str, Any] = {
        "state": advance(state, Event.REPLACED), "due_at": term, "sent_at": None,
        "settled_at": None, "escalated_at": None, "steps_taken": 0, "late": False, "round": row.round + 1,
        "recall": None, "link_version": row.link_version + 1, "reason": None, "wake_at": now, "confirmed_at": None,
        "answered_by": None, "channel": None, "settles": (Settles.ACKNOWLEDGE if passed_on else settles).value,
    }  # fmt: skip
    return row, [Entry(Event.REPLACED, {"letter": letter.id}, actor=by)], values


def _had_it(row: Delivery) -> bool:
    return row.due_at is not None and bool(row.address) and reached(State(row.state))


def _gets_it(row: Delivery) -> bool:
    """Its letter waits for the morning or for a mail server: it leaves as it was issued."""
    return row.due_at is not None and bool(row.address) and State(row.state) is State.QUEUED


def _mail(
    campaign: Campaign, row: Delivery, said: Mapping[str, Any], enclosed: Sequence[dict[str, str]], now: datetime
) -> mails.Mail:
    assert row.address is not None, "the caller looked"
    return mails.Mail(
        kind="replacement", step=f"{row.round}-i{row.event_seq}" if said.get("inform") else str(row.round),
        recipient=row.recipient, address=row.address, not_before=now, delivery_id=row.id, hop_id=row.hop_id,
        campaign_id=campaign.id, urgent=is_urgent(campaign), context=said, enclosures=enclosed,
    )  # fmt: skip


async def _nowhere(house: House, ledger: Ledger, rows: Sequence[Delivery], now: datetime) -> None:
    for row in rows:
        state = advance(State(row.state), Event.REFUSED)
        await ledger.write(row, now, Entry(Event.REFUSED, {"why": "không có hộp thư"}), state=state, wake_at=None)
        await escalations.open_case(house, ledger, row, "undeliverable", now)


async def _in_its_place(
    ledger: Ledger, campaign: Campaign, hop: Hop, old: Letter, letter: Letter, due: datetime, now: datetime, by: str
) -> None:
    # Unless it was taken back meanwhile.
    await ledger.change(Letter, Letter.id == old.id, Letter.state == "ISSUED", state="REPLACED")
    await ledger.change(Letter, Letter.id == letter.id, hop_id=hop.id)
    entry = Entry(Fact.LETTER_REPLACED, {"letter": letter.id, "old": old.id}, actor=by)
    assert hop.due_at is not None, "only an issued letter is replaced"
    again = {"state": "OPEN", "settled_at": None}
    await ledger.write(hop, now, entry, letter_id=letter.id, due_at=max(hop.due_at, due), **again)
    # What is drafted from now on says what the new letter says; the log keeps which letter said it first.
    words = {"letter": letter.sheet["context"]["letter"]}
    row = await ledger.take(Campaign, campaign.id)
    await ledger.write(row, now, entry, plan=row.plan | words, subject=letter.subject)


async def correct(
    house: House, ledger: Ledger, campaign: Campaign, letter: Letter, now: datetime, by: str
) -> None:
    """Send an issued đính chính to everybody who got the letter it corrects or gets it still; no term changes."""
    old = await ledger.get(Letter, letter.about)
    hop = await ledger.get(Hop, old.hop_id)
    rows, _hops = await recalls.branch(ledger, hop)
    why = str(letter.sheet["context"].get("why", ""))
    said = recalls.said_of(old, why) | {"document": wording.document(letter), "old_document": wording.document(old)}
    enclosed = [enclosure(letter)]
    told = [row for row in rows if _had_it(row) or _gets_it(row)]
    await mails.queue(
        house, ledger,
        [
            mails.Mail(
                kind="correction", step=letter.id, recipient=row.recipient, address=row.address or "", not_before=now,
                delivery_id=row.id, campaign_id=campaign.id, urgent=is_urgent(campaign), context=said,
                enclosures=enclosed,
            )
            for row in told
        ],
        now,
    )  # fmt: skip
    await _to_copies(house, ledger, campaign, hop, letter, said, enclosed, now, "correction")
    entry = Entry(Fact.LETTER_CORRECTED, {"letter": letter.id, "old": old.id, "told": len(told)}, actor=by)
    await ledger.write(await ledger.take(Hop, hop.id), now, entry)


async def _to_copies(
    house: House, ledger: Ledger, campaign: Campaign, hop: Hop, letter: Letter, said: Mapping[str, Any],
    enclosed: Sequence[dict[str, str]], now: datetime, kind: str,
) -> None:  # fmt: skip
    new = kind == "replacement"
    whom = await recalls.copies(ledger, hop, everybody=new)
    if new:
        await recalls.keep_back_copies(ledger, hop)
    told = [
        mails.Mail(
            kind=kind, step=f"{letter.id}-{mails.of_code(code)}", recipient=code, address=address, not_before=now,
            campaign_id=campaign.id, urgent=is_urgent(campaign), context={**said, "name": name, "inform": True},
            enclosures=enclosed,
        )
        for code, address, name in whom
    ]  # fmt: skip
    await mails.queue(house, ledger, told, now)
