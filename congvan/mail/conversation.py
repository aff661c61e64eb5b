"""One connection to the mail server, and the conversation that hands one message over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from congvan.mail.ending import Ended, judged, refused
from congvan.mail.message import TERMINATOR, Pieces
from congvan.mail.outgoing import Envelope
from congvan.mail.replies import Judgement, Phase, Reply
from congvan.mail.wire import Wire, WireLost

Trace = Callable[[str], None]


class AtDot(Protocol):
    """Lets the final dot leave, and is told when its reply has come or will never come."""

    async def enter(self, write: Callable[[], None]) -> None:
        """Returns when `write` was called, which writes the dot; raises what it raises."""
        ...

    def leave(self, ended: Ended | None = None) -> None:
        """Nothing is waited for any more, since it ended so. May be called again, and where the dot never left."""
        ...


_RESET = b"RSET\r\n"


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds per phase. RFC 5321 section 4.5.3.2 asks for more; a lease has to be longer than `worst_s`."""

    connect_s: float = 30.0
    command_s: float = 120.0
    body_s: float = 300.0
    dot_s: float = 600.0

    @property
    def worst_s(self) -> float:
        """The longest that one message can be under way: two connects, one retry before the body."""
        return 2 * (3 * self.connect_s + 4 * self.command_s) + self.body_s + self.dot_s


class Stale(Exception):
    """The connection failed before the message could have been taken; a fresh one may do."""

    def __init__(self, reason: str, *, timed_out: bool) -> None:
        super().__init__(reason)
        self.timed_out = timed_out


