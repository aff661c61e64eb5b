"""Whether the publisher is in anybody's way: a hop's own state change and a recipient's answer, timed all along."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx

from bench.national_world import behind
from congvan.house import House

_EVERY_S = 2.0


@dataclass
class Waits:
    """Seconds that calls took: while the board lagged and was published, and while it was complete."""

    publishing: list[float] = field(default_factory=list)
    idle: list[float] = field(default_factory=list)

    def told(self) -> str:
        """Median, 99th percentile and largest of both."""
        return "; ".join(
            f"{name} {statistics.median(found):.2f}/{_near_the_end(found):.2f}/{max(found):.2f} s of {len(found)}"
            for name, found in (("while publishing", self.publishing), ("else", self.idle))
            if found
        )


def _near_the_end(found: list[float]) -> float:
    return sorted(found)[int(len(found) * 0.99)]


@dataclass
class Probe:
    """Sets the state of a run of its own as a hop does, again and again; times what others ask it to."""

    house: House
    api: str
    states: Waits = field(default_factory=Waits)
    answers: Waits = field(default_factory=Waits)
    lagging: bool = False

    @asynccontextmanager
    async def timed(self, waits: Waits) -> AsyncIterator[None]:
        """Count this block where it belongs."""
        loop, where = asyncio.get_running_loop(), waits.publishing if self.lagging else waits.idle
        begun = loop.time()
        yield
        where.append(loop.time() - begun)

    async def run(self) -> None:
        """Until cancelled."""
        async with httpx.AsyncClient(base_url=self.api, timeout=120) as client:
            flow = (await client.post("/flows/", json={"name": "probe"})).json()["id"]
            asleep = {"type": "SCHEDULED", "name": "AwaitingConfirmation"}
            run = (await client.post("/flow_runs/", json={"flow_id": flow, "state": asleep})).json()["id"]
            while True:
                self.lagging = bool(await behind(self.house))
                async with self.timed(self.states):
                    answer = await client.post(f"/flow_runs/{run}/set_state", json={"state": asleep, "force": True})
                answer.raise_for_status()
                await asyncio.sleep(_EVERY_S)
