"""The engine as real processes: Prefect's server, `python -m flows`, and a mail sink that the test owns."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import select

from congvan.acts import confirmations, launches, passing_on, registry
from congvan.house import House, build
from congvan.mail.sink import Sink
from congvan.rules.protocol import Event
from congvan.settings import Settings
from congvan.store.schema import migrate
from congvan.store.tables import Delivery
from congvan.up import SERVER_SETTINGS, die_with_parent
from tests.flows import world


def free_port() -> int:
    """A port of this machine that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Inbox:
    """What the sink took: (Message-ID, recipient) in order; each message takes `delay_s` to be accepted."""

    delay_s: float = 0.0
    taken: list[tuple[str, str]] = field(default_factory=list)

    async def take(self, _sender: str, rcpt_to: tuple[str, ...], data: bytes) -> str | None:
        """Count the message, then answer 250."""
        head = data.partition(b"\r\n\r\n")[0].decode("utf-8", "replace")
        lines = (line.partition(":") for line in head.split("\r\n"))
        key = next(value.strip() for name, _, value in lines if name.lower() == "message-id")
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        self.taken.append((key, rcpt_to[0]))
        return None

    def ids(self) -> Counter[str]:
        """How often each Message-ID came."""
        return Counter(key for key, _ in self.taken)

    def of(self, kind: str) -> list[str]:
        """The Message-IDs of one kind of mail."""
        return [key for key, _ in self.taken if f".{kind}." in key]


