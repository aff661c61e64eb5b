"""A hop: an issuer and everyone directly below it. `turn` is all that a woken hop does.

The flow, the relay and the simulator call the same function. Correctness rests on the lease and on
compare-and-set, never on who called or how often.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Select, or_, select

from congvan.acts import campaigns, escalations, letters, mails, wording
from congvan.acts.frozen import is_urgent, plan_of, policy_of, rule_of, standing
from congvan.acts.registry import mailboxes, organisation
from congvan.house import House
from congvan.rules.calendar import local
from congvan.rules.deadlines import Step, due, personal_due_at
from congvan.rules.protocol import Event, Fact, State, advance, reached, releases, settled, settling_states
from congvan.rules.records import Issue, OnSilence, Settles
from congvan.store.ledger import Entry, Ledger
from congvan.store.tables import Campaign, Delivery, Hop, Letter, Message, WayRow

#: Deliveries decided in one transaction: none holds the database for long.
BATCH = 500
#: All that decides what is due for a delivery.
_STANDING = (
    Delivery.level, Delivery.state, Delivery.settles, Delivery.due_at, Delivery.sent_at, Delivery.steps_taken,
    Delivery.escalated_at,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to turn a hop. seen: the wakes that this turn answers."""

    hop_id: str
    owner: str
    seen: int


# ------------------------------------------------------------------------------------ the turn


async def turn(house: House, hop_id: str) -> Lease | None:
    """Decide and record all that is due in a hop; None when somebody else holds it.

    1. Take the lease; who gets none leaves without touching anything.
    2. Not released yet: nothing.
    3. Released: draft the letter, have it issued, open, once.
    4. Open: remind and escalate whoever is due, write their mails down.
    5. Everybody settled: settled.
    Whoever called sends the mails and then calls `rest`.
    """
    lease = await take(house, hop_id)
    if lease is None:
        return None
    async with house.store.view() as ledger:
        hop = await ledger.get(Hop, hop_id)
        campaign = await ledger.get(Campaign, hop.campaign_id)
    if campaign.held_at is None and campaign.state == "RUNNING":
        if hop.opened_at is None:
            await _toward_opening(house, hop)
        await _chase_open(house, hop_id)
        await _settle(house, hop_id)
    elif campaign.held_at is None and hop.opened_at is None and rule_of(campaign, hop).issue is Issue.COMPANY:
        # A company passes on after the closing: its letter leaves, and nobody is chased for an answer.
        await _toward_opening(house, hop)
    return lease


async def take(house: House, hop_id: str) -> Lease | None:
    """A lease on the hop, or None where another turn holds one that is still good."""
    wall = house.clock.wall()
    owner = house.new_id(wall)
    async with house.store.act() as ledger:
        won = await ledger.change(
            Hop,
            Hop.id == hop_id,
            or_(Hop.lease_until.is_(None), Hop.lease_until < wall),
            lease_until=wall + house.lease,
            lease_owner=owner,
            turns=Hop.turns + 1,
        )
        if won != 1:
            return None
        hop = await ledger.get(Hop, hop_id)
        return Lease(hop_id, owner, hop.wake_seq)


async def rest(house: House, lease: Lease) -> datetime | None:
    """Commit when this hop is to be woken next; None: never by the clock.

    Whoever has just been sent to is planned first. An act that came in meanwhile has raised `wake_seq`;
    then the hop stays due, and so the wake is not lost.
    """
    await _chase_open(house, lease.hop_id)
    async with house.store.act() as ledger:
        wake = await next_wake(house, ledger, lease.hop_id)
        await ledger.change(
            Hop, Hop.id == lease.hop_id, Hop.lease_owner == lease.owner, Hop.wake_seq == lease.seen, wake_at=wake
        )
    return await planned(house, lease.hop_id)


async def planned(house: House, hop_id: str) -> datetime | None:
    """When this hop is to be woken, as the database has it now."""
    async with house.store.view() as ledger:
        found: datetime | None = await ledger.first(select(Hop.wake_at).where(Hop.id == hop_id))
        return found


@asynccontextmanager
async def kept(house: House, lease: Lease) -> AsyncIterator[None]:
    """Keep the lease while mail is sent, which may take longer than one lease lasts."""

    async def beat() -> None:
        while await extend_lease(house, lease):  # noqa: ASYNC110 - a heartbeat, not a wait
            await asyncio.sleep(house.settings.lease_s / 3)

    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)


