"""What a recipient asks of a person: another contact, or to be left out. Nothing changes until it is decided."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select

from congvan.acts.campaigns import find
from congvan.acts.confirmations import check_link
from congvan.errors import ActRefused
from congvan.house import House
from congvan.links import Link
from congvan.rules.protocol import Fact
from congvan.store.ledger import Entry, Ledger
from congvan.store.tables import Campaign, Delivery, Request

#: What each kind of request is in the log.
_FACTS = {
    "contact": Fact.CONTACT_PROPOSED,
    "not_us": Fact.CONTACT_PROPOSED,
    "not_applicable": Fact.ASKED_TO_BE_LEFT_OUT,
}
_LONGEST = 300


async def propose_contact(
    house: House, delivery_id: str, words: Mapping[str, str], link: Link | None, *, not_us: bool = False
) -> str:
    """A new contact, named by the recipient, or "this mailbox is not theirs": goes to the operator and changes
    no address by itself; return the request's id.

    Whom it names stands in the request and not in the log: the log cannot be purged.
    """
    now = await house.clock.now()
    async with house.store.act() as ledger:
        delivery = await ledger.take(Delivery, delivery_id)
        check_link(delivery, link)
        data = {key: str(value)[:_LONGEST] for key, value in words.items()}
        return await _file(house, ledger, delivery, "not_us" if not_us else "contact", data, now, link)


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


async def decide_contact(house: House, request_id: str, by: str, *, accept: bool, why: str = "") -> None:
    """A person has looked at a proposed contact; the registry and the delivery are changed by acts of their own."""
    if not by.strip():
        raise ActRefused("a request is decided by a named person: --by NAME")
    now = await house.clock.now()
    async with house.store.act() as ledger:
        known = await ledger.get(Request, request_id)
        delivery = await ledger.take(Delivery, known.delivery_id)
        if known.kind == "not_applicable":
            raise ActRefused("this request is decided by `congvan decide`")
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
        raise ActRefused("this request has been decided already")
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
