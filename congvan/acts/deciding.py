"""What a recipient has asked is decided by a person: another mailbox is taken up or not, a letter applies or not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from congvan.acts import address_book, deliveries, requests
from congvan.errors import ActRefused, NotFound
from congvan.house import House
from congvan.rules.protocol import State, settled
from congvan.rules.records import Settles
from congvan.store.ledger import Ledger
from congvan.store.tables import Campaign, Delivery, Request


@dataclass(frozen=True)
class Asked:
    """A request with whom it is about."""

    request: Request
    delivery: Delivery
    campaign: str
    running: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is decided. book: the mailbox goes into the address book, designated by whom; readdress: the letter goes
    there now."""

    accept: bool
    by: str
    why: str = ""
    book: bool = False
    designated_by: str = ""
    readdress: bool = False


async def waiting(house: House) -> list[dict[str, Any]]:
    """Every request that waits, oldest first."""
    found = await requests.waiting(house)
    return [one | {"made_at": datetime.fromisoformat(one["made_at"])} for one in found]


async def asked(house: House, request_id: str) -> Asked:
    """One request; raise NotFound."""
    async with house.store.view() as ledger:
        request = await ledger.find(Request, request_id)
        if request is None:
            raise NotFound(f"không có đề nghị «{request_id}» → xem: congvan requests")
        delivery = await ledger.get(Delivery, request.delivery_id)
        campaign = await ledger.get(Campaign, request.campaign_id)
    return Asked(request, delivery, campaign.code, campaign.state == "RUNNING")


async def decide(house: House, request_id: str, verdict: Verdict) -> None:
    """Write the decision down, once, and do what it says; raise ActRefused where somebody else has decided."""
    known = await asked(house, request_id)
    if known.request.state != "OPEN":
        raise ActRefused("Đề nghị này đã có người quyết định.")
    if not verdict.accept and not verdict.why.strip():
        raise ActRefused("Cần ghi rõ lý do.")
    if known.request.kind == "not_applicable":
        await requests.decide_left_out(house, request_id, verdict.by, accept=verdict.accept, why=verdict.why)
        return
    now = await house.clock.now()
    async with house.store.act() as ledger:
        # All or nothing: nobody decides on it a second time.
        await requests.decide_contact(ledger, request_id, verdict.by, now, accept=verdict.accept, why=verdict.why)
        if verdict.accept:
            await _take_up(house, ledger, known, verdict, now)


async def _take_up(house: House, ledger: Ledger, known: Asked, verdict: Verdict, now: datetime) -> None:
    """What a mailbox that was accepted brings about: in the address book, and for the letter."""
    delivery = await ledger.take(Delivery, known.delivery.id)
    if known.request.kind == "not_us":
        # Requests of earlier releases do not say which mailbox they were about.
        told = str(known.request.words.get("mailbox") or delivery.address or "")
        await address_book.disown(house, ledger, delivery.recipient, told, verdict.by, _paper(known))
    email = str(known.request.words.get("email", ""))
    if verdict.book and email:
        words = _mailbox(known, verdict)
        await address_book.enter_mailbox(house, ledger, delivery.recipient, words, verdict.by, _paper(known))
    open_still = not settled(State(delivery.state), Settles(delivery.settles)) and delivery.due_at is not None
    if verdict.readdress and email and open_still and known.running:
        await deliveries.send_again(house, ledger, delivery, verdict.by, now, address=email, why=verdict.why)


def _mailbox(known: Asked, verdict: Verdict) -> dict[str, Any]:
    words = known.request.words
    return {
        "email": words.get("email", ""), "name": words.get("contact_name", ""), "role": words.get("role", ""),
        "phone": words.get("phone", ""), "designated_by": verdict.designated_by or _paper(known), "order": 1,
    }  # fmt: skip


def _paper(known: Asked) -> str:
    said = known.request.words.get("by", "")
    return f"đề nghị của nơi nhận{f' ({said})' if said else ''}, {known.delivery.code}"
