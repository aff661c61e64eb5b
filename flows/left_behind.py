"""Runs that ended with their worker and that nobody would end: each takes a place of its queue for ever, or stands in
the lists as if it were still at work."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.states import Completed, Crashed

from congvan.acts import prefect_runs
from congvan.errors import NotFound
from congvan.house import House
from flows.runs import STARTING

_SOME = 100
#: Of flows that hold no lease by which to tell: none of them is at work for longer.
_LONGEST = timedelta(hours=1)
_WITHOUT_LEASE = ("watch", "tell", "report")


async def end_left_behind(house: House, client: PrefectClient, ids: Mapping[str, UUID]) -> int:
    """End the runs that are at work for too long: on a hop that has settled, or that has another run; and of flows
    that would have ended long ago. How many.

    ids: our deployments. The run of a hop that is open is put to sleep again by `Runs.compare`.
    """
    at_work = FlowRunFilterStateType(any_=[StateType.RUNNING, StateType.PENDING])
    ours = [ids[name] for name in ("hop", *_WITHOUT_LEASE)]
    found = await client.read_flow_runs(
        flow_run_filter=FlowRunFilter(
            deployment_id=FlowRunFilterDeploymentId(any_=ours), state=FlowRunFilterState(type=at_work)
        ),
        limit=_SOME,
    )
    ended = 0
    for run in found:
        assert run.state is not None, "it was found by its state"
        lasted = house.clock.wall() - run.state.timestamp
        if run.deployment_id != ids["hop"]:
            if lasted > _LONGEST:
                await client.set_flow_run_state(run.id, Crashed(name="LeftBehind"), force=True)
                ended += 1
        elif lasted > STARTING and await _has_no_hop(house, run):
            await client.set_flow_run_state(run.id, Completed(name="Settled"), force=True)
            ended += 1
    return ended


async def _has_no_hop(house: House, run: FlowRun) -> bool:
    try:
        hop = await prefect_runs.run_of_hop(house, str(run.parameters["hop_id"]))
    except NotFound:
        return False  # a hop of another database
    return not hop.leased and (hop.state == "SETTLED" or hop.run_id != str(run.id))