async def extend_lease(house: House, lease: Lease) -> bool:
    """Hold on for another while; False when the lease was lost."""
    async with house.store.act() as ledger:
        until = house.clock.wall() + house.lease
        return bool(
            await ledger.change(
                Hop, Hop.id == lease.hop_id, Hop.lease_owner == lease.owner, lease_until=until
            )
        )


async def release(house: House, lease: Lease) -> None:
    """Give the lease back."""
    async with house.store.act() as ledger:
        await ledger.change(
            Hop, Hop.id == lease.hop_id, Hop.lease_owner == lease.owner, lease_until=None, lease_owner=None
        )


async def next_wake(house: House, ledger: Ledger, hop_id: str) -> datetime | None:
    """The next instant at which something of this hop becomes due by the clock.

    A letter whose way was shut meanwhile (its issuer was let go, or rejected) is not waited for: whoever
    opens the way again wakes the hop.
    """
    hop = await ledger.get(Hop, hop_id)
    moments = [await mails.next_mail_at(ledger, hop_id)]
    campaign = await ledger.get(Campaign, hop.campaign_id)
    if campaign.state == "CLOSED":
        return None  # what is left to send is carried with the mail of no hop
    if hop.state == "PENDING_ISSUE" and hop.letter_id and await released(house, ledger, campaign, hop):
        moments.append((await ledger.get(Letter, hop.letter_id)).awaits_until)
    if hop.state == "OPEN":
        moments.append(
            await ledger.first(
                select(Delivery.wake_at)
                .where(Delivery.hop_id == hop_id, Delivery.wake_at.is_not(None))
                .order_by(Delivery.wake_at)
            )
        )
    return min((moment for moment in moments if moment is not None), default=None)


# ------------------------------------------------------------------------------------ opening


async def _toward_opening(house: House, hop: Hop) -> None:
    async with house.store.view() as ledger:
        campaign = await ledger.get(Campaign, hop.campaign_id)
        rule = rule_of(campaign, hop)
        if hop.bypassed_at is None and not await released(house, ledger, campaign, hop):
            return
    if hop.bypassed_at is not None:
        await _open(house, hop.id)
    elif rule.issue is Issue.SIGNED:
        letter = await letters.submit(house, hop.id)
        if letter.state == "ISSUED":
            await _open(house, hop.id)
        elif campaign.mode == "exercise":
            await letters.play_issue(house, letter.id, "exercise")
            await _open(house, hop.id)
        else:
            await letters.chase(house, hop.id)
    else:
        await _issue_unsigned(house, hop.id)
        await _open(house, hop.id)


async def released(house: House, ledger: Ledger, campaign: Campaign, hop: Hop) -> bool:
    """True when the obligation above lets this hop open; the first hop always."""
    if hop.parent_delivery_id is None:
        return True
    parent = await ledger.get(Delivery, hop.parent_delivery_id)
    above = await ledger.get(Hop, parent.hop_id)
    policy = policy_of(campaign, above, parent.level)
    one = await organisation(ledger, parent.recipient)
    authority = bool(one.standing_authority) or rule_of(campaign, hop).issue is not Issue.COMPANY
    now = await house.clock.now()
    past_due = parent.due_at is not None and now >= parent.due_at
    return releases(policy.release, State(parent.state), authority=authority, past_due=past_due)


async def _issue_unsigned(house: House, hop_id: str) -> None:
    """A slip, or a company's letter that leaves under a standing authority: issued as it is, without a number."""
    made, rendered = await letters.company_letter(house, hop_id, "", "engine")
    now = await house.clock.now()
    async with house.store.act() as ledger:
        hop = await ledger.take(Hop, hop_id)
        entered = letters.Issued("", made.sheet.issued_on or now.date(), "engine")
        await letters.issue_company(house, ledger, hop, made, rendered, entered, now)


