"""Confirm → recorded: through the portal, alone and at load, among few deliveries and many, beside DBOS."""

from __future__ import annotations

import asyncio
import time

from bench.dispatch import sample
from bench.figures import Ratio, Section, grown, middle, percentile
from bench.harness import Bench, NotInstalled
from bench.measures import peers
from bench.recipients import Form, at_once, at_rate, forms, one_by_one, served
from bench.scale import Scale
from bench.waiting_world import all_sent, some_waiting
from congvan.acts import confirmations
from congvan.house import build
from congvan.rules.protocol import Event
from congvan.settings import Settings

_LINES = 8


def measure(on: Bench, scale: Scale) -> Section:
    """The section of the table."""
    section = Section("Confirm → recorded: the form is posted to the portal, and answered when it is on disk")
    found = {size: [_posted(on, scale, size) for _ in range(scale.repeats)] for size in scale.sizes}
    largest = max(scale.sizes)
    section.growths += [
        grown(
            "confirm → recorded, median, at half of what the portal can",
            {size: [middle(loaded) for _, loaded in took] for size, took in found.items()}, 0.25,
        ),
        grown(
            "the same, p99", {size: [percentile(loaded, 0.99) for _, loaded in took] for size, took in found.items()},
            0.25,
        ),
    ]  # fmt: skip
    said, against = f"at half load, {largest:,} waiting", "median of one at a time"
    took = found[largest]
    section.ratios += [
        Ratio(f"median {said}", against, tuple(middle(loaded) / middle(alone) for alone, loaded in took)),
        Ratio(f"p99 {said}", against, tuple(percentile(loaded, 0.99) / middle(alone) for alone, loaded in took)),
    ]
    try:
        peers.wanted(scale)
        section.ratios += [_beside_dbos(on, scale, postgres=postgres) for postgres in (False, True)]
    except NotInstalled as absent:
        section.missing.append(str(absent))
    section.notes.append(
        "Beside DBOS the act alone is taken: our `confirmations.answer` (state, answer, chained log, wakes) and its "
        "`DBOS.send` (a row that the workflow then reads), one after the other in one process."
    )
    return section


def _posted(on: Bench, scale: Scale, size: int) -> tuple[list[float], list[float]]:
    """Seconds that each form takes among so many who wait: one at a time, and at half of what the portal can."""
    chosen, hop_id = on.waiting(size)
    wanted = asyncio.run(waiting_forms(chosen, hop_id, min(3 * scale.confirmations, size)))
    third = len(wanted) // 3
    with served(chosen) as port:
        full = asyncio.run(at_once(port, wanted[:third], _LINES))
        alone = asyncio.run(one_by_one(port, wanted[third : 2 * third]))
        return alone, asyncio.run(at_rate(port, wanted[2 * third :], full / 2))


async def waiting_forms(chosen: Settings, hop_id: str, number: int) -> list[Form]:
    """Forms of so many recipients of a hop that waits."""
    house = build(chosen)
    try:
        return forms(house, await some_waiting(house, hop_id, number))
    finally:
        await house.close()


def _beside_dbos(on: Bench, scale: Scale, *, postgres: bool) -> Ratio:
    count = min(scale.dbos, scale.confirmations)
    path = peers.saved(sample(on.settings())[1], on.folder)
    database = peers.dbos_database(on, postgres=postgres)
    theirs = peers.dbos(on, path, "started", scale.dbos, database, wait_s=0.1, confirm=count)["confirm_s"]
    ours = asyncio.run(_answered(on, scale.dbos, count, postgres=postgres))
    name = "PostgreSQL" if postgres else "SQLite"
    ratio = middle(ours) / middle(theirs)
    return Ratio(f"one confirmation recorded, {name}, median", "DBOS, one message sent", (ratio,))


async def _answered(on: Bench, size: int, count: int, *, postgres: bool) -> list[float]:
    from bench.outbox_world import filled

    chosen = on.settings(await asyncio.to_thread(on.postgres) if postgres else "")
    hop_id = await filled(chosen, size)
    house = build(chosen)
    took = []
    try:
        await all_sent(house, hop_id)
        for key in await some_waiting(house, hop_id, count):
            began = time.perf_counter()
            await confirmations.answer(house, key, confirmations.Answer(Event.ACKNOWLEDGED, "Bình", channel="link"))
            took.append(time.perf_counter() - began)
    finally:
        await house.close()
    return took
