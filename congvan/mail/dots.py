"""Final dots on their way to the mail server."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

#: How long a final dot waits for the reply to another; seconds.
DOT_S = 0.02


@dataclass(slots=True, eq=False)
class _Turn:
    """A dot that waits. go: writes it; timer: until when it waits."""

    go: Callable[[], None]
    gone: asyncio.Future[None]
    timer: asyncio.TimerHandle | None = None


class Dots:
    """How many final dots have left without a reply. What they end is what a kill can send twice, so a dot
    waits for the one before it, but only as long as costs nothing: a slow server is not waited for.

    The next one is written in the step in which the reply was read. Were its conversation woken for it, all others that
    are ready to run would go first, and the server would have nothing to do meanwhile.
    """

    def __init__(self) -> None:
        self._out = 0
        self._waiting: deque[_Turn] = deque()
        #: How many want none to be out, and what tells them.
        self._held = 0
        self._none_out = asyncio.Event()

    @asynccontextmanager
    async def none_out(self) -> AsyncIterator[None]:
        """For work that keeps the loop from reading replies: a kill in the middle of it finds no dot on its way. A
        slow server is not waited for here either."""
        self._held += 1
        try:
            if self._out:
                self._none_out.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._none_out.wait(), DOT_S)
            yield
        finally:
            self._held -= 1
            # They have waited for us, not for the server.
            for turn in self._waiting:
                self._time(turn)
            if not self._out:
                self._next()

    async def enter(self, go: Callable[[], None]) -> None:
        """Return after `go`, with a dot more on its way; raise what `go` raises, with none."""
        if not self._out and not self._held:
            go()
            self._out += 1
            return
        turn = _Turn(go, asyncio.get_running_loop().create_future())
        self._waiting.append(turn)
        self._time(turn)
        try:
            await turn.gone
        except asyncio.CancelledError:
            if turn.gone.done() and not turn.gone.cancelled() and turn.gone.exception() is None:
                self.leave()
            raise
        finally:
            if turn.timer is not None:
                turn.timer.cancel()

    def leave(self) -> None:
        """A dot has its reply, or will never have one."""
        self._out -= 1
        if not self._out:
            self._none_out.set()
        self._next()

    def _next(self) -> None:
        """One more, unless there is one on its way that has been waited for, or none is wanted."""
        if self._held:
            return
        while self._waiting and not self._let_go(self._waiting.popleft()):
            pass

    def _time(self, turn: _Turn) -> None:
        if turn.timer is not None:
            turn.timer.cancel()
        turn.timer = asyncio.get_running_loop().call_later(DOT_S, self._let_go, turn)

    def _let_go(self, turn: _Turn) -> bool:
        if turn.gone.done():
            return False
        try:
            turn.go()
        except Exception as fault:
            turn.gone.set_exception(fault)
            return False
        self._out += 1
        turn.gone.set_result(None)
        return True
