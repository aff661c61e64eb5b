"""The whole engine on a small disk, and what happens to it: processes, PostgreSQL, the disk, the mail server."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path

from bench.small_disk import Disk
from congvan.house import House, build
from congvan.settings import Settings
from tests.flows.engine import Engine, free_port
from tests.postgres import Server

KEY = "test-key-" + "x" * 32


class Whole(Engine):
    """An engine on PostgreSQL, with its portal as a process of its own."""

    def __init__(self, disk: Disk, postgres: Server, database: str) -> None:
        home = disk.root / "engine"
        home.mkdir()
        self.disk, self.postgres = disk, postgres
        self.portal_port = free_port()
        super().__init__(home, CONGVAN_DATABASE_URL=database, CONGVAN_PORTAL_URL=f"http://127.0.0.1:{self.portal_port}")
        self.database = database

    def house(self) -> House:
        """The same database, as seen from outside."""
        return build(
            Settings(
                home=self.home / "congvan", secret_keys=(KEY,), database_url=self.database,
                portal_url=f"http://127.0.0.1:{self.portal_port}", _env_file=None,
            )
        )  # fmt: skip

    async def begin(self, name: str) -> None:
        """Start one of the three."""
        if name == "server":
            port = str(self.prefect_port)
            await self.start("server", "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", port)
        elif name == "flows":
            await self.start_flows()
        else:
            call = f"from congvan.cli import main; raise SystemExit(main(['portal', '--port', '{self.portal_port}']))"
            await self.start("portal", "-c", call)

    async def revive(self) -> list[str]:
        """Start again whatever has ended of itself, as an init system does; its names."""
        ended = [name for name, process in self._running.items() if process.returncode is not None]
        for name in ended:
            await self.kill(name)
            await self.begin(name)
        return ended

    @property
    def backend(self) -> int | None:
        """Some session of PostgreSQL; killed, the server ends all of them and recovers its files."""
        leader = (self.postgres.home / "data" / "postmaster.pid").read_text().split()[0]
        children = Path(f"/proc/{leader}/task/{leader}/children").read_text().split()
        sessions = [pid for pid in children if b"postgres: postgres" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        return int(sessions[-1]) if sessions else None


#: What happens to machines: a process of ours dies or stands still, PostgreSQL goes, the disk is full, no mail server.
HARMS = (
    "kill flows", "kill server", "kill portal", "pause flows", "pause portal", "pause server", "database session",
    "database killed", "database restarted", "disk full", "mail away", "kill flows twice",
)  # fmt: skip


def harms(chance: random.Random, disk: Disk) -> Iterator[str]:
    """Without end; each once in every round."""
    possible = [one for one in HARMS if disk.small or one != "disk full"]
    while True:
        yield from chance.sample(possible, len(possible))


async def harm(engine: Whole, what: str, chance: random.Random) -> None:
    """One of them, and whatever starts things again on a real machine."""
    verb, _, name = what.partition(" ")
    if verb == "kill":
        process, _, again = name.partition(" ")
        await engine.kill(process)
        await asyncio.sleep(chance.random())
        await engine.begin(process)
        if again:
            # In its recovery, or right behind it.
            await asyncio.sleep(chance.uniform(1, 6))
            await engine.kill(process)
            await engine.begin(process)
    elif verb == "pause":
        engine.signal(name, signal.SIGSTOP)
        # Longer than a lease: somebody else may have taken over when it goes on.
        await asyncio.sleep(chance.uniform(1, 7))
        engine.signal(name, signal.SIGCONT)
    elif verb == "database":
        await _database(engine, name, chance)
    elif verb == "disk":
        await _full(engine, chance)
    else:
        await engine.sink.stop()
        await asyncio.sleep(chance.uniform(2, 6))
        await engine.sink.start()


async def _database(engine: Whole, how: str, chance: random.Random) -> None:
    if how == "session":
        if (session := engine.backend) is not None:
            os.kill(session, signal.SIGKILL)
        return
    engine.postgres.end(signal.SIGKILL if how == "killed" else signal.SIGINT)
    await asyncio.sleep(chance.uniform(0, 2))
    await asyncio.to_thread(engine.postgres.start)


async def _full(engine: Whole, chance: random.Random) -> None:
    """Nobody can write for some seconds; then there is room, and a PostgreSQL that has ended is started again."""
    engine.disk.fill()
    await asyncio.sleep(chance.uniform(2, 6))
    engine.disk.free()
    if not engine.postgres.is_up:
        await asyncio.to_thread(engine.postgres.start)
