"""Mail servers and mailboxes: they accept, refuse, put off, fall silent, and let the sender die at every phase."""

from __future__ import annotations

import re
from base64 import b64decode
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from congvan.mail.outgoing import Outcome, Outgoing
from congvan.simulation.faults import Crash, Faults, draw, stream
from congvan.simulation.inline import Pause

_ID = re.compile(rb"^Message-ID: (\S+)", re.MULTILINE | re.IGNORECASE)
_LINK = re.compile(rb"/v/([A-Za-z0-9_.-]+)")
_TEXT = b"Content-Transfer-Encoding: base64\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Landed:
    """A message in a mailbox. key: the engine's own row; token: the link in it, or empty."""

    at: datetime
    address: str
    key: str
    message_id: str
    token: str


@dataclass
class Servers:
    """All mail servers of the world. now: the world's time. lands: called for every message that arrives."""

    seed: int
    faults: Faults
    now: Callable[[], datetime]
    lands: Callable[[Landed], None]
    down_until: datetime | None = None
    tries: Counter[str] = field(default_factory=Counter)
    #: How often each Message-ID was taken, by the row it came from.
    taken: Counter[str] = field(default_factory=Counter)
    #: Copies that a server itself made of one message.
    copied: Counter[str] = field(default_factory=Counter)
    tally: Counter[str] = field(default_factory=Counter)

    def manner(self, address: str) -> str:
        """How the server of a mailbox behaves: takes, refuses for good, is always full, or first puts off."""
        if not address.startswith("vt@dn-") and not address.startswith("vt@cdt-"):
            return "takes"
        lot = draw(self.seed, f"mailbox/{address}", 1)
        return "refuses" if lot < 0.05 else "full" if lot < 0.07 else "greylists" if lot < 0.15 else "takes"

    def carrier(self, dies: Callable[[str], None]) -> _Line:
        """A process's connection. dies: asked at each phase of the conversation."""
        return _Line(self, dies)

    def answer(self, item: Outgoing, dies: Callable[[str], None]) -> Outcome:
        """One conversation, up to the server's last word, or the sender's."""
        dies("at connect")
        if self._is_down():
            return Outcome(item.key, "unavailable", None, "no connection", True)
        payload = item.payload() if callable(item.payload) else item.payload
        dies("at mail")
        verdict = self._at_rcpt(item)
        if verdict is not None:
            return verdict
        dies("at rcpt")
        dies("in the body")
        return self._after_dot(item, payload, dies)

    def _after_dot(self, item: Outgoing, payload: bytes, dies: Callable[[str], None]) -> Outcome:
        try:
            dies("after the final dot")
        except Crash:
            if draw(self.seed, "dot", len(self.faults.happened)) < 0.5:
                self._take(item, payload)
            raise
        if self.faults.happens("no reply, not taken"):
            return Outcome(item.key, "unknown", None, "connection lost after the final dot")
        self._take(item, payload)
        if self.faults.happens("no reply, but taken"):
            return Outcome(item.key, "unknown", None, "connection lost after the final dot")
        if self.faults.happens("accepted twice"):
            self.copied[item.key] += 1
            self._take(item, payload)
        dies("after 250")
        return Outcome(item.key, "accepted", 250, "2.0.0 Ok")

    def _is_down(self) -> bool:
        if self.faults.happens("server down"):
            hours = stream(self.seed, f"down/{len(self.faults.happened)}").choice([0.2, 2, 9, 40, 70])
            self.down_until = self.now() + timedelta(hours=hours)
        return self.down_until is not None and self.now() < self.down_until

    def _at_rcpt(self, item: Outgoing) -> Outcome | None:
        manner = self.manner(item.rcpt_to)
        self.tries[item.rcpt_to] += 1
        if manner == "refuses":
            self.tally["mailbox refused"] += 1
            return Outcome(item.key, "refused", 550, "5.1.1 No such user")
        if manner == "full":
            self.tally["mailbox full"] += 1
            return Outcome(item.key, "unavailable", 452, "4.2.2 Mailbox full")
        if manner == "greylists" and self.tries[item.rcpt_to] <= 2:
            self.tally["greylisted"] += 1
            return Outcome(item.key, "unavailable", 451, "4.7.1 Greylisted")
        if self.faults.happens("not now"):
            return Outcome(item.key, "unavailable", 450, "4.3.0 Not now")
        return None

    def _take(self, item: Outgoing, payload: bytes) -> None:
        found = _ID.search(payload)
        assert found is not None, "a message without a Message-ID"
        self.taken[item.key] += 1
        self.lands(Landed(self.now(), item.rcpt_to, item.key, found[1].decode(), _token(payload)))


@dataclass(frozen=True)
class _Line:
    servers: Servers
    dies: Callable[[str], None]

    async def send(self, batch: Iterable[Outgoing]) -> AsyncGenerator[Outcome, None]:
        """One outcome for each message; others may act between two of them."""
        for item in batch:
            await Pause("mail")
            yield self.servers.answer(item, self.dies)


def _token(payload: bytes) -> str:
    start = payload.find(_TEXT) + len(_TEXT)
    text = b64decode(payload[start : payload.find(b"\r\n--", start)])
    found = _LINK.search(text)
    return found[1].decode() if found else ""
