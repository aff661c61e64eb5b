"""Messages spliced from bytes: what does not change is encoded once per hop, the rest once per recipient.

A payload is ready for SMTP DATA: CRLF throughout, ended by the line with the single dot, and with no line
that begins with a dot, because every part is base64 and no header line can begin with one. That is why
nothing has to be looked through again on the way out, which is where the time of a mailer goes.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from binascii import b2a_base64
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote

from congvan.mail.address import Address, parse_address, verp_sender, verp_token
from congvan.mail.headers import HeaderRefused, Headers, clean

__all__ = [
    "NOTHING_SHARED",
    "Address",
    "Enclosure",
    "Encoded",
    "Encoder",
    "HeaderRefused",
    "Headers",
    "Payload",
    "Pieces",
    "SharedParts",
    "compose",
    "compose_pieces",
    "encode_enclosures",
    "encoded_size",
    "message_id",
    "parse_address",
    "that_fit",
    "verp_sender",
    "verp_token",
]

#: What ends a message on the wire (RFC 5321 section 4.1.1.4).
TERMINATOR = b".\r\n"

# "=_" stands in no base64 and no quoted-printable text (RFC 2045 section 6.7): no part can hold a boundary.
_MIXED = b"=_congvan_mixed"
_ALTERNATIVE = b"=_congvan_alternative"
_MIXED_HEAD = b'Content-Type: multipart/mixed; boundary="%b"\r\n\r\n--%b\r\n' % (_MIXED, _MIXED)
_MIXED_END = b"--%b--\r\n" % _MIXED
_ALTERNATIVE_HEAD = b'Content-Type: multipart/alternative; boundary="%b"\r\n\r\n--%b\r\n' % (
    _ALTERNATIVE, _ALTERNATIVE,
)  # fmt: skip
_ALTERNATIVE_NEXT = b"--%b\r\n" % _ALTERNATIVE
_ALTERNATIVE_END = b"--%b--\r\n" % _ALTERNATIVE
_TEXT_HEAD = b'Content-Type: text/%b; charset="utf-8"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
_PLAIN_HEAD, _HTML_HEAD = _TEXT_HEAD % b"plain", _TEXT_HEAD % b"html"
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9.+-]*/[a-z0-9][a-z0-9.+-]*(; ?[a-z]+=[A-Za-z0-9-]+)*")
_UNSAFE_IN_ID = re.compile(r"[^A-Za-z0-9_-]")


@dataclass(frozen=True, slots=True)
class Enclosure:
    """A file that travels with a message. `sha256` is of `data`, in hex, as the ledger has it."""

    name: str
    media_type: str
    data: bytes
    sha256: str

    @classmethod
    def of(cls, name: str, media_type: str, data: bytes) -> Enclosure:
        """An enclosure with its hash taken here."""
        return cls(name, media_type, data, hashlib.sha256(data).hexdigest())


class Payload(bytes):
    """Octets that are known to hold one message with one end; others are looked through before they leave."""


class Encoded(bytes):
    """The body of a text part in lines of base64, ready to stand in a message."""


class Pieces(tuple[bytes, ...]):
    """A `Payload` that has not been put together; the last piece is the final dot."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class SharedParts:
    """MIME parts as they stand in every message of a hop; `count` of them."""

    encoded: bytes
    count: int


NOTHING_SHARED = SharedParts(b"", 0)


def encode_enclosures(enclosures: Sequence[Enclosure]) -> SharedParts:
    """Encode files once for all messages of a hop; raise HeaderRefused for a name that breaks a header."""
    return SharedParts(b"".join(_attachment(enclosure) for enclosure in enclosures), len(enclosures))


def compose(
    headers: Headers,
    text: str | Encoded,
    html: str | Encoded = "",
    shared: SharedParts = NOTHING_SHARED,
    extra: Sequence[Enclosure] = (),
) -> Payload:
    """One message, ready for DATA: text and HTML as alternatives, then the shared files, then its own.

    Raises HeaderRefused or AddressUnusable; both are LetterRefused.
    """
    return Payload(b"".join(compose_pieces(headers, text, html, shared, extra)))


def compose_pieces(
    headers: Headers,
    text: str | Encoded,
    html: str | Encoded = "",
    shared: SharedParts = NOTHING_SHARED,
    extra: Sequence[Enclosure] = (),
) -> Pieces:
    """The same without copying the shared files: pieces to be written one after the other, the dot the last.

    Raises HeaderRefused or AddressUnusable; both are LetterRefused.
    """
    said = [_PLAIN_HEAD, _body(text)]
    if html:
        said = [_ALTERNATIVE_HEAD, *said, _ALTERNATIVE_NEXT, _HTML_HEAD, _body(html), _ALTERNATIVE_END]
    if shared.count or extra:
        own = (_attachment(enclosure) for enclosure in extra)
        said = [_MIXED_HEAD, *said, shared.encoded, *own, _MIXED_END]
    return Pieces((headers.encode(), *said, TERMINATOR))


def ready(text: str) -> bytes:
    """The text in the form in which it travels: NFC, UTF-8, its lines parted by CRLF."""
    lines = text if text.isascii() else unicodedata.normalize("NFC", text)
    if "\r" in lines:
        lines = lines.replace("\r\n", "\n").replace("\r", "\n")
    return lines.replace("\n", "\r\n").encode()


def _whole(text: str) -> bytes:
    """As `ready`, ended as a text part is ended: by one CRLF."""
    return ready(text).rstrip(b"\r\n") + b"\r\n"


