"""Which campaigns and hops a look of the relay compares with Prefect: of hundreds not each one every time."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType

from congvan.acts.prefect_runs import RunOf

#: So many hops are compared whole at each look. To give out runs is the dearest of what an idle server is asked: with
#: 480 hops, each with a run and a page, it was five questions for two hundred of them every 15 seconds.
AT_A_LOOK = 100
#: Ids that are asked of at a time where few runs are given out.
_IDS = 1000
#: Runs that one question gives out: Prefect's own limit.
PAGE = 200


class InTurn:
    """Remembers whose turn it is."""

    def __init__(self, client: PrefectClient) -> None:
        self._client = client
        #: The hop that was the last in its turn; and whether each campaign was held then: all its hops say so.
        self._last: str = ""
        self._held: dict[str, bool] = {}
        #: Both as they are to be once what was chosen is compared.
        self._then = self._last, self._held

    async def chosen(self, rows: Sequence[RunOf]) -> list[RunOf]:
        """Every campaign, and of the hops: whoever's turn it is, what has changed here or has no run, and what Prefect
        has in a state that neither sleeps nor is open, for somebody has stopped it there or its process has died. What
        was deleted in Prefect, or sleeps under a wrong name, is found when its turn comes. At the first look: all."""
        hops, held = [run for run in rows if run.kind == "hop"], {run.campaign_id: run.held for run in rows}
        if len(hops) <= AT_A_LOOK or not self._held:
            self._then = self._last, held
            return list(rows)
        turn = self._next(sorted(run.id for run in hops))
        self._then = turn[-1], held
        some = {*turn, *(run.id for run in hops if run.seq > run.seen or run.run_id is None)}
        some |= {run.id for run in hops if self._held.get(run.campaign_id) is not run.held}
        others = [run for run in hops if run.id not in some]
        odd = await self._other_than(StateType.SCHEDULED, [run.run_id for run in others])
        odd |= await self._other_than(StateType.RUNNING, [run.page_id for run in others])
        return [run for run in rows if run.kind != "hop" or run.id in some or odd & {run.run_id, run.page_id}]

    def done(self) -> None:
        """What was chosen was compared: a look that fails is made again."""
        self._last, self._held = self._then

    def _next(self, keys: Sequence[str]) -> Sequence[str]:
        begin = bisect_right(keys, self._last)
        return [*keys[begin:], *keys[:begin]][:AT_A_LOOK]

    async def _other_than(self, usual: StateType, run_ids: Sequence[str | None]) -> set[str]:
        """Those of these runs that are in another state."""
        keys, found = [UUID(key) for key in run_ids if key], set()
        state = FlowRunFilterState(type=FlowRunFilterStateType(not_any_=[usual]))
        for start in range(0, len(keys), _IDS):
            wanted = FlowRunFilter(id=FlowRunFilterId(any_=keys[start : start + _IDS]), state=state)
            for offset in range(0, _IDS, PAGE):
                runs = await self._client.read_flow_runs(flow_run_filter=wanted, limit=PAGE, offset=offset)
                found |= {str(run.id) for run in runs}
                if len(runs) < PAGE:
                    break
        return found
