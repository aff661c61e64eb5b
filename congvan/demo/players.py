"""Recipients that open the real mails and follow the real links over HTTP, and clerks that issue.

When the sink takes a mail, the recipient's intention is in the database before the 250 goes out: the
demo's clock cannot pass it by.
"""

from __future__ import annotations

import asyncio
import email
import email.policy
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from html.parser import HTMLParser

import httpx

from congvan.acts import closing, demo, letters
from congvan.demo.characters import Character, Manner
from congvan.house import House
from congvan.rules.records import Register
from congvan.store.tables import PlayedAct

log = logging.getLogger("congvan.demo")

_LINK = re.compile(r"https?://\S+/v/[A-Za-z0-9_.-]+")
_REASON = "Doanh nghiệp đã chuyển trụ sở, không còn hoạt động tại khu công nghiệp này."
#: What a company writes as the number of its own letter.
_NUMBER = "12"
_LATE_AFTER = timedelta(days=12)
_QUARTER_S = 900
#: Answers sent at the same time; the portal is this machine too.
_AT_ONCE = 8


@dataclass(slots=True)
class Form:
    """One form of a page: where it posts to, and its fields with the values they came with."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)


class _Forms(HTMLParser):
    """The forms of a page, as a browser without JavaScript sees them."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._open = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect forms and their fields."""
        got = {key: value or "" for key, value in attrs}
        if tag == "form":
            self.forms.append(Form(got.get("action", "")))
            self._open = True
        elif self._open and tag in ("input", "textarea", "button") and got.get("name"):
            self._field(tag, got)

    def handle_endtag(self, tag: str) -> None:
        """A form ends."""
        self._open = self._open and tag != "form"

    def _field(self, tag: str, got: Mapping[str, str]) -> None:
        kind, form = got.get("type", "text"), self.forms[-1]
        if kind == "file" or (kind == "submit" and tag == "button" and not got.get("value")):
            return
        form.fields[got["name"]] = got.get("value", "") or ("on" if kind == "checkbox" else "")
        if tag == "textarea" or kind in ("text", "tel", "email"):
            form.texts.append(got["name"])


class Players:
    """Every played party of a demo."""

    def __init__(self, house: House, register: Register, characters: Mapping[str, Character]) -> None:
        self._house = house
        self._characters = characters
        self._by_address = {
            contact.email.lower(): one.code for one in register.organisations for contact in one.contacts
        }
        self._stopping = asyncio.Event()

    # ------------------------------------------------------------ the mail arrives

    def refuses(self, address: str) -> str | None:
        """What the recipient's mail server says to RCPT: some mailboxes of the invented parks do not exist."""
        character = self._who(address)
        if character is not None and character.manner is Manner.NO_MAILBOX:
            return "550 5.1.1 No such user here"
        return None

    async def received(self, address: str, data: bytes) -> None:
        """A mail lies in a mailbox: what its reader will do, and when, is written down."""
        character = self._who(address)
        if character is None:
            return
        message = email.message_from_bytes(data, policy=email.policy.default)
        body = message.get_body(("plain",))
        link = _LINK.search(body.get_content()) if body is not None else None
        if link is None:
            return
        now = await self._house.clock.now()
        at = self._when(character, now, reminded=message["In-Reply-To"] is not None)
        if at is None:
            return
        await demo.intend(self._house, character.code, at, link[0])

    def _who(self, address: str) -> Character | None:
        code = self._by_address.get(address.lower())
        return self._characters.get(code) if code else None

    def _when(self, character: Character, now: datetime, *, reminded: bool) -> datetime | None:
        """When the reader acts on this mail; None: not on this one."""
        if character.manner in (Manner.NEVER, Manner.NO_MAILBOX):
            return None
        if character.manner is Manner.LATE:
            return None if reminded else self._office(character, now + _LATE_AFTER)
        if character.manner is Manner.AFTER_REMINDER and not reminded:
            return None
        quick = character.hours / 8 if reminded else character.hours
        return self._office(character, now + timedelta(hours=quick))

    def _office(self, character: Character, at: datetime) -> datetime:
        """Within office hours, not everybody at the stroke of eight, and to the quarter of an hour."""
        opened = self._house.calendars.enterprise.sending_time(at, first_letter=True)
        late = timedelta(minutes=30 + int(character.hours * 6) % 90) if opened > at else timedelta()
        return datetime.fromtimestamp((opened + late).timestamp() // _QUARTER_S * _QUARTER_S + _QUARTER_S, at.tzinfo)

    # ------------------------------------------------------------ the acts

    async def run(self) -> None:
        """Do what is due until stopped."""
        async with httpx.AsyncClient(timeout=60, follow_redirects=True) as browser:
            while not self._stopping.is_set():
                acts = await demo.due_acts(self._house)
                gate = asyncio.Semaphore(_AT_ONCE)
                await asyncio.gather(*(self._guarded(gate, browser, act) for act in acts))
                if not acts:
                    await self._pause()

    def stop(self) -> None:
        """End after the present acts."""
        self._stopping.set()

    async def _pause(self) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), 0.1)
        except TimeoutError:
            return

    async def _guarded(self, gate: asyncio.Semaphore, browser: httpx.AsyncClient, act: PlayedAct) -> None:
        async with gate:
            try:
                await self._do(browser, act)
            except httpx.TransportError:
                log.warning("the portal did not answer; the act is tried again")
                await asyncio.sleep(0.5)
                return
            await demo.played(self._house, act.id)

    async def _do(self, browser: httpx.AsyncClient, act: PlayedAct) -> None:
        if act.kind == "issue":
            await letters.play_issue(self._house, act.data["letter"], act.actor)
        elif act.kind == "close":
            await closing.close(self._house, act.campaign_id or "", act.data["by"])
        else:
            await self._answer(browser, self._characters[act.actor], act.data["link"])

    async def _answer(self, browser: httpx.AsyncClient, character: Character, link: str) -> None:
        """Open the page behind the link, fill the form in, press the button."""
        page = await browser.get(link)
        parser = _Forms()
        parser.feed(page.text)
        form = choose(parser.forms, character)
        if form is None:
            log.warning("no form for %s: HTTP %s", character.code, page.status_code)
            return
        answer = await browser.post(str(page.url.join(form.action)), data=fill(form, character))
        if answer.status_code >= 400:
            log.warning("the portal refused %s: HTTP %s", character.code, answer.status_code)


def choose(forms: list[Form], character: Character) -> Form | None:
    """The form that this reader uses: to reject, else to pass on, else to confirm."""
    wanted = ("/reject",) if character.manner is Manner.REJECTS else ("/pass-on", "/confirm")
    for ending in wanted:
        for form in forms:
            if form.action.partition("?")[0].endswith(ending):
                return form
    return None


def fill(form: Form, character: Character) -> dict[str, str]:
    """The form with the reader's words."""
    words = {"name": character.name, "position": character.position, "reason": _REASON, "number": _NUMBER}
    return form.fields | {name: words[name] for name in form.texts if name in words}
