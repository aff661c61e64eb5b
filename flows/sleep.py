"""How a run leaves without ending: asleep in Prefect's schedule, holding no process."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State as RunState
from prefect.context import get_run_context
from prefect.exceptions import Pause

from congvan.clock import DemoClock

#: A round that is due is done by the relay; where none is alive, Prefect wakes the hop after so long.
MADE_UP_AFTER = timedelta(minutes=1)


class _NotAnError(logging.Filter):
    """The engine logs the exit of a sleeping run as an error line; it is the normal end of a turn."""

    def filter(self, record: logging.LogRecord) -> bool:
        return "Finished in state" not in record.getMessage() and "Pause" not in str(record.exc_info)


def quiet() -> None:
    """Filter that one message."""
    for name in ("prefect.flow_runs", "prefect.engine"):
        logging.getLogger(name).addFilter(_NotAnError())


async def set_state(state: RunState) -> None:
    """Set the state of the present run, past the rules that would count it as a retry."""
    context = get_run_context()
    async with get_client() as client:
        await client.set_flow_run_state(context.flow_run.id, state, force=True)  # type: ignore[union-attr]


def leave(state: RunState) -> None:
    """End this process; Prefect starts the run again, from its top, when its time has come."""
    raise Pause(state=state)


def prefect_time(clock: object, at: datetime | None) -> datetime | None:
    """When Prefect is to wake a run: at its instant, or, while a demo plays another time, not by itself."""
    return None if isinstance(clock, DemoClock) else at
