"""The header block of a message, as bytes: encoded (RFC 2047), folded (RFC 5322), injection refused."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import format_datetime
from functools import lru_cache

from congvan.errors import LetterRefused
from congvan.mail.address import parse_address

#: RFC 5322 section 2.1.1: characters of a line that should, and that must not, be passed.
LINE_SHOULD = 76
LINE_MUST = 998

_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029\ud800-\udfff]")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_MESSAGE_ID = re.compile(r"<[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+@[A-Za-z0-9.\[\]:-]+>")


class HeaderRefused(LetterRefused):
    """A header would hold a line break or another control character."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Headers:
    """What stands above the text of one message.

    from_name: "Ban Quản lý … thay mặt Công ty …"; from_address: the engine's mailbox; reply_to: the
    address of this delivery. date: aware. message_id, in_reply_to, references: with their angle brackets.
    language: RFC 3282 tags. urgent: the directive is khẩn or above.

    No List-* and no Precedence header is written: a directive is not a list that one can leave, and
    `Auto-Submitted` (RFC 3834) already keeps vacation programs silent.
    """

    from_name: str
    from_address: str
    to_name: str
    to_address: str
    subject: str
    date: datetime
    message_id: str
    reply_to: str = ""
    in_reply_to: str = ""
    references: tuple[str, ...] = ()
    language: str = "vi"
    urgent: bool = False

    @property
    def needs_utf8(self) -> bool:
        """Whether an address in it can only pass a server with SMTPUTF8."""
        addresses = filter(None, (self.from_address, self.to_address, self.reply_to))
        return any(parse_address(address).needs_utf8 for address in addresses)

    def encode(self) -> bytes:
        """The header lines with CRLF, without the empty line; raise HeaderRefused or AddressUnusable."""
        if self.date.tzinfo is None:
            raise HeaderRefused("the Date of a message needs a time zone")
        lines = [
            _sender_line(self.from_name, self.from_address),
            mailbox_line("To", self.to_name, self.to_address),
            text_line("Subject", self.subject),
            _date_line(self.date, self.date.utcoffset()),
            f"Message-ID: {_id(self.message_id)}",
        ]
        if self.reply_to:
            lines.append(mailbox_line("Reply-To", "", self.reply_to))
        if self.in_reply_to:
            lines.append(f"In-Reply-To: {_id(self.in_reply_to)}")
        if self.references:
            lines.append("References: " + "\r\n ".join(map(_id, self.references)))
        if self.urgent:
            lines.append("Importance: high\r\nX-Priority: 1")
        lines.append(_last_lines(self.language))
        return "\r\n".join(lines).encode()


def clean(text: str) -> str:
    """Return the text; raise HeaderRefused where it could break out of its line."""
    if _CONTROL.search(text):
        raise HeaderRefused(f"a header would hold a line break or control character: {text!r}")
    return text


@lru_cache(maxsize=8)
def _last_lines(language: str) -> str:
    return (
        f"Content-Language: {clean(language)}\r\n"
        "Auto-Submitted: auto-generated\r\n"
        # Exchange answers unless told not to; bounces and receipts stay wanted.
        "X-Auto-Response-Suppress: OOF, AutoReply\r\n"
        "MIME-Version: 1.0\r\n"
    )


@lru_cache(maxsize=8)
def _date_line(date: datetime, _offset: timedelta | None) -> str:
    # Two instants are equal however far their clocks are apart; what is written is not.
    return f"Date: {format_datetime(date)}"


@lru_cache(maxsize=256)
def text_line(name: str, text: str) -> str:
    """An unstructured header. Plain where it is short ASCII, else RFC 2047 encoded words."""
    text = clean(text).strip()
    short = len(name) + 2 + len(text) <= LINE_SHOULD
    if short and text.isascii() and "=?" not in text and "  " not in text:
        return f"{name}: {text}"
    return f"{name}: {encoded_words(text, len(name) + 2)}"


@lru_cache(maxsize=256)
def _sender_line(display: str, address: str) -> str:
    # The others differ from letter to letter, and are not kept.
    return mailbox_line("From", display, address)


def mailbox_line(name: str, display: str, address: str) -> str:
    """`Name: "display" <address>` of one mailbox, folded before the address where the line grows long."""
    spec = f"<{parse_address(clean(address))}>"
    display = clean(display).strip()
    if not display:
        return f"{name}: {spec[1:-1]}"
    phrase = _phrase(display, len(name) + 2)
    used = len(phrase.rpartition("\n")[2]) + (0 if "\n" in phrase else len(name) + 2)
    gap = " " if used + 1 + len(spec) <= LINE_SHOULD else "\r\n "
    return f"{name}: {phrase}{gap}{spec}"


def _phrase(display: str, used: int) -> str:
    if used + len(display) < LINE_SHOULD and display.isascii() and not re.search("=\\?|  ", display):
        if _ATOMS.fullmatch(display):
            return display
        escaped = display.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return encoded_words(display, used)


def encoded_words(text: str, used: int) -> str:
    """RFC 2047 words of at most 75 characters, each whole in UTF-8; `used` = columns taken on line one.

    Broken between words where that is possible: readers that wrongly show the gap between two encoded
    words (Python 3.11 among them) then show a second blank, not a torn word.
    """
    chunks, room = [b""], _room(used)
    if len(whole := text.encode()) <= room:
        return f"=?utf-8?b?{b64encode(whole).decode()}?="
    for piece in _pieces(text, longest=room):
        if chunks[-1] and len(chunks[-1]) + len(piece) > room:
            chunks.append(b"")
            room = _room(1)
        chunks[-1] += piece
    return "\r\n ".join(f"=?utf-8?b?{b64encode(chunk).decode()}?=" for chunk in chunks)


def _pieces(text: str, longest: int) -> Iterator[bytes]:
    """Words with the blanks after them, or single characters of a word too long for one line."""
    for word in re.findall(r"\S+\s*|\s+", text):
        octets = word.encode()
        if len(octets) <= longest:
            yield octets
        else:
            yield from (character.encode() for character in word)


def _room(used: int) -> int:
    """Octets whose base64 still fits the line beside the 12 characters of `=?utf-8?b?` and `?=`."""
    return max((LINE_SHOULD - used - 12) // 4 * 3, 6)


def _id(text: str) -> str:
    if not _MESSAGE_ID.fullmatch(text) or len(text) > LINE_MUST - 20:
        raise HeaderRefused(f"not a Message-ID (RFC 5322 section 3.6.4): {text!r}")
    return text
