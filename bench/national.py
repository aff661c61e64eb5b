"""A national campaign on everything that an installation of several processes has, to its end.

PostgreSQL with fsync, one Prefect server on it, the relay, four workers, two portals, a mail server; recipients
that open their mails and answer over HTTP on the demo's clock. It must end with every invariant and the same totals
in the database, `congvan status`, Prefect, the mail server and the report. In the middle, when all but one hop have
opened, the clock is stopped: so long the board takes to be complete, and then single answers to be seen.

Run: python -m bench.national --tenants 700|5000|25000 [--kill [middle]] [--every 8 25] [--minutes 60] [--board-server]

With --middle, and again with --no-board: what the board costs the letters that leave meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import httpx
from sqlalchemy.engine import make_url

from bench import national_end
from bench.national_probe import Probe, Waits
from bench.national_world import (
    National,
    Public,
    behind,
    country,
    launch,
    most_are_reached,
    one_silent,
    stop_clock,
)
from congvan.acts import confirmations, demo
from congvan.house import House
from congvan.rules.protocol import Event
from tests.postgres import fresh_database, serve

#: More than any campaign here has recipients.
_BOARD_RUNS = 50_000
_SHOWN_WITHIN_S = 60.0
_SINGLES = 5
#: Wanted: the board complete so long after the last letter, and a single answer seen so long after it while idle.
_PICTURE_S, _SEEN_S = 600.0, 5.0


@dataclass
class Found:
    """What one run showed. letters_s: from the launch to the last letter; picture_s: from then until the board was
    complete; seen_s: single answers."""

    tenants: int
    kills: int = 0
    letters_s: float | None = None
    picture_s: float | None = None
    seen_s: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    #: What is wanted and was not reached.
    missed: list[str] = field(default_factory=list)
    ended: bool = False
    took_s: float = 0.0
    uses: dict[str, Any] = field(default_factory=dict)
    #: Processor seconds of ours for each tenant until the board was complete.
    middle_cpu_s: float | None = None
    #: How long a hop's own state change took, and a recipient's way through the portal (two requests).
    states: Waits = field(default_factory=Waits)
    answers: Waits = field(default_factory=Waits)


def _ours(uses: dict[str, Any]) -> float:
    """Processor seconds of the relay, the workers with their runs, and the portals."""
    kinds = ("relay", "worker", "run of a hop", "portal")
    return float(sum(uses[kind].cpu_s for kind in kinds if kind in uses))


@dataclass(frozen=True)
class Kills:
    """Whether workers are killed and added from the start, or from the middle on, and every how many seconds."""

    since: Literal["never", "start", "middle"]
    every_s: tuple[float, float]


async def campaign(
    tenants: int, *, kills: Kills, within_s: float, seed: int, url: str, home: Path, board_server: bool = False,
    to_the_middle: bool = False, board: bool = True,
) -> Found:  # fmt: skip
    """One campaign on the PostgreSQL at `url`. board_server: the board has a Prefect server of its own.
    to_the_middle: it is broken off once the board has been looked at. board: whether recipients are shown; else it is
    broken off when the letters are out."""
    found, chance = Found(tenants), random.Random(seed)
    loop, this = asyncio.get_running_loop(), asyncio.current_task()
    assert this is not None, "a coroutine that runs is in a task"
    for number in (signal.SIGTERM, signal.SIGINT):
        # Ended from outside, it leaves no server behind.
        loop.add_signal_handler(number, this.cancel)
    begun = loop.time()
    ours, prefects = await fresh_database(url), await fresh_database(url)
    async with National(home, ours, prefects, _BOARD_RUNS if board else 0) as engine:
        engine.meter.watch(_postmaster(url), "PostgreSQL")
        house, register = engine.house(), country(tenants)
        public = await engine.people(house, register)
        campaign_id = await launch(house, register)
        launched = loop.time()
        say(f"{tenants} tenants launched after {loop.time() - begun:.0f} s")
        await engine.begin(board_server=board_server)
        probe = Probe(house, engine.api, found.states, found.answers)
        public.timed = lambda: probe.timed(found.answers)
        tasks = [asyncio.create_task(one) for one in (public.run(), _metering(engine), probe.run())]
        over = asyncio.Event()
        killing: list[asyncio.Task[None]] = []

        def go_on(at: str) -> None:
            if kills.since == at:
                killing.append(asyncio.create_task(_killing(engine, chance, found, over, kills.every_s)))

        try:
            async with asyncio.timeout(within_s):
                go_on("start")
                await _until(house, most_are_reached, "letters")
                found.letters_s = engine.last_letter_at - launched
                if board:
                    await _middle(engine, house, public, campaign_id, found, chance)
                    if not to_the_middle:
                        go_on("middle")
                        await _end(engine, house)
                        found.ended = True
        except TimeoutError:
            found.wrong.append(f"it had not ended after {within_s / 60:.0f} minutes: {await demo.progress(house)}")
        finally:
            over.set()
            for task in tasks:
                task.cancel()
            for fault in await asyncio.gather(*tasks, *killing, return_exceptions=True):
                if isinstance(fault, Exception):
                    found.wrong.append(f"the bench itself: {fault!r}")
        found.took_s, found.uses = loop.time() - begun, engine.meter.found()
        found.missed = list(_missed(found))
        tell(found)
        if found.ended:
            found.wrong += await national_end.verify(engine, house, campaign_id)
        await house.close()
    return found


def _missed(found: Found) -> Iterator[str]:
    if found.picture_s is not None and found.picture_s > _PICTURE_S:
        yield f"the board within {_PICTURE_S:.0f} s after the last letter"
    if found.seen_s and statistics.median(found.seen_s) > _SEEN_S:
        yield f"a single answer within {_SEEN_S:.0f} s"


def _postmaster(url: str) -> int:
    folder = Path(str(make_url(url).query["host"]))
    return int((folder / "data" / "postmaster.pid").read_text().split()[0])


async def _metering(engine: National) -> None:
    while True:
        await asyncio.to_thread(engine.meter.look)
        if gone := engine.ended():
            raise RuntimeError(f"{gone} ended by itself; see {engine.home}")
        await asyncio.sleep(1)


async def _killing(
    engine: National, chance: random.Random, found: Found, over: asyncio.Event, every_s: tuple[float, float]
) -> None:
    """Workers die with what they run, and others come, until it is over. Cut off in the middle of a start, it would
    leave a worker behind."""
    while True:
        with suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), chance.uniform(*every_s))
            return
        engine.meter.look()
        up = engine.workers()
        if len(up) > 2:
            await engine.kill(chance.choice(up))
            found.kills += 1
        if len(up) < 5 and (len(up) < 4 or chance.random() < 0.5):
            await engine.add_worker()


# ------------------------------------------------------------------------------------ the course


async def _middle(
    engine: National, house: House, public: Public, campaign_id: str, found: Found, chance: random.Random
) -> None:
    """Nearly all have their letter: the clock stands until the board has been looked at."""
    await stop_clock(house, campaign_id)
    loop = asyncio.get_running_loop()
    say(f"letters are out; {await behind(house)} recipients behind on the board")
    await _until(house, _complete, "board")
    found.picture_s = loop.time() - engine.last_letter_at
    engine.meter.look()
    found.middle_cpu_s = _ours(engine.meter.found()) / found.tenants
    say(f"the board was complete {found.picture_s:.0f} s after the last letter")
    tell_uses(found.tenants, engine.meter.found())
    async with httpx.AsyncClient(base_url=engine.api, timeout=30) as client:
        for _ in range(_SINGLES):
            # The recipient's page answers within milliseconds; here only the way from there to Prefect is looked at.
            await asyncio.sleep(chance.uniform(1, 3))
            found.seen_s.append(await _seen(client, house, chance))
    say(f"single answers were seen after {', '.join(f'{one:.1f}' for one in found.seen_s)} s")
    public.go_on.set()


async def _seen(client: httpx.AsyncClient, house: House, chance: random.Random) -> float:
    loop = asyncio.get_running_loop()
    one = await one_silent(house, chance)
    answer = confirmations.Answer(Event.ACKNOWLEDGED, "Bình", channel="phone", actor="bench")
    await confirmations.answer(house, one.id, answer)
    begun = loop.time()
    while loop.time() - begun < _SHOWN_WITHIN_S:
        run = (await client.get(f"/flow_runs/{one.run_id}")).json()
        if run["state_name"] in ("Confirmed", "ConfirmedLate"):
            break
        await asyncio.sleep(0.05)
    return loop.time() - begun


async def _end(engine: National, house: House) -> None:
    await _until(house, demo.over, "end")
    await _until(house, _complete, "last picture")
    say(f"ended; {engine.arrived.total()} mails")


async def _complete(house: House) -> bool:
    return not await behind(house)


async def _until(house: House, question: Any, what: str) -> None:
    told = 0.0
    loop = asyncio.get_running_loop()
    while not await question(house):
        if loop.time() - told > 30:
            told = loop.time()
            at = await demo.progress(house)
            say(f"  {what}: {at['now']} sent {at['sent']} hops {at['open_hops']}/{at['hops']} "
                f"settled {at['settled']}/{at['total']} behind {await behind(house)}")  # fmt: skip
        await asyncio.sleep(0.5)


# ------------------------------------------------------------------------------------ what is said


def say(line: str) -> None:
    """To whoever watches."""
    print(line, flush=True)


def tell_uses(tenants: int, uses: dict[str, Any]) -> None:
    """What each kind of process has cost so far."""
    for kind, use in sorted(uses.items()):
        say(f"  {kind:16} {use.peak_kb / 1024:6.0f} MB peak, {use.most} at a time, "
            f"{use.cpu_s / tenants:.3f} CPU s a tenant")  # fmt: skip
    say(f"  ours together    {_ours(uses) / tenants:.3f} CPU s a tenant")


def tell(found: Found) -> None:
    """The figures of one run."""
    say(f"\n{found.tenants} tenants, {found.kills} workers killed: {'ended' if found.ended else 'NOT ENDED'}")
    if found.letters_s is not None:
        say(f"  the last letter of the first round left {found.letters_s:.0f} s after the launch")
    tell_uses(found.tenants, found.uses)
    if found.picture_s is not None:
        say(f"  the board was complete {found.picture_s:.0f} s after the last letter of the first round")
    if found.seen_s:
        say(f"  a single answer is seen after {statistics.median(found.seen_s):.1f} s (median of {len(found.seen_s)})")
    say(f"  a run's own state change (median/99 %/most): {found.states.told()}")
    say(f"  an answer, page and button (the same): {found.answers.told()}")
    for one in found.wrong:
        say(f"  WRONG: {one}")
    for one in found.missed:
        say(f"  MISSED: {one}")


@contextmanager
def _home(kept: str) -> Iterator[Path]:
    if kept:
        Path(kept).mkdir(parents=True, exist_ok=True)
        yield Path(kept).resolve()
    else:
        with tempfile.TemporaryDirectory(prefix="congvan-national-") as folder:
            yield Path(folder)


def main() -> int:
    """1 where something was wrong."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--tenants", type=int, nargs="+", default=[700])
    options.add_argument(
        "--kill", choices=("never", "start", "middle"), nargs="?", const="start", default="never",
        help="kill and add workers meanwhile; middle: once the board has been looked at",
    )  # fmt: skip
    options.add_argument("--every", type=float, nargs=2, default=(8, 25), help="seconds between two of them")
    options.add_argument("--minutes", type=float, default=90, help="give a campaign up after so long")
    options.add_argument("--board-server", action="store_true", help="a Prefect server more, for the board alone")
    options.add_argument("--middle", action="store_true", help="break off once the board has been looked at")
    options.add_argument("--no-board", action="store_true", help="show no recipients; break off after the letters")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--logs", default="", help="keep the processes' logs in this folder")
    options.add_argument("--json", default="", help="append the figures to this file")
    chosen = options.parse_args()
    # An installation has its byte code; without it half of a hop's process is compiling.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    failed = False
    for tenants in chosen.tenants:
        with _home(chosen.logs) as home, serve(home, durable=True) as url:
            run = campaign(
                tenants, kills=Kills(chosen.kill, tuple(chosen.every)), within_s=chosen.minutes * 60, seed=chosen.seed,
                url=url, home=home, board_server=chosen.board_server, to_the_middle=chosen.middle,
                board=not chosen.no_board,
            )  # fmt: skip
            found = asyncio.run(run)
        tell(found)
        failed = failed or bool(found.wrong or found.missed)
        if chosen.json:
            with Path(chosen.json).open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(found)) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
