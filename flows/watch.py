"""The safety net: everything that belongs to no single hop, and whatever a lost wake left behind."""

from __future__ import annotations

from prefect import flow

from tasks import at_work, mail, records


@flow(name="watch", persist_result=False)
async def watch() -> None:
    """Tell the ladder what is due, and send the mail that belongs to no hop."""
    async with at_work():
        await records.tell()
        await mail.send(None)
