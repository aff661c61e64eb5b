"""`congvan up`: everything on one machine. Prefect's server and the flows are processes, the portal runs here.

It starts what is missing, goes on with what it finds, and leaves no process behind.
(Longer than a file should be: one course from start to end, in the order in which it is lived through.)
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import os
import shutil
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx
from pydantic import AwareDatetime
from rich.console import Console
from rich.table import Table

from congvan.acts import accounts, registry
from congvan.acts import demo as demo_acts
from congvan.demo.characters import cast
from congvan.demo.players import Players
from congvan.demo.verdict import Line, caught_up, verdict
from congvan.doctor.prefect import PREFECT_SETTINGS
from congvan.errors import CongvanError
from congvan.house import House, build
from congvan.launching import launch_file
from congvan.logs import configure
from congvan.mail.sink import Sink, SinkStore
from congvan.portal.serve import serve
from congvan.reading import read_record
from congvan.registry.sheets import read_register
from congvan.rules.records import Record
from congvan.settings import Settings
from congvan.store.schema import migrate

log = logging.getLogger("congvan")
console = Console(highlight=False)

_DEMO_ACCOUNT = "minhhoa"
_PORTS = {"prefect": 4200, "portal": 4280, "smtp": 2525}
_SERVER_ANSWERS_S = 120
#: How long a process may take to end before it is killed.
_END_S = 15

#: Settings that lead out of a demo.
_REAL = ("DATABASE_URL", "IMAP_URL", "HEARTBEAT_URL", "EXERCISE_MAILBOX")
#: What Prefect's server needs for runs that wait for days, and keeps to itself.
SERVER_SETTINGS = PREFECT_SETTINGS | {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    # Of PostgreSQL alone. With Prefect's own five it opens and closes another connection several times a second.
    "PREFECT_SERVER_DATABASE_SQLALCHEMY_POOL_SIZE": "20",
    "PREFECT_LOGGING_SERVER_LEVEL": "WARNING",
    "PREFECT_CLI_PROMPT": "false",
    "DO_NOT_TRACK": "1",
}


def main(*, demo: bool, speed: float = 0.0, exit_: bool = False) -> int:
    """Run until Ctrl-C or SIGTERM or, with exit_, until the campaign has ended.

    speed: jumps of the demo's clock a second at the most; 0 leaves no pause between them.
    """
    try:
        return asyncio.run(_Up(demo=demo, speed=speed, exit_=exit_).run())
    except KeyboardInterrupt:
        return 130


def _free(port: int) -> int:
    """This port, or one that the kernel picks where it is taken."""
    for candidate in (port, 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", candidate))
            return int(probe.getsockname()[1])
    raise CongvanError("không còn cổng nào trống trên 127.0.0.1")


def die_with_parent() -> None:
    """Run in a child before its program: even a killed parent leaves no server behind (PR_SET_PDEATHSIG = 1)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)


class DemoFile(Record):
    """`config/demo.yaml`: what is played. Paths are relative to config/."""

    registry: Path
    plan: Path
    starts_at: AwareDatetime


