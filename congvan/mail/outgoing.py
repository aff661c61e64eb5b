"""A message on its way out, and what became of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from congvan.errors import LetterRefused
from congvan.mail.address import parse_address
from congvan.mail.message import Payload, Pieces
from congvan.mail.replies import Verdict
from congvan.rules.names import without_illegible


class Witness(Protocol):
    """Is told at once, before anybody else: what it has written down survives the process."""

    def handing_over(self, key: str) -> bool:
        """The final dot of this message is about to leave; False: nobody would know of it, so it may not."""
        ...

    def ended(self, outcome: Outcome) -> None:
        """The outcome of a message is known."""
        ...


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who it is from and for, in wire form (`parse_address`), and what is asked of the server.

    mail_from: empty for the null sender. dsn_id: RFC 3461 ENVID; empty = no delivery notices.
    """

    mail_from: str
    rcpt_to: str
    needs_utf8: bool = False
    dsn_id: str = ""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message to hand over. `payload` may be a function that builds it when its turn comes."""

    key: str
    mail_from: str
    rcpt_to: str
    payload: bytes | Callable[[], bytes]
    needs_utf8: bool = False
    #: RFC 3461 ENVID: asks for delivery notices where the server offers them. Empty: no notices.
    dsn_id: str = ""
    witness: Witness | None = None
    #: The payload before it is put together: written as it is, the shared files are copied for nobody. Built a
    #: window ahead.
    pieces: Callable[[], Pieces] | None = None

    def prepared(self) -> tuple[Envelope, bytes | Pieces]:
        """The envelope and the octets; raise LetterRefused for what no server should be given."""
        payload: bytes | Pieces
        if self.pieces is not None:
            payload = self.pieces()
        else:
            payload = self.payload if isinstance(self.payload, bytes) else self.payload()
            if not isinstance(payload, Payload) and payload.find(b"\r\n.\r\n") != len(payload) - 5:
                # A second end inside would be a second message in our name (SMTP smuggling).
                raise LetterRefused("a payload has exactly one end, its last line")
        rcpt_to = parse_address(self.rcpt_to)
        mail_from = parse_address(self.mail_from) if self.mail_from else None
        needs_utf8 = self.needs_utf8 or rcpt_to.needs_utf8 or (mail_from is not None and mail_from.needs_utf8)
        return Envelope(str(mail_from or ""), str(rcpt_to), needs_utf8, self.dsn_id), payload


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one message.

    accepted     the server has it.
    refused      never: repeating is pointless (5xx about this recipient or this letter).
    unavailable  not now; the server certainly does not have it.
    unknown      the final dot left and no reply came: the server may have it.

    code: of the reply that decided, None where none came. reply: the server's words, or the reason here, without
    what is illegible: a database that refuses its words would never learn of the outcome.
    slow_down: the server asked for fewer messages; give the next round time.
    """

    key: str
    verdict: Verdict
    code: int | None
    reply: str
    slow_down: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "reply", without_illegible(self.reply))
