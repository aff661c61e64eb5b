"""The cost of waiting: processor time and memory of the engine while nothing happens, beside DBOS.

What runs all the time is the relay, on a real Prefect server; what looks over everybody now and then is `watch`, every
ten minutes, which once an hour also reads every log from its first line. Both are measured, each by itself.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from dataclasses import dataclass

from bench.dispatch import sample
from bench.engine_world import Watched
from bench.figures import Ratio, Section
from bench.harness import Bench, NotInstalled
from bench.measures import peers
from bench.scale import Scale
from bench.waiting_world import really_sent
from congvan.acts import auditing, seals, telling
from congvan.house import build
from congvan.settings import Settings
from tests.flows.engine import until

#: After its start the engine registers, compares, shows; then it waits.
_SETTLE_S = 12.0
_LOOKS_AN_HOUR = 6


@dataclass(frozen=True, slots=True)
class Idle:
    """What waiting cost: shares of one core (engine, Prefect's server), resident memory of the engine."""

    engine: float
    server: float
    resident_kb: int


def measure(on: Bench, scale: Scale) -> Section:
    """The section of the table."""
    largest = max(scale.sizes)
    section = Section("The cost of waiting: the real relay and a real Prefect server, nothing due")
    few, many, again = asyncio.run(_watched(on, scale, largest))
    base = (few.engine + again.engine) / 2
    section.ratios += [
        Ratio(f"processor time of the engine, {largest:,} waiting", "one waiting", (many.engine / max(base, 1e-6),),
              at_most=1.1),
        Ratio("the noise: one waiting, a second time", "one waiting", (again.engine / max(few.engine, 1e-6),)),
        Ratio(f"processor time of Prefect's server, {largest:,} waiting", "one waiting",
              (many.server / max((few.server + again.server) / 2, 1e-6),)),
        Ratio(f"resident memory of the engine, {largest:,} waiting", "one waiting",
              (many.resident_kb / few.resident_kb,), at_most=1.1),
    ]  # fmt: skip
    more = (many.engine - base) / largest * 10_000
    some = max(scale.letters)
    looks = [asyncio.run(_looks(on.settings(), tenants)) for tenants in (1, some)]
    over = (looks[1] - looks[0]) / some * 10_000
    section.notes.append(
        f"One waiting delivery keeps the engine at {base:.2%} of one core, {largest:,} at {many.engine:.2%}: "
        f"{more:+.3%} of a core for each 10,000, so {more * 3600:+.1f} processor seconds an hour, beside a noise of "
        f"{abs(few.engine - again.engine):.2%}. A delivery holds no process, no connection, no timer: it is a row. "
        "What `watch` looks over (the digest's question, the seals, the auditor; the logs from their first line once "
        f"an hour) costs {over:+.1f} processor seconds an hour for each 10,000, {over / 3600:.3%} of a core."
    )
    try:
        peers.wanted(scale)
        section.ratios += _beside_dbos(on, scale, many, base, largest)
    except NotInstalled as absent:
        section.missing.append(str(absent))
    return section


def _beside_dbos(on: Bench, scale: Scale, many: Idle, base: float, largest: int) -> list[Ratio]:
    path = peers.saved(sample(on.settings())[1], on.folder)
    found = []
    for count in (1, scale.dbos):
        database = peers.dbos_database(on, postgres=False)
        told = peers.dbos(on, path, "started", count, database, wait_s=scale.idle_s)
        found.append((told["waiting_cpu_s"] / told["waited_s"], told["resident_kb"]))
    (cpu, memory), (more_cpu, more_memory) = found
    return [
        Ratio(f"DBOS: processor time, {scale.dbos:,} waiting", "one waiting", (more_cpu / cpu,)),
        Ratio(f"DBOS: resident memory, {scale.dbos:,} waiting", "one waiting", (more_memory / memory,)),
    ]


async def _looks(chosen: Settings, tenants: int) -> float:
    """Processor seconds an hour of what `watch` looks over, where so many have been written to and wait."""
    await really_sent(chosen, tenants)
    house = build(chosen)
    try:
        took = []
        for logs in (True, False):
            begun = time.process_time()
            await telling.tell(house)
            await seals.seal_all(house)
            flaws = await auditing.look_over(house, logs=logs)
            took.append(time.process_time() - begun)
            assert flaws == [], flaws[0]
        with_logs, without = took
        return with_logs + (_LOOKS_AN_HOUR - 1) * without
    finally:
        await house.close()


async def _watched(on: Bench, scale: Scale, largest: int) -> tuple[Idle, Idle, Idle]:
    homes = [await asyncio.to_thread(on.waiting, size) for size in (1, largest, 1)]
    found = []
    async with Watched(on.home()) as engine:
        await engine.start_server()
        for chosen, _hop_id in homes:
            await engine.use(chosen.home)
            found.append(await _idle(engine, scale))
            shutil.rmtree(chosen.home)
    few, many, again = found
    return few, many, again


async def _idle(engine: Watched, scale: Scale) -> Idle:
    await engine.start_flows()
    await until(lambda: _asleep(engine), 120, "the hop asleep in Prefect")
    await asyncio.sleep(min(_SETTLE_S, scale.idle_s))
    before = engine.cpu_s("flows"), engine.cpu_s("server")
    await asyncio.sleep(scale.idle_s)
    used = engine.cpu_s("flows") - before[0], engine.cpu_s("server") - before[1]
    resident = engine.resident_kb("flows")
    await engine.stop("flows")
    return Idle(used[0] / scale.idle_s, used[1] / scale.idle_s, resident)


async def _asleep(engine: Watched) -> bool:
    from sqlalchemy import select

    from congvan.store.tables import Hop

    return bool(await engine.rows(select(Hop.id).where(Hop.run_id.is_not(None))))
