"""Letters a second: ours beside the hand-written script, the bare limit, DBOS and Prefect alone, in one run."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from bench.dispatch import bare, durable, ours, plain, sample, written
from bench.figures import Ratio, Section, grown, middle
from bench.harness import Bench, NotInstalled, PeerFailed, Took
from bench.measures import peers
from bench.outbox_world import launched
from bench.scale import Scale
from congvan.acts import hops, outbox
from congvan.house import build
from congvan.settings import Settings
from congvan.store.schema import migrate

_DATABASES = (("SQLite", False), ("PostgreSQL", True))


def measure(on: Bench, scale: Scale) -> Section:
    """The section of the table."""
    section = Section("Dispatch: letters a second, from the first claim to the last 250")
    largest = max(scale.letters)
    rates: dict[tuple[str, int], list[float]] = defaultdict(list)
    payload, letter = sample(on.settings())
    for count in scale.letters:
        for _ in range(scale.repeats):
            rates["bare", count].append(bare(on, payload, count).rate)
            rates["script", count].append(plain(on, letter, count).rate)
            for name, postgres in _DATABASES:
                rates[name, count].append(durable(on, count, postgres=postgres).rate)
                rates[f"{name}, two", count].append(durable(on, count, postgres=postgres, processes=2).rate)
        _beside_the_wire(section, rates, count, target=count == largest)
    smallest, said = min(scale.letters), "the hand-written script: letters a second"
    if smallest < largest:
        section.ratios.append(
            _against(f"{said}, {written(largest)}", f"{written(smallest)}", rates["script", largest],
                     rates["script", smallest])
        )  # fmt: skip
    path = peers.saved(letter, on.folder)
    for name, postgres in _DATABASES:
        _beside_dbos(on, scale, section, path, name, postgres, rates[name, largest])
        try:
            took = peers.subflows(on, path, scale.subflows, 1, postgres=postgres)
        except PeerFailed as failed:
            section.missing.append(f"Prefect alone on {name}: {failed}")
            continue
        section.ratios.append(
            _against(f"ours on {name}, {largest:,}", "Prefect alone: a subflow a recipient", rates[name, largest],
                     [one.rate for one in took], at_least=50)
        )  # fmt: skip
    section.notes += [
        "Same letter (text, HTML, a PDF of 60 kB), same sink, four connections each, fsync on everywhere; what we "
        "set ourselves on SQLite (WAL) is set for the peers too, and all run on uvloop, though DBOS and Prefect do "
        "not ask for it. Where a repeat stands beside a repeat, each is measured directly after the other.",
        f"The peers send fewer letters than ours, since they need minutes for as many: the script "
        f"{written(largest):,}, DBOS {scale.dbos:,}, Prefect {scale.subflows}. What the rates of the first two do with "
        "the number stands among the ratios; that of Prefect was not looked at. DBOS is taken at its better way of "
        "two: workflows started one beside the other, or all written into its queue before the clock starts.",
    ]
    return section


def _beside_the_wire(
    section: Section, rates: dict[tuple[str, int], list[float]], count: int, *, target: bool
) -> None:
    script, limit = rates["script", count], rates["bare", count]
    for name, _ in _DATABASES:
        one, two = rates[name, count], rates[f"{name}, two", count]
        said = f"ours on {name}, {count:,}"
        section.ratios += [
            _against(said, "the hand-written script", one, script, at_least=8 if target else None),
            _against(said, "the bare limit", one, limit, at_least=0.35 if target else None),
            _against(f"{said}, two processes", "the bare limit", two, limit, at_least=0.5 if target else None),
        ]


def _beside_dbos(
    on: Bench, scale: Scale, section: Section, letter: Path, name: str, postgres: bool, own: Sequence[float]
) -> None:
    rates: dict[str, list[float]] = defaultdict(list)
    try:
        peers.wanted(scale)
        for way in ("started", "queued", "queued")[: max(2, scale.repeats)]:
            database = peers.dbos_database(on, postgres=postgres)
            took = peers.dbos(on, letter, way, scale.dbos, database)
            rates[way].append(took["letters"] / took["wall_s"])
    except NotInstalled as absent:
        section.missing.append(str(absent))
        return
    best = max(rates.values(), key=middle)
    way, fewer = max(rates, key=lambda one: middle(rates[one])), scale.dbos // 4
    took = peers.dbos(on, letter, way, fewer, peers.dbos_database(on, postgres=postgres))
    less = [took["letters"] / took["wall_s"]]
    section.ratios.append(_against(f"DBOS on {name}: letters a second, {scale.dbos:,}", f"{fewer:,}", best, less))
    said = f"ours on {name}, {max(scale.letters):,}"
    section.ratios.append(_against(said, f"DBOS on {name}: a workflow a recipient", own, best, at_least=10))
    launch = middle(_launch(on, scale.dbos, postgres=postgres) for _ in range(scale.repeats))
    whole = [scale.dbos / (launch + scale.dbos / rate) for rate in own]
    section.ratios.append(_against(f"{said}, launch included", "DBOS, start included", whole, rates["started"]))


def _against(
    what: str, against: str, own: Sequence[float], theirs: Sequence[float], at_least: float | None = None
) -> Ratio:
    """Repeat by repeat where both have as many, else over the other's median."""
    if len(own) == len(theirs):
        values = [one / other for one, other in zip(own, theirs, strict=True)]
    else:
        values = [one / middle(theirs) for one in own]
    return Ratio(what, against, tuple(values), at_least=at_least)


