"""Reports of mail systems in their standard form: delivery status (RFC 3464), disposition (RFC 8098)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from typing import Literal

from congvan.mail.reading import body_of, header, message_ids, parse, parts, text_of
from congvan.mail.replies import concerns_address

#: bounce_hard: the letter did not arrive and nobody tries any more. bounce_soft: late, still being tried.
#: delivered: it is in the mailbox (or was displayed). relayed: passed on to a server that reports no more.
#: auto_reply: a machine. human: a person. unknown: a mail system's notice that says nothing usable.
Kind = Literal["bounce_hard", "bounce_soft", "delivered", "relayed", "auto_reply", "human", "unknown"]


@dataclass(frozen=True, slots=True)
class Incoming:
    """One mail that came in.

    recipient: whom a report is about, or who answers. original_message_id: ours, as quoted by the report or
    the thread. token: out of the address it came to, or out of the returned letter; unchecked. status: RFC
    3463 ("5.1.1") or empty. wrong_address: a permanent failure that speaks of the address (readdress), not
    of the letter. envelope_id: the ENVID that was given. text: a person's own words, or the mail system's.
    by_system: it came with the null sender, or from a mail system's own address; both can be forged.
    """

    kind: Kind
    recipient: str = ""
    original_message_id: str = ""
    token: str = ""
    text: str = ""
    status: str = ""
    diagnostic: str = ""
    wrong_address: bool = False
    envelope_id: str = ""
    message_id: str = ""
    subject: str = ""
    references: tuple[str, ...] = ()
    by_system: bool = False


_ACTIONS: dict[str, Kind] = {
    "failed": "bounce_hard",
    "delayed": "bounce_soft",
    "delivered": "delivered",
    "expanded": "delivered",
    "relayed": "relayed",
}
_RANK = ("failed", "delayed", "relayed", "expanded", "delivered")
#: RFC 3463 knows eight subjects. Neither a part of an address on the net (5.1.20.30) nor most versions (4.96.2).
STATUS = re.compile(r"(?<![\w.])([245])\.([0-7])\.(\d{1,3})(?!\w|\.\d)")


def report(message: Message) -> Incoming | None:
    """The first report in the message, or None where it holds none; one in an attached mail is not its own."""
    for part in parts(message):
        kind = part.get_content_type()
        if kind in ("message/delivery-status", "message/global-delivery-status"):
            if (found := _delivery_status(part, message)) is not None:
                return found
        elif kind in ("message/disposition-notification", "message/global-disposition-notification"):
            told = next(_blocks(part), part)
            originals = message_ids(told, "Original-Message-ID")
            return Incoming("delivered", _typed(told, "Final-Recipient"), next(iter(originals), ""))
    return None


def _delivery_status(part: Message, message: Message) -> Incoming | None:
    blocks = list(_blocks(part))
    envelope = next((header(block, "Original-Envelope-Id") for block in blocks if block["Original-Envelope-Id"]), "")
    told = [block for block in blocks if header(block, "Action").lower().split(" ")[0] in _ACTIONS]
    if not told:
        return None
    worst = min(told, key=lambda block: _RANK.index(header(block, "Action").lower().split(" ")[0]))
    action = header(worst, "Action").lower().split(" ")[0]
    diagnostic = header(worst, "Diagnostic-Code")
    status = _most_precise(header(worst, "Status"), diagnostic)
    return Incoming(
        _ACTIONS[action],
        _typed(worst, "Original-Recipient") or _typed(worst, "Final-Recipient"),
        text=body_of(message).strip()[:5000],
        status=status,
        diagnostic=diagnostic,
        wrong_address=action == "failed" and about_address(status, diagnostic),
        envelope_id=envelope,
    )


def _blocks(part: Message) -> Iterator[Message]:
    """The groups of fields of a report; some servers send them as one text."""
    # Asked for text, `get_payload` looks at the character set, which may be one that cannot be read.
    payload = part.get_payload() if part.is_multipart() else None
    if isinstance(payload, list):
        yield from (block for block in payload[:50] if isinstance(block, Message))
    else:
        for group in re.split(r"\n\s*\n", text_of(part))[:50]:
            yield parse(group.strip().encode("utf-8", "replace") + b"\n\n")


def _typed(block: Message, name: str) -> str:
    """`rfc822;user@host` without its type, comments and brackets."""
    value = header(block, name).rpartition(";")[2].strip()
    return value.split(" ")[0].strip("<>")


def _most_precise(status: str, diagnostic: str) -> str:
    """Status says 5.0.0 where the server's own words say more."""
    first = STATUS.search(status)
    second = STATUS.search(diagnostic)
    if first is not None and (second is None or first[0][2:] != "0.0"):
        return first[0]
    return second[0] if second is not None else ""


def about_address(status: str, diagnostic: str) -> bool:
    """Whether the failure is one of the address, by its status or, without one, by the SMTP code."""
    found = STATUS.search(status)
    enhanced = (int(found[1]), int(found[2]), int(found[3])) if found else None
    code = re.search(r"\b(5\d\d)\b", diagnostic)
    return concerns_address(enhanced, int(code[1]) if code else None)
