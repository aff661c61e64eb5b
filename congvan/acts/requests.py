"""What a recipient asks of a person: another contact, or to be left out. Nothing changes until it is decided."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select

from congvan.acts import deliveries, escalations, mails
from congvan.acts.campaigns import find
from congvan.acts.confirmations import check_link
from congvan.acts.frozen import is_urgent
from congvan.errors import ActRefused
from congvan.house import House
from congvan.links import Link
from congvan.rules.protocol import Fact, State, settled
from congvan.rules.records import Settles
from congvan.store.ledger import Entry, Ledger
from congvan.store.tables import Campaign, Delivery, Request

#: What each kind of request is in the log.
_FACTS = {
    "contact": Fact.CONTACT_PROPOSED,
    "not_us": Fact.CONTACT_PROPOSED,
    "not_applicable": Fact.ASKED_TO_BE_LEFT_OUT,
}
#: Proposed contacts of one delivery that wait for a person.
MOST_OPEN = 5
_LONGEST, _LONGEST_REASON = 300, 2_000


async def propose_contact(
    house: House, delivery_id: str, words: Mapping[str, str], link: Link | None, *, not_us: bool = False
) -> str:
    """A new contact, named by the recipient, or "this mailbox is not theirs": goes to the operator and changes
    no address by itself; return the request's id.

    Whom it names stands in the request and not in the log: the log cannot be purged. The same words again are one
    request; raise ActRefused where too many wait already.
    """
    now = await house.clock.now()
    async with house.store.act() as ledger:
        delivery = await ledger.take(Delivery, delivery_id)
        check_link(delivery, link)
        data = {key: str(value)[:_LONGEST] for key, value in words.items()}
        if not_us:
            # The letter may go elsewhere before anybody decides.
            data["mailbox"] = delivery.address or ""
        kind = "not_us" if not_us else "contact"
        waiting: list[Request] = await ledger.all(
            select(Request).where(
                Request.delivery_id == delivery_id, Request.kind.in_(("contact", "not_us")), Request.state == "OPEN"
            )
        )
        if known := next((one.id for one in waiting if (one.kind, one.words) == (kind, data)), None):
            return known
        if len(waiting) >= MOST_OPEN:
            raise ActRefused(f"Đã có {MOST_OPEN} đề nghị đang chờ cán bộ phụ trách xem xét.")
        return await _file(house, ledger, delivery, kind, data, now, link)


async def ask_to_be_left_out(house: House, delivery_id: str, words: Mapping[str, str], link: Link | None) -> str:
    """ "It does not apply to us, because …": a person is told and decides; raise ActRefused.

    words: reason, name, position. The letter stays to be answered until then; asking twice is one request.
    """
    if not words.get("reason", "").strip():
        raise ActRefused("Cần ghi rõ lý do văn bản không áp dụng đối với đơn vị.")
    now = await house.clock.now()
    async with house.store.act() as ledger:
        delivery = await ledger.take(Delivery, delivery_id)
        check_link(delivery, link)
        open_one = select(Request.id).where(
            Request.delivery_id == delivery_id, Request.kind == "not_applicable", Request.state == "OPEN"
        )
        if (known := await ledger.first(open_one)) is not None:
            return str(known)
        if delivery.due_at is None or settled(State(delivery.state), Settles(delivery.settles)):
            raise ActRefused("Văn bản này không còn cần trả lời.")
        data = {key: str(value)[:_LONGEST_REASON] for key, value in words.items()}
        key = await _file(house, ledger, delivery, "not_applicable", data, now, link)
        await ledger.change(Delivery, Delivery.id == delivery.id, reason=f"Đề nghị không áp dụng: {data['reason']}")
        # As one who refuses: a person has to look, and is told with the next digest.
        await escalations.open_case(house, ledger, delivery, "rejected", now)
        return key


async def decide_left_out(house: House, request_id: str, by: str, *, accept: bool, why: str) -> None:
    """Exempt the recipient, or tell it why the letter applies; raise ActRefused where it was decided already.

    Exempting comes first: cut off in between, the request is still open and is decided once more.
    """
    async with house.store.view() as ledger:
        known = await ledger.get(Request, request_id)
    if known.state != "OPEN":
        raise ActRefused("Đề nghị này đã có người quyết định.")
    if accept:
        reason = why or str(known.words.get("reason", "")) or "không thuộc phạm vi áp dụng"
        await deliveries.exempt(house, known.delivery_id, by, reason)
    now = await house.clock.now()
    async with house.store.act() as ledger:
        delivery = await ledger.take(Delivery, known.delivery_id)
        await close(ledger, delivery, known, by, accept=accept, why=why, now=now)
        if not accept:
            await _back(house, ledger, delivery, by, why, now)


async def _back(house: House, ledger: Ledger, delivery: Delivery, by: str, why: str, now: datetime) -> None:
    """The letter applies: nobody has to look any more, and the recipient is told that its answer is still owed."""
    state = State(delivery.state)
    if state is not State.REJECTED:
        entries = await escalations.close_cases(ledger, delivery, now, by=by, why="declined", kinds=("rejected",))
        await ledger.write(delivery, now, entries, reason=None)
        await escalations.keep_told(house, ledger, delivery, now)
    if delivery.address is None or settled(state, Settles(delivery.settles)):
        return
    campaign = await ledger.get(Campaign, delivery.campaign_id)
    mail = mails.Mail(
        kind="declined", step=str(delivery.event_seq), recipient=delivery.recipient, address=delivery.address,
        not_before=now, delivery_id=delivery.id, hop_id=delivery.hop_id, campaign_id=campaign.id,
        urgent=is_urgent(campaign), context={"why": why},
    )  # fmt: skip
    await mails.queue(house, ledger, [mail], now)
    await mails.wake_hop(ledger, delivery.hop_id, now)


async def _file(
    house: House,
    ledger: Ledger,
    delivery: Delivery,
    kind: str,
    words: Mapping[str, str],
    now: datetime,
    link: Link | None,
) -> str:
    key = house.new_id(now)
    await ledger.add(
        Request, id=key, campaign_id=delivery.campaign_id, delivery_id=delivery.id, kind=kind, words=dict(words),
        made_at=now, state="OPEN",
    )  # fmt: skip
    by = ("recipient", "link") if link else ("operator", "phone")
    await ledger.write(delivery, now, Entry(_FACTS[kind], {"request": key, "kind": kind}, *by))
    return key


async def decide_contact(
    ledger: Ledger, request_id: str, by: str, now: datetime, *, accept: bool, why: str
) -> None:
    """A person has looked at a proposed contact; in the transaction of what that brings about."""
    if not by.strip():
        raise ActRefused("Cần họ tên người quyết định.")
    known = await ledger.get(Request, request_id)
    delivery = await ledger.take(Delivery, known.delivery_id)
    if known.kind == "not_applicable":
        raise ActRefused("Đề nghị này được quyết định bằng congvan decide hoặc ở mục Đề nghị.")
    await close(ledger, delivery, known, by, accept=accept, why=why, now=now)


async def close(
    ledger: Ledger, delivery: Delivery, request: Request, by: str, *, accept: bool, why: str, now: datetime
) -> None:
    """Write the decision down, once; raise ActRefused where somebody else has decided."""
    decided = "ACCEPTED" if accept else "DECLINED"
    changed = await ledger.change(
        Request, Request.id == request.id, Request.state == "OPEN",
        state=decided, decided_at=now, decided_by=by, decided_why=why or None,
    )  # fmt: skip
    if changed != 1:
        raise ActRefused("Đề nghị này đã có người quyết định.")
    data = {"request": request.id, "kind": request.kind, "decision": decided} | ({"why": why} if why else {})
    await ledger.write(delivery, now, Entry(Fact.REQUEST_DECIDED, data, actor=by))


async def waiting(house: House, campaign: str | None = None) -> list[dict[str, Any]]:
    """What waits for a person, oldest first; raise NotFound for a campaign that is not there."""
    async with house.store.view() as ledger:
        query = (
            select(Request, Delivery.code, Delivery.name, Campaign.code)
            .join(Delivery, Delivery.id == Request.delivery_id)
            .join(Campaign, Campaign.id == Request.campaign_id)
            .where(Request.state == "OPEN")
            .order_by(Request.made_at, Request.id)
        )
        if campaign:
            query = query.where(Request.campaign_id == (await find(ledger, campaign)).id)
        return [
            {
                "id": row.id, "kind": row.kind, "delivery": code, "name": name, "campaign": of,
                "made_at": row.made_at.isoformat(), "words": row.words,
            }
            for row, code, name, of in await ledger.rows(query)
        ]  # fmt: skip