async def _open(house: House, hop_id: str) -> None:
    """Open a hop, once: fix the deadline, take over every recipient no other way has reached, queue the letters.

    One transaction: a kill leaves the hop either closed or open with every letter written down.
    """
    now = await house.clock.now()
    below: list[str] = []
    async with house.store.act() as ledger:
        first = await ledger.get(Hop, hop_id)
        deliveries = await _on_the_way(ledger, hop_id)
        hop = await ledger.take(Hop, hop_id)
        if hop.opened_at is not None:
            return
        # Whoever joined between the two locks would be forgotten.
        deliveries = await _on_the_way(ledger, hop_id)
        campaign = await ledger.get(Campaign, first.campaign_id)
        dues = await _printed_dues(house, ledger, campaign, hop, now)
        due_at = max(dues.values())
        await ledger.write(
            hop, now, Entry(Fact.OPENED, {"due_at": due_at.isoformat(), "bypass": hop.bypassed_at is not None}),
            state="OPEN", opened_at=now, due_at=due_at,
        )  # fmt: skip
        await _take_over(house, ledger, campaign, hop, deliveries, dues, now)
        await _copies(house, ledger, campaign, hop, now)
        await _parent_passed_on(ledger, hop, now)
        below = [one.child_hop_id for one in deliveries if one.child_hop_id and one.hop_id == hop_id]
    await _prepare_below(house, hop_id, below, now)


async def _prepare_below(house: House, hop_id: str, below: Sequence[str], now: datetime) -> None:
    """Release the hops that wait for nobody, and draft the letters that companies will pass on."""
    await _release_below(house, below, now)
    async with house.store.view() as ledger:
        hop = await ledger.get(Hop, hop_id)
        campaign = await ledger.get(Campaign, hop.campaign_id)
        rows: list[Hop] = await ledger.all(select(Hop).where(Hop.id.in_(below)).order_by(Hop.ordinal))
        company = [row.id for row in rows if rule_of(campaign, row).issue is Issue.COMPANY]
    if rule_of(campaign, hop).issue is not Issue.TAKEN_IN:
        await letters.prepare(house, company)


async def _on_the_way(ledger: Ledger, hop_id: str) -> list[Delivery]:
    ways = select(WayRow.delivery_id).where(WayRow.hop_id == hop_id)
    found: list[Delivery] = await ledger.all(
        select(Delivery).where(Delivery.id.in_(ways)).order_by(Delivery.id), lock=True
    )
    return found


async def _printed_dues(
    house: House, ledger: Ledger, campaign: Campaign, hop: Hop, now: datetime
) -> dict[str, datetime]:
    """The deadline of each level of recipients, as the letter prints it."""
    levels = [who.level for who in rule_of(campaign, hop).recipients]
    letter = await ledger.find(Letter, hop.letter_id) if hop.letter_id else None
    if letter is not None and letter.state == "ISSUED":
        return {level: _term(house, campaign, hop, letter, level, now) for level in levels}
    # Bypass: these recipients get the letter above; what is printed there counts, or their own minimum.
    return {level: await letters.term_below(house, ledger, campaign, hop, level, now) for level in levels}


def _term(
    house: House, campaign: Campaign, hop: Hop, letter: Letter, level: str, now: datetime
) -> datetime:
    """What the letter prints; where the clerk issued it after half of that time, or a pause came between, the
    recipient's own minimum if that is longer: nobody's term has passed before his letter leaves."""
    printed = letters.printed_due(letter, level)
    if rule_of(campaign, hop).issue is not Issue.SIGNED:
        return printed
    deadline = policy_of(campaign, hop, level).deadline
    return personal_due_at(deadline, printed, letter.created_at, now, house.calendars)


