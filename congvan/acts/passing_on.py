"""A company passes the prepared letter on: its own letter is issued and the hop below opens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from congvan.acts import by_hand, confirmations, letters
from congvan.acts.confirmations import Answer, Receipt
from congvan.acts.frozen import rule_of
from congvan.acts.signed_files import beside_the_loop, refuse_own_file
from congvan.errors import ActRefused
from congvan.house import House
from congvan.links import Link
from congvan.rules.protocol import Event, State, advance, says_nothing_new
from congvan.rules.records import Issue, Settles
from congvan.store.tables import Campaign, Delivery, Hop


@dataclass(frozen=True, slots=True)
class PassOn:
    """A company passes the prepared letter on. number: its own, or empty."""

    name: str
    position: str
    number: str = ""
    segment_ticked: bool = False
    channel: str = "link"
    actor: str = "recipient"
    own_pdf: bytes | None = None
    #: Of those below, by delivery: whom the company has reached by itself, with what it says of each.
    by_hand: Mapping[str, str] = field(default_factory=dict)
    how: str = ""
    on_day: date | None = None


async def pass_on(house: House, delivery_id: str, order: PassOn, link: Link | None = None) -> Receipt:
    """Issue the company's letter and let the hop below open: one button, one transaction.

    Where those below were already reached past it, the passing-on is recorded and no second letter leaves.
    Whom the company has reached by itself gets none from us either; the others get it as ever.
    """
    async with house.store.view() as ledger:
        delivery = await ledger.get(Delivery, delivery_id)
        below = await ledger.find(Hop, delivery.child_hop_id) if delivery.child_hop_id else None
        campaign = await ledger.get(Campaign, delivery.campaign_id)
    said = confirmations.by_a_colleague(
        Answer(
            Event.FORWARDED, order.name, order.position, order.channel, order.actor,
            segment_ticked=order.segment_ticked, data={"by_hand": len(order.by_hand)} if order.by_hand else {},
        ),
        link,
    )  # fmt: skip
    confirmations.check_link(delivery, link)
    no_letter = below is None or below.opened_at is not None or below.bypassed_at is not None
    known = says_nothing_new(State(delivery.state), Event.FORWARDED)
    if below is None and not known and Settles(delivery.settles) is not Settles.FORWARD:
        raise ActRefused("Không có đơn vị nào nhận văn bản qua đơn vị này.")
    if no_letter or known:
        return await confirmations.answer(house, delivery_id, said, link)
    assert below is not None, "checked above"
    if rule_of(campaign, below).issue is not Issue.COMPANY:
        raise ActRefused("Cơ quan chuyển tiếp bằng cách ban hành văn bản của mình: congvan letter issue")
    return await _issue_and_record(house, delivery_id, below, order, said, link)


async def _issue_and_record(
    house: House, delivery_id: str, below: Hop, order: PassOn, said: Answer, link: Link | None
) -> Receipt:
    if order.own_pdf is not None:
        # Before anything is locked.
        await beside_the_loop(refuse_own_file, order.own_pdf, "tệp của doanh nghiệp")
    made, rendered = await letters.company_letter(house, below.id, order.number, order.name)
    now = await house.clock.now()
    async with house.store.act() as ledger:
        delivery = await ledger.take(Delivery, delivery_id)
        reached = await by_hand.lock(ledger, below.id, order.by_hand)
        confirmations.check_link(delivery, link)
        campaign = await ledger.get(Campaign, delivery.campaign_id)
        state = State(delivery.state)
        if says_nothing_new(state, Event.FORWARDED):
            return confirmations.receipt(delivery, now, again=True)
        confirmations.check_segments(campaign, delivery, said)
        hop = await ledger.take(Hop, below.id)
        if hop.opened_at is None and hop.bypassed_at is None:
            # Else those below were reached past it meanwhile.
            day = made.sheet.issued_on
            assert day is not None, "a company's letter leaves today"
            entered = letters.Issued(order.number, day, order.name or "company", order.own_pdf)
            await letters.issue_company(house, ledger, hop, made, rendered, entered, now)
            how = by_hand.How(order.by_hand, order.how, order.on_day or day, order.own_pdf is not None)
            await by_hand.mark(ledger, hop, reached, how, made.due_at, now)
        await confirmations.record(house, ledger, campaign, delivery, said, advance(state, Event.FORWARDED), now)
        return confirmations.receipt(delivery, now, again=False)
