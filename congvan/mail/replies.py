"""What a reply of a mail server means: the table of RFC 5321 codes and RFC 3463 enhanced status codes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Verdict = Literal["accepted", "refused", "unavailable", "unknown"]
#: Whom a "slow down" concerns: nobody, this recipient's domain, or everything we send through this server.
Scope = Literal["recipient", "domain", "server"]

_ENHANCED = re.compile(r"^([245])\.(\d{1,3})\.(\d{1,3})\b")


class Phase(StrEnum):
    """Where in the conversation a reply came."""

    CONNECT = "connect"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    BODY = "body"


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply: its code, and its text without the codes (lines parted by a line feed)."""

    code: int
    text: str

    @property
    def enhanced(self) -> tuple[int, int, int] | None:
        """Class, subject and detail of RFC 3463, where the server gave them."""
        found = _ENHANCED.match(self.text)
        return (int(found[1]), int(found[2]), int(found[3])) if found else None

    def __str__(self) -> str:
        return f"{self.code} {self.text}"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What becomes of the message, and who has to wait."""

    verdict: Verdict
    slow_down: bool = False
    scope: Scope = "recipient"
    #: The conversation cannot go on over this connection.
    hang_up: bool = False


_ACCEPTED = Judgement("accepted")

# 5xx replies that speak of us or of the way, not of the letter: once that is mended, repeating helps.
_OUR_FAULT = {500, 501, 502, 503, 504, 530, 534, 535, 538}
#: RFC 3463 (subject, detail) of the same: our sender's address (1.7, 1.8), our quota for the day (4.5, Gmail), no right
#: to send as this sender (7.60, Exchange).
_OUR_STATUS = {(1, 7), (1, 8), (4, 5), (7, 60)}
#: The same in words, under 5.7.1 or without a status: Postfix puts what it has against client, greeting and sender
#: off until it has heard the recipient (smtpd_delay_reject).
_OUR_WORDS = re.compile(
    r"\b(?:client host|sender address|helo command)\b.{0,300}?\b(?:rejected|blocked)\b"
    r"|\brelay(?:ing)? (?:access )?(?:is )?(?:denied|not (?:permitted|allowed)|prohibited)"
    r"|\b(?:unable|not (?:permitted|allowed)) to relay\b|\bsend as this sender\b|\bsender (?:address )?not owned\b"
    r"|\b(?:sending|relay) (?:limit|quota)\b|\bmax(?:imum)? emails per hour\b",
    re.IGNORECASE | re.DOTALL,
)
_RECIPIENT = re.compile(r"\brecipient address rejected\b", re.IGNORECASE)


def judge(phase: Phase, reply: Reply) -> Judgement:
    """The verdict on one message from the reply that decided it."""
    if reply.code == 421:
        # RFC 5321 section 3.8: the server closes the channel.
        return Judgement("unavailable", True, "server", hang_up=True)
    if 200 <= reply.code < 300 and phase is Phase.BODY:
        return _ACCEPTED
    if 400 <= reply.code < 500:
        return _not_now(phase, reply)
    if 500 <= reply.code < 600:
        return _never(phase, reply)
    # Out of step: after the last dot nobody knows, before it the message is certainly not there.
    return Judgement("unknown" if phase is Phase.BODY else "unavailable", hang_up=True)


def _not_now(phase: Phase, reply: Reply) -> Judgement:
    subject = reply.enhanced[1] if reply.enhanced else None
    if phase in (Phase.CONNECT, Phase.MAIL) or subject == 3:
        return Judgement("unavailable", True, "server")
    if subject in (1, 2):
        # The mailbox itself (full, locked, greylisted by Postgrey): its neighbours need not wait.
        return Judgement("unavailable")
    return Judgement("unavailable", True, "domain")


def _never(phase: Phase, reply: Reply) -> Judgement:
    too_big = reply.code == 552 or (reply.enhanced is not None and reply.enhanced[1:] == (3, 4))
    if phase in (Phase.CONNECT, Phase.MAIL) and not too_big:
        # Our sender or our login is refused, and with it every letter: that is no fault of this address.
        return Judgement("unavailable", True, "server")
    if _is_about_recipient(reply):
        return Judgement("refused")
    if (reply.enhanced and reply.enhanced[1:] in _OUR_STATUS) or _OUR_WORDS.search(reply.text):
        return Judgement("unavailable", True, "server")
    if reply.code in _OUR_FAULT:
        return Judgement("unavailable", hang_up=reply.code == 503)
    return Judgement("refused")


def _is_about_recipient(reply: Reply) -> bool:
    """Whether the server names his address as the fault: "501 5.1.3", "504 5.5.2 Recipient address rejected"."""
    if _RECIPIENT.search(reply.text):
        return True
    enhanced = reply.enhanced
    return enhanced is not None and enhanced[1] == 1 and enhanced[1:] not in _OUR_STATUS


#: RFC 3463 and the IANA registry: (subject, detail) → is a permanent failure about the address itself?
_ADDRESS = {(1, d) for d in (0, 1, 2, 3, 6, 10)} | {(2, 1), (4, 4), (7, 13)}


def concerns_address(enhanced: tuple[int, int, int] | None, code: int | None = None) -> bool:
    """Whether a permanent failure says that the address is wrong, not that the letter is unwanted."""
    if enhanced is not None and enhanced[1:] != (0, 0):
        return enhanced[1:] in _ADDRESS
    return code in (550, 551, 553, 556, None)
