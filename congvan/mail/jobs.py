"""A message in the sender's hands: built ahead, its final dot watched, its outcome written down once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from congvan.mail.dots import Dots
from congvan.mail.ending import Ended
from congvan.mail.message import Pieces
from congvan.mail.outgoing import Envelope, Outcome, Outgoing
from congvan.mail.replies import Verdict
from congvan.mail.wire import WireLost

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Job:
    """What is still to be done with it; `results` takes its outcome."""

    item: Outgoing
    domain: str
    results: asyncio.Queue[Outcome]
    ready: tuple[Envelope, bytes | Pieces] | None = None
    #: Written down by the witness already.
    outcome: Outcome | None = None

    def build_ahead(self) -> None:
        """Where that copies no files: one after the other letters are built in two thirds of the time that each takes
        between two conversations."""
        if self.item.pieces is not None:
            # What cannot be built is told of when its turn comes.
            with suppress(Exception):
                self.ready = self.item.prepared()

    def end(self, ended: Ended) -> Outcome:
        """What became of it, written down once: as it was first heard."""
        return self._witnessed(ended.verdict, ended.code, ended.reply, ended.judgement.slow_down)

    def settle(self, verdict: Verdict, code: int | None, reply: str, slow_down: bool = False) -> None:
        """An end without a conversation."""
        self.results.put_nowait(self._witnessed(verdict, code, reply, slow_down))

    def _witnessed(self, verdict: Verdict, code: int | None, reply: str, slow_down: bool) -> Outcome:
        if self.outcome is None:
            self.outcome = Outcome(self.item.key, verdict, code, reply, slow_down)
            if self.item.witness is not None:
                try:
                    self.item.witness.ended(self.outcome)
                except OSError as fault:
                    # A full disk. Whoever waits for it is told all the same; only a kill before that makes it unknown.
                    log.warning("the journal of a dispatch could not be written: %s", type(fault).__name__)
        return self.outcome


class JobsDot:
    """The dot of one job, as a conversation asks for it (`AtDot`)."""

    __slots__ = ("_dots", "_job", "_out")

    def __init__(self, dots: Dots, job: Job) -> None:
        self._dots, self._job, self._out = dots, job, False

    async def enter(self, write: Callable[[], None]) -> None:
        witness, key = self._job.item.witness, self._job.item.key

        def go() -> None:
            if witness is not None and not witness.handing_over(key):
                raise WireLost("its dispatch was given up")
            write()

        await self._dots.enter(go)
        self._out = True

    def leave(self, ended: Ended | None = None) -> None:
        if not self._out:
            return
        self._out = False
        try:
            if ended is not None:
                # Before the next dot leaves: a kill between the two would send again what is known to be taken.
                self._job.end(ended)
        finally:
            self._dots.leave()
