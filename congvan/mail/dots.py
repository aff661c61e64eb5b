"""Final dots on their way to the mail server."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

#: How long a final dot waits for the reply to another; seconds.
DOT_S = 0.02


@dataclass(slots=True, eq=False)
class _Turn:
    """A dot that waits. go: writes it."""

    go: Callable[[], None]
    gone: asyncio.Future[None]


class Dots:
    """How many final dots have left without a reply. What they end is what a kill can send twice, so a dot
    waits for the one before it, but only as long as costs nothing: a slow server is not waited for.

    The next one is written in the step in which the reply was read. Were its conversation woken for it, another
    letter would be built first, and the server would have nothing to do meanwhile.
    """

    def __init__(self) -> None:
        self._out = 0
        self._waiting: deque[_Turn] = deque()

    async def enter(self, go: Callable[[], None]) -> None:
        """Return after `go`, with a dot more on its way; raise what `go` raises, with none."""
        if not self._out:
            go()
            self._out += 1
            return
        loop = asyncio.get_running_loop()
        turn = _Turn(go, loop.create_future())
        self._waiting.append(turn)
        timer = loop.call_later(DOT_S, self._let_go, turn)
        try:
            await turn.gone
        except asyncio.CancelledError:
            if turn.gone.done() and not turn.gone.cancelled() and turn.gone.exception() is None:
                self.leave()
            raise
        finally:
            timer.cancel()

    def leave(self) -> None:
        """A dot has its reply, or will never have one."""
        self._out -= 1
        while self._waiting and not self._let_go(self._waiting.popleft()):
            pass

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
