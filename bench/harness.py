"""What every measurement stands on: a sink in a process of its own, houses, databases, ways in processes."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import uvloop

from bench.outbox_world import ROOT, filled, settings
from bench.peers.resident import peak_kb
from bench.waiting_world import resting
from congvan.mail.sink import Sink
from congvan.settings import Settings

CONNECTIONS = 4
#: Of PostgreSQL's log, 16 MB each: more than one measure writes.
_LOG_FILES = 24
PEERS = ROOT / ".venv-peers" / "bin" / "python"


class NotInstalled(Exception):
    """A part of this measure is not installed on this machine; the message says which."""


class PeerFailed(Exception):
    """A peer did not come through; the message says which."""


@dataclass(frozen=True, slots=True)
class Took:
    """One measured way. peak_kb: resident memory of the sending process at its largest."""

    letters: int
    wall_s: float
    cpu_s: float
    peak_kb: int

    @property
    def rate(self) -> float:
        """Letters a second."""
        return self.letters / self.wall_s


def serve(pipe: Connection) -> None:
    """The sink, until the other side hangs up."""

    async def run() -> None:
        async with Sink() as sink:
            pipe.send(sink.port)
            while await asyncio.to_thread(pipe.recv) == "count":
                pipe.send(sink.accepted)

    uvloop.run(run())


def timed(pipe: Connection, work: Coroutine[Any, Any, int]) -> None:
    """Wait for the start, work, and tell how long it took."""

    async def run() -> tuple[int, float, float]:
        pipe.send("ready")
        await asyncio.to_thread(pipe.recv)
        wall, cpu = time.perf_counter(), time.process_time()
        letters = await work
        return letters, time.perf_counter() - wall, time.process_time() - cpu

    letters, wall_s, cpu_s = uvloop.run(run())
    pipe.send(Took(letters, wall_s, cpu_s, peak_kb()))


class Bench:
    """A sink, and processes that send to it."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        # Each worker is a fork of a process that has imported everything and done nothing else.
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["bench.dispatch", "bench.recipients", "bench.measures.rounds"])
        self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="congvan-bench-")))
        self._pipe, there = self._context.Pipe()
        self._sink = self._context.Process(target=serve, args=(there,), daemon=True)
        self._sink.start()
        stack.callback(self._end)
        self.port = int(self._pipe.recv())
        self._number = 0
        self._postgres = ""
        self._bases: dict[tuple[str, int], tuple[Path, str]] = {}
        #: Seconds that sending so many letters from SQLite took, for whoever wants to be compared with it.
        self.sending_s: dict[int, float] = {}

    def _end(self) -> None:
        self._pipe.send("end")
        self._sink.join()

    def accepted(self) -> int:
        """How many messages the sink has taken so far."""
        self._pipe.send("count")
        return int(self._pipe.recv())

    # ------------------------------------------------------------ houses and databases

    def home(self) -> Path:
        """A fresh folder."""
        self._number += 1
        made = self.folder / str(self._number)
        made.mkdir()
        return made

    def settings(self, database_url: str = "", home: Path | None = None) -> Settings:
        """A fresh house."""
        return settings(home or self.home(), self.port, database_url, smtp_connections=CONNECTIONS)

    def filled(self, letters: int) -> tuple[Settings, str]:
        """A house on SQLite with that many letters to send, and its hop: made once, then copied."""
        if ("filled", letters) not in self._bases:
            chosen = self.settings()
            hop_id = asyncio.run(filled(chosen, letters))
            self._keep(("filled", letters), chosen, hop_id)
        return self._copy(("filled", letters))

    def waiting(self, letters: int) -> tuple[Settings, str]:
        """The same with all letters sent and nothing due."""
        if ("waiting", letters) not in self._bases:
            chosen, hop_id = self.filled(letters)
            asyncio.run(resting(chosen, hop_id))
            self._keep(("waiting", letters), chosen, hop_id)
        return self._copy(("waiting", letters))

    def _keep(self, name: tuple[str, int], chosen: Settings, hop_id: str) -> None:
        connection = sqlite3.connect(chosen.home / "congvan.db")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        self._bases[name] = (chosen.home, hop_id)

    def _copy(self, name: tuple[str, int]) -> tuple[Settings, str]:
        base, hop_id = self._bases[name]
        home = self.home()
        shutil.copyfile(base / "congvan.db", home / "congvan.db")
        with (home / "congvan.db").open("rb") as copy:
            # Or whoever first moves the log to the file would write the whole copy to the disk, while it is measured.
            os.fsync(copy.fileno())
        return self.settings(home=home), hop_id

    def postgres(self) -> str:
        """An empty database of a PostgreSQL with fsync, in SQLAlchemy's words; the server is started once."""
        import asyncpg

        if not self._postgres:
            from tests.postgres import serve as serve_postgres

            self._postgres = self._stack.enter_context(serve_postgres(self.folder, durable=True))
            asyncio.run(_worn_in(self._postgres.partition("host=")[2]))
        self._number += 1
        name = f"bench{self._number}"
        host = self._postgres.partition("host=")[2]

        async def make() -> None:
            connection = await asyncpg.connect(user="postgres", host=host, database="postgres")
            await connection.execute(f"CREATE DATABASE {name}")
            await connection.close()

        asyncio.run(make())
        return f"postgresql+asyncpg://postgres@/{name}?host={host}"

    def sqlite(self) -> Path:
        """An empty SQLite file in WAL mode: what we use ourselves is given to the peers too."""
        path = self.home() / "peer.db"
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.close()
        return path

    # ------------------------------------------------------------ ways

    def run(self, way: Any, *arguments: Any, processes: int = 1) -> Took:
        """Start processes, let them go at once, and add up what they did."""
        pipes, workers = [], []
        for _ in range(processes):
            here, there = self._context.Pipe()
            worker = self._context.Process(target=way, args=(there, *arguments))
            worker.start()
            there.close()  # or a worker that dies would be waited for
            pipes.append(here)
            workers.append(worker)
        for pipe in pipes:
            assert pipe.recv() == "ready"
        before = self.accepted()
        for pipe in pipes:
            pipe.send("go")
        took: list[Took] = [pipe.recv() for pipe in pipes]
        for worker in workers:
            worker.join()
        letters = sum(one.letters for one in took)
        assert self.accepted() - before == letters, "the sink counted another number"
        return Took(
            letters, max(one.wall_s for one in took), sum(one.cpu_s for one in took), max(one.peak_kb for one in took)
        )

    def start_peer(
        self, module: str, order: Mapping[str, Any], python: Path, environment: Mapping[str, str]
    ) -> subprocess.Popen[str]:
        """A peer's process that waits for its start."""
        told = json.dumps({"port": self.port, "connections": CONNECTIONS} | dict(order))
        return subprocess.Popen(
            [python, "-m", module, told], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
            env=dict(environment),
        )  # fmt: skip

    def peer(
        self, module: str, order: Mapping[str, Any], python: Path, environment: Mapping[str, str]
    ) -> dict[str, Any]:
        """Let a peer do what the order says; what it tells."""
        with self.start_peer(module, order, python, environment) as worker:
            assert worker.stdout is not None
            assert worker.stdin is not None
            assert worker.stdout.readline() == "ready\n", "the peer did not start"
            before = self.accepted()
            worker.stdin.write("go\n")
            worker.stdin.flush()
            told = worker.stdout.read()
        if worker.returncode != 0:
            raise PeerFailed(f"{module.rpartition('.')[2]} ended with a fault of its own")
        found: dict[str, Any] = json.loads(told)
        assert self.accepted() - before == found["letters"], "the sink counted another number"
        return found


async def _worn_in(host: str) -> None:
    """A server that has been in use has the files of its log already, and writes over them. A new one makes each of
    them, and whoever commits meanwhile waits for the whole file system."""
    import asyncpg

    connection = await asyncpg.connect(user="postgres", host=host, database="postgres")
    await connection.execute(f"ALTER SYSTEM SET min_wal_size = '{_LOG_FILES * 16}MB'")
    await connection.execute("SELECT pg_reload_conf()")
    for _ in range(_LOG_FILES):
        await connection.execute("SELECT pg_logical_emit_message(true, 'bench', repeat('x', 15000000))")
        await connection.execute("SELECT pg_switch_wal()")
    await connection.execute("CHECKPOINT")
    await connection.close()


@contextmanager
def bench() -> Iterator[Bench]:
    """A bench, and nothing left of it afterwards."""
    with ExitStack() as stack:
        yield Bench(stack)


def this_python() -> Path:
    """The interpreter of the product's own environment."""
    return Path(sys.executable)
