"""Our deployments, as the present Prefect database has them."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import Any
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
from prefect.exceptions import ObjectNotFound

log = logging.getLogger("congvan.relay")

#: Names under which the deployments stand in the UI: flow/deployment.
NAME = "congvan"
FLOWS = ("campaign", "campaign-in-full", "hop", "watch", "report", "tell", "recipients", "delivery")
#: How often Prefect's schedule starts a `watch`.
WATCH_EVERY = timedelta(minutes=10)


class Deployments:
    """Their ids, and what is asked of the one of the hops at every look.

    pooled: workers of a pool run the flows, so a deployment without a queue reaches nobody.
    """

    def __init__(self, register: Any, *, pooled: bool = False) -> None:
        self._register = register
        self._pooled = pooled
        self.ids: dict[str, UUID] = {}
        #: Whether somebody has paused the hops, or switched off the schedule that stands for them in Prefect's pages
        #: (either stops Prefect's own scheduler alone: we open none), and the queue of a work pool that they come from.
        self.paused = False
        self.queue_id: UUID | None = None
        self._void = False
        self._known = asyncio.Event()

    async def ensure(self, client: PrefectClient) -> bool:
        """Register what is missing; True when something was registered."""
        if self.ids and not self._void:
            try:
                if await self._look(client):
                    return False
            except ObjectNotFound:
                pass
            log.warning("Prefect lost a deployment, its queue or its database; everything is registered again")
        self.ids, self._void = await self._register(client), False
        await self._look(client)
        self._known.set()
        return True

    async def _look(self, client: PrefectClient) -> bool:
        """Whether somebody takes the runs of hops."""
        found = await client.read_deployment(self.ids["hop"])
        off = bool(found.schedules) and not any(one.active for one in found.schedules)
        self.paused, self.queue_id = found.paused or off, found.work_queue_id
        return found.work_queue_id is not None or not self._pooled

    async def look_for_all(self, client: PrefectClient) -> None:
        """Have them registered again at the next look where one is gone that nobody asks for."""
        wanted = DeploymentFilter(id=DeploymentFilterId(any_=list(self.ids.values())))
        found = {one.id for one in await client.read_deployments(deployment_filter=wanted)}
        if gone := sorted(name for name, key in self.ids.items() if key not in found):
            log.warning("deployments are gone in Prefect; they are registered again: %s", ", ".join(gone))
            self.void()

    def void(self) -> None:
        """One of them was deleted in Prefect: all are registered again at the next look."""
        self._void = True

    async def known(self, *enders: asyncio.Task[Any]) -> None:
        """Wait until they are registered, or one of these has ended: the relay that registers them."""
        waiting = asyncio.create_task(self._known.wait())
        await asyncio.wait({waiting, *enders}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
