"""A real SMTP server on loopback that misbehaves where it is told to, and remembers what it took."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Act = Callable[["Session"], Awaitable[None]]
#: A reply line, something else to do, or None for what a good server does.
Step = str | bytes | Act | None
#: One step for ever, or one for each time it is reached (then None).
Fault = Step | Sequence[Step]


class HangUp(Exception):
    """The session ends here."""


async def drop(session: Session) -> None:
    """Close the connection without a word."""
    raise HangUp


async def reset(session: Session) -> None:
    """Close the connection with a TCP reset."""
    sock = session.writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    session.writer.transport.abort()
    raise HangUp


async def hang(session: Session) -> None:
    """Keep the connection and say nothing more."""
    await session.server.stopped.wait()
    raise HangUp


def then(line: str, act: Act) -> Act:
    """Say a line, then do something."""

    async def both(session: Session) -> None:
        session.say(line)
        await session.writer.drain()
        await act(session)

    return both


def byte_by_byte(line: str) -> Act:
    """Say a line, one octet in a packet."""

    async def trickle(session: Session) -> None:
        for octet in line.encode() + b"\r\n":
            session.writer.write(bytes([octet]))
            await session.writer.drain()
            await asyncio.sleep(0)

    return trickle


@dataclass(slots=True)
class Taken:
    """One message that was answered with 250, or would have been."""

    mail: str
    rcpt: str
    data: bytes


@dataclass
class Faulty:
    """The server. A field named after a phase holds its fault; `rcpt_by_address` goes before `rcpt`."""

    banner: Fault = None
    ehlo: Fault = None
    starttls: Fault = None
    auth: Fault = None
    mail: Fault = None
    rcpt: Fault = None
    data: Fault = None
    body: Fault = None
    dot: Fault = None
    rcpt_by_address: dict[str, str] = field(default_factory=dict)
    extensions: tuple[str, ...] = ("PIPELINING", "8BITMIME", "SMTPUTF8", "DSN", "SIZE 10000000")
    tls: ssl.SSLContext | None = None
    implicit_tls: bool = False
    #: Forgets what has come in behind a command, as servers do that announce PIPELINING and cannot.
    loses_pipelined: bool = False
    max_connections: int | None = None
    port: int = 0

    def __post_init__(self) -> None:
        self.taken: list[Taken] = []
        self.commands: list[str] = []
        self.sessions = 0
        self.open_sessions = 0
        self.stopped = asyncio.Event()
        self._reached: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Faulty:
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, ssl=self.tls if self.implicit_tls else None, limit=2**24
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *error: object) -> None:
        self.stopped.set()
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.sessions += 1
        self.open_sessions += 1
        try:
            await Session(self, reader, writer).run()
        except (HangUp, ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            self.open_sessions -= 1
            self._tasks.discard(task)
            writer.transport.abort()

    def next_step(self, phase: str) -> Step:
        fault: Fault = getattr(self, phase)
        if isinstance(fault, list | tuple):
            index = self._reached.get(phase, 0)
            self._reached[phase] = index + 1
            return fault[index] if index < len(fault) else None
        return fault  # type: ignore[return-value]


class Session:
    """One connection."""

    def __init__(self, server: Faulty, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.server, self.reader, self.writer = server, reader, writer
        self.secure = server.implicit_tls
        self.sender = self.recipient = ""
        self._accepted = True

    def say(self, line: str | bytes) -> None:
        self.writer.write((line.encode() if isinstance(line, str) else line) + b"\r\n")

    async def _do(self, phase: str, good: str) -> bool:
        """Answer as told; whether the answer was the good one."""
        step = self.server.next_step(phase)
        self._accepted = not (isinstance(step, str) and step.startswith(("4", "5")))
        if callable(step):
            await step(self)
        else:
            self.say(good if step is None else step)
        await self.writer.drain()
        if isinstance(step, str) and step.startswith("421"):
            raise HangUp
        return step is None

    async def run(self) -> None:
        limit = self.server.max_connections
        if limit is not None and self.server.open_sessions > limit:
            self.say("421 4.7.0 too many connections from you")
            await self.writer.drain()
            raise HangUp
        await self._do("banner", "220 faulty ESMTP")
        while line := await self.reader.readline():
            text = line.decode("utf-8", "replace").strip()
            self.server.commands.append(text)
            if self.server.loses_pipelined:
                self.reader._buffer.clear()  # type: ignore[attr-defined]
            await self._answer(text)

    async def _answer(self, text: str) -> None:
        verb = text[:4].upper()
        if verb == "EHLO":
            await self._do("ehlo", self._greeting())
        elif text.upper() == "STARTTLS":
            if await self._do("starttls", "220 go ahead"):
                await self.writer.start_tls(self.server.tls)  # type: ignore[arg-type]
                self.secure = True
        elif verb == "AUTH":
            await self._do("auth", "235 2.7.0 welcome")
        elif verb == "MAIL" and self.sender:
            self.say("503 5.5.1 nested MAIL command")
        elif verb == "MAIL":
            self.recipient = ""
            await self._do("mail", "250 2.1.0 ok")
            self.sender = text if self._accepted else ""
        elif verb == "RCPT" and not self.sender:
            self.say("503 5.5.1 MAIL first")
        elif verb == "RCPT":
            await self._rcpt(text)
        elif verb == "DATA":
            await self._take()
        elif verb == "QUIT":
            self.say("221 bye")
            raise HangUp
        else:
            self.sender = self.recipient = ""
            self.say("250 ok" if verb in ("RSET", "NOOP", "HELO") else "500 5.5.1 what?")

    async def _rcpt(self, text: str) -> None:
        for address, refusal in self.server.rcpt_by_address.items():
            if f"<{address}>" in text:
                self.say(refusal)
                return
        if await self._do("rcpt", "250 2.1.5 ok"):
            self.recipient = text

    async def _take(self) -> None:
        if not self.recipient:
            self.say("554 5.5.1 no valid recipients")
            return
        if not await self._do("data", "354 go ahead"):
            return
        body = self.server.next_step("body")
        if callable(body):
            await self.reader.readexactly(1000)
            await body(self)
        data = await self.reader.readline()
        if data != b".\r\n":
            data += await self.reader.readuntil(b"\r\n.\r\n")
        self.server.taken.append(Taken(self.sender, self.recipient, data[:-3]))
        self.sender = self.recipient = ""
        await self._do("dot", "250 2.0.0 taken")

    def _greeting(self) -> str:
        lines = ["faulty", *self.server.extensions]
        if self.server.tls is not None and not self.secure:
            lines.append("STARTTLS")
        if self.secure or self.server.auth is not None:
            lines.append("AUTH PLAIN LOGIN")
        return "\r\n".join(f"250{' ' if text is lines[-1] else '-'}{text}" for text in lines)


def certificate(folder: Path, *names: str) -> tuple[ssl.SSLContext, Path]:
    """A server context with a certificate made for these names, and the file that a client trusts it by."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail test")])
    start = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    alternatives: list[x509.GeneralName] = [x509.DNSName(text) for text in names if text != "127.0.0.1"]
    if "127.0.0.1" in names:
        alternatives.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=36500))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    trusted, pair = folder / "trusted.pem", folder / "pair.pem"
    trusted.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    pair.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + trusted.read_bytes()
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair)
    return context, trusted
