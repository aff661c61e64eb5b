"""A campaign: from an operator's plan to the report.

The types of the parameters draw the forms, and Prefect's server takes only what fits them. What a run then gets is
read by us as a plan's file is: Prefect would say what is wrong in the validator's English, and log the whole plan.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal

from prefect import flow
from prefect.client.orchestration import get_client
from prefect.context import get_run_context

from congvan.acts import campaigns, prefect_runs
from congvan.house import House
from congvan.launching import launch_file, launch_plan, prepared
from congvan.rules.records import Audience, CampaignPlan
from flows.sleep import leave, quiet, set_state
from tasks import at_work, board

Mode = Literal["live", "exercise", "demo"]


@flow(name="campaign", persist_result=False, validate_parameters=False)
async def campaign(plan: str, by: str, mode: Mode = "live", audience: Audience | None = None) -> None:
    """Launch a prepared plan and follow it to its end.

    Args:
        plan: the name of a plan under config/campaigns, for example bao-so-5.
        by: who launches it.
        mode: live sends signed letters only; exercise and demo mark every page "BẢN MINH HỌA".
        audience: in the place of the plan's own; empty: as the plan says.
    """

    async def launched(house: House) -> str:
        return await launch_file(house, prepared(house.settings, plan), mode=mode, by=by, audience=audience)

    await _follow(launched)


@flow(name="campaign-in-full", persist_result=False, validate_parameters=False)
async def campaign_in_full(plan: CampaignPlan, by: str, mode: Mode = "live") -> None:
    """Launch a plan that is written in the form, field by field, and follow it to its end.

    Args:
        plan: every field of the plan; its upstream files lie in config/campaigns.
        by: who launches it.
        mode: live sends signed letters only; exercise and demo mark every page "BẢN MINH HỌA".
    """

    async def launched(house: House) -> str:
        return await launch_plan(house, plan, house.settings.config / "campaigns", mode=mode, by=by)

    await _follow(launched)


async def _follow(launched: Callable[[House], Awaitable[str]]) -> None:
    """Launch, and let this run be the campaign's page; where the relay has made one meanwhile, end."""
    quiet()
    async with at_work() as house:
        key = await launched(house)
        run = get_run_context().flow_run  # type: ignore[union-attr]
        assert run is not None, "a flow runs in a run"
        ours = await prefect_runs.claim_page(house, key, str(run.id))
        if not ours or await campaigns.is_over(house, key):
            return
        async with get_client() as client:
            await board.name_campaign(client, run.id, await campaigns.code_of(house, key))
        sleep = board.asleep("OPEN", False, None, house.clock.wall())
        await set_state(sleep)
    leave(sleep)
