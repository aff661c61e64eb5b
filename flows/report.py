"""A report at any time, for those who ask in between."""

from __future__ import annotations

from prefect import flow
from prefect.artifacts import acreate_markdown_artifact

from congvan.acts import figures
from tasks import at_work, letters


@flow(name="report", persist_result=False)
async def report(campaign: str) -> str:
    """Render the interim report of a campaign; where the PDF lies.

    Args:
        campaign: its code, as the status page shows it.
    """
    async with at_work() as house:
        path: str = await letters.interim_report(campaign)
        status = await figures.status(house, campaign)
        totals = status["campaigns"][0]["totals"]
        lines = "\n".join(f"| {name} | {number} |" for name, number in sorted(totals.items()))
        await acreate_markdown_artifact(
            key=f"report-{campaign.lower()}", markdown=f"# {campaign}\n\n| | |\n|---|---|\n{lines}\n"
        )
        return path
