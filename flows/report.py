"""A report at any time, for those who ask in between; on Fridays of every campaign that runs."""

from __future__ import annotations

from prefect import flow
from prefect.artifacts import acreate_markdown_artifact

from congvan.acts import figures
from tasks import at_work, letters

#: Before the week ends, by the clock on a Vietnamese wall.
WEEKLY, ZONE = "0 16 * * 5", "Asia/Ho_Chi_Minh"


@flow(name="report", persist_result=False)
async def report(campaign: str = "") -> list[str]:
    """Render the interim report of a campaign, where the PDFs lie.

    Args:
        campaign: its code, as the status page shows it; empty: of every campaign that runs.
    """
    async with at_work() as house:
        paths: list[str] = []
        for one in (await figures.status(house, campaign or None))["campaigns"]:
            if campaign or one["state"] == "RUNNING":
                paths.append(await letters.interim_report(one["code"]))
                await _shown(one["code"], one["totals"])
        return paths


async def _shown(code: str, totals: dict[str, int]) -> None:
    lines = "\n".join(f"| {name} | {number} |" for name, number in sorted(totals.items()))
    key = f"report-{code.lower().replace('_', '-').replace('.', '-')}"
    await acreate_markdown_artifact(key=key, markdown=f"# {code}\n\n| | |\n|---|---|\n{lines}\n")