class Line:
    """An open connection. One message at a time; `fit` says whether it can carry another."""

    def __init__(
        self,
        wire: Wire,
        extensions: dict[str, str],
        timeouts: Timeouts,
        trace: Trace | None,
        *,
        pipelined: bool,
    ) -> None:
        self._wire = wire
        self._extensions = extensions
        self._timeouts = timeouts
        self._trace = trace or (lambda point: None)
        self._traced = trace is not None
        self._pipelined = pipelined and "pipelining" in extensions
        self._open_transaction = False
        self.carried = 0

    @property
    def fit(self) -> bool:
        return self._wire.fit

    @property
    def pipelined(self) -> bool:
        return self._pipelined

    async def leave(self) -> None:
        """Say QUIT where that still has a sense, and be closed on return."""
        await self._wire.leave(timeout_s=1.0)

    def close(self) -> None:
        self._wire.close()

    async def hand_over(
        self, envelope: Envelope, payload: bytes | Pieces, at_dot: AtDot | None = None
    ) -> Ended:
        """Hand one message over and say how it ended; raise Stale where a fresh connection may do.

        1. What this server cannot take at all is refused here. 2. MAIL, RCPT and DATA, in one group where
        the server offers PIPELINING. 3. The body with its final dot in one write, or in two where `at_dot` is
        to be asked between them. 4. The reply to the dot. A connection lost after 3 leaves the message
        unknown, before it certainly not taken.
        """
        octets = (sum(map(len, payload)) if isinstance(payload, Pieces) else len(payload)) - len(TERMINATOR)
        if (refusal := self._cannot_take(envelope, octets)) is not None:
            return refusal
        try:
            decided = await self._open(envelope, octets)
        except (WireLost, TimeoutError) as fault:
            self.close()
            raise Stale(str(fault), timed_out=isinstance(fault, TimeoutError)) from fault
        if decided is not None:
            return decided
        if at_dot is None:
            return await self._pour(b"".join(payload) if isinstance(payload, Pieces) else payload)
        return await self._pour_up_to_the_dot(payload, at_dot)

    # ------------------------------------------------------------ the envelope

    def _cannot_take(self, envelope: Envelope, octets: int) -> Ended | None:
        if envelope.needs_utf8 and "smtputf8" not in self._extensions:
            return refused(553, "5.6.7 this server does not take addresses with letters beyond ASCII")
        limit = self._extensions.get("size", "")
        if limit.isdigit() and 0 < int(limit) < octets:
            return refused(552, f"5.3.4 {octets} octets are more than the {limit} this server takes")
        return None

    def _commands(self, envelope: Envelope, octets: int) -> tuple[bytes, bytes, bytes]:
        mail = f"MAIL FROM:<{envelope.mail_from}>"
        rcpt = f"RCPT TO:<{envelope.rcpt_to}>"
        if "size" in self._extensions:
            mail += f" SIZE={octets}"
        if envelope.needs_utf8:
            mail += " BODY=8BITMIME SMTPUTF8"
        if envelope.dsn_id and "dsn" in self._extensions:
            mail += f" RET=HDRS ENVID={_xtext(envelope.dsn_id)}"
            rcpt += " NOTIFY=SUCCESS,FAILURE,DELAY"
        return f"{mail}\r\n".encode(), f"{rcpt}\r\n".encode(), b"DATA\r\n"

    async def _open(self, envelope: Envelope, octets: int) -> Ended | None:
        """MAIL, RCPT and DATA. None = the server waits for the body."""
        commands = self._commands(envelope, octets)
        reset, self._open_transaction = self._open_transaction, True
        return await (self._open_in_group if self._pipelined else self._open_by_steps)(commands, reset)

    async def _open_in_group(self, commands: tuple[bytes, bytes, bytes], reset: bool) -> Ended | None:
        group = [_RESET, *commands] if reset else list(commands)
        if self._traced:
            for command in group:
                self._trace(_point(command))
                self._wire.write(command)
        else:
            self._wire.write(b"".join(group))
        if reset:
            await self._reply()
        first: Ended | None = None
        for phase in (Phase.MAIL, Phase.RCPT, Phase.DATA):
            try:
                reply = await self._reply()
            except (WireLost, TimeoutError):
                if first is None:
                    raise
                break
            if first is None and not _went_on(phase, reply):
                first = self._ended(phase, reply)
            elif first is not None and phase is Phase.DATA and reply.code == 354:
                await self._send_nothing()
        return first

    async def _send_nothing(self) -> None:
        """RFC 2920 section 3.1: a server may ask for the body although it took no recipient."""
        try:
            self._wire.write(TERMINATOR)
            await self._reply()
        except (WireLost, TimeoutError):
            self.close()

    async def _open_by_steps(self, commands: tuple[bytes, bytes, bytes], reset: bool) -> Ended | None:
        if reset:
            self._wire.write(_RESET)
            await self._reply()
        for phase, command in zip((Phase.MAIL, Phase.RCPT, Phase.DATA), commands, strict=True):
            self._trace(_point(command))
            self._wire.write(command)
            reply = await self._reply()
            if not _went_on(phase, reply):
                return self._ended(phase, reply)
        return None

    async def _reply(self) -> Reply:
        return await self._wire.reply(self._timeouts.command_s)

    # ------------------------------------------------------------ the body

    async def _pour_up_to_the_dot(self, payload: bytes | Pieces, at_dot: AtDot) -> Ended:
        """As `_pour`, but the dot leaves by itself: a kill before it cannot have been a delivery."""
        try:
            if isinstance(payload, Pieces) and not self._traced:
                self._wire.write_pieces(payload[:-1])
                await self._wire.drain(self._timeouts.body_s)
            else:
                whole = b"".join(payload) if isinstance(payload, Pieces) else payload
                await self._write_body(memoryview(whole)[: -len(TERMINATOR)])
        except (WireLost, TimeoutError) as fault:
            self.close()
            return await self._last_words(str(fault))
        try:
            return await self._pour(TERMINATOR, at_dot)
        finally:
            at_dot.leave()

    async def _pour(self, payload: bytes, at_dot: AtDot | None = None) -> Ended:
        try:
            if at_dot is None:
                await self._write_body(payload)
            else:
                await at_dot.enter(lambda: self._wire.write(payload))
                await self._wire.drain(self._timeouts.body_s)
        except (WireLost, TimeoutError) as fault:
            # Some octets never left this process, so the final dot did not.
            self.close()
            return await self._last_words(str(fault))
        self._trace("dot")

        def heard(reply: Reply | None) -> None:
            if at_dot is not None:
                at_dot.leave(None if reply is None else judged(Phase.BODY, reply))

        try:
            reply = await self._wire.reply(self._timeouts.dot_s, heard)
        except (WireLost, TimeoutError) as fault:
            self.close()
            return Ended(Phase.BODY, "unknown", None, f"no reply to the final dot: {fault}", Judgement("unknown"))
        self._trace("reply")
        self._open_transaction = False
        self.carried += 1
        return self._ended(Phase.BODY, reply)

    async def _write_body(self, payload: bytes | memoryview) -> None:
        if self._traced and payload != TERMINATOR:
            half = len(payload) // 2
            self._wire.write(payload[:half])
            await self._wire.drain(self._timeouts.body_s)
            self._trace("body")
            payload = payload[half:]
        self._wire.write(payload)
        await self._wire.drain(self._timeouts.body_s)

    async def _last_words(self, reason: str) -> Ended:
        """A server that hangs up in the middle of a body may have said why."""
        try:
            reply = await self._wire.reply(0.0)
        except (WireLost, TimeoutError):
            return Ended(Phase.DATA, "unavailable", None, reason, Judgement("unavailable"))
        return self._ended(Phase.DATA, reply)

    def _ended(self, phase: Phase, reply: Reply) -> Ended:
        ended = judged(phase, reply)
        if ended.judgement.hang_up:
            self.close()
        return ended


def _went_on(phase: Phase, reply: Reply) -> bool:
    return reply.code == 354 if phase is Phase.DATA else 200 <= reply.code < 300


def _point(command: bytes) -> str:
    return command[:4].decode().lower()


def _xtext(text: str) -> str:
    """RFC 3461 section 4."""
    if text.isascii() and text.isalnum():
        return text
    return "".join(c if "!" <= c <= "~" and c not in "+=" else f"+{ord(c):02X}" for c in text)
