"""From claimed messages to bytes: words by kind, files encoded once, addresses that name the delivery."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache

from congvan.acts import moulds, wording
from congvan.acts.claiming import Work
from congvan.acts.frozen import upwards
from congvan.acts.mails import LETTERS
from congvan.errors import LetterRefused, NothingInstalled
from congvan.house import House
from congvan.mail.address import domain_of, verp_sender
from congvan.mail.dkim import Signer
from congvan.mail.message import (
    Enclosure,
    Headers,
    Payload,
    Pieces,
    SharedParts,
    compose_pieces,
    encode_enclosures,
    message_id,
)
from congvan.mail.outgoing import Outgoing, Witness
from congvan.mail.words import Mail
from congvan.rules.names import one_line
from congvan.settings import Settings
from congvan.store.ledger import Ledger
from congvan.store.tables import Hop, Message

#: Mails composed within this time bear the same date and share their words.
_SAME_DATE = timedelta(minutes=1)
#: Sets of files that are kept encoded; a campaign has a few, however many hops it has.
_KEPT_FILES = 16
#: RFC 2606 and RFC 6761: names that reach nobody.
_RESERVED = ("example", "test", "invalid", "localhost", "example.com", "example.net", "example.org")


class Composer:
    """Composes the messages of one dispatch; keeps what they have in common."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._files: dict[tuple[str, ...], SharedParts] = {}
        self._moulds = moulds.Moulds(house)
        #: With the letters that they were read with, for one may be issued while a round lasts.
        self._scenes: dict[str, tuple[tuple[str, ...], wording.Scene]] = {}
        #: Of the files that were wanted so far; a file never changes.
        self._sizes: dict[str, int] = {}
        self._signer = dkim_signer(house.settings)
        self._now: datetime | None = None

    async def compose(self, works: Sequence[Work], witness: Witness | None = None) -> list[Outgoing]:
        """One outgoing message for each claimed one; payloads are spliced at the last moment."""
        now = await self._dated()
        scenes = await self._load_scenes(works, now)
        seen = [(work, scenes.get(scene_key(work.message))) for work in works]
        enclosed = [wording.attached(work.message, scene) for work, scene in seen]
        await self._load_files(enclosed)
        return [
            self._outgoing(work, scene, files, now, witness)
            for (work, scene), files in zip(seen, enclosed, strict=True)
        ]

    async def _dated(self) -> datetime:
        now = await self._house.clock.now()
        if self._now is None or not timedelta() <= now - self._now < _SAME_DATE:
            self._now = now
            self._moulds = moulds.Moulds(self._house)
            self._scenes = {}
        return self._now

    async def _load_files(self, sets: Sequence[Sequence[Mapping[str, str]]]) -> None:
        files = {_shas(enclosed): enclosed for enclosed in sets}
        missing = {shas: enclosed for shas, enclosed in files.items() if shas not in self._files}
        if not missing:
            return
        # What this batch needs stays; of the rest the oldest goes.
        for shas in list(self._files)[: max(0, len(self._files) + len(missing) - _KEPT_FILES)]:
            if shas not in files:
                del self._files[shas]
        async with self._house.store.view() as ledger:
            for shas, enclosed in missing.items():
                self._files[shas] = encode_enclosures(
                    [
                        Enclosure(one["name"], one["media_type"], await ledger.file(one["sha256"]), one["sha256"])
                        for one in enclosed
                    ]
                )

    async def _load_scenes(self, works: Sequence[Work], now: datetime) -> dict[str, wording.Scene]:
        wanted = {scene_key(work.message): work for work in works if work.campaign is not None}
        if not wanted:
            return {}
        scenes: dict[str, wording.Scene] = {}
        files = {one["sha256"] for work in works for one in work.message.enclosures} - self._sizes.keys()
        async with self._house.store.view() as ledger:
            if files:
                self._sizes |= await wording.sizes_of(ledger, files)
            for key, work in wanted.items():
                letters = await self._letters(ledger, work)
                known = self._scenes.get(key)
                if known is None or known[0] != letters:
                    known = self._scenes[key] = letters, await self._scene(ledger, work, now)
                scenes[key] = known[1]
        return scenes

    @staticmethod
    async def _letters(ledger: Ledger, work: Work) -> tuple[str, ...]:
        """The letters of a hop and of those above it, or the one that speaks for the campaign: what scenes follow."""
        assert work.campaign is not None, "only mail of a campaign has a scene"
        if not work.message.hop_id:
            speaking = await wording.speaking_letter(ledger, work.campaign)
            return (speaking.id,) if speaking is not None else ()
        hop = await ledger.get(Hop, work.message.hop_id)
        return tuple([one.letter_id or "" for one in await upwards(ledger, hop)])

    async def _scene(self, ledger: Ledger, work: Work, now: datetime) -> wording.Scene:
        assert work.campaign is not None, "only mail of a campaign has a scene"
        hop = await ledger.find(Hop, work.message.hop_id) if work.message.hop_id else None
        return await wording.scene(self._house, ledger, work.campaign, hop, now, self._sizes)

    def words(self, work: Work) -> Mail:
        """The words of a message of the last batch."""
        assert self._now is not None, "nothing was composed yet"
        known = self._scenes.get(scene_key(work.message))
        return self._moulds.words(work, known[1] if known is not None else None, self._now)

    def _outgoing(
        self, work: Work, scene: wording.Scene | None, enclosed: Sequence[Mapping[str, str]], now: datetime,
        witness: Witness | None,
    ) -> Outgoing:  # fmt: skip
        message = work.message
        shared = self._files[_shas(enclosed)]
        token = self._house.links.mail_token(message.delivery_id or message.id)
        back = verp_sender(self._house.settings.mail_from, token)
        to = self._reached(work)

        def pieces() -> Pieces:
            if to is None:
                raise LetterRefused("an exercise reaches no real address; set CONGVAN_EXERCISE_MAILBOX")
            mail = self._moulds.carried(work, scene, now)
            return compose_pieces(self._headers(work, scene, mail.subject, back, to, now), mail.text, mail.html, shared)

        def payload() -> Payload:
            made = Payload(b"".join(pieces()))
            return self._signer.sign(made, now) if self._signer is not None else made

        return Outgoing(
            message.id, back, to or message.address, payload, dsn_id=message.id, witness=witness,
            # What is to be signed has to be put together.
            pieces=pieces if self._signer is None else None,
        )  # fmt: skip

    def _reached(self, work: Work) -> str | None:
        """Where the message goes; None: nowhere, since an exercise may not write to real people."""
        address = work.message.address
        if work.campaign is None or work.campaign.mode == "live":
            return address
        if self._house.settings.exercise_mailbox:
            return self._house.settings.exercise_mailbox
        return address if is_reserved(domain_of(address)) else None

    def _headers(
        self, work: Work, scene: wording.Scene | None, subject: str, back: str, to: str, now: datetime
    ) -> Headers:
        message = work.message
        first = self._first(work, scene)
        return Headers(
            from_name=scene.from_name(message.kind) if scene else "",
            from_address=self._house.settings.mail_from,
            # Frozen at the launch, perhaps of a name on two lines.
            to_name=one_line(work.delivery.name) if work.delivery else "",
            to_address=to,
            subject=subject,
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


@lru_cache(maxsize=4096)
def is_reserved(domain: str) -> bool:
    """Whether mail to this domain reaches nobody."""
    return any(domain == one or domain.endswith(f".{one}") for one in _RESERVED)


def _shas(enclosures: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
    # Under another name the same bytes are another part.
    return tuple([f"{one['sha256']} {one['name']}" for one in enclosures])


def scene_key(message: Message) -> str:
    """Messages of one hop (or, without a hop, of one campaign) share their scene."""
    return message.hop_id or message.campaign_id or ""


def dkim_signer(settings: Settings) -> Signer | None:
    """The signer that the settings name, or None; raise NothingInstalled where they are half set."""
    named = (settings.dkim_domain, settings.dkim_selector, settings.dkim_key_file)
    if not any(named):
        return None
    if not all(named) or settings.dkim_key_file is None or not settings.dkim_key_file.is_file():
        raise NothingInstalled("CONGVAN_DKIM_DOMAIN, _SELECTOR and _KEY_FILE (a PEM file) are set together or not")
    return Signer(settings.dkim_domain, settings.dkim_selector, settings.dkim_key_file.read_bytes())
