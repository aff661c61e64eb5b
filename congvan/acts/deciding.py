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
    if verdict.accept and known.request.kind == "not_us":
        # Requests of earlier releases do not say which mailbox they were about.
        told = str(known.request.words.get("mailbox") or known.delivery.address or "")
        await address_book.disown(house, known.delivery.recipient, told, verdict.by, _paper(known))
    email = str(known.request.words.get("email", ""))
    if verdict.accept and verdict.book and email:
        words = _mailbox(known, verdict)
        await address_book.put_mailbox(house, known.delivery.recipient, words, verdict.by, _paper(known))
    open_still = not settled(State(known.delivery.state), Settles(known.delivery.settles))
    readdress = verdict.accept and verdict.readdress and email and open_still and known.delivery.due_at is not None
    now = await house.clock.now()
    async with house.store.act() as ledger:
        # Both or neither: nobody decides on it a second time.
        await requests.decide_contact(ledger, request_id, verdict.by, now, accept=verdict.accept, why=verdict.why)
        if readdress:
            await deliveries.send_again(
                house, ledger, known.delivery.id, verdict.by, now, address=email, why=verdict.why
            )


def _mailbox(known: Asked, verdict: Verdict) -> dict[str, Any]:
    words = known.request.words
    return {
        "email": words.get("email", ""), "name": words.get("contact_name", ""), "role": words.get("role", ""),
        "phone": words.get("phone", ""), "designated_by": verdict.designated_by or _paper(known), "order": 1,
    }  # fmt: skip


def _paper(known: Asked) -> str:
    said = known.request.words.get("by", "")
    return f"đề nghị của nơi nhận{f' ({said})' if said else ''}, {known.delivery.code}"
