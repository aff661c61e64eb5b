"""SIGKILL at random moments of a dispatch: what is lost, what comes twice.

Every trial sends 2,000 letters into a sink in another process, kills the sender at a random moment, with
even chance kills the next one in or right behind its recovery, and lets the last one end. Counted is what
the sink took, by Message-ID.

Run: python -m bench.kill [--trials 100] [--letters 2000] [--connections 4]
     python -m bench.kill --world engine --kills 20 (`bench.kill_engine`)
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import random
import re
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import uvloop
from sqlalchemy import func, select

from bench.outbox_world import filled, settings
from congvan.acts import outbox
from congvan.house import build, carrier
from congvan.mail.sink import Sink
from congvan.settings import Settings
from congvan.store.database import Store
from congvan.store.tables import Delivery, Message

#: Per cent of the letters of a hundred kills.
MOST_DOUBLED = 0.05
_ID = re.compile(rb"^Message-ID: (<[^>]+>)", re.MULTILINE)
#: Processes are forks of one that has imported what they need and done nothing else: a trial is not made of imports.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["bench.outbox_world", "congvan.acts.outbox", "congvan.mail.sender", "congvan.mail.sink"])


@dataclass(frozen=True, slots=True)
class Trial:
    """What one trial showed. doubled: copies beyond the first. other_ids: messages of an unknown Message-ID."""

    letters: int
    kills: int
    lost: int
    doubled: int
    other_ids: int
    connections: int


def serve(pipe: Connection) -> None:
    """A sink that counts Message-IDs."""
    seen: Counter[str] = Counter()

    async def take(_from: str, _to: tuple[str, ...], data: bytes) -> None:
        found = _ID.search(data[:4_000])
        seen[found[1].decode() if found else "none"] += 1

    async def run() -> None:
        async with Sink(take) as sink:
            pipe.send(sink.port)
            await asyncio.to_thread(pipe.recv)
            # What the dead left in the kernel's buffers is taken too: like the servers of this world.
            for _ in range(3):
                await asyncio.sleep(0.05)
            pipe.send(dict(seen))

    uvloop.run(run())


def send(
    home: Path, port: int, hop_id: str, connections: int, host: str = "127.0.0.1", *, ready: Callable[[], object]
) -> None:
    """The sending process: until nothing waits any more. ready: called as soon as it is at work."""
    chosen = settings(home, port, smtp_connections=connections, lease_s=5)
    chosen = chosen.model_copy(update={"smtp_url": chosen.smtp_url.replace("127.0.0.1", host)})

    async def run() -> None:
        house = build(chosen, gives_way=True)
        sender = carrier(chosen)
        ready()
        while await _open(house.store):
            if not await outbox.dispatch(house, sender, hop_id):
                # Claimed by a process that was killed before it had opened its journal: the lease has to end.
                await asyncio.sleep(0.2)
        await sender.aclose()
        await house.close()

    uvloop.run(run())


async def _open(store: Store) -> int:
    async with store.view() as ledger:
        return await ledger.count(select(Message.id).where(Message.state.in_(("QUEUED", "CLAIMED", "UNKNOWN"))))


def survive(home: Path, seed: int, letters: int = 2_000, connections: int = 4) -> Trial:
    """One trial."""
    chance = random.Random(seed)
    pipe, there = FORKS.Pipe()
    sink = FORKS.Process(target=serve, args=(there,), daemon=True)
    sink.start()
    port = int(pipe.recv())
    chosen = settings(home, port)
    hop_id = asyncio.run(filled(chosen, letters))
    kills = 1
    worker = start(home, port, hop_id, connections)
    # A moment drawn by how far the dispatch has come: machines differ, moments of the work do not.
    _kill(worker, chosen, chance.randrange(letters - outbox.BATCH), chance)
    if chance.random() < 0.5:
        # Into the recovery, or right behind it.
        worker = start(home, port, hop_id, connections)
        _kill(worker, chosen, 0, chance)
        kills += 1
    worker = start(home, port, hop_id, connections)
    worker.join(120)
    assert worker.exitcode == 0
    pipe.send("end")
    seen: dict[str, int] = pipe.recv()
    sink.join()
    sink.close()
    pipe.close()
    there.close()
    ours = asyncio.run(_ids(chosen))
    assert asyncio.run(_settled(chosen)) == letters, "the database does not know of all of them"
    return Trial(
        letters, kills, len(ours - seen.keys()), sum(number - 1 for number in seen.values()),
        len(seen.keys() - ours), connections,
    )  # fmt: skip


def start(home: Path, port: int, hop_id: str, connections: int) -> ForkServerProcess:
    """A sending process that is at work."""
    here, there = FORKS.Pipe(duplex=False)
    worker = FORKS.Process(target=_send, args=(there, home, port, hop_id, connections), daemon=True)
    worker.start()
    there.close()
    here.recv()
    here.close()
    return worker


def _send(pipe: Connection, *given: Any) -> None:
    send(*given, ready=lambda: pipe.send("at work"))


def _kill(worker: ForkServerProcess, chosen: Settings, sent: int, chance: random.Random) -> None:
    """Kill it a moment after so many letters have been recorded."""
    while worker.is_alive() and recorded(chosen) < sent:
        time.sleep(0.002)
    time.sleep(chance.random() * 0.2)
    worker.kill()
    worker.join()


def recorded(chosen: Settings) -> int:
    """How many letters the database knows to have left."""
    connection = sqlite3.connect(chosen.home / "congvan.db", timeout=10)
    try:
        return int(connection.execute("SELECT count(*) FROM messages WHERE state = 'SENT'").fetchone()[0])
    finally:
        connection.close()


async def _ids(chosen: Settings) -> set[str]:
    store = Store(chosen.database)
    async with store.view() as ledger:
        found = set(await ledger.all(select(Message.message_id)))
    await store.close()
    return found


async def _settled(chosen: Settings) -> int:
    store = Store(chosen.database)
    async with store.view() as ledger:
        sent = int(await ledger.first(select(func.count()).select_from(Message).where(Message.state == "SENT")) or 0)
        assert sent == int(
            await ledger.first(select(func.count()).select_from(Delivery).where(Delivery.state == "SENT")) or 0
        )
    await store.close()
    return sent


def main() -> int:
    """Every trial; 1 where a letter was lost or bore another Message-ID, or more were doubled than is promised."""
    if sys.argv[1:2] == ["--send"]:
        given = Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4], int(sys.argv[5]), *sys.argv[6:]
        send(*given, ready=lambda: print("at work", flush=True))
        return 0
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--trials", type=int, default=100)
    options.add_argument("--kills", type=int, default=0, help="go on until there were so many")
    options.add_argument("--first", type=int, default=0, help="the first seed")
    options.add_argument("--letters", type=int, default=2_000)
    options.add_argument("--connections", type=int, default=4)
    options.add_argument("--world", choices=("outbox", "engine"), default="outbox", help="engine: all processes of it")
    chosen = options.parse_args()
    if chosen.world == "engine":
        from bench import kill_engine  # Prefect and PostgreSQL are needed by no other trial

        return kill_engine.run(chosen.kills or 20, chosen.first)
    total: Counter[str] = Counter()
    worst = 0
    for seed in count(chosen.first):
        if total["kills"] >= chosen.kills if chosen.kills else seed >= chosen.first + chosen.trials:
            break
        with tempfile.TemporaryDirectory(prefix="congvan-kill-") as folder:
            trial = survive(Path(folder), seed, chosen.letters, chosen.connections)
        total.update(letters=trial.letters, kills=trial.kills, lost=trial.lost, doubled=trial.doubled)
        total.update(other_ids=trial.other_ids)
        worst = max(worst, trial.doubled)
    share = total["doubled"] / total["letters"] * 100
    print(json.dumps(dict(total)), f"doubled {share:.4f} % of the letters, at most {worst} in one trial")
    return 1 if total["lost"] or total["other_ids"] or (total["kills"] >= 100 and share > MOST_DOUBLED) else 0


if __name__ == "__main__":
    sys.exit(main())
