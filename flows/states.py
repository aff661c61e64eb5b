"""What the states of Prefect's runs mean to us, and in which state a run should stand."""

from __future__ import annotations

from datetime import datetime, timedelta

from prefect.client.schemas.objects import State as RunState
from prefect.client.schemas.objects import StateType
from prefect.states import Completed

from congvan.acts import prefect_runs
from tasks import board

#: A run that should hold a lease and does not is given this long to take one, or to end.
STARTING = timedelta(seconds=60)
OVER = {StateType.COMPLETED, StateType.FAILED, StateType.CRASHED}
#: What an operator does to a run in Prefect: "Cancel", and "Suspend" on one that looks as if it were at work.
STOPPED = {StateType.CANCELLED, StateType.CANCELLING, StateType.PAUSED}
ON_THE_WAY = {StateType.PENDING, StateType.RUNNING}


def ended(run: prefect_runs.RunOf) -> RunState | None:
    """The state in which the run of a hop ends; None while it goes on: after the closing nobody is chased any more,
    and a letter that a company still passes on leaves by the run that opens its hop."""
    if run.state == "SETTLED":
        return Completed(name="Settled")
    return Completed(name="Closed") if run.closed and (run.state == "OPEN" or run.wake_at is None) else None


def of_page(run: prefect_runs.RunOf) -> RunState:
    """The state of a hop's page."""
    return ended(run) or board.waiting(run.held)


def is_as(state: RunState, wanted: RunState) -> bool:
    """Whether they look the same."""
    return (state.type, state.name) == (wanted.type, wanted.name)


def stranded(state: RunState, wall: datetime) -> bool:
    """Whether whoever worked on it will not put it to sleep any more."""
    if state.type is StateType.CRASHED:
        return True
    return state.type in (StateType.FAILED, *ON_THE_WAY) and wall - state.timestamp > STARTING


def asleep_otherwise(run: prefect_runs.RunOf, state: RunState, wall: datetime) -> bool:
    """Whether it sleeps in a state that says what is not true any more: its campaign was held, or goes on."""
    at = state.state_details.scheduled_time
    sleeps = state.name in board.SLEEPS and at is not None and at > wall
    return sleeps and state.name != board.asleep(run.state, run.held, at, wall).name


def comes_yet(state: RunState, wall: datetime) -> bool:
    """Whether a `watch` run is still going to do its work, or has just failed and would fail again at once."""
    if state.type is StateType.SCHEDULED:
        return True
    if state.type in OVER:
        return state.type is StateType.FAILED and wall - state.timestamp < STARTING
    # One whose worker died before its process began says so by nothing but its age.
    return wall - state.timestamp < (STARTING if state.type is StateType.PENDING else STARTING * 2)
