"""One tier of the cascade: an issuer and everyone directly below it."""

from __future__ import annotations

from prefect import flow
from prefect.exceptions import Abort

from congvan.acts import hops
from congvan.failpoints import failpoint
from flows.sleep import leave, prefect_time, quiet, set_state
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
        async with hops.kept(house, lease):
            await mail.send(hop_id)
        wake = await records.rest(lease)
        state, held = await hops.state_of(house, hop_id)
        if state == "SETTLED" and wake is None:
            await hops.release(house, lease)
            return
        wall = house.clock.wall()
        sleep = board.asleep(state, held, prefect_time(house.clock, wake, wall), wall)
        await set_state(sleep)
        failpoint("hop-asleep")
        again = await hops.planned(house, hop_id)
        if again is not None and again <= await house.clock.now():
            sleep = board.awake(wall)
            await set_state(sleep)
        await hops.release(house, lease)
    leave(sleep)
