"""Rounds over many: the few that are due among many who wait, and all of them due in the same second."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from statistics import median
from threading import Event as Flag

from bench.dispatch import ours
from bench.figures import Ratio, Section, grown, percentile
from bench.harness import Bench, Took, timed
from bench.measures.confirming import waiting_forms
from bench.recipients import Form, at_rate, served
from bench.scale import Scale
from bench.waiting_world import Due, all_sent, fall_due
from congvan.acts import hops, outbox, telling
from congvan.house import House, build, carrier
from congvan.settings import Settings

#: Answers that come in a second while deadlines are drained.
_ANSWERS_PER_S = 20.0


def reminding(on: Bench, scale: Scale) -> Section:
    """A reminder round with the same number due among more and more who wait."""
    section = Section(f"A reminder round: {scale.due:,} due, among more and more who wait")
    took = {
        size: [asyncio.run(_round(*on.filled(size), min(scale.due, size))) for _ in range(scale.repeats)]
        for size in scale.sizes
    }
    section.growths.append(grown("found, decided, written down; as many due at every size", took, 0.15))
    middle, largest = sorted(scale.sizes)[-2:]
    values = tuple(one / other for one, other in zip(took[largest], took[middle], strict=True))
    section.ratios.append(
        Ratio(f"1 % due among {largest:,}", f"as many due among {middle:,}", values, at_most=1.5)
    )
    section.notes.append("SQLite. A round is `hops.turn`: the flow's, the relay's and the simulator's alike.")
    return section


async def _round(chosen: Settings, hop_id: str, due: int) -> float:
    house = build(chosen)
    try:
        await all_sent(house, hop_id)
        await fall_due(house, hop_id, Due.REMINDER, due)
        return await _turn(house, hop_id)
    finally:
        await house.close()


async def _turn(house: House, hop_id: str) -> float:
    began = time.perf_counter()
    lease = await hops.turn(house, hop_id)
    took = time.perf_counter() - began
    assert lease is not None
    await hops.release(house, lease)
    return took


# ------------------------------------------------------------------------------------ all at once


def drain(pipe: Connection, chosen: Settings, hop_id: str) -> None:
    """What a woken hop does: the turn, then its mail."""
    house = build(chosen)

    async def work() -> int:
        lease = await hops.turn(house, hop_id)
        assert lease is not None
        async with hops.kept(house, lease):
            tally = await outbox.dispatch(house, carrier(chosen), hop_id)
        await hops.rest(house, lease)
        return tally["accepted"]

    timed(pipe, work())


def deadlines(on: Bench, scale: Scale) -> Section:
    """All deadlines in the same second: reminders, then escalations; and who answers meanwhile."""
    largest = max(scale.sizes)
    section = Section("All deadlines in the same second")
    drained: dict[int, list[float]] = {}
    turned: dict[int, list[float]] = {}
    told: dict[int, list[float]] = {}
    for size in scale.sizes:
        drained[size] = [_drained(on, size).wall_s]
        turned[size], told[size] = ([one] for one in asyncio.run(_escalated(*on.filled(size))))
    section.growths += [
        grown("reminders of all written and sent", drained),
        grown("escalations of all written", turned),
        grown("the digest that tells of all of them", told),
    ]
    letters = on.run(ours, *on.filled(largest)).wall_s
    section.ratios.append(
        Ratio(f"{largest:,} reminders due at once: decided, written, sent", "sending as many letters",
              (drained[largest][0] / letters,), at_most=1.5)
    )  # fmt: skip
    section.ratios += _answers_meanwhile(on, scale, largest)
    section.notes.append(
        f"Meanwhile {_ANSWERS_PER_S:.0f} answers a second come in through the portal; sink, sender, portal and those "
        "who answer share the machine."
    )
    return section


def _drained(on: Bench, size: int) -> Took:
    chosen, hop_id = on.filled(size)
    asyncio.run(_fallen(chosen, hop_id, size))
    return on.run(drain, chosen, hop_id)


async def _fallen(chosen: Settings, hop_id: str, number: int) -> None:
    house = build(chosen)
    try:
        await all_sent(house, hop_id)
        await fall_due(house, hop_id, Due.DEADLINE, number)
    finally:
        await house.close()


async def _escalated(chosen: Settings, hop_id: str) -> tuple[float, float]:
    """Seconds until every case is open, and until the digest is written."""
    house = build(chosen)
    try:
        await all_sent(house, hop_id)
        await fall_due(house, hop_id, Due.ESCALATION, 10**9)
        turned = await _turn(house, hop_id)
        began = time.perf_counter()
        assert await telling.tell(house)
        return turned, time.perf_counter() - began
    finally:
        await house.close()


def _answers_meanwhile(on: Bench, scale: Scale, size: int) -> list[Ratio]:
    """How long answers take while everything is drained, against the same with nothing else to do."""
    chosen, hop_id = on.filled(size)
    kept = min(scale.confirmations * 10, size // 2)
    wanted = asyncio.run(waiting_forms(chosen, hop_id, kept + scale.confirmations))
    idle_ones, meanwhile = wanted[: scale.confirmations], wanted[scale.confirmations :]
    answering = {form.path for form in wanted}
    with served(chosen) as port:
        idle = asyncio.run(at_rate(port, idle_ones, _ANSWERS_PER_S))
        asyncio.run(_others_fall_due(chosen, hop_id, size - len(answering)))
        over = Flag()
        with ThreadPoolExecutor(1) as beside:
            answers = beside.submit(asyncio.run, _answering(port, meanwhile, over))
            on.run(drain, chosen, hop_id)
            over.set()
            took = answers.result()
    said = f"while {size:,} deadlines are drained"
    return [
        Ratio(f"confirm → recorded {said}, p99", "idle, p99", (percentile(took, 0.99) / percentile(idle, 0.99),),
              at_most=3),
        Ratio(f"confirm → recorded {said}, median", "idle, median", (median(took) / median(idle),)),
    ]  # fmt: skip


async def _answering(port: int, wanted: list[Form], over: Flag) -> list[float]:
    stop = asyncio.Event()

    async def watch() -> None:
        while not over.is_set():  # noqa: ASYNC110 - the other side is a thread
            await asyncio.sleep(0.02)
        stop.set()

    watching = asyncio.create_task(watch())
    took = await at_rate(port, wanted, _ANSWERS_PER_S, stop)
    watching.cancel()
    return took


async def _others_fall_due(chosen: Settings, hop_id: str, number: int) -> None:
    """Everybody but those who will answer."""
    house = build(chosen)
    try:
        await fall_due(house, hop_id, Due.DEADLINE, number)
    finally:
        await house.close()