async def _take_over(
    house: House,
    ledger: Ledger,
    campaign: Campaign,
    hop: Hop,
    deliveries: Sequence[Delivery],
    dues: Mapping[str, datetime],
    now: datetime,
) -> None:
    enclosed = await letters.enclosures(ledger, campaign, hop)
    # After the closing nothing becomes due any more.
    wake = now if campaign.state == "RUNNING" else None
    leaves = house.calendars.state.sending_time(now, urgent=is_urgent(campaign), first_letter=True)
    changes: list[tuple[Delivery, list[Entry], dict[str, Any]]] = []
    queued: list[mails.Mail] = []
    for delivery in deliveries:
        if delivery.due_at is not None and delivery.hop_id == hop.id:
            continue  # its issuer has reached it by hand
        if delivery.due_at is not None or settled(State(delivery.state), Settles(delivery.settles)):
            changes.append((delivery, [Entry(Fact.ANOTHER_WAY, {"hop": hop.issuer})], {}))
            continue
        values: dict[str, Any] = {"hop_id": hop.id, "due_at": dues.get(delivery.level, hop.due_at), "wake_at": wake}
        entry = Entry(Fact.OPENED, {"by": hop.issuer})
        if delivery.address is None:
            values |= {"state": advance(State(delivery.state), Event.REFUSED), "wake_at": None}
            changes.append((delivery, [entry, Entry(Event.REFUSED, {"why": "không có hộp thư"})], values))
            continue
        changes.append((delivery, [entry], values))
        queued.append(letter_mail(campaign, hop, delivery, leaves, enclosed, hop.opened_at or now))
    await ledger.write_many(changes, now)
    await mails.queue(house, ledger, queued, now)
    for delivery, entries, _values in changes:
        if entries[-1].kind == Event.REFUSED:
            await escalations.open_case(house, ledger, delivery, "undeliverable", now)


def letter_mail(
    campaign: Campaign,
    hop: Hop,
    delivery: Delivery,
    leaves: datetime,
    enclosed: Sequence[dict[str, str]],
    opened: datetime,
) -> mails.Mail:
    """The mail that carries the letter; its kind says what it is to the recipient."""
    kind = wording.letter_kind(campaign, hop)
    assert delivery.address is not None, "a delivery without a mailbox is undeliverable from the start"
    return mails.Mail(
        kind=kind, step=str(delivery.round), recipient=delivery.recipient, address=delivery.address,
        not_before=leaves, delivery_id=delivery.id, hop_id=hop.id, campaign_id=campaign.id,
        urgent=is_urgent(campaign), enclosures=enclosed,
    )  # fmt: skip


async def _copies(house: House, ledger: Ledger, campaign: Campaign, hop: Hop, now: datetime) -> None:
    """Whoever stands in Nơi nhận and not in Kính gửi gets the issued letter for information, no obligation."""
    if rule_of(campaign, hop).issue is not Issue.SIGNED or hop.bypassed_at is not None:
        return
    enclosed = await letters.enclosures(ledger, campaign, hop)
    leaves = house.calendars.state.sending_time(now, urgent=is_urgent(campaign), first_letter=True)
    wanted = []
    for copy in plan_of(campaign).copies:
        one = await organisation(ledger, copy.organisation)
        boxes = mailboxes(one, local(now).date())
        if boxes:
            wanted.append(
                mails.Mail(
                    kind="copy", step=f"{hop.id}-{one.code}", recipient=one.code, address=boxes[0],
                    not_before=leaves, hop_id=hop.id, campaign_id=campaign.id, urgent=is_urgent(campaign),
                    context={"purpose": copy.purpose, "name": one.name}, enclosures=enclosed,
                )
            )
    await mails.queue(house, ledger, wanted, now)


async def _parent_passed_on(ledger: Ledger, hop: Hop, now: datetime) -> None:
    """The issuer's own obligation: an opened hop is the proof that it passed the directive on."""
    if hop.parent_delivery_id is None or hop.bypassed_at is not None:
        return
    parent = await ledger.take(Delivery, hop.parent_delivery_id)
    state = State(parent.state)
    if state in (State.FORWARDED, State.COMPLETED):
        return
    new = advance(state, Event.FORWARDED)
    done = settled(new, Settles(parent.settles))
    values: dict[str, Any] = {"state": new, "confirmed_at": parent.confirmed_at or now}
    entries = [Entry(Event.FORWARDED, {"by": "hop opened"})]
    if done:
        values |= {"settled_at": now, "wake_at": None}
        await mails.cancel_chasers(ledger, parent.id)
        entries += await escalations.close_cases(ledger, parent, now, by="engine", why=Event.FORWARDED.value)
    await ledger.write(parent, now, entries, **values)
    if done:
        await mails.wake_hop(ledger, parent.hop_id, now)


async def _release_below(house: House, hop_ids: Sequence[str], now: datetime) -> None:
    """Wake the hops below that may open without waiting for anybody (`at_once`)."""
    for hop_id in hop_ids:
        async with house.store.act() as ledger:
            hop = await ledger.get(Hop, hop_id)
            campaign = await ledger.get(Campaign, hop.campaign_id)
            if hop.opened_at is None and await released(house, ledger, campaign, hop):
                await mails.wake_hop(ledger, hop_id, now)


