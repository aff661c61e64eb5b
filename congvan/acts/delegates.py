"""A colleague answers: the page is passed to another mailbox of the same organisation, with a link of its own.

The delivery's own address stays as it is, and its mailbox is told of what the colleague answers.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from sqlalchemy import select

from congvan.acts import mails, registry
from congvan.acts.confirmations import check_link
from congvan.acts.frozen import is_urgent
from congvan.errors import ActRefused, LinkInvalid
from congvan.house import House
from congvan.links import Link
from congvan.mail.address import domain_of
from congvan.reading import read_record
from congvan.rules.protocol import Fact, State
from congvan.rules.records import Record
from congvan.store.ledger import Entry, Ledger
from congvan.store.tables import Campaign, Delegate, Delivery, Message

#: Colleagues of one recipient.
MOST = 5


class SharedDomains(Record):
    """`config/shared_domains.yaml`: whoever has a mailbox in one of these shares his domain with strangers."""

    domains: tuple[Annotated[str, Field(pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)+$")], ...] = Field(min_length=1)


def shared_domains(house: House) -> frozenset[str]:
    """As they are written now; raise BadInput where the file is wrong or not there: without it a stranger under
    the same provider would pass as a colleague."""
    return frozenset(read_record(house.settings.config / "shared_domains.yaml", SharedDomains)[0].domains)


async def delegate(
    house: House, delivery_id: str, address: str, name: str, by: str, link: Link | None, note: str = ""
) -> str:
    """Send a colleague a link of its own; return the delegate's id. Raise ActRefused, LinkRevoked.

    address: a mailbox that the registry has for this organisation, or one under the same domain. The same
    mailbox again is the same colleague, and no second mail while its link opens.
    """
    now, shared = await house.clock.now(), shared_domains(house)
    async with house.store.act() as ledger:
        delivery = await ledger.take(Delivery, delivery_id)
        check_link(delivery, link)
        if State(delivery.state) in (State.EXEMPT, State.WITHDRAWN, State.COMPLETED) or delivery.due_at is None:
            raise ActRefused("Văn bản này không còn cần trả lời.")
        known: list[Delegate] = await ledger.all(select(Delegate).where(Delegate.delivery_id == delivery_id))
        again = next((one.id for one in known if one.address.casefold() == address.casefold()), None)
        key = again or house.new_id(now)
        step = f"{key}-{delivery.link_version}"
        if again is not None and await _has_link(ledger, delivery, again, step):
            return again
        if again is None:
            if len(known) >= MOST:
                raise ActRefused(f"Đã chuyển cho {MOST} người; không chuyển thêm được.")
            await _check_own(ledger, delivery, address, shared)
            await ledger.add(
                Delegate, id=key, campaign_id=delivery.campaign_id, delivery_id=delivery_id, address=address,
                name=name, named_by=by, made_at=now,
            )  # fmt: skip
        # Whom it names stands beside the log, which cannot be purged.
        await ledger.write(delivery, now, Entry(Fact.DELEGATED, {"delegate": key}, "recipient", "link"))
        campaign = await ledger.get(Campaign, delivery.campaign_id)
        mail = mails.Mail(
            kind="delegated", step=step, recipient=delivery.recipient, address=address, not_before=now,
            delivery_id=delivery_id, hop_id=delivery.hop_id, campaign_id=campaign.id, urgent=is_urgent(campaign),
            context={"delegate": key, "name": name, "by": by, "note": note},
        )  # fmt: skip
        await mails.queue(house, ledger, [mail], now)
        await mails.wake_hop(ledger, delivery.hop_id, now)
        return key


async def _has_link(ledger: Ledger, delivery: Delivery, key: str, step: str) -> bool:
    """Whether the colleague was sent a link that still opens: since then none was made anew, nor its mail dropped."""
    # Before, a step did not say which link its mail carries.
    steps = (step, key) if delivery.link_version == 1 else (step,)
    sent = Message.delivery_id == delivery.id, Message.kind == "delegated", Message.step.in_(steps)
    return await ledger.first(select(Message.id).where(*sent, Message.state != "CANCELLED")) is not None


async def _check_own(ledger: Ledger, delivery: Delivery, address: str, shared: frozenset[str]) -> None:
    one = await registry.organisation(ledger, delivery.recipient)
    own = [contact.email for contact in one.contacts] + ([delivery.address] if delivery.address else [])
    if address.casefold() in {box.casefold() for box in own}:
        return
    domains = {domain_of(box).casefold() for box in own} - shared
    if domain_of(address).casefold() not in domains:
        raise ActRefused(
            "Chỉ chuyển được cho hộp thư của chính đơn vị (cùng tên miền); nếu đơn vị dùng hộp thư khác, "
            "hãy chọn “Đổi đầu mối liên hệ”."
        )


async def behind(house: House, link: Link) -> Link:
    """The delivery behind a colleague's link; raise LinkInvalid for one that is not there."""
    async with house.store.view() as ledger:
        one = await ledger.find(Delegate, link.delivery_id)
    if one is None:
        raise LinkInvalid
    return Link(one.delivery_id, link.purpose, link.version, link.expires, delegate=one.id)
