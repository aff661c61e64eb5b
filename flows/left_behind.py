"""Runs that ended with their worker and that nobody would end, and those that nobody has begun: each takes a place of
its queue for ever, or stands in the lists as if it were still at work."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterId,
    FlowRunFilterNextScheduledStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.states import Cancelled, Completed, Crashed

from congvan.acts import prefect_runs
from congvan.errors import NotFound
from congvan.house import House
from flows.apart import apart
from flows.registered import WATCH_EVERY
from flows.states import STARTING
from flows.states import ended as over
from tasks import board

_SOME = 200
#: Of flows that hold no lease by which to tell: none of them is at work for longer.
_LONGEST = timedelta(hours=1)
_WITHOUT_LEASE = ("watch", "tell", "report", "campaign", "campaign-in-full")


async def end_left_behind(house: House, client: PrefectClient, ids: Mapping[str, UUID]) -> int:
    """End the runs that are at work for too long: on a hop that has settled or whose campaign was closed, or that has
    another run; and of flows that would have ended long ago. How many.

    ids: our deployments. The run of a hop that is open is put to sleep again by `Runs.compare`. A launch whose process
    is gone, with or without what it was to launch, has crashed: an operator may retry it, which launches nothing twice.
    """
    # A page goes on as long as its campaign, and until it shows that this was closed.
    shown = [*await prefect_runs.running_campaigns(house), *await prefect_runs.unfinished_campaigns(house)]
    wanted = _runs_of(
        [ids[name] for name in ("hop", *_WITHOUT_LEASE)], StateType.RUNNING, StateType.PENDING, StateType.CANCELLING,
        id=FlowRunFilterId(not_any_=[UUID(run.run_id) for run in shown if run.run_id]),
    )  # fmt: skip
    ended = 0
    for run in await client.read_flow_runs(flow_run_filter=wanted, limit=_SOME):
        with apart(f"the run {run.name!r} that was left behind"):
            end = await _end_of(house, run, ids["hop"])
            if end is not None:
                await client.set_flow_run_state(run.id, end, force=True)
                ended += 1
    return ended


async def _end_of(house: House, run: FlowRun, hops: UUID) -> State[None] | None:
    """In which state this run is to end; None: it may still be at work."""
    assert run.state is not None, "it was found by its state"
    lasted = house.clock.wall() - run.state.timestamp
    if run.deployment_id == hops:
        return await _without_hop(house, run) if lasted > STARTING else None
    if lasted <= _LONGEST:
        return None
    return Cancelled() if run.state.type is StateType.CANCELLING else Crashed(name="LeftBehind")


async def _without_hop(house: House, run: FlowRun) -> State[None] | None:
    """The end of a run whose hop has nothing for it to do any more."""
    try:
        hop = await prefect_runs.run_of_hop(house, str(run.parameters["hop_id"]))
    except NotFound:
        return None  # a hop of another database
    if hop.leased:
        return None
    return over(hop) or (Completed(name="Replaced") if hop.run_id != str(run.id) else None)


async def drop_late_watches(client: PrefectClient, watch: UUID, wall: datetime) -> int:
    """Delete the runs of the schedule that nobody has begun before the next was due, which does all that they would
    have done; how many.

    Prefect keeps one for every ten minutes without a worker, and starts them all before whatever is due now.
    """
    due = FlowRunFilterNextScheduledStartTime(before_=wall - WATCH_EVERY)
    late = _runs_of([watch], StateType.SCHEDULED, next_scheduled_start_time=due)
    dropped = 0
    while True:
        found = await client.read_flow_runs(flow_run_filter=late, limit=_SOME)
        deleted = await board.delete(client, [str(run.id) for run in found if run.auto_scheduled])
        dropped += deleted
        if not deleted:
            return dropped


def _runs_of(deployments: list[UUID], *kinds: StateType, **more: Any) -> FlowRunFilter:
    return FlowRunFilter(
        deployment_id=FlowRunFilterDeploymentId(any_=deployments),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(kinds))),
        **more,
    )
