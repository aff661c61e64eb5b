"""A small SMTP server that takes mail and keeps it: the demo's post office and the tests' other end.

It is fast (one pass over the octets, no task per message unless a hook asks for one), speaks PIPELINING,
8BITMIME, SMTPUTF8, DSN, SIZE and, with a certificate, STARTTLS. It relays nothing and is for loopback.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self, cast

from congvan.mail.sinkstore import Attachment, Opened, SinkStore, Stored

__all__ = ["Attachment", "OnMessage", "OnRcpt", "Opened", "Sink", "SinkStore", "Stored"]

#: `on_message(mail_from, rcpt_to, data)` is awaited before the 250; a reply line instead of None refuses.
OnMessage = Callable[[str, tuple[str, ...], bytes], Awaitable[str | None]]
#: `on_rcpt(address)` gives a reply line to refuse with, or None.
OnRcpt = Callable[[str], str | None]

_PATH = re.compile(rb"^(?:MAIL FROM|RCPT TO):\s*<([^>]*)>(.*)$", re.IGNORECASE)
_END = b"\r\n.\r\n"


class Sink:
    """The server. `async with Sink(...) as sink: sink.port`; `accepted` counts messages answered with 250."""

    def __init__(
        self,
        on_message: OnMessage | None = None,
        on_rcpt: OnRcpt | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        extensions: tuple[str, ...] = ("PIPELINING", "8BITMIME", "SMTPUTF8", "DSN", "SIZE 104857600"),
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.on_message = on_message
        self.on_rcpt = on_rcpt
        self.host, self.port = host, port
        self.extensions = extensions
        self.tls = tls
        self.accepted = 0
        self.connections: set[_Session] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen; with port 0 the kernel picks one and `port` says which."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Session(self), self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and drop every connection."""
        if self._server is not None:
            self._server.close()
            for session in list(self.connections):
                session.drop()
            await self._server.wait_closed()
            self._server = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


class _Session(asyncio.Protocol):
    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._buffer = bytearray()
        self._reading_body = False
        self._scanned = 0
        self._busy: asyncio.Task[None] | None = None
        self._mail_from = ""
        self._rcpt_to: list[str] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._sink.connections.add(self)
        self._say("220 sink ESMTP")

    def connection_lost(self, exc: Exception | None) -> None:
        self._sink.connections.discard(self)

    def drop(self) -> None:
        """Hang up without a word."""
        if self._busy is not None:
            self._busy.cancel()
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._busy is None:
            self._advance()

    def _say(self, line: str) -> None:
        if not self._transport.is_closing():
            self._transport.write(line.encode() + b"\r\n")

    def _advance(self) -> None:
        """Take commands and bodies from the buffer until it is empty or a hook has to be waited for."""
        while self._busy is None:
            if self._reading_body:
                if not self._take_body():
                    return
                continue
            end = self._buffer.find(b"\n")
            if end < 0:
                return
            line = bytes(self._buffer[:end]).rstrip(b"\r")
            del self._buffer[: end + 1]
            self._command(line)

    def _take_body(self) -> bool:
        # The end may have come in two packets: look again at the last four octets.
        end = self._buffer.find(_END, max(self._scanned - 4, 0))
        if end < 0:
            self._scanned = len(self._buffer)
            return False
        data = bytes(memoryview(self._buffer)[: end + 2])
        del self._buffer[: end + len(_END)]
        self._reading_body, self._scanned = False, 0
        self._take_message(data.replace(b"\r\n..", b"\r\n."))
        return True

    def _take_message(self, data: bytes) -> None:
        mail_from, rcpt_to = self._mail_from, tuple(self._rcpt_to)
        self._reset()
        if self._sink.on_message is None:
            self._accept(None)
        else:
            self._busy = asyncio.ensure_future(self._ask(self._sink.on_message, mail_from, rcpt_to, data))

    async def _ask(self, hook: OnMessage, mail_from: str, rcpt_to: tuple[str, ...], data: bytes) -> None:
        try:
            refusal = await hook(mail_from, rcpt_to, data)
        except Exception:
            refusal = "451 4.3.0 could not be stored"
        self._busy = None
        self._accept(refusal)
        self._advance()

    def _accept(self, refusal: str | None) -> None:
        if refusal is None:
            self._sink.accepted += 1
        self._say(refusal or "250 2.0.0 taken")

    def _reset(self) -> None:
        self._mail_from, self._rcpt_to = "", []

    def _command(self, line: bytes) -> None:
        verb = line[:4].upper()
        if verb == b"MAIL" and (found := _PATH.match(line)):
            self._reset()
            self._mail_from = found[1].decode("utf-8", "replace")
            self._say("250 2.1.0 ok")
        elif verb == b"RCPT" and (found := _PATH.match(line)):
            self._rcpt(found[1].decode("utf-8", "replace"))
        elif verb == b"DATA":
            self._data()
        elif verb == b"EHLO":
            self._hello()
        elif line.upper() == b"STARTTLS" and self._sink.tls is not None:
            self._busy = asyncio.ensure_future(self._secure(self._sink.tls))
        elif verb == b"QUIT":
            self._say("221 2.0.0 bye")
            self._transport.close()
        else:
            self._say("250 2.0.0 ok" if verb in (b"HELO", b"RSET", b"NOOP") else "502 5.5.1 not known here")

    def _rcpt(self, address: str) -> None:
        refusal = self._sink.on_rcpt(address) if self._sink.on_rcpt is not None else None
        if refusal is None:
            self._rcpt_to.append(address)
        self._say(refusal or "250 2.1.5 ok")

    def _data(self) -> None:
        if not self._rcpt_to:
            self._say("554 5.5.1 no valid recipients")
            return
        self._reading_body = True
        self._say("354 go ahead")

    def _hello(self) -> None:
        self._reset()
        extensions = list(self._sink.extensions)
        if self._sink.tls is not None and self._transport.get_extra_info("sslcontext") is None:
            extensions.append("STARTTLS")
        lines = ["sink", *extensions]
        for number, text in enumerate(lines):
            self._say(f"250{' ' if number == len(lines) - 1 else '-'}{text}")

    async def _secure(self, context: ssl.SSLContext) -> None:
        self._say("220 2.0.0 ready")
        # RFC 3207 section 4.2: what came in clear before the handshake is forgotten.
        self._buffer.clear()
        loop = asyncio.get_running_loop()
        try:
            upgraded = await loop.start_tls(self._transport, self, context, server_side=True)
        except (OSError, ssl.SSLError):
            return
        finally:
            self._busy = None
        if upgraded is not None:
            self._transport = upgraded
        self._advance()
