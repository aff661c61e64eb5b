"""Sends what the outbox holds."""

from __future__ import annotations

from congvan.acts import outbox
from congvan.house import carrier
from tasks import effect, house


@effect
async def send(hop_id: str | None = None) -> dict[str, int]:
    """Send whatever of a hop (None: of no hop) may leave now; the outcomes counted.

    Tried again it sends only what has no outcome yet: claims are leases, and a repeat is the same message.
    """
    sender = carrier(house().settings)
    try:
        return dict(await outbox.dispatch(house(), sender, hop_id))
    finally:
        await sender.aclose()
