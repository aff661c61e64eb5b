"""The letter that every peer sends, and the pool of connections it sends it over. Knows nothing of congvan."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path

import aiosmtplib

DOMAINS = 500


@dataclass(frozen=True, slots=True)
class Letter:
    """The words of the first recipient's letter, and the file that goes with each."""

    subject: str
    text: str
    html: str
    pdf: Path

    def save(self, path: Path) -> None:
        """Write it down for the peers' own processes."""
        words = {"subject": self.subject, "text": self.text, "html": self.html, "pdf": str(self.pdf)}
        path.write_text(json.dumps(words), "utf-8")

    @classmethod
    def read(cls, path: Path) -> Letter:
        """As it was saved."""
        words = json.loads(path.read_text("utf-8"))
        return cls(words["subject"], words["text"], words["html"], Path(words["pdf"]))


class Writer:
    """Makes the message of one recipient, as a user would."""

    def __init__(self, letter: Letter) -> None:
        self._letter = letter
        self._pdf = letter.pdf.read_bytes()

    def message(self, number: int) -> EmailMessage:
        """The letter to recipient `number`."""
        message = EmailMessage()
        message["From"] = "Ban Quản lý Mẫu <congvan@bql.example>"
        message["To"] = f"Công ty TNHH Mẫu {number} <vanthu{number}@cty{number % DOMAINS}.example>"
        message["Subject"] = self._letter.subject
        message["Message-ID"] = f"<{number}.letter@bql.example>"
        message.set_content(self._letter.text.replace("Mẫu 0", f"Mẫu {number}"))
        message.add_alternative(self._letter.html.replace("Mẫu 0", f"Mẫu {number}"), subtype="html")
        message.add_attachment(self._pdf, maintype="application", subtype="pdf", filename="Công văn số 01.pdf")
        return message


class Pool:
    """Open connections; each letter borrows one."""

    def __init__(self, writer: Writer, clients: list[aiosmtplib.SMTP]) -> None:
        self._writer = writer
        self._free: asyncio.Queue[aiosmtplib.SMTP] = asyncio.Queue()
        for client in clients:
            self._free.put_nowait(client)

    async def send(self, number: int) -> None:
        """Hand the letter to recipient `number` over."""
        client = await self._free.get()
        try:
            await client.send_message(self._writer.message(number))
        finally:
            self._free.put_nowait(client)


@asynccontextmanager
async def pool(letter: Letter, port: int, connections: int) -> AsyncIterator[Pool]:
    """A pool to a server on loopback."""
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False))
            for _ in range(connections)
        ]
        yield Pool(Writer(letter), clients)
