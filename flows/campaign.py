"""A campaign: from an operator's plan to the report."""

from __future__ import annotations

from typing import Literal

from prefect import flow
from prefect.context import get_run_context

from congvan.acts import board as board_acts
from congvan.acts import campaigns
from congvan.house import House
from congvan.launching import launch_file
from flows.sleep import leave, quiet, set_state
from tasks import at_work, board


@flow(name="campaign", persist_result=False)
async def campaign(
    plan: str = "", mode: Literal["live", "exercise", "demo"] = "live", by: str = "", campaign_id: str = ""
) -> None:
    """Launch a prepared plan and follow it to its end.

    Args:
        plan: the plan's file name under config/campaigns, for example bao-so-5.yaml.
        mode: live sends signed letters only; exercise and demo mark every page "BẢN MINH HỌA".
        by: who launches it.
        campaign_id: left empty; filled in when the campaign was launched from the command line.
    """
    quiet()
    async with at_work() as house:
        key = campaign_id or await launch_file(house, house.settings.config / "campaigns" / plan, mode=mode, by=by)
        await _remember(house, key)
        if await campaigns.is_over(house, key):
            return
        sleep = board.asleep("OPEN", False, None, house.clock.wall())
        await set_state(sleep)
    leave(sleep)


async def _remember(house: House, key: str) -> None:
    run = get_run_context().flow_run  # type: ignore[union-attr]
    assert run is not None, "a flow runs in a run"
    await board_acts.remember_run(house, "campaign", key, str(run.id))