def _body(text: str | Encoded) -> bytes:
    return text if isinstance(text, Encoded) else _base64_lines(_whole(text))


class Encoder:
    """Base64 of a text with open places, whose fixed pieces are encoded once and not once per recipient.

    Three octets make four characters, so a fixed piece is kept in three ways: for 0, 1 and 2 octets that
    what stands before it leaves over. Lines may be shorter than 76 characters (RFC 2045 section 6.8).
    """

    def __init__(self, fixed: Sequence[str]) -> None:
        octets = [*map(ready, fixed[:-1]), _whole(fixed[-1])]
        self._fixed = [tuple(_divided(piece, over) for over in range(3)) for piece in octets]

    def fill(self, values: Sequence[bytes]) -> Encoded:
        """The whole text; `values` stand between the fixed pieces and are in the form that `ready` gives."""
        done: list[bytes] = []
        pending = b""
        for ways, value in zip(self._fixed, (*values, b""), strict=True):
            head, middle, tail = ways[len(pending) % 3]
            if middle:
                if pending:
                    done.append(_base64_lines(pending + head))
                done.append(middle)
                pending = tail + value
            else:
                pending += head + value
        done.append(_base64_lines(pending))
        return Encoded(b"".join(done))


def _divided(octets: bytes, over: int) -> tuple[bytes, bytes, bytes]:
    """(what completes the three octets begun before it, lines of base64, what is left over)."""
    first = -over % 3
    last = first + max(0, len(octets) - first) // 3 * 3
    if last == first:
        return octets, b"", b""
    return octets[:first], _base64_lines(octets[first:last]), octets[last:]


def _attachment(enclosure: Enclosure) -> bytes:
    if not _MEDIA_TYPE.fullmatch(enclosure.media_type):
        raise HeaderRefused(f"not a media type: {enclosure.media_type!r}")
    name = unicodedata.normalize("NFC", clean(enclosure.name)).replace("/", "-").replace("\\", "-")
    head = (
        f"--{_MIXED.decode()}\r\nContent-Type: {enclosure.media_type};\r\n {_plain_name(name)}\r\n"
        "Content-Transfer-Encoding: base64\r\n"
        f"Content-Disposition: attachment;\r\n {_file_name(name)}\r\n\r\n"
    )
    return head.encode("ascii") + _base64_lines(enclosure.data)


def _base64_lines(data: bytes) -> bytes:
    """Base64 in lines of 76 characters with CRLF (RFC 2045 section 6.8)."""
    if len(data) <= 57:
        return b2a_base64(data, newline=False) + b"\r\n" if data else b""
    lines = [b2a_base64(data[start : start + 57], newline=False) for start in range(0, len(data), 57)]
    return b"\r\n".join(lines) + b"\r\n"


def without_diacritics(text: str) -> str:
    """Return ASCII: `Công văn đến` gives `Cong van den`; what has no ASCII base becomes `_`."""
    bare = unicodedata.normalize("NFD", text.replace("đ", "d").replace("Đ", "D"))
    kept = "".join(character for character in bare if not unicodedata.combining(character))
    return "".join(character if character.isascii() else "_" for character in kept)


def _plain_name(name: str) -> str:
    """The `name` parameter for programs that do not read RFC 2231, in ASCII and at most 60 characters."""
    stem, dot, suffix = without_diacritics(name).replace('"', "'").rpartition(".")
    short = f"{stem[: 59 - len(suffix)]}{dot}{suffix[:20]}" if dot else suffix[:60]
    return f'name="{short}"'


@lru_cache(maxsize=256)
def _file_name(name: str) -> str:
    """The `filename` parameter; RFC 2231 percent-encoding, continued over lines of at most 76 characters."""
    if name.isascii() and len(name) <= 60 and not re.search(r'["\\%]', name):
        return f'filename="{name}"'
    pieces, line = [], "utf-8''"
    for character in name:
        encoded = quote(character, safe="")
        if len(line) + len(encoded) > 60:
            pieces.append(line)
            line = ""
        line += encoded
    pieces.append(line)
    if len(pieces) == 1:
        return f"filename*={pieces[0]}"
    return ";\r\n ".join(f"filename*{number}*={piece}" for number, piece in enumerate(pieces))


def message_id(delivery_id: str, kind: str, step: int | str, domain: str) -> str:
    """The Message-ID of one step of one delivery: a repeat is the same message. Holds no secret, no name.

    Raises ValueError for parts that would have to be changed to stand in a Message-ID.
    """
    parts = (str(delivery_id), str(kind), str(step))
    if any(not part or _UNSAFE_IN_ID.search(part) for part in parts):
        raise ValueError(f"letters, digits, - and _ stand in a Message-ID, not {parts!r}")
    return f"<{'.'.join(parts)}@{parse_address(f'x@{domain}').domain}>"


def encoded_size(octets: int) -> int:
    """Octets of a file of this size inside a message."""
    return octets * 4 // 3 * 78 // 76 + 512


def that_fit(sizes: Sequence[int], limit_bytes: int) -> list[bool]:
    """Which of the files of these sizes are attached: in the given order as long as the message stays below the limit.

    Order is priority: put the letter first. What is not attached has to be named in the text with its hash.
    """
    fit: list[bool] = []
    left = limit_bytes
    for size in map(encoded_size, sizes):
        fit.append(size <= left)
        left -= size if fit[-1] else 0
    return fit
