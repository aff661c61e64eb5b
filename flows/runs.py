"""Campaign, hop and watch runs: made, woken, compared with the database and mended.

(Longer than a file should be: one class, whose ways all lead through the same look at what Prefect has.)
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.objects import State as RunState
from prefect.client.schemas.responses import OrchestrationResult
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled, Completed

from congvan.acts import campaigns as campaign_acts
from congvan.acts import prefect_runs
from congvan.clock import DemoClock
from congvan.house import House
from congvan.store.tables import Hop
from flows import states
from flows.apart import apart
from flows.in_turn import InTurn
from flows.registered import Deployments
from tasks import board

#: A hop whose run was woken is looked at again after this long, in seconds, or when a turn of it has begun. Hundreds
#: that wait for a process would each be asked of the database and of Prefect every second.
AGAIN_S = 5.0
#: And one whose turn has tripped, which most likely trips again; in seconds.
TRIPPED_S = 60.0


class Runs:
    """The relay's hands on flow runs."""

    def __init__(self, house: House, client: PrefectClient, deployments: Deployments) -> None:
        self.house = house
        self.client = client
        self.deployments = deployments
        self._watch: str | None = None
        self._in_turn = InTurn(client)
        #: Hops that are not looked at, with the turn that they have had until now: until when.
        self._put_off: dict[tuple[str, int], float] = {}

    def forget(self) -> None:
        """It is another Prefect database than before."""
        self._watch = None
        self._in_turn = InTurn(self.client)
        self._put_off.clear()

    async def campaign_flow(self) -> str:
        """The flow of the campaigns' pages, which also tells this Prefect database from another: they are gone with it.

        Deployments can be deleted and made again beside all the runs that there are.
        """
        return str((await self.client.read_deployment(self.deployments.ids["campaign"])).flow_id)

    # ------------------------------------------------------------ campaigns

    async def campaigns(self) -> None:
        """Give each campaign its run, and end the run of one that a person has closed."""
        for run in await prefect_runs.unfinished_campaigns(self.house):
            with apart(f"the run of campaign {run.id}"):
                await self._campaign(run)

    async def _campaign(self, run: prefect_runs.RunOf) -> None:
        if run.run_id is None:
            made = await board.campaign_page(self.client, await self.campaign_flow(), run)
            if not await prefect_runs.claim_page(self.house, run.id, made):
                # It was launched from a form, and the run of that form is its page.
                await self.client.delete_flow_run(UUID(made))
        elif run.state == "CLOSED":
            await self._close(run, UUID(run.run_id))

    async def _close(self, run: prefect_runs.RunOf, page: UUID) -> None:
        """End the runs and the pages of a closed campaign: those of its hops by few calls, and its own when none of
        them is at work any more, so that whatever a turn has left behind ends too."""
        hops = await prefect_runs.unsettled_hops(self.house, run.id)
        if any(hop.leased for hop in hops):
            return
        over = [key for hop in hops if states.ended(hop) for key in (hop.run_id, hop.page_id) if key]
        for start in range(0, len(over), board.STATE_BATCH):
            some = over[start : start + board.STATE_BATCH]
            await board.move(self.client, some, StateType.COMPLETED, "Closed", self.house.clock.wall())
        try:
            await self.client.set_flow_run_state(page, Completed(name="Closed"), force=True)
        except ObjectNotFound:
            # Deleted in Prefect: it is made again.
            await prefect_runs.remember_run(self.house, "campaign", run.id, None)
        else:
            await prefect_runs.campaign_shown(self.house, run.id, run.seq)

    # ------------------------------------------------------------ hops

    def left_alone(self) -> set[tuple[str, int]]:
        """Hops that are not looked at now, each with the turns that it has had."""
        now = asyncio.get_running_loop().time()
        self._put_off = {one: until for one, until in self._put_off.items() if until > now}
        return set(self._put_off)

    async def wake(self, due: Sequence[Hop]) -> None:
        """Start the process of each due hop, through its run; repeated until a turn has moved it on."""
        known = await self._read([hop.run_id for hop in due if hop.run_id])
        for hop in due:
            # Not for long: perhaps its campaign's page was deleted under it; `compare` forgets that, and a later pass
            # makes both.
            with apart(f"waking hop {hop.issuer} ({hop.id})", partial(self.put_off, hop)):
                if await self._wake_one(hop, known.get(hop.run_id or "")):
                    self.put_off(hop)

    def put_off(self, hop: Hop, seconds: float = AGAIN_S, *, turns: int = 1) -> None:
        """Look at a hop again after so long, or when so many turns of it have begun; meanwhile others have theirs."""
        until = asyncio.get_running_loop().time() + seconds
        self._put_off |= {(hop.id, hop.turns + more): until for more in range(turns)}

    async def _wake_one(self, hop: Hop, run: FlowRun | None) -> bool:
        """Whether it waits for a process now; a run that is just leaving has to be asked again."""
        if run is not None and self._asleep_elsewhere(run):
            await self.client.delete_flow_run(run.id)
            run = None
        if run is None:
            await self._make(await prefect_runs.run_of_hop(self.house, hop.id), board.awake(self.house.clock.wall()))
            return True
        if await self._may_wake(hop, run):
            await self.client.set_flow_run_state(run.id, board.awake(self.house.clock.wall()), force=True)
            return True
        return run.state is not None and run.state.type is StateType.SCHEDULED

    def _asleep_elsewhere(self, run: FlowRun) -> bool:
        """Whether it sleeps where nobody comes by who runs hops now: it was made for a deployment that is gone, or
        before a work pool was taken into use, changed for another, or given up."""
        if run.state is None or run.state.type is not StateType.SCHEDULED:
            return False
        return (run.deployment_id, run.work_queue_id) != (self.deployments.ids["hop"], self.deployments.queue_id)

    async def _may_wake(self, hop: Hop, run: FlowRun) -> bool:
        """Only a run that is asleep, over, or on its way for too long: setting Scheduled on a living one is
        either lost or runs the hop twice."""
        state, wall = run.state, self.house.clock.wall()
        if state is None or state.type in states.OVER:
            # What fails will fail again; a process that was killed is no fault of its hop.
            return state is None or state.type is not StateType.FAILED or wall - state.timestamp > states.STARTING
        if state.type is StateType.SCHEDULED:
            at = state.state_details.scheduled_time
            return at is None or at > wall
        if state.type in states.ON_THE_WAY:
            # Whoever dies in a turn leaves its lease to run out; one who has come since has a younger state.
            broken_off = hop.lease_until is not None and state.timestamp < hop.lease_until <= wall
            return broken_off or wall - state.timestamp > states.STARTING
        return not await self._hold_for(hop.campaign_id, run)

    async def _hold_for(self, campaign_id: str, run: FlowRun) -> bool:
        """A run that was cancelled or suspended in Prefect holds its campaign, once, until a named person decides;
        True when it is new.

        What cannot be undone needs a name, which Prefect's one password does not give. A sleeping run has
        no process to end it, so it would stay CANCELLING for ever: we end it.
        """
        assert run.state is not None, "checked by the caller"
        state_id = run.state.id
        if run.state.type is StateType.CANCELLING:
            ended: OrchestrationResult[Any] = await self.client.set_flow_run_state(run.id, Cancelled(), force=True)
            # It is this state that is seen again after a person has resumed.
            state_id = ended.state.id if ended.state is not None else state_id
        done = "suspended" if run.state.type is StateType.PAUSED else "cancelled"
        why = f"run {run.name!r} was {done} in Prefect"
        return await campaign_acts.hold_once(self.house, campaign_id, str(state_id), why)

    async def _make(self, run: prefect_runs.RunOf, state: RunState) -> None:
        parent = await self._folder(run)
        made = await self.client.create_flow_run_from_deployment(
            self.deployments.ids["hop"],
            parameters={"hop_id": run.id},
            name=board.hop_name(run),
            tags=[f"campaign:{run.campaign}", f"issuer:{run.name.partition(' ')[0]}"],
            idempotency_key=f"hop-{run.id}-{parent}",
            parent_task_run_id=parent,
            state=state,
        )
        if made.state is not None and made.state.type in states.OVER:
            # The key returns the old run, even a crashed one.
            await self.client.set_flow_run_state(made.id, state, force=True)
        await prefect_runs.remember_run(self.house, "hop", run.id, str(made.id))

    async def _folder(self, run: prefect_runs.RunOf) -> UUID | None:
        """Every hop stands on its campaign's page."""
        if run.campaign_run_id is None:
            return None
        return await board.folder(self.client, run.campaign_run_id, run.name.partition(" ")[0])

    async def page(self, hop_id: str) -> str | None:
        """The run on whose page a hop's recipients stand, made at its first use; None without a campaign's run."""
        run = await prefect_runs.run_of_hop(self.house, hop_id)
        if run.page_id is not None or run.campaign_run_id is None:
            return run.page_id
        parent, state = await self._folder(run), states.of_page(run)
        made = await self.client.create_flow_run_from_deployment(
            self.deployments.ids["recipients"],
            name=board.page_name(run),
            tags=[f"campaign:{run.campaign}", f"issuer:{run.name.partition(' ')[0]}"],
            idempotency_key=f"page-{hop_id}-{parent}",
            parent_task_run_id=parent,
            state=state,
        )
        if made.state is None or not states.is_as(made.state, state):
            # The key returns the run that was made before.
            await self.client.set_flow_run_state(made.id, state, force=True)
        await prefect_runs.remember_page(self.house, hop_id, str(made.id))
        return str(made.id)

    async def show(self, hop_id: str, wake: datetime | None) -> None:
        """Let a hop's run show what a round without a process has changed."""
        run = await prefect_runs.run_of_hop(self.house, hop_id)
        if run.run_id is None:
            return
        wall = self.house.clock.wall()
        at = None if isinstance(self.house.clock, DemoClock) or run.held else wake
        try:
            state = states.ended(run) or board.asleep(run.state, run.held, at, wall)
            await self.client.set_flow_run_state(UUID(run.run_id), state, force=True)
        except ObjectNotFound:
            await prefect_runs.remember_run(self.house, "hop", hop_id, None)
        if run.state == "SETTLED":
            await self._show_page(run)

    async def _show_page(self, run: prefect_runs.RunOf) -> None:
        """The page ends with its hop, and opens again with it."""
        try:
            if run.page_id is not None:
                await self.client.set_flow_run_state(UUID(run.page_id), states.of_page(run), force=True)
        except ObjectNotFound:
            await self._forget_page(run)
        await prefect_runs.hop_shown(self.house, run.id, run.seq)

    async def _forget_page(self, run: prefect_runs.RunOf) -> None:
        """It was deleted in Prefect: it is made again, with its recipients, whose runs stand on no page now.

        Of thousands they are deleted for some seconds, in which no hop is woken; what a process that ends meanwhile
        leaves of them stays in Prefect's lists. A page is deleted once in a long while, by hand.
        """
        assert run.page_id is not None, "there was one"
        await board.delete(self.client, await prefect_runs.forget_page(self.house, run.id, run.page_id))

    async def look_for_page(self, hop_id: str) -> None:
        """Something could not be put on it: perhaps it was deleted."""
        run = await prefect_runs.run_of_hop(self.house, hop_id)
        if run.page_id is not None and not await self._read([run.page_id]):
            await self._forget_page(run)

    async def compare(self) -> None:
        """Compare campaigns and open hops with their runs and pages (of many hops, see `InTurn`), and put to sleep
        again what neither sleeps nor works.

        Campaigns first: a hop's run stands below its campaign's, and cannot be made while that is gone.
        """
        rows = [*await prefect_runs.running_campaigns(self.house), *await prefect_runs.open_hops(self.house)]
        rows = await self._in_turn.chosen(rows)
        known = await self._read([key for run in rows for key in (run.run_id, run.page_id) if key])
        for run in rows:
            # One that is deleted at this moment keeps no other from being looked at.
            with apart(f"comparing {run.kind} {run.id} with Prefect"):
                await self._compare_one(run, known.get(run.run_id or ""))
                if run.kind == "hop" and not run.leased:
                    await self._compare_page(run, known.get(run.page_id or ""))
        self._in_turn.done()

    async def _compare_one(self, run: prefect_runs.RunOf, found: FlowRun | None) -> None:
        if run.run_id is None:
            if run.kind == "hop" and run.campaign_run_id is not None and states.ended(run) is None:
                # Its run is gone with Prefect's database; it has nothing to do now, so it is made asleep.
                await self._make(run, board.asleep(run.state, run.held, None, self.house.clock.wall()))
        elif found is None:
            await prefect_runs.remember_run(self.house, run.kind, run.id, None)
        elif found.state is None:
            return
        elif run.kind == "hop" and not run.leased and (ended := states.ended(run)) is not None:
            if found.state.type is not StateType.COMPLETED:
                await self.client.set_flow_run_state(found.id, ended, force=True)
        elif found.state.type in states.STOPPED:
            go_on = await self._let_go_on(run, found)
            if go_on and run.kind == "campaign":
                await self.client.set_flow_run_state(found.id, board.waiting(False), force=True)
        elif run.kind == "campaign" and not states.is_as(found.state, board.waiting(run.held)):
            await self.client.set_flow_run_state(found.id, board.waiting(run.held), force=True)
        elif run.kind == "hop" and not run.leased:
            wall = self.house.clock.wall()
            if states.stranded(found.state, wall) or states.asleep_otherwise(run, found.state, wall):
                await self.show(run.id, run.wake_at)

    async def _let_go_on(self, run: prefect_runs.RunOf, found: FlowRun) -> bool:
        """Hold for what somebody stopped in Prefect; True when a person has let it go on. Done also while it is held:
        it is decided once, or the resumption would be followed by another hold."""
        return not await self._hold_for(run.campaign_id, found) and not run.held

    async def _compare_page(self, run: prefect_runs.RunOf, found: FlowRun | None) -> None:
        if run.page_id is not None and found is None:
            await self._forget_page(run)
        elif found is not None and found.state is not None:
            wanted = states.of_page(run)
            if found.state.type in states.STOPPED and wanted.type is StateType.RUNNING:
                if not await self._let_go_on(run, found):
                    return
                # Prefect's dialog stops what stands on the page with it.
                await prefect_runs.repaint_hop(self.house, run.id)
            if not states.is_as(found.state, wanted):
                await self.client.set_flow_run_state(found.id, wanted, force=True)
            if found.name != board.page_name(run):
                # Its deadline is another one.
                await self.client.update_flow_run(found.id, name=board.page_name(run))
        if run.seq > run.seen:
            await prefect_runs.hop_shown(self.house, run.id, run.seq)

    # ------------------------------------------------------------ watch

    async def watch(self) -> None:
        """One `watch` run for the house's own mail; not a second while one is on its way."""
        wall = self.house.clock.wall()
        if self._watch is not None:
            found = (await self._read([self._watch])).get(self._watch)
            if found is not None and found.state is not None and states.comes_yet(found.state, wall):
                return
        try:
            made = await self.client.create_flow_run_from_deployment(
                self.deployments.ids["watch"], name="watch", state=board.awake(wall)
            )
        except ObjectNotFound:
            self.deployments.void()
            raise
        self._watch = str(made.id)

    async def _read(self, run_ids: Sequence[str]) -> dict[str, FlowRun]:
        """Runs by id; those that Prefect does not know any more are missing."""
        found: dict[str, FlowRun] = {}
        for start in range(0, len(run_ids), 200):
            keys = [UUID(key) for key in run_ids[start : start + 200]]
            runs = await self.client.read_flow_runs(
                flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=keys)), limit=200
            )
            found |= {str(run.id): run for run in runs}
        return found