# ------------------------------------------------------------------------------------ open


async def _chase_open(house: House, hop_id: str) -> None:
    """Walk over the deliveries that are due, batch by batch; one that cannot move does not stop the others."""
    now = await house.clock.now()
    while True:
        async with house.store.act() as ledger:
            due_ones: list[Delivery] = await ledger.all(
                select(Delivery)
                .where(Delivery.id.in_(next_batch(hop_id, now)), *_is_due(hop_id, now))
                .order_by(Delivery.id),
                lock=True,
            )
            if not due_ones:
                return
            hop = await ledger.get(Hop, hop_id)
            campaign = await ledger.get(Campaign, hop.campaign_id)
            await _decide(house, ledger, campaign, hop, due_ones, now)
        if len(due_ones) < BATCH:
            return


def _is_due(hop_id: str, now: datetime) -> tuple[Any, ...]:
    return Delivery.hop_id == hop_id, Delivery.wake_at <= now


def next_batch(hop_id: str, now: datetime) -> Select[tuple[str]]:
    """The ids of the next that are due, in the order of their index: to sort all of them for every batch would
    grow as their square."""
    return select(Delivery.id).where(*_is_due(hop_id, now)).order_by(Delivery.wake_at).limit(BATCH)


async def _decide(
    house: House, ledger: Ledger, campaign: Campaign, hop: Hop, due_ones: Sequence[Delivery], now: datetime
) -> None:
    urgent = is_urgent(campaign)
    changes: list[tuple[Delivery, list[Entry], dict[str, Any]]] = []
    reminders: list[mails.Mail] = []
    silent: list[Delivery] = []
    for delivery in due_ones:
        policy = policy_of(campaign, hop, delivery.level)
        verdict = due(standing(delivery), policy, house.calendars, now, urgent=urgent)
        values: dict[str, Any] = {"wake_at": verdict.next_at, "steps_taken": verdict.steps_taken}
        entries: list[Entry] = []
        # Who was reached by hand may have no mailbox: it is escalated like the others.
        if verdict.step is Step.REMIND and delivery.address is not None:
            reminders.append(_reminder(campaign, hop, delivery, verdict.steps_taken, now, urgent))
        elif verdict.step is Step.ESCALATE:
            silent.append(delivery)
            values["escalated_at"] = now
            entries.append(Entry(Fact.ESCALATED, {"due_at": delivery.due_at.isoformat() if delivery.due_at else ""}))
        changes.append((delivery, entries, values))
    await ledger.write_many(changes, now)
    # What never left while the engine stood still is out of date: one mail catches up.
    late = [mail.delivery_id for mail in reminders] + [delivery.id for delivery in silent]
    await mails.cancel_stale(ledger, [key for key in late if key])
    await mails.queue(house, ledger, reminders, now)
    # Whose letter never left is not silent.
    cases = [(one, "silent" if reached(State(one.state)) else "undeliverable") for one in silent]
    await escalations.open_cases(house, ledger, cases, now)
    for delivery in silent:
        await _bypass(house, ledger, campaign, hop, delivery, now)


def _reminder(
    campaign: Campaign, hop: Hop, delivery: Delivery, steps: int, now: datetime, urgent: bool
) -> mails.Mail:
    assert delivery.address is not None, "only a sent letter is reminded of"
    assert delivery.due_at is not None, "only a sent letter is reminded of"
    return mails.Mail(
        kind="overdue" if now > delivery.due_at else "reminder",
        # An extension begins the steps anew: they are other messages.
        step=f"{delivery.round}-{delivery.extended}-{steps}" if delivery.extended else f"{delivery.round}-{steps}",
        recipient=delivery.recipient, address=delivery.address, not_before=now, delivery_id=delivery.id,
        hop_id=hop.id, campaign_id=campaign.id, urgent=urgent, context={"ordinal": delivery.reminders + 1},
    )  # fmt: skip


