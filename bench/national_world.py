"""A country of parks on real parts: PostgreSQL, one Prefect server, four workers, two portals, played people."""

from __future__ import annotations

import asyncio
import itertools
import random
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import select

from bench.harness import ROOT
from bench.processes import Meter
from congvan.acts import board, demo, played, registry
from congvan.demo.characters import Character, cast
from congvan.demo.players import Players
from congvan.house import House, build
from congvan.launching import launch_file
from congvan.reading import read_record
from congvan.registry.invented import Investor, ParkPlan, World, invent
from congvan.rules.records import Register
from congvan.settings import Settings
from congvan.store.schema import migrate
from congvan.store.tables import Delivery, Hop, Message, PlayedAct
from congvan.up import DemoFile
from tests.flows.engine import Engine, free_port, until

POOL = "congvan"
KEY = "bench-key-" + "x" * 32
#: Of a national campaign: so many recipients have one investor.
TENANTS_AN_INVESTOR = 25_000 / 480
#: What a reader reads of a mail; the rest is enclosures.
_READ = 60_000


def country(tenants: int) -> Register:
    """The shipped offices above invented investors, each with a park, and their tenants; a few stand outside."""
    shipped, _ = read_record(ROOT / "config" / "registry" / "hai-phong-2023" / "world.yaml", World)
    number = max(2, round(tenants / TENANTS_AN_INVESTOR))
    outside = tenants // 50
    share, rest = divmod(tenants - outside, number)
    codes = [f"{n:03}" for n in range(1, number + 1)]
    world = shipped.model_copy(
        update={
            "investors": tuple(
                Investor(code=f"CDT-{n}", name=f"Công ty Hạ tầng Mẫu {n}", abbreviation=f"HT{n}", invented=True)
                for n in codes
            ),
            "parks": tuple(
                ParkPlan(
                    code=f"KCN-{n}", name=f"KCN Mẫu {n}", investor=f"CDT-{n}", invented=True,
                    tenants=share + (k < rest),
                )
                for k, n in enumerate(codes)
            ),
            "tenants": shipped.tenants.model_copy(update={"outside": outside, "in_two_parks": tenants // 40}),
        }
    )  # fmt: skip
    return invent(world)


class Public(Players):
    """Played recipients that come to the portals in turn, as behind a proxy; and one who stops the clock."""

    def __init__(self, house: House, register: Register, characters: dict[str, Character], ports: list[int]) -> None:
        super().__init__(house, register, characters)
        self._doors = itertools.cycle(f"http://127.0.0.1:{port}" for port in ports)
        self.go_on = asyncio.Event()
        #: Surrounds each answer.
        self.timed: Callable[[], AbstractAsyncContextManager[None]] = nullcontext

    async def _do(self, browser: httpx.AsyncClient, act: PlayedAct) -> None:
        if act.kind == "stop":
            # While this act is due and not done, the demo's clock stands.
            await self.go_on.wait()
            return
        if act.kind == "answer":
            path = act.data["link"].partition("/v/")[2]
            act.data = {"link": f"{next(self._doors)}/v/{path}"}
            async with self.timed():
                await super()._do(browser, act)
        else:
            await super()._do(browser, act)


class National(Engine):
    """The engine as an installation of several processes would run it, on the demo's clock."""

    def __init__(self, home: Path, ours: str, prefects: str, board_runs: int) -> None:
        """board_runs: as CONGVAN_BOARD_RUNS."""
        self.portals = [free_port(), free_port()]
        super().__init__(
            home, CONGVAN_DATABASE_URL=ours, CONGVAN_DEMO="true", CONGVAN_WORK_POOL=POOL, CONGVAN_LEASE_S="30",
            CONGVAN_BOARD_RUNS=str(board_runs), CONGVAN_SECRET_KEYS=KEY, CONGVAN_DEMO_PAUSE_S="0",
            CONGVAN_PORTAL_URL=f"http://127.0.0.1:{self.portals[0]}",
            PREFECT_SERVER_DATABASE_CONNECTION_URL=prefects, PREFECT_LOGGING_LEVEL="WARNING",
            PREFECT_WORKER_QUERY_SECONDS="2", CONGVAN_PROCESSES="4",
        )  # fmt: skip
        self.meter = Meter()
        self.arrived: Counter[str] = Counter()
        self.last_letter_at = 0.0
        self._workers = itertools.count(1)
        self._ours, self._board_runs = ours, board_runs

    def house(self) -> House:
        """The engine's house, as seen by the bench."""
        return build(
            Settings(
                home=self.home / "congvan", secret_keys=(KEY,), database_url=self._ours, demo=True,
                board_runs=self._board_runs, smtp_url=self.environment["CONGVAN_SMTP_URL"],
                portal_url=self.environment["CONGVAN_PORTAL_URL"], lease_s=30, _env_file=None,
            )
        )  # fmt: skip

    async def people(self, house: House, register: Register) -> Public:
        """Everybody who reads and answers; their mailboxes are the sink."""
        passing = frozenset(park.investor for park in register.parks if park.investor)
        public = Public(house, register, cast(register, passing), self.portals)

        async def take(_from: str, to: tuple[str, ...], data: bytes) -> str | None:
            for address in to:
                await public.received(address, data[:_READ])
            self._count(data)
            return None

        self.sink.on_message, self.sink.on_rcpt = take, public.refuses
        return public

    def _count(self, data: bytes) -> None:
        head = data.partition(b"\r\n\r\n")[0].decode("utf-8", "replace")
        lines = (line.partition(":") for line in head.split("\r\n"))
        key = next(value.strip() for name, _, value in lines if name.lower() == "message-id")
        self.arrived[key] += 1
        if ".letter." in key:
            self.last_letter_at = asyncio.get_running_loop().time()

    # ------------------------------------------------------------ processes

    async def begin(self, workers: int = 4, *, board_server: bool = False) -> None:
        """Start what runs all the time."""
        await self.start_server()
        self._meter("server", "Prefect server")
        if board_server:
            await self.start_board_server()
            self._meter("board-server", "Prefect server of the board")
        for number, port in enumerate(self.portals, 1):
            name = f"portal-{number}"
            await self._congvan(name, "portal", "--port", str(port))
            self._meter(name, "portal")
        await self.start_flows()
        self._meter("flows", "relay")
        async with httpx.AsyncClient(base_url=self.api, timeout=30) as client:
            await until(lambda: _registered(client), 120, "the work pool")
        for _ in range(workers):
            await self.add_worker()

    async def add_worker(self) -> str:
        """One more worker process; its name."""
        name = f"worker-{next(self._workers)}"
        await self.start(name, "-m", "flows.worker", "--name", name)
        self._meter(name, "worker", "run of a hop")
        return name

    def workers(self) -> list[str]:
        """The workers that are up."""
        return [name for name in self._running if name.startswith("worker-")]

    def ended(self) -> list[str]:
        """What should run and does not."""
        return [name for name, process in self._running.items() if process.returncode is not None]

    def _meter(self, name: str, kind: str, below: str = "") -> None:
        self.meter.watch(self._running[name].pid, kind, below)

    async def _congvan(self, name: str, *arguments: str) -> None:
        await self.start(name, "-c", "import sys; from congvan.cli import main; sys.exit(main())", *arguments)

    async def congvan(self, *arguments: str) -> tuple[int, str]:
        """A command of the product, to its end: status and what it printed."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", "import sys; from congvan.cli import main; sys.exit(main())", *arguments,
            env=self.environment, stdout=asyncio.subprocess.PIPE, cwd=self.home,
        )  # fmt: skip
        out, _ = await process.communicate()
        return process.returncode or 0, out.decode()


async def _registered(client: httpx.AsyncClient) -> bool:
    found = await client.post(f"/work_pools/{POOL}/queues/filter", json={})
    return found.status_code == 200 and len(found.json()) > 4


async def launch(house: House, register: Register) -> str:
    """The directive of the demo to everybody of this register; the campaign's id."""
    script, _ = read_record(house.settings.config / "demo.yaml", DemoFile)
    await migrate(house.store)
    await demo.start_clock(house, script.starts_at)
    await registry.take_over(house, register)
    return await launch_file(house, house.settings.config / script.plan, mode="demo", by="bench")


async def stop_clock(house: House, campaign_id: str) -> None:
    """Write down an act that is due now and not done before `Public.go_on`."""
    now = await house.clock.now()
    async with house.store.act() as ledger:
        await played.play(house, ledger, "bench", "stop", now, {}, campaign_id)


async def most_are_reached(house: House) -> bool:
    """Every hop but that of the silent investor has opened, and no letter waits."""
    async with house.store.view() as ledger:
        closed = await ledger.count(select(Hop.id).where(Hop.opened_at.is_(None)))
        if closed > 1:
            return False
        waiting = select(Message.id).where(Message.state.in_(("QUEUED", "CLAIMED", "UNKNOWN")))
        return not await ledger.count(waiting.where(Message.kind == "letter"))


async def behind(house: House) -> int:
    """Recipients of opened hops whose last change the board does not show."""
    async with house.store.view() as ledger:
        return await board.behind(ledger)


async def one_silent(house: House, chance: random.Random) -> Any:
    """A tenant who has the letter and has not answered."""
    async with house.store.view() as ledger:
        query = select(Delivery).where(Delivery.state == "SENT", Delivery.level == "tenant").limit(200)
        return chance.choice(await ledger.all(query))


__all__ = [
    "National", "Public", "behind", "country", "launch", "most_are_reached", "one_silent", "stop_clock",
]  # fmt: skip
