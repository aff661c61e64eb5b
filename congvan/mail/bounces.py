"""What came back: bounces, receipts, automatic answers and people, told apart.

In this order: 1. a report (RFC 3464 delivery status, RFC 8098 disposition); 2. a bounce that keeps to no
standard (flufl.bounce, then codes and phrases in the text), only from a mail system's own address;
3. an automatic answer (RFC 3834 and the habits of programs); 4. else a person. A mail never confirms.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from email.message import Message

from congvan.mail.address import AddressUnusable, verp_token
from congvan.mail.oddbounces import from_daemon, odd_bounce
from congvan.mail.quotes import own_words
from congvan.mail.reading import addresses, body_of, header, message_ids, null_sender, parse, parts, text_of
from congvan.mail.reports import Incoming, Kind, report

__all__ = ["Incoming", "Kind", "classify"]


def classify(raw: bytes, mailboxes: Sequence[str] = ()) -> Incoming:
    """What this mail is. `mailboxes`: ours, whose `+token` subaddresses are read. Raises nothing."""
    message = parse(raw)
    found = report(message) or odd_bounce(message, raw, mailboxes) or _answer(message)
    returned = _returned(message)
    references = tuple(message_ids(message, "In-Reply-To", "References"))
    originals = message_ids(returned, "Message-ID") if returned is not None else []
    return replace(
        found,
        message_id=next(iter(message_ids(message, "Message-ID")), ""),
        subject=header(message, "Subject"),
        references=references,
        original_message_id=next(iter([*originals, *references]), found.original_message_id),
        token=_token(message, returned, mailboxes),
        by_system=null_sender(message) or from_daemon(message),
    )


# ---------------------------------------------------------------------------- machines and people


_AUTOMATIC = re.compile(
    r"^\W{0,3}(?:automatic reply|auto(?:matic)?[- ]?(?:reply|response|responder)|auto:|autoreply|out of (?:the )?office"
    r"|ooo\b|away from|on leave|vacation|trả lời tự động|thư trả lời tự động|tự động trả lời|phản hồi tự động"
    r"|vắng mặt|tôi đang nghỉ|nghỉ phép|đang đi công tác|thông báo vắng mặt)",
    re.IGNORECASE,
)
_MARKS = ("X-Autoreply", "X-Autorespond", "X-Auto-Reply", "X-AutoReply-From", "X-Vacation", "X-Mail-Autoreply")


def _answer(message: Message) -> Incoming:
    sender = next(iter(addresses(message, "From", "Reply-To")), "")
    text = body_of(message)
    if _is_automatic(message):
        return Incoming("auto_reply", sender, text=own_words(text)[:5000])
    words = own_words(text)
    if not sender and not words:
        return Incoming("unknown", text=text.strip()[:5000])
    return Incoming("human", sender, text=words[:20_000])


def _is_automatic(message: Message) -> bool:
    submitted = header(message, "Auto-Submitted").lower().split(";")[0].strip()
    if submitted and submitted != "no":
        return True
    if any(message.get(mark) is not None for mark in _MARKS) or null_sender(message):
        return True
    precedence = f"{header(message, 'Precedence')} {header(message, 'X-Precedence')}".lower()
    if re.search(r"\b(?:auto_reply|bulk|junk|list)\b", precedence):
        return True
    return bool(_AUTOMATIC.match(header(message, "Subject")))


# ---------------------------------------------------------------------------- whose letter it is about


def _returned(message: Message) -> Message | None:
    """Our letter, or its header block, as the report brings it back."""
    for part in parts(message):
        kind = part.get_content_type()
        if kind in ("message/rfc822", "message/global"):
            payload = part.get_payload() if part.is_multipart() else None
            if isinstance(payload, list) and payload and isinstance(payload[0], Message):
                return payload[0]
        elif kind in ("text/rfc822-headers", "message/rfc822-headers", "message/global-headers"):
            return parse(text_of(part).strip().encode("utf-8", "replace") + b"\n\n")
    return _returned_as_text(message)


_MARK = re.compile(
    r"(?im)^.{0,40}(?:below this line is a copy|this is a copy of the message|copy of (?:the|your) message"
    r"|original message (?:headers )?follows|bản sao (?:của )?thư).{0,200}$"
)


def _returned_as_text(message: Message) -> Message | None:
    """qmail, Exim and others write the letter under a line of text."""
    said = body_of(message)
    if (mark := _MARK.search(said)) is None:
        return None
    rest = said[mark.end() :].lstrip("-\n\r \t=")
    return parse(rest.encode("utf-8", "replace"))


def _token(message: Message, returned: Message | None, mailboxes: Sequence[str]) -> str:
    candidates = addresses(
        message, "Delivered-To", "X-Original-To", "Envelope-To", "X-Envelope-To", "To", "Cc", "X-Forwarded-To"
    )
    if returned is not None:
        candidates += addresses(returned, "Return-Path", "Reply-To", "Sender", "From")
    for address in candidates[:50]:
        for mailbox in mailboxes:
            try:
                token = verp_token(mailbox, address)
            except AddressUnusable:
                continue
            if token is not None:
                return token
    return ""