# ------------------------------------------------------------------------------------ launch


def _launch(on: Bench, tenants: int, *, postgres: bool = False) -> float:
    """Seconds from the launch of a campaign to its first claimed letters."""
    return asyncio.run(_launched(on.settings(on.postgres() if postgres else ""), tenants))


async def _launched(chosen: Settings, tenants: int) -> float:
    house = build(chosen)
    try:
        await migrate(house.store)
        hop_id, took = await launched(house, tenants)
        began = time.perf_counter()
        lease = await hops.turn(house, hop_id)
        assert lease is not None
        assert await outbox.claim(house, hop_id)
        return took + time.perf_counter() - began
    finally:
        await house.close()


def launching(on: Bench, scale: Scale) -> Section:
    """Launch → first claim, a figure of its own."""
    section = Section("Launch → first claim: plan checked, route frozen, letter rendered and issued, intents written")
    *smaller, last = sorted(scale.sizes)
    # A registry of a hundred thousand takes a minute to be taken over, and that is not what is looked at.
    sizes = (*smaller, max(last // 4, smaller[-1] + 1))
    took = {size: [_launch(on, size) for _ in range(scale.repeats_at(size))] for size in sizes}
    section.growths.append(grown("launch → first claim, SQLite", took))
    largest = max(scale.letters)
    begun = [_launch(on, largest) for _ in range(scale.repeats)]
    sent = [_seconds(durable(on, largest)) for _ in range(scale.repeats)]
    section.ratios.append(
        Ratio(f"launch → first claim, {largest:,}", "sending those letters",
              tuple(one / other for one, other in zip(begun, sent, strict=True)))
    )  # fmt: skip
    return section


def _seconds(took: Took) -> float:
    return took.wall_s


# ------------------------------------------------------------------------------------ weight


def weight(on: Bench, scale: Scale) -> Section:
    """Time, memory and database bytes of a dispatch as it grows, beside DBOS."""
    section = Section("Weight: a dispatch as it grows")
    walls: dict[int, list[float]] = defaultdict(list)
    peaks: dict[int, list[float]] = defaultdict(list)
    octets: dict[int, list[float]] = defaultdict(list)
    for size in scale.sizes:
        for _ in range(scale.repeats_at(size)):
            chosen, hop_id = on.filled(size)
            took = on.run(ours, chosen, hop_id)
            walls[size].append(took.wall_s)
            peaks[size].append(took.peak_kb)
            octets[size].append(peers.DbosDatabase("", chosen.home / "congvan.db").octets())
        on.sending_s[size] = middle(walls[size])
    section.growths += [
        grown("time of a dispatch, SQLite", walls), grown("peak memory of the sending process", peaks, 0.25),
        grown("octets of the database", octets),
    ]  # fmt: skip
    smallest, largest = min(scale.sizes), max(scale.sizes)
    section.ratios.append(
        Ratio(f"peak memory, {largest:,} letters", f"{smallest:,} letters",
              tuple(peak / middle(peaks[smallest]) for peak in peaks[largest]))
    )  # fmt: skip
    try:
        peers.wanted(scale)
        database = peers.dbos_database(on, postgres=False)
        path = peers.saved(sample(on.settings())[1], on.folder)
        empty = peers.dbos_database(on, postgres=False)
        peers.prepare_dbos(path, empty, 0)
        peers.dbos(on, path, "started", scale.dbos, database)
        theirs = max(database.octets() - empty.octets(), 1) / scale.dbos
        own = (middle(octets[largest]) - middle(octets[smallest])) / (largest - smallest)
        said = "octets of the database a delivery, sent"
        section.ratios.append(Ratio(said, "DBOS, a workflow sent", (own / theirs,)))
    except NotInstalled as absent:
        section.missing.append(str(absent))
    return section
