"""Runs of hops that ended with their worker and that nobody would end: each takes a place of its queue for ever."""

from __future__ import annotations

from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.states import Completed

from congvan.acts import prefect_runs
from congvan.errors import NotFound
from congvan.house import House
from flows.runs import STARTING

_SOME = 100


async def end_left_behind(house: House, client: PrefectClient, deployment_id: UUID) -> int:
    """End the runs that are at work for too long on a hop that has settled, or that has another run; how many.

    The hop's own, while it is open, is put to sleep again by `Runs.compare`.
    """
    at_work = FlowRunFilterStateType(any_=[StateType.RUNNING, StateType.PENDING])
    found = await client.read_flow_runs(
        flow_run_filter=FlowRunFilter(
            deployment_id=FlowRunFilterDeploymentId(any_=[deployment_id]), state=FlowRunFilterState(type=at_work)
        ),
        limit=_SOME,
    )
    ended = 0
    for run in found:
        if run.state is None or house.clock.wall() - run.state.timestamp <= STARTING:
            continue
        try:
            hop = await prefect_runs.run_of_hop(house, str(run.parameters["hop_id"]))
        except NotFound:
            continue  # a hop of another database
        if not hop.leased and (hop.state == "SETTLED" or hop.run_id != str(run.id)):
            await client.set_flow_run_state(run.id, Completed(name="Settled"), force=True)
            ended += 1
    return ended
