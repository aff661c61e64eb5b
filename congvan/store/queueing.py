"""Whose turn it is to write to a SQLite file: first come, first served, among tasks and among processes.

SQLite lets one writer in at a time, and whoever finds it taken sleeps and asks again, in ever longer steps: beside
a process that writes one transaction after the other the others wait for seconds. Here a process waits in the
kernel. It takes the door, then the desk, and leaves the door as soon as it has the desk: who has just left the
desk finds somebody else in the door, so nobody who waits is overtaken by one who comes back.

A process that answers somebody goes before one that works for nobody in particular (flows, relay, workers): the
first rings a bell, the second waits before the door while it rings. Taking turns one for one, twenty answers a second
beside a dispatch waited for seconds, each for a batch of its own; now an answer waits for the rest of one batch. A bell
that never stops is not waited for.

SQLite's own lock and its time-out stay as they are, below this one and for those who know nothing of it.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path

#: A batch gives way for so long at the most; seconds.
_POLITE_S = 0.25
#: While the bell rings it is listened to again after so long: nothing tells when it stops; seconds.
_LISTEN_S = 0.002
#: Who was heard so recently may come back; seconds.
LATELY_S = 2.0


class Queue:
    """The queue before one database file, as one process sees it.

    patience_s: after that one goes on without. gives_way: whoever comes without it goes first.
    """

    def __init__(self, database: Path, patience_s: float, *, gives_way: bool = False) -> None:
        self._database = database
        self._gives_way = gives_way
        self._patience_s = patience_s
        #: One task of this process at a time, so at most one thread waits.
        self._inside = asyncio.Lock()
        self._bell = _Bell(Path(f"{database}-bell"))
        self._heard_at = -LATELY_S
        self._place: _Place | None = None
        self._thread: ThreadPoolExecutor | None = None

    @property
    def pressed(self) -> bool:
        """Whether this process has lately had to give way: its next batches had better be small."""
        return asyncio.get_running_loop().time() - self._heard_at < LATELY_S

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for the turn and have it until the block ends; the kernel ends it with the process."""
        async with nullcontext() if self._gives_way else self._bell.rung(), self._inside:
            if self._gives_way:
                await self._let_others_go_first()
            place = await self._taken()
            try:
                yield
            finally:
                if place is not None:
                    place.leave()

    async def _let_others_go_first(self) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + _POLITE_S
        while self._bell.rings():
            self._heard_at = loop.time()
            if self._heard_at >= until:
                return
            await asyncio.sleep(_LISTEN_S)

    async def _taken(self) -> _Place | None:
        """The place, taken; None where there is none to be had and SQLite's own lock has to do."""
        try:
            place = self._place = self._place or _Place(self._database)
            if not place.take_at_once():
                await self._wait(place)
        except (OSError, TimeoutError):
            # A folder or a file system without such locks, or a holder that stands still.
            return None
        return place

    async def _wait(self, place: _Place) -> None:
        self._thread = self._thread or ThreadPoolExecutor(1, "congvan-queue")
        waiting = asyncio.get_running_loop().run_in_executor(self._thread, place.take)
        try:
            await asyncio.wait_for(asyncio.shield(waiting), self._patience_s)
        except BaseException:
            # The thread cannot be called back: when its turn comes it gives it up at once.
            self._place = None
            waiting.add_done_callback(lambda _: place.close())
            raise

    def close(self) -> None:
        """Close the files."""
        self._bell.close()
        if self._place is not None:
            self._place.close()
            self._place = None
        if self._thread is not None:
            self._thread.shutdown(wait=False)
            self._thread = None


class _Bell:
    """An empty file beside the database: locked by many at once while they are to go first."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None
        #: Tasks of this process that ring.
        self._ringing = 0

    @asynccontextmanager
    async def rung(self) -> AsyncIterator[None]:
        """Ring until the block ends; the kernel lets go with the process."""
        self._ringing += 1
        try:
            if self._ringing == 1:
                self._lock(fcntl.LOCK_SH)
            yield
        finally:
            self._ringing -= 1
            if not self._ringing:
                self._lock(fcntl.LOCK_UN)

    def rings(self) -> bool:
        """Whether anybody rings; not for a process that rings itself."""
        alone = self._lock(fcntl.LOCK_EX)
        self._lock(fcntl.LOCK_UN)
        return not alone

    def _lock(self, how: int) -> bool:
        """Never waits: who rings in the instant in which another listens goes unheard, and waits for one batch more.
        True too where no file can be had: then nobody goes first."""
        try:
            if self._file is None:
                self._file = os.open(self._path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
            fcntl.flock(self._file, how | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True

    def close(self) -> None:
        """Let go and forget it."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


class _Place:
    """Door and desk: two empty files beside the database that are locked, never written."""

    def __init__(self, database: Path) -> None:
        self._door = os.open(f"{database}-door", os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            self._desk = os.open(f"{database}-desk", os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError:
            os.close(self._door)
            raise

    def take_at_once(self) -> bool:
        """Take the desk if nobody waits and nobody has it; False with the door perhaps in hand."""
        try:
            fcntl.flock(self._door, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.flock(self._desk, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        fcntl.flock(self._door, fcntl.LOCK_UN)
        return True

    def take(self) -> None:
        """Wait for the door, then for the desk."""
        fcntl.flock(self._door, fcntl.LOCK_EX)
        fcntl.flock(self._desk, fcntl.LOCK_EX)
        fcntl.flock(self._door, fcntl.LOCK_UN)

    def leave(self) -> None:
        """Leave the desk to the next."""
        fcntl.flock(self._desk, fcntl.LOCK_UN)

    def close(self) -> None:
        """Leave both and forget them."""
        os.close(self._door)
        os.close(self._desk)
