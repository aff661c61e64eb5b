"""One SMTP connection after its greeting: commands in groups, a body in one write, replies in order.

aiosmtplib opens the connection (TLS, EHLO, AUTH); then this protocol takes its transport over with
asyncio's own `set_protocol`, because the library's `data()` looks through every message twice and knows
no pipelining (RFC 2920). No private name of the library is touched.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import cast

from congvan.mail.replies import Reply

#: What is kept of one reply, and what is read of it before the server counts as mad; octets.
_KEPT = 2_000
_READ = 1_000_000
_LINE = 65_536


class WireLost(ConnectionError):
    """The connection ended."""


class WireBroken(WireLost):
    """The server sent something that is no SMTP reply."""


class Wire(asyncio.Protocol):
    """Replies in, bytes out. Not for two conversations at once."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._buffer = b""
        self._lines: list[str] = []
        self._octets = 0
        self._replies: deque[Reply] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._heard: Callable[[Reply | None], None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._fault: WireLost | None = None
        self._closed: asyncio.Future[None] = self._loop.create_future()
        # With the lowest water mark, "drained" means that the octets have left this process. Not 0: asyncio's TLS
        # then pauses at every write, even with nothing to wait for, and resumes at the next write only.
        transport.set_write_buffer_limits(high=1)
        transport.set_protocol(self)

    # ------------------------------------------------------------ what asyncio calls

    def data_received(self, data: bytes) -> None:
        *lines, self._buffer = (self._buffer + data if self._buffer else data).split(b"\n")
        for line in lines:
            self._take_line(line)
        if len(self._buffer) > _LINE:
            self._fail(WireBroken("a reply line of more than 64 KiB"))
        self._wake()

    def eof_received(self) -> bool:
        self._fail(WireLost("the server closed the connection"))
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(WireLost(str(exc) if exc else "the connection was closed"))
        if not self._closed.done():
            self._closed.set_result(None)
        if self._drained is not None and not self._drained.done():
            self._drained.set_exception(self._fault or WireLost())
            # Read here, so that nobody is told of it where nobody waits for it.
            self._drained.exception()

    def pause_writing(self) -> None:
        self._drained = self._loop.create_future()

    def resume_writing(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._drained = None

    # ------------------------------------------------------------ what a conversation calls

    @property
    def fit(self) -> bool:
        """Whether a new conversation can start: connected, and nothing was said that nobody asked for."""
        return self._fault is None and not self._replies and not self._buffer and not self._lines

    def write(self, data: bytes | memoryview) -> None:
        """Hand octets to the kernel; raise WireLost where the connection is known to be gone."""
        if self._fault is not None:
            raise self._fault
        self._transport.write(data)

    def write_pieces(self, pieces: Sequence[bytes]) -> None:
        """As `write`, for octets that lie in several places."""
        if self._fault is not None:
            raise self._fault
        self._transport.writelines(pieces)

    async def drain(self, timeout_s: float) -> None:
        """Wait until all that was written has left this process; raise WireLost or TimeoutError."""
        if self._drained is not None:
            await asyncio.wait_for(asyncio.shield(self._drained), timeout_s)

    async def reply(self, timeout_s: float, heard: Callable[[Reply | None], None] | None = None) -> Reply:
        """The next reply; raise WireLost or TimeoutError. Replies that came before a loss are still given.

        heard: is called with the reply the moment it has been read, or with None when the connection has ended:
        whoever waits here is told only when the loop comes to it.
        """
        if not self._replies:
            if self._fault is not None:
                raise self._fault
            self._waiter, self._heard = self._loop.create_future(), heard
            timer = self._loop.call_later(timeout_s, self._time_out, self._waiter)
            try:
                await self._waiter
            finally:
                timer.cancel()
                self._waiter = self._heard = None
        elif heard is not None:
            heard(self._replies[0])
        if self._replies:
            return self._replies.popleft()
        raise self._fault or WireLost()

    def close(self) -> None:
        """Drop the connection now."""
        self._fail(WireLost("closed here"))
        self._transport.abort()

    async def leave(self, timeout_s: float) -> None:
        """Say QUIT where that still has a sense, and close; the answer to QUIT changes nothing."""
        if self._fault is None:
            self._transport.write(b"QUIT\r\n")
            self._fault = WireLost("closed here")
            self._transport.close()
        else:
            self._transport.abort()
        await asyncio.wait((self._closed,), timeout=timeout_s)
        self._transport.abort()

    # ------------------------------------------------------------ inside

    def _take_line(self, line: bytes) -> None:
        self._octets += len(line)
        if self._octets > _READ:
            self._fail(WireBroken("a reply of more than 1 MB"))
        if self._fault is not None:
            return
        said = _read(line)
        if said is None:
            self._fail(WireBroken(f"not an SMTP reply: {line[:80]!r}"))
            return
        reply, more = said
        if more or self._lines:
            if sum(map(len, self._lines)) < _KEPT:
                self._lines.append(reply.text)
            if more:
                return
            reply = Reply(reply.code, "\n".join(self._lines))
        self._replies.append(reply)
        self._lines, self._octets = [], 0

    def _fail(self, fault: WireLost) -> None:
        if self._fault is None:
            self._fault = fault
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done() and (self._replies or self._fault):
            self._waiter.set_result(None)
            if self._heard is not None:
                self._heard(self._replies[0] if self._replies else None)

    @staticmethod
    def _time_out(waiter: asyncio.Future[None]) -> None:
        if not waiter.done():
            waiter.set_exception(TimeoutError("no reply in time"))


@lru_cache(maxsize=64)
def _read(line: bytes) -> tuple[Reply, bool] | None:
    """What a line of a reply says, and whether more follows; None where it is no such line. Servers repeat
    themselves."""
    line = line.rstrip(b"\r")
    code, mark = line[:3], line[3:4]
    if not (code.isdigit() and b"200" <= code < b"600" and mark in (b" ", b"-", b"")):
        return None
    return Reply(int(code), line[4:].decode("utf-8", "replace").strip()[:_KEPT]), mark == b"-"


def take_over(transport: asyncio.BaseTransport | None) -> Wire:
    """Put our protocol behind a connected transport; raise WireLost where it is already gone."""
    if transport is None or transport.is_closing():
        raise WireLost("the connection was lost during the greeting")
    return Wire(cast(asyncio.Transport, transport))
