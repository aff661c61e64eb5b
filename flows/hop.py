"""One tier of the cascade: an issuer and everyone directly below it."""

from __future__ import annotations

from datetime import datetime

from prefect import flow
from prefect.exceptions import Abort

from congvan.acts import hops, prefect_runs, reconciling, waking
from congvan.failpoints import failpoint
from congvan.house import House
from flows.sleep import MADE_UP_AFTER, leave, prefect_time, quiet, set_state
from flows.states import ended
from tasks import at_work, board, mail, records


@flow(name="hop", persist_result=False)
async def hop(hop_id: str) -> None:
    """Open, send, remind, escalate; then sleep in Prefect's schedule until something is due again.

    1. Take the lease and decide; who gets none leaves without touching the run's state.
    2. Send what the turn wrote down.
    3. Commit the next wake, set Scheduled, look again, give the lease back, leave.
    """
    quiet()
    async with at_work() as house:
        lease = await records.turn(hop_id)
        if lease is None:
            raise Abort("another turn of this hop is under way")
        async with hops.given_back(house, lease):
            async with hops.kept(house, lease):
                await mail.send(hop_id)
            wake = await records.rest(lease)
            run = await prefect_runs.run_of_hop(house, hop_id)
            if wake is None and ended(run) is not None:
                return
            # Whoever resumes a held campaign wakes its hops.
            at = None if run.held else await asleep_until(house, wake)
            sleep = board.asleep(run.state, run.held, at, house.clock.wall())
            await set_state(sleep)
            failpoint("hop-asleep")
            if await comes_again(house, hop_id, run.held):
                sleep = board.awake(house.clock.wall())
                await set_state(sleep)
    leave(sleep)


async def asleep_until(house: House, wake: datetime | None) -> datetime | None:
    """When Prefect is to wake a hop by itself; None: not by its schedule.

    What is due already is the relay's, which does a round without mail itself; Prefect would start another process
    for it at once. It only makes up for a relay that is away.
    """
    if wake is not None and wake <= await house.clock.now():
        wake = house.clock.wall() + MADE_UP_AFTER
    return prefect_time(house.clock, wake)


async def comes_again(house: House, hop_id: str, held: bool) -> bool:
    """True when something of this hop has become due meanwhile that needs another process."""
    again = await waking.planned(house, hop_id)
    due = again is not None and again <= await house.clock.now()
    if not due or held or await reconciling.is_restored(house):
        return False
    return await waking.needs_a_run(house, hop_id)
