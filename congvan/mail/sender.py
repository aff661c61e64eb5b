"""Hands messages to the mail server: a few kept connections, many messages over each, every outcome told.

One message is handed over at most once by a call of `send`, whatever happens: after the final dot without
a reply the outcome is "unknown" and the caller decides. Repeating belongs to the outbox, not here.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import suppress
from itertools import islice

from congvan.errors import LetterRefused
from congvan.mail.address import domain_of
from congvan.mail.connecting import NoConnection, open_line
from congvan.mail.conversation import Line, Stale, Timeouts, Trace
from congvan.mail.dots import Dots
from congvan.mail.ending import Ended, broken_off, stale_end
from congvan.mail.jobs import Job, JobsDot
from congvan.mail.message import Pieces
from congvan.mail.outgoing import Envelope, Outcome, Outgoing
from congvan.mail.pacing import Limits, Pacer
from congvan.mail.replies import Phase
from congvan.mail.url import SmtpUrl, UnsafeMailSettings

__all__ = ["Limits", "Sender", "SmtpUrl", "Timeouts", "UnsafeMailSettings"]

log = logging.getLogger(__name__)

#: Messages of one call that are looked at ahead of the connections: what bounds the memory.
WINDOW = 256
#: So many of them are built one after the other.
_AHEAD = 64
#: After a server said that it takes no further connection, this long it is not asked for one; seconds.
NARROW_S = 10.0
#: A dispatch that is given up lets what is on the wire end for so long; whoever supervises it kills it later.
LEAVING_S = 10.0


class Sender:
    """A pool of connections to one server. Calls of `send` may overlap and share it.

    Raises UnsafeMailSettings where a password would go in clear (SmtpUrl refuses that too).
    """

    def __init__(
        self,
        url: SmtpUrl,
        *,
        connections: int = 4,
        limits: Limits = Limits(),
        timeouts: Timeouts = Timeouts(),
        tls_context: ssl.SSLContext | None = None,
        trace: Trace | None = None,
    ) -> None:
        self._url = url
        self._connections = connections
        self._limits = limits
        self._timeouts = timeouts
        self._context = tls_context or url.tls_context()
        self._trace = trace
        self._pacer: Pacer[Job] = Pacer(limits, _give_back)
        self._workers: list[asyncio.Task[None]] = []
        #: Those of them that are in a conversation.
        self._busy: set[asyncio.Task[None] | None] = set()
        self._closing = False
        self._dots = Dots()
        #: Open, or being opened.
        self._lines = 0
        self._pipelined = True

    async def send(self, batch: Iterable[Outgoing]) -> AsyncGenerator[Outcome, None]:
        """Hand over every message of the batch; give each outcome as it comes, in no order.

        The batch is read ahead by at most WINDOW messages, _AHEAD of them at a time. Whoever leaves the iteration
        early takes back what has not been started; what is on the wire ends, heard by its witness alone, and is
        waited for as long as LEAVING_S.
        """
        self._start_workers()
        results: asyncio.Queue[Outcome] = asyncio.Queue()
        source, pending, more = iter(batch), 0, True
        try:
            while more or pending:
                while more and pending <= WINDOW - _AHEAD:
                    jobs = [Job(item, domain_of(item.rcpt_to), results) for item in islice(source, _AHEAD)]
                    more = len(jobs) == _AHEAD
                    await self._build_ahead(jobs)
                    for job in jobs:
                        self._pacer.add(job.domain, job)
                    pending += len(jobs)
                if pending:
                    outcome = await results.get()
                    pending -= 1
                    yield outcome
        finally:
            pending -= len(self._pacer.withdraw(lambda job: job.results is results))
            with suppress(TimeoutError):
                async with asyncio.timeout(LEAVING_S):
                    for _ in range(pending):
                        await results.get()

    async def _build_ahead(self, jobs: Sequence[Job]) -> None:
        if jobs:
            async with self._dots.none_out():
                for job in jobs:
                    job.build_ahead()

    async def aclose(self) -> None:
        """Let messages on the wire end, say QUIT and close. What waits comes back as unavailable."""
        self._hand_back_waiting()
        self._closing = True
        for worker in self._workers:
            if worker not in self._busy:
                worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        self._workers.clear()
        self._closing = False
        # One that found no connection may have put its letter back meanwhile.
        self._hand_back_waiting()

    def _hand_back_waiting(self) -> None:
        for job in self._pacer.withdraw(lambda job: True):
            job.settle("unavailable", None, "the sender is closing")

    # ------------------------------------------------------------ the workers, one connection each

    def _start_workers(self) -> None:
        self._workers = [worker for worker in self._workers if not worker.done()]
        while len(self._workers) < self._connections:
            self._workers.append(asyncio.create_task(self._work(), name="mail-line"))

    async def _work(self) -> None:
        line: Line | None = None
        me = asyncio.current_task()
        try:
            while not self._closing:
                job = await self._pacer.take()
                # Whoever closes the sender lets a conversation end: broken off, its letter would be unknown.
                self._busy.add(me)
                narrow = False
                try:
                    line = await self._carry(job, line)
                except _Narrow:
                    line, narrow = None, True
                finally:
                    self._busy.discard(me)
                    self._pacer.done(job.domain)
                if narrow:
                    # The server takes no further connection: the others carry on, this one asks later.
                    await asyncio.sleep(NARROW_S)
        finally:
            await self._drop(line)

    async def _carry(self, job: Job, line: Line | None) -> Line | None:
        """Send one job over the line, or a fresh one; return the line if it can carry another."""
        try:
            envelope, payload = job.ready or job.item.prepared()
        except LetterRefused as refusal:
            job.settle("refused", None, str(refusal))
            return line
        except Exception:
            # The one loop that carries letters: one that cannot be built must not hold up the others.
            log.exception("A message could not be built", extra={"key": job.item.key})
            job.settle("unavailable", None, "the message could not be built")
            return line
        try:
            return await self._converse(job, envelope, payload, line)
        except NoConnection as fault:
            self._no_way(job, fault)
            return None

    async def _converse(
        self, job: Job, envelope: Envelope, payload: bytes | Pieces, line: Line | None
    ) -> Line | None:
        """One conversation, and a second over a fresh line where the first could not even begin."""
        for may_repeat in (True, False):
            line, fresh = await self._ready(line)
            try:
                ended = await line.hand_over(envelope, payload, JobsDot(self._dots, job))
            except Stale as fault:
                if fault.timed_out and line.pipelined:
                    # Some servers announce PIPELINING and drop what comes in one packet.
                    self._pipelined, fresh = False, False
                ended, stale = stale_end(str(fault)), True
            except Exception:
                # A fault of ours in the middle of a conversation: nobody knows how far it had come.
                log.exception("A conversation broke off", extra={"key": job.item.key})
                line.close()
                ended, stale = broken_off(), False
            else:
                # RFC 5321 section 3.8: a connection that has served may be told that its share is used up.
                stale = ended.code == 421 and ended.phase is not Phase.BODY
            if stale and may_repeat and not fresh:
                await self._drop(line)
                line = None
                continue
            break
        self._tell(job, ended)
        if line is not None and line.fit:
            return line
        await self._drop(line)
        return None

    async def _ready(self, line: Line | None) -> tuple[Line, bool]:
        """A line that can carry a message, and whether it is a fresh one; raise NoConnection."""
        if line is not None and line.fit and line.carried < self._limits.per_connection:
            return line, False
        await self._drop(line)
        self._lines += 1
        try:
            opened = open_line(self._url, self._context, self._timeouts, self._trace, pipelined=self._pipelined)
            return await opened, True
        except NoConnection:
            self._lines -= 1
            raise

    async def _drop(self, line: Line | None) -> None:
        if line is not None:
            self._lines -= 1
            await line.leave()

    def _no_way(self, job: Job, fault: NoConnection) -> None:
        """No connection: where others are open, leave the job to them; else it is not now for everybody."""
        if self._lines > 0:
            self._pacer.add(job.domain, job, first=True)
            raise _Narrow
        self._pacer.slow_down(None, asyncio.get_running_loop().time())
        job.settle("unavailable", fault.reply.code if fault.reply else None, str(fault), True)

    def _tell(self, job: Job, ended: Ended) -> None:
        now = asyncio.get_running_loop().time()
        if ended.judgement.slow_down:
            self._pacer.slow_down(None if ended.judgement.scope == "server" else job.domain, now)
        elif ended.verdict == "accepted":
            self._pacer.went_well(job.domain, now)
        job.results.put_nowait(job.end(ended))


class _Narrow(Exception):
    """The server takes fewer connections than we have."""


def _give_back(job: Job) -> None:
    job.settle("unavailable", None, "held back: the server asked for time", True)
