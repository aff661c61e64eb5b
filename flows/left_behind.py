"""Runs that ended with their worker and that nobody would end, and those that nobody has begun: each takes a place of
its queue for ever, or stands in the lists as if it were still at work."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterNextScheduledStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.states import Cancelled, Completed, Crashed

from congvan.acts import prefect_runs
from congvan.errors import NotFound
from congvan.house import House
from flows.registered import WATCH_EVERY
from flows.states import STARTING
from tasks import board

_SOME = 200
#: Of flows that hold no lease by which to tell: none of them is at work for longer.
_LONGEST = timedelta(hours=1)
_WITHOUT_LEASE = ("watch", "tell", "report", "campaign", "campaign-in-full")


async def end_left_behind(house: House, client: PrefectClient, ids: Mapping[str, UUID]) -> int:
    """End the runs that are at work for too long: on a hop that has settled, or that has another run; and of flows
    that would have ended long ago. How many.

    ids: our deployments. The run of a hop that is open is put to sleep again by `Runs.compare`. A launch whose process
    is gone, with or without what it was to launch, has crashed: an operator may retry it, which launches nothing twice.
    """
    found = await client.read_flow_runs(
        flow_run_filter=_of(
            [ids[name] for name in ("hop", *_WITHOUT_LEASE)], StateType.RUNNING, StateType.PENDING, StateType.CANCELLING
        ),
        limit=_SOME,
    )
    pages = {run.run_id for run in await prefect_runs.running_campaigns(house)} if found else set()
    ended = 0
    for run in found:
        assert run.state is not None, "it was found by its state"
        lasted = house.clock.wall() - run.state.timestamp
        if run.deployment_id != ids["hop"]:
            if lasted > _LONGEST and str(run.id) not in pages:
                cancelled = run.state.type is StateType.CANCELLING
                end: State[None] = Cancelled() if cancelled else Crashed(name="LeftBehind")
                await client.set_flow_run_state(run.id, end, force=True)
                ended += 1
        elif lasted > STARTING and await _has_no_hop(house, run):
            await client.set_flow_run_state(run.id, Completed(name="Settled"), force=True)
            ended += 1
    return ended


async def drop_late_watches(client: PrefectClient, watch: UUID, wall: datetime) -> int:
    """Delete the runs of the schedule that nobody has begun before the next was due, which does all that they would
    have done; how many.

    Prefect keeps one for every ten minutes without a worker, and starts them all before whatever is due now.
    """
    late = _of([watch], StateType.SCHEDULED)
    late.next_scheduled_start_time = FlowRunFilterNextScheduledStartTime(before_=wall - WATCH_EVERY)
    dropped = 0
    while True:
        found = await client.read_flow_runs(flow_run_filter=late, limit=_SOME)
        deleted = await board.delete(client, [str(run.id) for run in found if run.auto_scheduled])
        dropped += deleted
        if not deleted:
            return dropped


def _of(deployments: list[UUID], *kinds: StateType) -> FlowRunFilter:
    return FlowRunFilter(
        deployment_id=FlowRunFilterDeploymentId(any_=deployments),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(kinds))),
    )


async def _has_no_hop(house: House, run: FlowRun) -> bool:
    try:
        hop = await prefect_runs.run_of_hop(house, str(run.parameters["hop_id"]))
    except NotFound:
        return False  # a hop of another database
    return not hop.leased and (hop.state == "SETTLED" or hop.run_id != str(run.id))
