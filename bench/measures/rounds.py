"""Rounds over many: the few that are due among many who wait, and all of them due in the same second."""

from __future__ import annotations

import asyncio
import os
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from statistics import median
from threading import Event as Flag

from bench.dispatch import ours
from bench.figures import Ratio, Section, grown, percentile
from bench.harness import Bench, Took, timed
from bench.measures.confirming import waiting_forms
from bench.outbox_world import filled
from bench.recipients import Form, at_rate, served
from bench.scale import Scale
from bench.waiting_world import Due, fall_due, resting
from congvan.acts import hops, outbox, telling
from congvan.house import House, build, carrier
from congvan.settings import Settings
from flows.forking import NICE

#: Answers that come in a second while deadlines are drained.
_ANSWERS_PER_S = 20.0


def reminding(on: Bench, scale: Scale) -> Section:
    """A reminder round with the same number due among more and more who wait."""
    section = Section(f"A reminder round: {scale.due:,} due, among more and more who wait")
    *_, middle, largest = sorted(scale.sizes)
    sizes = (middle, max(largest // 3, middle + 1), largest)
    took = {size: asyncio.run(_rounds(*on.waiting(size), scale.due, 2 * scale.repeats)) for size in sizes}
    section.growths.append(grown("found, decided, written down; as many due at every size", took, 0.15))
    values = tuple(one / median(took[middle]) for one in took[largest])
    section.ratios.append(
        Ratio(f"1 % due among {largest:,}", f"as many due among {middle:,}", values, at_most=1.5)
    )
    section.notes.append("SQLite. A round is `hops.turn`: the flow's, the relay's and the simulator's alike.")
    return section


async def _rounds(chosen: Settings, hop_id: str, due: int, repeats: int) -> list[float]:
    """Seconds of each round but the first, which reads plan and cascade; in each it is others who are due."""
    house = build(chosen)
    took = []
    try:
        for _ in range(repeats + 1):
            await fall_due(house, hop_id, Due.REMINDER, due)
            took.append(await _turn(house, hop_id))
        return took[1:]
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
    """What a woken hop does: the turn, then its mail, behind those who answer people."""
    os.nice(NICE)
    house = build(chosen, gives_way=True)

    async def work() -> int:
        lease = await hops.turn(house, hop_id)
        assert lease is not None
        sender = carrier(chosen)
        async with hops.kept(house, lease):
            tally = await outbox.dispatch(house, sender, hop_id)
        await hops.rest(house, lease)
        await sender.aclose()
        return tally["accepted"]

    timed(pipe, work())


def deadlines(on: Bench, scale: Scale) -> Section:
    """All deadlines in the same second: reminders, then escalations; and who answers meanwhile."""
    *smaller, largest = sorted(scale.sizes)
    section = Section("All deadlines in the same second")
    drained = {
        size: [_drained(on, size).wall_s for _ in range(scale.repeats_at(size))] for size in sorted(scale.sizes)
    }
    took, answers = _drained_with_answers(on, scale, largest, *on.waiting(largest))
    turned: dict[int, list[float]] = defaultdict(list)
    told: dict[int, list[float]] = defaultdict(list)
    for size in (*smaller, max(largest // 4, smaller[-1] + 1)):
        for _ in range(scale.repeats_at(size)):
            cases_s, digest_s = asyncio.run(_escalated(*on.waiting(size)))
            turned[size].append(cases_s)
            told[size].append(digest_s)
    section.growths += [
        grown("reminders of all written and sent", drained),
        grown("escalations of all written", turned),
        grown("the digest that tells of all of them", told),
    ]
    letters = on.sending_s.get(largest) or on.run(ours, *on.filled(largest)).wall_s
    said = f"{largest:,} reminders due at once: decided, written, sent"
    section.ratios += [
        Ratio(said, "sending as many letters", (drained[largest][0] / letters,), at_most=1.5),
        Ratio(f"{said}, beside answers", "sending as many letters, beside none", (took.wall_s / letters,), at_most=1.5),
    ]
    section.ratios += answers
    if scale.dbos:
        chosen, hop_id = _on_postgres(on, smaller[-1])
        section.ratios += _drained_with_answers(on, scale, smaller[-1], chosen, hop_id, "PostgreSQL")[1]
    section.notes.append(
        f"Meanwhile {_ANSWERS_PER_S:.0f} answers a second come in through the portal; sink, sender, portal and those "
        "who answer share the machine. SQLite lets one writer in at a time, PostgreSQL many."
    )
    return section


def _on_postgres(on: Bench, size: int) -> tuple[Settings, str]:
    chosen = on.settings(on.postgres())
    hop_id = asyncio.run(filled(chosen, size))
    asyncio.run(resting(chosen, hop_id))
    return chosen, hop_id


def _drained(on: Bench, size: int) -> Took:
    chosen, hop_id = on.waiting(size)
    asyncio.run(_fall_due(chosen, hop_id, size))
    return on.run(drain, chosen, hop_id)


async def _fall_due(chosen: Settings, hop_id: str, number: int) -> None:
    house = build(chosen)
    try:
        await fall_due(house, hop_id, Due.DEADLINE, number)
    finally:
        await house.close()


async def _escalated(chosen: Settings, hop_id: str) -> tuple[float, float]:
    """Seconds until every case is open, and until the digest is written."""
    house = build(chosen)
    try:
        await fall_due(house, hop_id, Due.ESCALATION, 10**9)
        turned = await _turn(house, hop_id)
        began = time.perf_counter()
        assert await telling.tell(house)
        return turned, time.perf_counter() - began
    finally:
        await house.close()


def _drained_with_answers(
    on: Bench, scale: Scale, size: int, chosen: Settings, hop_id: str, name: str = "SQLite"
) -> tuple[Took, list[Ratio]]:
    """How long answers take while everybody else is reminded, against the same with nothing else to do."""
    kept = min(scale.confirmations * 10, size // 4)
    wanted = asyncio.run(waiting_forms(chosen, hop_id, kept + min(scale.confirmations, size // 4)))
    idle_ones, meanwhile = wanted[kept:], wanted[:kept]
    with served(chosen) as port:
        # What the preparation wrote goes to the disk before anybody is measured, not beside it.
        os.sync()
        idle = asyncio.run(at_rate(port, idle_ones, _ANSWERS_PER_S))
        asyncio.run(_fall_due(chosen, hop_id, size - len(wanted)))
        os.sync()
        over = Flag()
        with ThreadPoolExecutor(1) as beside:
            answers = beside.submit(asyncio.run, _answering(port, meanwhile, over))
            drained = on.run(drain, chosen, hop_id)
            over.set()
            took = answers.result()
    said = f"while {size:,} deadlines are drained, {name}"
    return drained, [
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