class Engine:
    """One engine under a folder of its own."""

    def __init__(self, home: Path, **settings: str) -> None:
        self.home = home
        self.prefect_port, self.board_port = free_port(), free_port()
        self.inbox = Inbox()
        self.sink = Sink(self.inbox.take)
        self.environment: dict[str, str] = {}
        self._settings = settings
        self._running: dict[str, asyncio.subprocess.Process] = {}

    async def __aenter__(self) -> Engine:
        await self.sink.start()
        self.environment = os.environ | SERVER_SETTINGS | {
            "CONGVAN_HOME": str(self.home / "congvan"),
            "CONGVAN_SMTP_URL": f"smtp://127.0.0.1:{self.sink.port}",
            "CONGVAN_SECRET_KEYS": "test-key-" + "x" * 32,
            "CONGVAN_LEASE_S": "5",
            "PREFECT_HOME": str(self.home / "prefect"),
            "PREFECT_API_URL": self.api,
            "PREFECT_SERVER_LOGGING_LEVEL": "ERROR",
        } | self._settings  # fmt: skip
        return self

    async def __aexit__(self, *_: object) -> None:
        # Flows before the server that they report to: without it their runs ask again and again as they end.
        for name in reversed(list(self._running)):
            await self.stop(name)
        await self.sink.stop()

    @property
    def api(self) -> str:
        """Prefect's API."""
        return f"http://127.0.0.1:{self.prefect_port}/api"

    def client(self) -> httpx.AsyncClient:
        """A client of Prefect's API, as patient as Prefect's own."""
        return httpx.AsyncClient(base_url=self.api, timeout=60)

    def house(self) -> House:
        """The engine's house, as seen by the test."""
        return build(
            Settings(
                home=self.home / "congvan", secret_keys=("test-key-" + "x" * 32,),
                smtp_url=self.environment["CONGVAN_SMTP_URL"], demo="CONGVAN_DEMO" in self._settings, _env_file=None,
            )
        )  # fmt: skip

    # ------------------------------------------------------------ processes

    async def start(self, name: str, *command: str, **environment: str) -> None:
        """Start a process in a group of its own; its output goes to a file of its name."""
        with (self.home / f"{name}.log").open("ab") as log:
            self._running[name] = await asyncio.create_subprocess_exec(
                sys.executable, *command, env=self.environment | environment, stdout=log, stderr=log,
                start_new_session=True, preexec_fn=die_with_parent,
            )  # fmt: skip

    def signal(self, name: str, number: signal.Signals) -> None:
        """To the process and to everything that it started."""
        os.killpg(self._running[name].pid, number)

    def run_process(self, name: str = "flows") -> int:
        """The process in which the runner has a hop run: a fork of the server that it has for that."""
        run, *_ = [pid for server in _children(self._running[name].pid) for pid in _children(server)]
        return run

    async def kill(self, name: str) -> None:
        """SIGKILL to the process and everything it started."""
        await self._end(name, signal.SIGKILL)

    async def stop(self, name: str) -> None:
        """SIGTERM, then SIGKILL to what is left."""
        process = self._running[name]
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), 20)
        await self._end(name, signal.SIGKILL)

    async def _end(self, name: str, number: signal.Signals) -> None:
        process = self._running.pop(name)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        await process.wait()

    async def start_server(self) -> None:
        """Prefect's server, until it answers."""
        port = str(self.prefect_port)
        database = self.home / "prefect" / "prefect.db"
        if not database.exists():
            database.parent.mkdir(exist_ok=True)
            database.write_bytes(await _empty_database())
        await self.start("server", "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", port)
        async with httpx.AsyncClient(timeout=5) as client:
            await until(lambda: _answers(client, self.api), 120, "the Prefect server to answer")

    async def start_board_server(self) -> None:
        """Another server of the same Prefect, for the board alone, until it answers (CONGVAN_BOARD_API_URL)."""
        self.environment["CONGVAN_BOARD_API_URL"] = api = f"http://127.0.0.1:{self.board_port}/api"
        command = ("-m", "prefect", "server", "start", "--no-services", "--port", str(self.board_port))
        first = ("DATABASE_MIGRATE_ON_START", "REGISTER_BLOCKS_ON_START", "UI_ENABLED")
        await self.start("board-server", *command, **{f"PREFECT_SERVER_{name}": "false" for name in first})
        async with httpx.AsyncClient(timeout=5) as client:
            await until(lambda: _answers(client, api), 120, "the board's server to answer")

    async def start_flows(self, **environment: str) -> None:
        """`python -m flows`."""
        await self.start("flows", "-m", "flows", **environment)

    # ------------------------------------------------------------ the campaign

    async def launch(self, *, units: int = 3, tenants: int = 5) -> str:
        """A flash exercise on the chain of `world`; the campaign's id."""
        house = self.house()
        try:
            await migrate(house.store)
            await registry.take_over(house, world.register(units, tenants))
            return await launches.launch(house, launches.Launch(world.plan(), world.cascade(), "exercise", "An"))
        finally:
            await house.close()

    async def answer(self, recipient: str, event: Event = Event.ACKNOWLEDGED) -> None:
        """A recipient answers by telephone."""
        house = self.house()
        try:
            async with house.store.view() as ledger:
                key = await ledger.first(select(Delivery.id).where(Delivery.recipient == recipient))
            if event is Event.FORWARDED:
                await passing_on.pass_on(house, key, passing_on.PassOn("Bình", "Giám đốc", channel="phone"))
            else:
                await confirmations.answer(house, key, confirmations.Answer(event, "Bình", channel="phone", actor="An"))
        finally:
            await house.close()

    async def rows(self, query: Any) -> list[Any]:
        """What a query finds in the engine's database."""
        house = self.house()
        try:
            async with house.store.view() as ledger:
                return list(await ledger.rows(query))
        finally:
            await house.close()

    async def runs(self, flow: str, **state: Any) -> list[dict[str, Any]]:
        """Flow runs in Prefect, by the flow's name."""
        body: dict[str, Any] = {"flows": {"name": {"any_": [flow]}}, "limit": 200}
        if state:
            body["flow_runs"] = {"state": state}
        async with self.client() as client:
            found: list[dict[str, Any]] = (await client.post("/flow_runs/filter", json=body)).json()
            return found


def _children(parent: int) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


_EMPTY: list[bytes] = []


async def _empty_database() -> bytes:
    """Prefect's database with its tables and nothing in them: made once, since it takes as long as a server's start."""
    if not _EMPTY:
        with tempfile.TemporaryDirectory(prefix="congvan-prefect-") as folder:
            made = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "prefect", "server", "database", "upgrade", "--yes",
                env=os.environ | SERVER_SETTINGS | {"PREFECT_HOME": folder}, stdout=asyncio.subprocess.DEVNULL,
                preexec_fn=die_with_parent,
            )  # fmt: skip
            assert await made.wait() == 0, "Prefect's database could not be made"
            _EMPTY.append((Path(folder) / "prefect.db").read_bytes())
    return _EMPTY[0]


async def _answers(client: httpx.AsyncClient, api: str) -> bool:
    try:
        return (await client.get(f"{api}/health")).status_code == 200
    except httpx.HTTPError:
        return False


async def until(question: Callable[[], Awaitable[Any]], seconds: float, what: str) -> Any:
    """Ask until the answer is true; fail with what was waited for."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while loop.time() < end:
        # A server that is busy for longer than a client waits is asked again.
        with contextlib.suppress(httpx.TransportError):
            if found := await question():
                return found
        await asyncio.sleep(0.1)
    raise AssertionError(f"waited {seconds:.0f} s for {what}")
