"""What the sink has taken, on disk: one .eml per message and an append-only index that anybody can count."""

from __future__ import annotations

import asyncio
import email
import email.policy
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from email.message import EmailMessage
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Stored:
    """One line of the index. `number` counts from 1 in the order of arrival; `at` is ISO 8601 or empty."""

    number: int
    at: str
    mail_from: str
    rcpt_to: tuple[str, ...]
    message_id: str
    from_: str
    to: str
    subject: str
    size: int
    sha256: str

    @property
    def file(self) -> str:
        """The name of its .eml in the folder."""
        return f"{self.number:06d}.eml"


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file of a message, with the hash of what arrived."""

    name: str
    media_type: str
    data: bytes
    sha256: str


@dataclass(frozen=True, slots=True)
class Opened:
    """A message as a reader shows it."""

    stored: Stored
    headers: tuple[tuple[str, str], ...]
    text: str
    html: str
    attachments: tuple[Attachment, ...]

    def header(self, name: str) -> str:
        """The first header of this name, or an empty text."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")


class SinkStore:
    """A folder of messages. One writer (the sink), any number of readers, also in other processes."""

    def __init__(self, folder: Path, now: Callable[[], datetime] | None = None) -> None:
        self.folder = folder
        self._now = now
        self._index = folder / "index.jsonl"
        folder.mkdir(parents=True, exist_ok=True)
        self._count = self._index.read_bytes().count(b"\n") if self._index.exists() else 0

    # ------------------------------------------------------------ the writer

    async def on_message(self, mail_from: str, rcpt_to: tuple[str, ...], data: bytes) -> str | None:
        """Keep a message; the hook of `Sink`. The 250 follows only when the message is on disk."""
        self.keep(mail_from, rcpt_to, data)
        # The connections take turns although nothing here waits.
        await asyncio.sleep(0)
        return None

    def keep(self, mail_from: str, rcpt_to: tuple[str, ...], data: bytes) -> Stored:
        """Write the .eml, then its line in the index."""
        head = _parsed(data.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
        stored = Stored(
            number=self._count + 1,
            at=self._now().isoformat() if self._now is not None else "",
            mail_from=mail_from,
            rcpt_to=rcpt_to,
            message_id=str(head.get("message-id", "")).strip(),
            from_=str(head.get("from", "")),
            to=str(head.get("to", "")),
            subject=str(head.get("subject", "")),
            size=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
        )
        (self.folder / stored.file).write_bytes(data)
        with self._index.open("a", encoding="utf-8") as index:
            index.write(json.dumps(asdict(stored), ensure_ascii=False) + "\n")
        self._count += 1
        return stored

    # ------------------------------------------------------------ the readers

    def lines(self) -> Iterator[Stored]:
        """Every message in the order of arrival; a line that is being written is not there yet."""
        if not self._index.exists():
            return
        with self._index.open(encoding="utf-8") as index:
            for line in index:
                if line.endswith("\n"):
                    raw = json.loads(line)
                    yield Stored(**{**raw, "rcpt_to": tuple(raw["rcpt_to"])})

    def page(
        self, *, search: str = "", address: str = "", limit: int = 100, offset: int = 0
    ) -> tuple[list[Stored], int]:
        """(newest first, how many). `search` looks into subject, from and to; `address` is a recipient."""
        wanted, needle = address.casefold(), search.casefold()
        found = [
            stored
            for stored in self.lines()
            if (not wanted or any(wanted == recipient.casefold() for recipient in stored.rcpt_to))
            and (not needle or needle in f"{stored.subject}\n{stored.from_}\n{stored.to}".casefold())
        ]
        found.reverse()
        return found[offset : offset + limit], len(found)

    def open(self, number: int) -> Opened | None:
        """One message taken apart, or None."""
        stored = next((line for line in self.lines() if line.number == number), None)
        if stored is None:
            return None
        message = _parsed((self.folder / stored.file).read_bytes())
        return Opened(
            stored=stored,
            headers=tuple((name, str(value)) for name, value in message.items()),
            text=_body(message, "plain"),
            html=_body(message, "html"),
            attachments=tuple(_attachments(message)),
        )


def _parsed(data: bytes) -> EmailMessage:
    return email.message_from_bytes(data, policy=email.policy.default)


def _body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    return str(part.get_content()) if part is not None else ""


def _attachments(message: EmailMessage) -> Iterator[Attachment]:
    for part in message.iter_attachments():
        data = part.get_payload(decode=True)
        octets = data if isinstance(data, bytes) else b""
        yield Attachment(
            name=part.get_filename() or "",
            media_type=part.get_content_type(),
            data=octets,
            sha256=hashlib.sha256(octets).hexdigest(),
        )
