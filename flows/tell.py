"""What automations call: a mail to the unit in charge."""

from __future__ import annotations

from typing import Literal

from prefect import flow

from tasks import at_work, events, mail


@flow(name="tell", persist_result=False)
async def tell(what: Literal["crashed", "at_risk", "unclaimed"], about: str) -> None:
    """Write to the unit in charge of a campaign, at most once a day for each kind of reason.

    Args:
        what: a hop's process broke off, few have answered at half time, or nobody takes a case.
        about: the campaign's code; for a process that broke off, the id of its run.
    """
    async with at_work():
        if await events.tell_unit(what, about):
            await mail.send(None)
