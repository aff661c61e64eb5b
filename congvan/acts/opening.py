"""How a hop opens: released from above, its letter issued, every recipient taken over, once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select

from congvan.acts import escalations, letters, mails, releasing, wording
from congvan.acts.frozen import is_urgent, plan_of, policy_of, rule_of
from congvan.acts.registry import mailboxes, organisation
from congvan.house import House
from congvan.rules.calendar import local
from congvan.rules.deadlines import personal_due_at
from congvan.rules.protocol import Event, Fact, State, advance, settled
from congvan.rules.records import Issue, Settles
from congvan.store.ledger import Entry, Ledger
from congvan.store.tables import Campaign, Case, Delivery, Hop, Letter, WayRow


async def toward_opening(house: House, hop: Hop) -> None:
    """Bring a hop that has not opened as far as it may come now."""
    async with house.store.view() as ledger:
        campaign = await ledger.get(Campaign, hop.campaign_id)
        rule = rule_of(campaign, hop)
        if not await releasing.released(house, ledger, campaign, hop):
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
    own: list[Delivery] = []
    async with house.store.act() as ledger:
        first = await ledger.get(Hop, hop_id)
        # Whoever answers takes his own obligation first, and then the hop below.
        above = await ledger.take(Delivery, first.parent_delivery_id) if first.parent_delivery_id else None
        deliveries = await _on_the_way(ledger, hop_id)
        hop = await ledger.take(Hop, hop_id)
        if hop.opened_at is not None:
            return
        # Whoever joined between the two locks would be forgotten.
        deliveries = await _on_the_way(ledger, hop_id)
        campaign = await ledger.get(Campaign, first.campaign_id)
        if not await releasing.released(house, ledger, campaign, hop):
            return  # who was to pass it on was let go meanwhile
        dues = await _printed_dues(house, ledger, campaign, hop, now)
        due_at = max(dues.values())
        await ledger.write(
            hop, now, Entry(Fact.OPENED, {"due_at": due_at.isoformat(), "bypass": hop.bypassed_at is not None}),
            state="OPEN", opened_at=now, due_at=due_at,
        )  # fmt: skip
        await _take_over(house, ledger, campaign, hop, deliveries, dues, now)
        await _copies(house, ledger, campaign, hop, now)
        if above is not None and hop.bypassed_at is None:
            await _passed_on(ledger, above, now)
        own = [one for one in deliveries if one.hop_id == hop_id]
        await releasing.release_below(house, ledger, campaign, hop, own, now)
    await _prepare_below(house, hop_id, [one.child_hop_id for one in own if one.child_hop_id])


async def _prepare_below(house: House, hop_id: str, below: Sequence[str]) -> None:
    """Draft the letters that companies will pass on; what a kill leaves undrafted is drafted when it is asked for."""
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
    signed = rule_of(campaign, hop).issue is Issue.SIGNED
    # A company's letter is dated when it is issued; ours when it is drafted, and then it may lie with the signer.
    dated = letter.created_at if signed else letter.issued_at or letter.created_at
    deadline = policy_of(campaign, hop, level).deadline
    return personal_due_at(deadline, letters.printed_due(letter, level), dated, now, house.calendars)


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
        if delivery.address is None and State(delivery.state) is State.QUEUED:
            values |= {"state": advance(State.QUEUED, Event.REFUSED), "wake_at": None}
            changes.append((delivery, [entry, Entry(Event.REFUSED, {"why": "không có hộp thư"})], values))
            continue
        changes.append((delivery, [entry], values))
        if delivery.address is None:
            continue  # he has said something by telephone or on paper, and is known to a person
        queued.append(letter_mail(campaign, hop, delivery, leaves, enclosed, hop.opened_at or now))
    await _found_again(ledger, changes, now)
    await ledger.write_many(changes, now)
    await mails.queue(house, ledger, queued, now)
    for delivery, entries, _values in changes:
        if entries[-1].kind == Event.REFUSED:
            await escalations.open_case(house, ledger, delivery, "undeliverable", now)


async def _found_again(
    ledger: Ledger, changes: Sequence[tuple[Delivery, list[Entry], dict[str, Any]]], now: datetime
) -> None:
    """Whom no way led to was in a person's hands; now one does."""
    with_case = select(Case.delivery_id).where(
        ledger.among(Case.delivery_id, [row.id for row, _, _ in changes]), Case.closed_at.is_(None)
    )
    known = set(await ledger.all(with_case))
    for row, entries, _values in changes:
        if row.id in known and row.due_at is None:
            entries[1:1] = await escalations.close_cases(
                ledger, row, now, by="engine", why=Fact.OPENED.value, kinds=("undeliverable",)
            )


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
                    kind="copy", step=f"{hop.id}-{mails.of_code(one.code)}", recipient=one.code, address=boxes[0],
                    not_before=leaves, hop_id=hop.id, campaign_id=campaign.id, urgent=is_urgent(campaign),
                    context={"purpose": copy.purpose, "name": one.name}, enclosures=enclosed,
                )
            )
    await mails.queue(house, ledger, wanted, now)


async def _passed_on(ledger: Ledger, parent: Delivery, now: datetime) -> None:
    """The issuer's own obligation: an opened hop is the proof that it passed the directive on."""
    state = State(parent.state)
    if state in releasing.PASSED_ON:
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