async def _bypass(
    house: House, ledger: Ledger, campaign: Campaign, hop: Hop, delivery: Delivery, now: datetime
) -> None:
    """Past a silent issuer: those below get the letter of the hop above, if the policy says so."""
    if delivery.child_hop_id is None:
        return
    if policy_of(campaign, hop, delivery.level).on_silence is not OnSilence.BYPASS:
        return
    below = await ledger.take(Hop, delivery.child_hop_id)
    if below.opened_at is None and below.bypassed_at is None:
        await ledger.write(below, now, Entry(Fact.BYPASSED, {"silent": delivery.recipient}), bypassed_at=now)
        await mails.wake_hop(ledger, below.id, now)


# ------------------------------------------------------------------------------------ settled


async def _settle(house: House, hop_id: str) -> None:
    now = await house.clock.now()
    async with house.store.act() as ledger:
        hop = await ledger.take(Hop, hop_id)
        if hop.opened_at is None:
            return
        somebody = await has_open(ledger, hop_id)
        if hop.state == "OPEN" and not somebody:
            await ledger.write(hop, now, Entry(Fact.SETTLED), state="SETTLED", settled_at=now)
            await campaigns.wake(ledger, hop.campaign_id, now)
        elif hop.state == "SETTLED" and somebody:
            # One who had acknowledged has rejected since and was written to anew: he is chased like the others.
            await ledger.write(hop, now, Entry(Fact.NOTED, {"open again": True}), state="OPEN", settled_at=None)


async def has_open(ledger: Ledger, hop_id: str) -> bool:
    """True while somebody of this hop has not settled."""
    return bool(await ledger.first(_open_of(hop_id)))


def _open_of(hop_id: str) -> Select[tuple[str]]:
    # Each way of being open names all columns of an index, so that nobody who has settled is read: everybody's
    # answer asks this, and of thousands most have settled in the end.
    campaign = select(Hop.campaign_id).where(Hop.id == hop_id).scalar_subquery()
    open_ones = [
        (Delivery.campaign_id == campaign)
        & (Delivery.hop_id == hop_id)
        & (Delivery.settles == settles.value)
        & Delivery.state.in_([state.value for state in State if state not in settling_states(settles)])
        for settles in Settles
    ]
    return select(Delivery.id).where(or_(*open_ones))


async def due_hops(ledger: Ledger, now: datetime, limit: int = 100) -> list[Hop]:
    """Hops at which something is due, longest due first, of campaigns that are not held."""
    held = select(Campaign.id).where(Campaign.held_at.is_not(None))
    closed = select(Campaign.id).where(Campaign.state == "CLOSED")
    found: list[Hop] = await ledger.all(
        select(Hop)
        .where(Hop.wake_at <= now, Hop.campaign_id.not_in(held))
        # After the closing a hop may still open: a company passes on late.
        .where(Hop.opened_at.is_(None) | Hop.campaign_id.not_in(closed))
        .order_by(Hop.wake_at, Hop.id)
        .limit(limit)
    )
    return found


async def open_mail(ledger: Ledger, hop_id: str) -> bool:
    """True while a message of this hop waits or is on the wire."""
    return bool(
        await ledger.first(
            select(Message.id).where(Message.hop_id == hop_id, Message.state.in_(("QUEUED", "CLAIMED", "UNKNOWN")))
        )
    )


async def state_of(house: House, hop_id: str) -> tuple[str, bool]:
    """A hop's state, and whether its campaign is held."""
    async with house.store.view() as ledger:
        hop = await ledger.get(Hop, hop_id)
        campaign = await ledger.get(Campaign, hop.campaign_id)
        return hop.state, campaign.held_at is not None


async def needs_a_run(house: House, hop_id: str) -> bool:
    """True when a turn of this hop would open something or send mail; other rounds need no process."""
    now = await house.clock.now()
    async with house.store.view() as ledger:
        hop = await ledger.get(Hop, hop_id)
        if hop.opened_at is None or hop.state == "PENDING_ISSUE":
            return True
        mail_at = await mails.next_mail_at(ledger, hop_id)
        if mail_at is not None and mail_at <= now:
            return True
        campaign = await ledger.get(Campaign, hop.campaign_id)
        urgent = is_urgent(campaign)
        # Asked again each second until the turn begins: whoever stands alike is looked at once.
        alike = select(*_STANDING).where(*_is_due(hop_id, now)).distinct()
        return any(
            due(standing(one), policy_of(campaign, hop, one.level), house.calendars, now, urgent=urgent).step
            is Step.REMIND
            for one in cast("Sequence[Delivery]", await ledger.rows(alike))
        )
