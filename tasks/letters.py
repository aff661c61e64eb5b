"""Letters as files for operators: the interim report of a campaign."""

from __future__ import annotations

import asyncio
from pathlib import Path

from congvan.acts import campaigns, reporting
from tasks import effect, house


@effect
async def interim_report(campaign: str) -> str:
    """Render the report as of now; the path of the PDF under the house's folder."""
    now = await house().clock.now()
    async with house().store.view() as ledger:
        row = await campaigns.find(ledger, campaign)
        sheet = await reporting.report_sheet(house(), ledger, row, now, interim=row.state == "RUNNING")
    rendered = house().press.render(sheet)
    folder: Path = house().settings.home / "reports"
    path = folder / f"{row.code}-{now:%Y%m%d-%H%M}.pdf"
    await asyncio.to_thread(_write, path, rendered.pdf)
    return str(path)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
