"""What goes through Prefect: an investor passes on, and the first letter of the hop below is on the wire."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from sqlalchemy import func, select

from bench.engine_world import Watched, launch, mailboxes
from bench.figures import Ratio, Section, middle, percentile
from bench.harness import Bench
from bench.scale import Scale
from congvan.rules.protocol import Event
from congvan.store.tables import Attempt, Hop, Message
from tests.flows.engine import until

#: What a person who has just pressed the button may be kept waiting.
ALLOWED_S = 5.0
_PARTS = (
    "recorded: the letter is rendered, issued, written down", "seen by the relay", "taken up by Prefect's runner",
    "its process starts", "the hop opens", "the letter is claimed", "on the wire",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Passed:
    """The moments of one passing-on, from the click to the wire."""

    moments: tuple[datetime, ...]

    @property
    def seconds(self) -> float:
        """From the click to the wire."""
        return (self.moments[-1] - self.moments[0]).total_seconds()

    @property
    def shares(self) -> list[float]:
        """What part of it each step takes."""
        steps = zip(self.moments, self.moments[1:], strict=False)
        return [max(0.0, (after - before).total_seconds()) / self.seconds for before, after in steps]


def measure(on: Bench, scale: Scale) -> Section:
    """The section of the table."""
    section = Section("An investor passes on → the first letter of the next hop on the wire, through Prefect")
    passed = asyncio.run(_passed_on(on, scale.investors))
    took = [one.seconds for one in passed]
    section.ratios += [
        Ratio(f"median of {len(took)}, workers idle", "the 5 s that are allowed", (middle(took) / ALLOWED_S,),
              at_most=1),
        Ratio("p95", "the 5 s that are allowed", (percentile(took, 0.95) / ALLOWED_S,)),
    ]  # fmt: skip
    shares = [middle(one.shares[number] for one in passed) for number in range(len(_PARTS))]
    whole = sum(shares) or 1.0
    made_of = ", ".join(f"{name} {share / whole:.0%}" for name, share in zip(_PARTS, shares, strict=True))
    section.notes.append(f"What it is made of, by medians: {made_of}. Server and database are SQLite.")
    return section


async def _passed_on(on: Bench, number: int) -> list[Passed]:
    async with Watched(on.home()) as engine:
        await engine.start_server()
        await launch(engine, number)
        await engine.start_flows()
        await until(lambda: _sent(engine, "slip", 1), 120, "the slip to the board")
        await engine.answer("BOARD")
        await until(lambda: _sent(engine, "letter", number + 1), 120, "the letters to the investors")
        passed = []
        for n in range(number):
            await until(lambda: _idle(engine), 120, "everything to rest")
            passed.append(await _one(engine, f"INV-{n:03}"))
        return passed


async def _sent(engine: Watched, kind: str, number: int) -> bool:
    return len(set(engine.inbox.of(kind))) >= number


async def _idle(engine: Watched) -> bool:
    """Nothing due, nothing leased, nothing that the board does not show."""
    now = datetime.now(UTC)
    busy = select(func.count()).select_from(Hop).where((Hop.wake_at <= now) | (Hop.lease_until > now))
    if (await engine.rows(busy))[0][0]:
        return False
    running = await engine.runs("hop", type={"any_": ["RUNNING", "PENDING"]})
    if running:
        return False
    await asyncio.sleep(1.0)
    return True


async def _one(engine: Watched, investor: str) -> Passed:
    boxes = mailboxes(investor)
    clicked = datetime.now(UTC)
    await engine.answer(investor, Event.FORWARDED)
    recorded = datetime.now(UTC)

    async def arrived() -> list[datetime]:
        return [engine.inbox.first[box] for box in boxes if box in engine.inbox.first]

    wire = min(await until(arrived, 120, f"the first letter of {investor}"))
    hop = (await engine.rows(select(Hop.id, Hop.run_id, Hop.opened_at).where(Hop.issuer == investor)))[0]
    claimed = select(func.min(Attempt.started_at)).join(Message, Message.id == Attempt.message_id)
    first = (await engine.rows(claimed.where(Message.hop_id == hop.id)))[0][0]
    due, pending, running = await _states(engine, hop.run_id, clicked)
    return Passed((clicked, recorded, due, pending, running, hop.opened_at, _aware(first), wire))


def _aware(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=UTC)


async def _states(engine: Watched, run_id: str, clicked: datetime) -> tuple[datetime, datetime, datetime]:
    """When the run was set due, was taken up, and ran."""
    async with httpx.AsyncClient(base_url=engine.api, timeout=30) as client:
        states: list[dict[str, Any]] = (await client.get("/flow_run_states/", params={"flow_run_id": run_id})).json()
    found = {}
    for state in sorted(states, key=lambda one: one["timestamp"]):
        at = datetime.fromisoformat(state["timestamp"])
        if at > clicked - timedelta(seconds=0.5):
            found.setdefault(state["type"], at)
    return found["SCHEDULED"], found["PENDING"], found["RUNNING"]
