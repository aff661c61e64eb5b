"""Sends what the outbox holds, and reads what came back."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable

from congvan.acts import outbox
from congvan.errors import CongvanError
from congvan.house import build, carrier
from congvan.settings import Settings
from tasks import effect, house


class InboxUnread(CongvanError):
    """What has come back could not be read."""


@effect
async def send(hop_id: str | None = None) -> dict[str, int]:
    """Send whatever of a hop (None: of no hop) may leave now; the outcomes counted.

    Tried again it sends only what has no outcome yet: claims are leases, and a repeat is the same message.
    """
    apart = _Apart(house().settings, hop_id)
    try:
        return await asyncio.to_thread(apart.run)
    finally:
        apart.stop()


class _Apart:
    """A dispatch on an event loop of its own: Prefect's is not the fast one, and is not to be kept waiting."""

    def __init__(self, settings: Settings, hop_id: str | None) -> None:
        self._settings, self._hop_id = settings, hop_id
        self._wanted = True
        self._end: Callable[[], object] = lambda: None

    def run(self) -> dict[str, int]:
        """Until everything that may leave has left, or `stop` was called."""
        with asyncio.Runner(loop_factory=_fast_loop()) as runner:
            return runner.run(self._carry())

    def stop(self) -> None:
        """End it where it stands; what it had claimed is settled by whoever sends next."""
        self._wanted = False
        self._end()

    async def _carry(self) -> dict[str, int]:
        loop, carrying = asyncio.get_running_loop(), asyncio.current_task()
        assert carrying is not None, "a coroutine that runs is in a task"
        self._end = lambda: loop.is_closed() or loop.call_soon_threadsafe(carrying.cancel)
        if not self._wanted:
            return {}
        own = build(self._settings, gives_way=True)
        sender = carrier(self._settings)
        try:
            return dict(await outbox.dispatch(own, sender, self._hop_id))
        finally:
            await sender.aclose()
            await own.close()


def _fast_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    import uvloop

    return uvloop.new_event_loop


@effect
async def take_in() -> dict[str, int]:
    """Read the mailbox that the settings name; the kinds of mail counted."""
    # Loaded where it is used: few processes read a mailbox.
    from congvan.acts import inbox

    try:
        return await inbox.read_configured(house()) or {}
    except (CongvanError, ValueError):
        # The fault names the mailbox, and an address has no place in Prefect.
        raise InboxUnread("the mailbox of CONGVAN_IMAP_URL cannot be read; `congvan doctor` says why") from None
