""""Gửi thử": one recipient's complete mail to the operator's own mailbox, before anything is launched.

The acts themselves run on a database in memory: the letter has neither number nor date, every page says
"BẢN MINH HỌA", and the link leads nowhere. Nothing of it is written to the house's own database.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from html import escape

from sqlalchemy import select

from congvan.acts import letters, mails, moulds, registry, wording
from congvan.acts.claiming import Work
from congvan.acts.frozen import upwards
from congvan.acts.launches import Launch, launch
from congvan.errors import NotFound
from congvan.house import Carrier, House, build
from congvan.links import Link, Links
from congvan.mail.message import Enclosure, Headers, compose, encode_enclosures
from congvan.mail.outgoing import Outcome, Outgoing
from congvan.mail.words import Mail
from congvan.rules.calendar import local
from congvan.settings import Settings
from congvan.store.ledger import Ledger
from congvan.store.tables import Campaign, Delivery, Hop, Message

MARK = "[GỬI THỬ]"
NOTE = (
    "Thư gửi thử cho người phụ trách: nguyên văn thư mà {name} sẽ nhận. Văn bản chưa có số và ngày, "
    "đường dẫn không dùng được, chưa có thư nào được gửi đến nơi nhận."
)


class NoLinks(Links):
    """Links of a rehearsal: they open the portal's first page and nobody's obligation."""

    def url(self, link: Link) -> str:
        """Where no answer can be given."""
        return f"{self._base}/?gui-thu"


async def send(house: House, carrier: Carrier, order: Launch, recipient: str, to: str) -> Outcome:
    """Send the trial mail now; what the mail server said. Raise BadInput or NotFound before anything leaves."""
    outgoing = await trial(house, order, recipient, to)
    async for outcome in carrier.send([outgoing]):
        return outcome
    raise NotFound("the carrier said nothing")


async def trial(house: House, order: Launch, recipient: str, to: str) -> Outgoing:
    """What a recipient of this plan would get, addressed to `to`; raise BadInput as a launch would, and
    NotFound where the plan does not reach this recipient."""
    now = await house.clock.now()
    register = await registry.present(house)
    made = rehearsal(house)
    try:
        await made.store.create_tables()
        await registry.take_over(made, register)
        await launch(made, replace(order, mode="exercise"))
        work = await _work(made, recipient, to, now)
        return await _outgoing(made, work, to, now)
    finally:
        await made.close()


def rehearsal(house: House) -> House:
    """The same house on a database in memory, with links that lead nowhere."""
    given = house.settings.model_dump() | {"database_url": "sqlite+aiosqlite:///:memory:", "demo": False}
    made = replace(
        build(Settings.model_validate(given)), clock=house.clock, press=house.press, words=house.words
    )
    made.links = NoLinks(["a rehearsal signs nothing"], house.settings.portal_url)
    return made


async def _work(house: House, recipient: str, to: str, now: datetime) -> Work:
    """The recipient's message, its hop's letters issued without a number from the top down."""
    async with house.store.view() as ledger:
        delivery = await ledger.first(select(Delivery).where(Delivery.recipient == recipient))
        if delivery is None:
            raise NotFound(f"kế hoạch này không gửi đến «{recipient}»")
        way = await _way(ledger, delivery.hop_id)
    for hop_id in way:
        await _issue_unnumbered(house, hop_id, now)
    async with house.store.act() as ledger:
        hop = await ledger.get(Hop, delivery.hop_id)
        campaign = await ledger.get(Campaign, hop.campaign_id)
        kind = wording.letter_kind(campaign, hop)
        enclosed = await letters.enclosures(ledger, campaign, hop)
        intent = mails.Mail(
            kind=kind, step="trial", recipient=recipient, address=to, not_before=now, delivery_id=delivery.id,
            hop_id=hop.id, campaign_id=campaign.id, enclosures=enclosed,
        )  # fmt: skip
        await mails.queue(house, ledger, [intent], now)
        await ledger.change(Delivery, Delivery.id == delivery.id, due_at=hop.due_at)
    async with house.store.view() as ledger:
        message = await ledger.first(select(Message).where(Message.step == "trial"))
        return Work(message, await ledger.get(Delivery, delivery.id), await ledger.get(Campaign, campaign.id), 1)


async def _way(ledger: Ledger, hop_id: str) -> list[str]:
    """The hops from the top to this one."""
    return [hop.id for hop in reversed(await upwards(ledger, await ledger.get(Hop, hop_id)))]


async def _issue_unnumbered(house: House, hop_id: str, now: datetime) -> None:
    made = await letters.draft(house, hop_id)
    rendered = house.press.render(made.sheet)
    async with house.store.act() as ledger:
        hop = await ledger.take(Hop, hop_id)
        entered = letters.Issued("", local(now).date(), "trial")
        await letters.issue_company(house, ledger, hop, made, rendered, entered, now)
        await ledger.change(Hop, Hop.id == hop_id, due_at=made.due_at)


async def _outgoing(house: House, work: Work, to: str, now: datetime) -> Outgoing:
    message = work.message
    async with house.store.view() as ledger:
        assert work.campaign is not None, "a trial is of a campaign"
        hop = await ledger.get(Hop, message.hop_id)
        sizes = await wording.sizes_of(ledger, [one["sha256"] for one in message.enclosures])
        scene = await wording.scene(house, ledger, work.campaign, hop, now, sizes)
        files = [await _enclosure(ledger, one) for one in wording.attached(message, scene)]
    assert work.delivery is not None, "a trial has a recipient"
    words = _marked(moulds.Moulds(house).words(work, scene, now), work.delivery.name)
    sender = house.settings.mail_from
    headers = Headers(
        from_name=scene.from_name(message.kind), from_address=sender, to_name="", to_address=to,
        subject=words.subject, date=now, message_id=message.message_id, reply_to=sender,
    )  # fmt: skip
    payload = compose(headers, words.text, words.html, encode_enclosures(files))
    return Outgoing(message.id, sender, to, payload)


async def _enclosure(ledger: Ledger, one: Mapping[str, str]) -> Enclosure:
    return Enclosure(one["name"], one["media_type"], await ledger.file(one["sha256"]), one["sha256"])


def _marked(mail: Mail, name: str) -> Mail:
    """The mail with its mark at the top of subject, text and page."""
    note = NOTE.format(name=name)
    box = f'<p style="border:2px solid #a61b1b;padding:8px;"><b>{MARK}</b> {escape(note)}</p>'
    head, body, rest = mail.html.partition("<body")
    tag, close, inside = rest.partition(">")
    page = f"{head}{body}{tag}{close}{box}{inside}" if body else f"{box}{mail.html}"
    return Mail(f"{MARK} {mail.subject}", f"{MARK} {note}\n\n{mail.text}", page)