class _Process:
    """A child in a session of its own, so that Ctrl-C reaches us first and the whole group can be ended."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self.process = process

    @classmethod
    async def start(cls, name: str, command: list[str], env: Mapping[str, str], log_file: Path) -> _Process:
        log_file.parent.mkdir(parents=True, exist_ok=True)
        with log_file.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *command, env=dict(env), stdout=output, stderr=output, stdin=asyncio.subprocess.DEVNULL,
                start_new_session=True, preexec_fn=die_with_parent,
            )  # fmt: skip
        return cls(name, process)

    async def end(self) -> None:
        """SIGTERM, then SIGKILL to the group."""
        if self.process.returncode is None:
            self._signal(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.process.wait(), _END_S)
        self._signal(signal.SIGKILL)
        await self.process.wait()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)


class _Up:
    """One `congvan up`."""

    def __init__(self, *, demo: bool, speed: float, exit_: bool) -> None:
        self.demo, self.speed, self.exit_ = demo, speed, exit_
        self.ports = {name: _free(port) for name, port in _PORTS.items()}
        #: Only what is played needs it.
        self.script = read_record(Settings().config / "demo.yaml", DemoFile)[0] if demo else None
        self.home = (Settings().home / ("demo" if demo else "")).resolve()
        self.processes: list[_Process] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.stopping = asyncio.Event()
        self.ended = False

    # ------------------------------------------------------------ the run

    async def run(self) -> int:
        """Start, watch, end; 0 only if nothing failed and a demo showed all that it promises."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.stopping.set)
        house = await self._house()
        try:
            if not await self._start(house):
                return 0
            return await self._watch(house)
        finally:
            await self._end(house)

    async def _house(self) -> House:
        if self.demo:
            await self._clear_finished()
        self._environment()
        house = build()
        if house.settings.log == "json":
            # Where nobody collects them, the pages' lines would stand between those for whoever sits at the terminal.
            configure(house.settings)
        await migrate(house.store)
        if self.script is not None:
            await demo_acts.start_clock(house, self.script.starts_at)
        return house

    def _environment(self) -> None:
        """What we and every child read: one set of addresses."""
        # What `.env` says is not in the environment yet, and would lose against what is put there.
        given = Settings()
        set_by_hand = given.model_fields_set
        os.environ["CONGVAN_HOME"] = str(self.home)
        # It belongs to another Prefect than the one that is started here.
        os.environ["CONGVAN_BOARD_API_URL"] = ""
        os.environ["PREFECT_API_URL"] = self.api
        os.environ["PREFECT_HOME"] = str(self.home / "prefect")
        os.environ["CONGVAN_PREFECT_URL"] = given.prefect_url or self.api.removesuffix("/api")
        portal_url = given.portal_url if "portal_url" in set_by_hand and not self.demo else ""
        os.environ["CONGVAN_PORTAL_URL"] = portal_url or self.portal_url
        if self.demo:
            os.environ["CONGVAN_DEMO"] = "true"
            os.environ["CONGVAN_SMTP_URL"] = f"smtp://127.0.0.1:{self.ports['smtp']}"
            os.environ["CONGVAN_LEASE_S"] = str(given.lease_s if "lease_s" in set_by_hand else 30)
            os.environ["CONGVAN_DEMO_PAUSE_S"] = str(1 / self.speed if self.speed else 0)
            # A demo plays among its own: what an installation on this machine works with is neither read nor written.
            for name in _REAL:
                os.environ[f"CONGVAN_{name}"] = ""
            os.environ.pop("CONGVAN_WORK_POOL", None)
            if given.mta_log is not None:
                os.environ["CONGVAN_MTA_LOG"] = os.devnull
        for name, value in SERVER_SETTINGS.items():
            os.environ.setdefault(name, value)

    @property
    def api(self) -> str:
        """Prefect's API."""
        return f"http://127.0.0.1:{self.ports['prefect']}/api"

    @property
    def portal_url(self) -> str:
        """Where the pages are."""
        return f"http://127.0.0.1:{self.ports['portal']}"

    async def _clear_finished(self) -> None:
        """A demo that has ended makes room for a new one; one that was interrupted goes on."""
        if not (self.home / "congvan.db").exists():
            return
        house = build(Settings(home=self.home, demo=True, database_url=""))
        try:
            await migrate(house.store)
            finished = await demo_acts.over(house)
        finally:
            await house.close()
        if finished:
            shutil.rmtree(self.home)

    # ------------------------------------------------------------ start

    async def _start(self, house: House) -> bool:
        """False where it was told to stop meanwhile.

        Prefect's server needs longest to answer: everything else is made ready meanwhile, on the other core.
        """
        self._banner()
        await self._say_who_signs_in(house)
        server = ("prefect", "server", "start", "--host", "127.0.0.1", "--port", str(self.ports["prefect"]))
        prefect = await self._start_process("prefect", *server)
        if self.demo:
            await self._fill(house)
            await self._start_sink(house)
        self._background(
            serve(house, "127.0.0.1", self.ports["portal"], mail_folder=self._mail, signals=False), "portal"
        )
        await self._start_process("flows", "flows")
        return await self._answers(prefect)

    @property
    def _mail(self) -> Path | None:
        return self.home / "mail" if self.demo else None

    async def _say_who_signs_in(self, house: House) -> None:
        """The way to the operators' pages: in a demo an account with a password of its own, shown here once."""
        if not self.demo:
            if not await accounts.listed(house):
                console.print("            chưa có tài khoản: congvan operator add TÊN --role leader")
            return
        password = "-".join(f"{house.random.getrandbits(20):05x}" for _ in range(4))
        if any(one.name == _DEMO_ACCOUNT for one in await accounts.listed(house)):
            await accounts.set_password(house, _DEMO_ACCOUNT, password)
        else:
            leader = accounts.Account(_DEMO_ACCOUNT, "Cán bộ (minh họa)", accounts.Role.LEADER, "can-bo@bql.example")
            await accounts.add(house, leader, password)
        console.print(f"            tài khoản {_DEMO_ACCOUNT}, mật khẩu {password}")

    async def _start_process(self, name: str, *module: str) -> _Process:
        process = await _Process.start(name, [sys.executable, "-m", *module], os.environ, self._log_of(name))
        self.processes.append(process)
        return process

    def _log_of(self, name: str) -> Path:
        return self.home / "log" / f"{name}.log"

    async def _answers(self, prefect: _Process) -> bool:
        """Wait until Prefect's server answers; False where it was told to stop meanwhile."""
        async with httpx.AsyncClient(timeout=5) as client:
            for _ in range(_SERVER_ANSWERS_S * 4):
                if self.stopping.is_set():
                    return False
                if prefect.process.returncode is not None:
                    raise CongvanError(f"máy chủ Prefect không khởi động được → xem {self._log_of(prefect.name)}")
                with contextlib.suppress(httpx.HTTPError):
                    if (await client.get(f"{self.api}/health")).status_code == 200:
                        return True
                await asyncio.sleep(0.25)
        raise CongvanError(f"máy chủ Prefect không trả lời → xem {self._log_of(prefect.name)}")

    async def _fill(self, house: House) -> None:
        """The demo's registry and campaign; both are there already where it goes on."""
        assert self.script is not None, "only a demo is filled"
        config = house.settings.config
        await registry.take_over(house, read_register([config / self.script.registry]))
        await launch_file(house, config / self.script.plan, mode="demo", by="demo")

    async def _start_sink(self, house: House) -> None:
        register = await registry.present(house)
        passing = frozenset(park.investor for park in register.parks if park.investor)
        players = Players(house, register, cast(register, passing))
        assert self._mail is not None, "a demo keeps its mail"
        store = SinkStore(self._mail, house.clock.wall)

        async def take(mail_from: str, rcpt_to: tuple[str, ...], data: bytes) -> str | None:
            # First the reader's intention, then the mail: the clock cannot pass between the two.
            for address in rcpt_to:
                await players.received(address, data)
            return await store.on_message(mail_from, rcpt_to, data)

        sink = Sink(take, players.refuses, port=self.ports["smtp"])
        await sink.start()
        self._background(players.run(), "players")

    def _background(self, work: object, name: str) -> None:
        self.tasks.append(asyncio.create_task(work, name=name))  # type: ignore[arg-type]

    # ------------------------------------------------------------ watch

    async def _watch(self, house: House) -> int:
        shown = ""
        while not self.stopping.is_set():
            self._look_after()
            if self.demo:
                shown = await self._progress(house, shown)
                if await demo_acts.over(house) and not self.ended:
                    self.ended = True
                    good = await self._closing(house)
                    if self.exit_:
                        return 0 if good else 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stopping.wait(), 1.0)
        return 0

    def _look_after(self) -> None:
        """Something that must run has ended: say which, and stop."""
        for process in self.processes:
            if process.process.returncode is not None:
                raise CongvanError(f"tiến trình {process.name} đã dừng → xem {self._log_of(process.name)}")
        for task in self.tasks:
            if task.done() and not task.cancelled() and task.exception() is not None:
                raise CongvanError(f"tiến trình {task.get_name()} đã dừng") from task.exception()

    async def _progress(self, house: House, shown: str) -> str:
        at = await demo_acts.progress(house)
        line = (
            f"{at['now']}  thư {at['sent']:>5}  chuyển tiếp {at['open_hops']:>2}/{at['hops']}"
            f"  đã xong {at['settled']:>4}/{at['total']}"
        )
        if line != shown:
            console.print(line)
        return line

    async def _closing(self, house: House) -> bool:
        """The closing summary, once the board has caught up."""
        for _ in range(120):
            if await caught_up(house):
                break
            await asyncio.sleep(1)
        assert self._mail is not None, "a demo keeps its mail"
        lines = await verdict(house, SinkStore(self._mail), self.api)
        _print(lines)
        return all(line.good for line in lines)

    # ------------------------------------------------------------ end

    async def _end(self, house: House) -> None:
        for process in reversed(self.processes):
            await process.end()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await house.close()

    def _banner(self) -> None:
        console.print("congvan", style="bold")
        console.print(f"  Prefect   {self.api.removesuffix('/api')}")
        console.print(f"  Trang     {self.portal_url}")
        if self.demo:
            console.print(f"  Hộp thư   {self.portal_url}/mail")
        console.print(f"  Nhật ký   {self.home / 'log'}")
        console.print(f"  Cán bộ    {self.portal_url}/office")


def _print(lines: list[Line]) -> None:
    table = Table(title="Kết thúc đợt triển khai", title_justify="left")
    table.add_column("Nội dung")
    table.add_column("Số", justify="right")
    table.add_column("")
    for line in lines:
        table.add_row(line.what, " / ".join(str(number) for number in line.numbers), "đạt" if line.good else "SAI")
    console.print(table)
