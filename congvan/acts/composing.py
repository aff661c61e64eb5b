"""From claimed messages to bytes: words by kind, files encoded once, addresses that name the delivery."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from congvan.acts import wording
from congvan.acts.mails import LETTERS
from congvan.house import House
from congvan.mail.address import parse_address, verp_sender
from congvan.mail.message import Enclosure, Headers, SharedParts, compose, encode_enclosures, message_id
from congvan.mail.sender import Outgoing
from congvan.mail.words import Mail
from congvan.store.ledger import Ledger
from congvan.store.tables import Hop, Message

if TYPE_CHECKING:
    from congvan.acts.outbox import Work


class Composer:
    """Composes the messages of one dispatch; keeps what they have in common."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._files: dict[tuple[str, ...], SharedParts] = {}
        self._moulds = wording.Moulds(house)
        self._scenes: dict[str, wording.Scene] = {}

    async def compose(self, works: Sequence[Work]) -> list[Outgoing]:
        """One outgoing message for each claimed one; payloads are spliced at the last moment."""
        self._now = now = await self._house.clock.now()
        await self._load(works)
        return [self._outgoing(work, now) for work in works]

    def words(self, work: Work) -> Mail:
        """The words of a message that was composed before."""
        return self._moulds.words(work, self._scenes.get(scene_key(work.message)), self._now)

    async def _load(self, works: Sequence[Work]) -> None:
        async with self._house.store.view() as ledger:
            for work in works:
                shas = tuple(one["sha256"] for one in work.message.enclosures)
                if shas not in self._files:
                    files = [
                        Enclosure(one["name"], one["media_type"], await ledger.file(one["sha256"]), one["sha256"])
                        for one in work.message.enclosures
                    ]
                    self._files[shas] = encode_enclosures(files)
            for work in works:
                await self._load_scene(ledger, work)

    async def _load_scene(self, ledger: Ledger, work: Work) -> None:
        key = scene_key(work.message)
        if key in self._scenes or work.campaign is None:
            return
        hop = await ledger.find(Hop, work.message.hop_id) if work.message.hop_id else None
        self._scenes[key] = await wording.scene(self._house, ledger, work.campaign, hop)

    def _outgoing(self, work: Work, now: datetime) -> Outgoing:
        message = work.message
        scene = self._scenes.get(scene_key(message))
        token = self._house.links.mail_token(message.delivery_id or message.id)
        back = verp_sender(self._house.settings.mail_from, token)

        def payload() -> bytes:
            mail = self._moulds.words(work, scene, now)
            shared = self._files[tuple(one["sha256"] for one in message.enclosures)]
            return compose(self._headers(work, scene, mail, back, now), mail.text, mail.html, shared)

        return Outgoing(
            message.id, back, message.address, payload, parse_address(message.address).needs_utf8, dsn_id=message.id
        )

    def _headers(
        self, work: Work, scene: wording.Scene | None, mail: Mail, back: str, now: datetime
    ) -> Headers:
        message = work.message
        first = self._first(work, scene)
        return Headers(
            from_name=scene.from_name(message.kind) if scene else "",
            from_address=self._house.settings.mail_from,
            to_name=work.delivery.name if work.delivery else "",
            to_address=message.address,
            subject=mail.subject,
            date=now,
            message_id=message.message_id,
            reply_to=back,
            in_reply_to=first,
            references=(first,) if first else (),
            urgent=bool(message.urgent and message.kind != "digest"),
        )

    def _first(self, work: Work, scene: wording.Scene | None) -> str:
        """The Message-ID of the letter that a later mail belongs to: reminders stand in its thread."""
        message, delivery = work.message, work.delivery
        if delivery is None or scene is None or message.kind in LETTERS:
            return ""
        domain = self._house.settings.mail_from.rpartition("@")[2]
        return message_id(delivery.id, scene.letter_kind, delivery.round, domain)


def scene_key(message: Message) -> str:
    """Messages of one hop (or, without a hop, of one campaign) share their scene."""
    return message.hop_id or message.campaign_id or ""
