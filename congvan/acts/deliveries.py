"""What operators do to one delivery: resend, readdress, exempt, withdraw. Each has a name and a reason.

More time for one, many or all is given in `extending`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import not_, select

from congvan.acts import campaigns, confirmations, escalations, letters, mails, opening, papers, releasing
from congvan.acts.frozen import is_urgent
from congvan.errors import ActRefused, NotFound, StaleDelivery
from congvan.house import House
from congvan.rules.protocol import Event, State, advance, reached, settled
from congvan.rules.records import Settles
from congvan.store.ledger import Entry, Ledger
from congvan.store.tables import Campaign, Delivery, Hop, Message, WayRow

#: What a person's decision to ask no more leads to.
_ENDS = {Event.EXEMPTED: State.EXEMPT, Event.WITHDRAWN: State.WITHDRAWN}


async def find(house: House, name: str) -> str:
    """The id of a delivery, by its id or its code; raise NotFound."""
    async with house.store.view() as ledger:
        found = await ledger.first(select(Delivery.id).where((Delivery.id == name) | (Delivery.code == name)))
    if found is None:
        raise NotFound(f"không có nơi nhận «{name}» → xem: congvan deliveries CAMPAIGN")
    return str(found)


async def resend(
    house: House, delivery_id: str, by: str, *, address: str | None = None, why: str = "",
    round_shown: int | None = None,
) -> None:  # fmt: skip
    """Send the letter again, to another mailbox where one is given; its deadline stands and old links end.

    A refused one goes back to the queue; whoever answered meanwhile is not written to again.
    round_shown: of the last letter that whoever decides has seen; raise StaleDelivery where another left since.
    """
    now = await house.clock.now()
    async with house.store.act() as ledger:
        delivery = await ledger.take(Delivery, delivery_id)
        if round_shown is not None and delivery.round != round_shown:
            raise StaleDelivery
        await send_again(house, ledger, delivery, by, now, address=address, why=why)


async def send_again(
    house: House, ledger: Ledger, delivery: Delivery, by: str, now: datetime, *, address: str | None, why: str
) -> None:
    """As `resend`, in the transaction of whoever decides on it and has taken the delivery."""
    campaign = await ledger.get(Campaign, delivery.campaign_id)
    _check_running(campaign)
    if delivery.due_at is None:
        raise ActRefused("Chặng đến nơi nhận này chưa mở; văn bản sẽ được gửi khi mở.")
    to = address or delivery.address
    if to is None:
        raise ActRefused("Chưa có hộp thư nào: thêm --to ĐỊA_CHỈ.")
    if settled(State(delivery.state), Settles(delivery.settles)):
        raise ActRefused("Nơi nhận này đã trả lời; không gửi lại nữa.")
    state = advance(State(delivery.state), Event.READDRESSED)
    hop = await ledger.get(Hop, delivery.hop_id)
    await _drop_open_mail(ledger, delivery.id)
    entries = [Entry(Event.READDRESSED, {"why": why, "new_address": address is not None}, actor=by)]
    entries += await escalations.close_cases(
        ledger, delivery, now, by=by, why="readdressed", kinds=("undeliverable", "rejected")
    )
    # Who has answered keeps his answer: then only the letter goes out once more.
    anew = {"wake_at": now, "sent_at": None} if state is State.QUEUED else {}
    await ledger.write(
        delivery, now, entries, state=state, address=to, round=delivery.round + 1,
        link_version=delivery.link_version + 1, **anew,
    )  # fmt: skip
    await escalations.keep_told(house, ledger, delivery, now)
    enclosed = await letters.enclosures(ledger, campaign, hop)
    leaves = house.calendars.state.sending_time(now, urgent=is_urgent(campaign), first_letter=True)
    mail = opening.letter_mail(campaign, hop, delivery, leaves, enclosed, now)
    await mails.queue(house, ledger, [mail], now)
    await mails.wake_hop(ledger, hop.id, now)


def _check_running(campaign: Campaign) -> None:
    # After the closing nobody would be reminded, and nobody told of a silence.
    if campaign.state == "CLOSED":
        raise ActRefused("Đợt triển khai đã kết thúc; trả lời muộn vẫn được nhận.")


async def _drop_open_mail(ledger: Ledger, delivery_id: str) -> None:
    # A receipt says what was answered, and that stays true.
    await ledger.change(
        Message,
        Message.delivery_id == delivery_id,
        Message.state.in_(("QUEUED", "UNKNOWN")),
        Message.kind != "receipt",
        state="CANCELLED",
    )


async def exempt(house: House, delivery_id: str, by: str, why: str) -> bool:
    """Miễn báo cáo: nothing more is asked, by a named person, for a reason. False: it was so already."""
    return await _end(house, delivery_id, Event.EXEMPTED, by, why)


async def withdraw(house: House, delivery_id: str, by: str, why: str) -> bool:
    """Take the letter back from one recipient; its links end. False: it was taken back already."""
    return await _end(house, delivery_id, Event.WITHDRAWN, by, why)


async def _end(house: House, delivery_id: str, event: Event, by: str, why: str) -> bool:
    if not why.strip():
        raise ActRefused("Cần ghi rõ lý do.")
    now = await house.clock.now()
    async with house.store.act() as ledger:
        delivery = await ledger.take(Delivery, delivery_id)
        state = State(delivery.state)
        if state is State.WITHDRAWN and delivery.recall is not None:
            raise ActRefused("Văn bản gửi nơi nhận này đang bị thu hồi; quyết định sau khi có văn bản thay thế.")
        if state is _ENDS[event]:
            return False
        if state is State.EXEMPT:
            raise ActRefused("Nơi nhận này đã được miễn báo cáo; không thu hồi được nữa.")
        if state is State.WITHDRAWN:
            raise ActRefused("Văn bản gửi nơi nhận này đã được thu hồi; không miễn báo cáo được nữa.")
        campaign = await ledger.get(Campaign, delivery.campaign_id)
        entries = [Entry(event, {"why": why}, actor=by)]
        entries += await escalations.close_cases(ledger, delivery, now, by=by, why=event.value)
        values: dict[str, Any] = {
            "state": advance(state, event), "reason": why, "settled_at": now, "wake_at": None,
            "link_version": delivery.link_version + (event is Event.WITHDRAWN),
        }  # fmt: skip
        has_it = reached(state) or bool(await mails.on_the_wire(ledger, [delivery_id]))
        told = has_it and delivery.due_at is not None and delivery.address is not None
        await _drop_open_mail(ledger, delivery_id)
        await ledger.write(delivery, now, entries, **values)
        if campaign.state == "RUNNING" and delivery.child_hop_id is not None:
            if event is Event.EXEMPTED:
                above = await ledger.get(Hop, delivery.hop_id)
                await releasing.past_exempt(ledger, campaign, above, delivery, by, now)
            await papers.drop_of_hop(ledger, await ledger.take(Hop, delivery.child_hop_id), now)
            await tell_of_those_cut_off(house, ledger, delivery.child_hop_id, now)
        if told:
            await mails.queue(house, ledger, [_farewell(campaign, delivery, event, why, now)], now)
            await mails.wake_hop(ledger, delivery.hop_id, now)
        await confirmations.wake_whom_it_concerns(house, ledger, campaign, delivery, now, done=True)
        return True


async def tell_of_those_cut_off(house: House, ledger: Ledger, hop_id: str, now: datetime) -> None:
    """Whom no way leads to any more is a person's to decide: past the issuer, or not at all. Sending to everybody
    below unasked could not be undone: the letter may have been taken back because it was no business of theirs."""
    below = await ledger.get(Hop, hop_id)
    if below.opened_at is not None or below.bypassed_at is not None:
        return
    gone = select(Delivery.id).where(Delivery.state.in_((State.WITHDRAWN.value, State.EXEMPT.value)))
    shut = Hop.opened_at.is_(None) & Hop.bypassed_at.is_(None) & Hop.parent_delivery_id.in_(gone)
    another = select(WayRow.delivery_id).join(Hop, Hop.id == WayRow.hop_id).where(
        Hop.campaign_id == below.campaign_id, ~shut
    )
    rows = await ledger.all(
        select(Delivery).where(
            Delivery.id.in_(select(WayRow.delivery_id).where(WayRow.hop_id == hop_id)),
            Delivery.id.not_in(another), Delivery.due_at.is_(None), not_(campaigns.is_settled()),
        ).order_by(Delivery.id)
    )  # fmt: skip
    await escalations.open_cases(house, ledger, [(row, "undeliverable") for row in rows], now)


def _farewell(campaign: Campaign, delivery: Delivery, event: Event, why: str, now: datetime) -> mails.Mail:
    assert delivery.address is not None, "the caller looked"
    return mails.Mail(
        kind="exemption" if event is Event.EXEMPTED else "withdrawal", step=str(delivery.event_seq),
        recipient=delivery.recipient, address=delivery.address, not_before=now, delivery_id=delivery.id,
        hop_id=delivery.hop_id, campaign_id=campaign.id, urgent=is_urgent(campaign), context={"why": why},
    )  # fmt: skip
