"""Mail that others wrote, read without trust: nothing in it raises, nothing in it takes long."""

from __future__ import annotations

import email
import re
from collections.abc import Iterator
from contextlib import suppress
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message
from email.parser import BytesHeaderParser
from email.policy import compat32
from email.utils import getaddresses
from html import unescape
from itertools import islice
from unicodedata import normalize

#: Octets that are read of one message; what matters of a bounce or reply stands at its beginning.
READ_MAX = 300_000
#: Characters of text that are looked through.
TEXT_MAX = 50_000

#: One tag. It cannot span another, so looking for it takes time linear in the page.
_TAG = re.compile(r"<(/?)([A-Za-z!][A-Za-z0-9]{0,20})[^<>]{0,3000}>")
_SILENT = {"style", "script", "head", "title"}
_BLOCKS = {"p", "div", "tr", "table", "ul", "ol", "blockquote", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "br"}
_ENCODED_WORDS = re.compile(r"=\?[^?\s]{1,60}\?[bBqQ]\?[^?]*\?=(?:\s+=\?[^?\s]{1,60}\?[bBqQ]\?[^?]*\?=)*")
#: Printable ASCII alone: anything else is none of ours, and no database keeps a NUL or half of a surrogate pair.
_MESSAGE_ID = re.compile(r"<[!-;=?A-~]{1,200}@[!-;=?A-~]{1,200}>")


def parse(raw: bytes) -> Message:
    """The message, however malformed. The old policy on purpose: the new one raises on broken headers."""
    try:
        return email.message_from_bytes(raw[:READ_MAX], policy=compat32)
    except (RecursionError, MessageError, ValueError, LookupError, TypeError, AttributeError, IndexError):
        # A thousand parts inside one another, or a shape that the parser trips over: no part is looked for any more,
        # since it may be the boundary that cannot be read.
        head = raw.partition(b"\r\n\r\n")[0][:50_000]
        return BytesHeaderParser(policy=compat32).parsebytes(head)


def header(message: Message, name: str) -> str:
    """A header as text on one line, decoded as far as it can be."""
    value = next(_values(message, name), "")
    # Where it has letters beyond ASCII the library spells out those beside the encoded words (\u0103).
    decoded = _decoded(value) if value.isascii() else _ENCODED_WORDS.sub(lambda found: _decoded(found[0]), value)
    return normalize("NFC", " ".join(decoded.split())[:2000])


def _values(message: Message, name: str) -> Iterator[str]:
    """The values of a header as they came. Octets beyond ASCII, which RFC 6532 allows, are read as UTF-8, else as what
    Windows writes in Vietnamese: the library would give a question mark for each."""
    for key, value in message.raw_items():
        if key.lower() == name.lower():
            yield _as_text(str(value)[:5000].encode("utf-8", "surrogateescape"))


def _as_text(octets: bytes, *charsets: str) -> str:
    for charset in (*charsets, "utf-8", "cp1258"):
        with suppress(LookupError, UnicodeError, ValueError):
            return octets.decode(charset)
    return octets.decode("latin-1")


def _decoded(value: str) -> str:
    try:
        return str(make_header(decode_header(value)))
    except (MessageError, LookupError, ValueError, TypeError):
        return value.encode("utf-8", "replace").decode("utf-8", "replace")


def addresses(message: Message, *names: str) -> list[str]:
    """The addresses in these headers, in their order."""
    values = [value for name in names for value in islice(_values(message, name), 20)]
    try:
        return [address for _, address in getaddresses(values) if "@" in address]
    except (RecursionError, MessageError, ValueError, TypeError, IndexError):
        return []


def null_sender(message: Message) -> bool:
    """Whether it has no return path: reports (RFC 3464) and answers of machines (RFC 3834 section 3.3)."""
    return any(str(value).strip() == "<>" for value in message.get_all("Return-Path", []))


def message_ids(message: Message, *names: str) -> list[str]:
    """The Message-IDs in these headers, in their order."""
    return [found for name in names for found in _MESSAGE_ID.findall(str(message.get(name, ""))[:20_000])]


def parts(message: Message) -> Iterator[Message]:
    """Its own parts, at most two hundred. Mail inside it (attached, returned) is one part: what stands in that was said
    by others, of something else."""
    waiting = [message]
    for _ in range(200):
        if not waiting:
            return
        yield (part := waiting.pop())
        payload = part.get_payload() if part.is_multipart() and part.get_content_maintype() == "multipart" else None
        if isinstance(payload, list):
            waiting += [one for one in reversed(payload[:200]) if isinstance(one, Message)]


def text_of(part: Message) -> str:
    """The text of one part, in whatever character set it says it is."""
    try:
        octets = part.get_payload(decode=True)
    except (MessageError, ValueError, TypeError, LookupError, AssertionError):
        return ""
    if not isinstance(octets, bytes):
        return ""
    return _as_text(octets, _charset(part))[:TEXT_MAX].replace("\r\n", "\n").replace("\r", "\n")


def _charset(part: Message) -> str:
    try:
        return str(part.get_content_charset() or "utf-8")
    except (MessageError, ValueError, TypeError, LookupError):
        # Parameters that the library cannot put together (RFC 2231) say nothing of the text.
        return "utf-8"


def body_of(message: Message) -> str:
    """What a reader sees first: the plain text, else the HTML as text; files and empty parts are left out."""
    pages: list[str] = []
    for part in parts(message):
        if part.is_multipart() or (part is not message and _is_file(part)):
            continue
        kind = part.get_content_type()
        if kind in ("text/plain", "text/html") and (text := text_of(part)).strip():
            if kind == "text/plain":
                return text
            pages.append(text)
    return from_html(pages[0]) if pages else ""


def _is_file(part: Message) -> bool:
    try:
        return part.get_content_disposition() == "attachment" or part.get_filename() is not None
    except (MessageError, ValueError, TypeError, LookupError):
        return False


def from_html(page: str) -> str:
    """HTML of a mail program as text; by a reader of our own, since the library's takes quadratic time."""
    pieces: list[str] = []
    silent, end = "", 0
    for tag in _TAG.finditer(page):
        name = tag[2].lower()
        if not silent:
            pieces.append(" ".join(page[end : tag.start()].split("\n")))
            pieces.append("\n" if name in _BLOCKS else "")
        if name in _SILENT:
            silent = "" if tag[1] else silent or name
        elif name == "li" and not tag[1] and not silent:
            pieces.append("\n- ")
        end = tag.end()
    pieces.append("" if silent else page[end:])
    lines = [" ".join(line.split()) for line in unescape("".join(pieces)).split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
