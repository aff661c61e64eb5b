"""Copies of a database at work, as a power cut would leave it: each is opened and goes on, and nothing is sent again.

The sending process is stopped (SIGSTOP), its database is copied file by file, and it goes on. Each copy must be
whole, its logs must verify, what it says has left must not leave again, and everything else must leave once.

Run: python -m tests.gates.copies [--copies 100]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import AsyncGenerator, Iterable
from contextlib import suppress
from email.parser import BytesHeaderParser
from email.policy import default
from pathlib import Path

from sqlalchemy import select

from bench import kill
from bench.outbox_world import filled, settings
from congvan.acts import audit, outbox
from congvan.house import build
from congvan.mail.outgoing import Outcome, Outgoing
from congvan.settings import Settings
from congvan.store.tables import Campaign, Message

_LETTERS = 2_000
#: Copies of one dispatch.
_AT_ONCE = 10


class Taken:
    """A carrier that takes everything and keeps of each letter its Message-ID: to read it whole takes longer than
    all that the engine does for it."""

    def __init__(self) -> None:
        self.ids: Counter[str] = Counter()

    async def send(self, batch: Iterable[Outgoing]) -> AsyncGenerator[Outcome, None]:
        """One outcome for each message."""
        for item in batch:
            payload = item.payload() if callable(item.payload) else item.payload
            head, _, _body = payload.partition(b"\r\n\r\n")
            self.ids[str(BytesHeaderParser(policy=default).parsebytes(head)["Message-ID"])] += 1
            outcome = Outcome(item.key, "accepted", 250, "2.0.0 Ok")
            if item.witness is not None:
                item.witness.handing_over(item.key)
                item.witness.ended(outcome)
            yield outcome


def take(home: Path, folder: Path, copies: int, chance: random.Random) -> list[Path]:
    """Copies of one dispatch, at random moments of it."""
    pipe, there = kill.FORKS.Pipe()
    sink = kill.FORKS.Process(target=kill.serve, args=(there,), daemon=True)
    sink.start()
    port = int(pipe.recv())
    hop_id = asyncio.run(filled(settings(home, port), _LETTERS))
    worker = kill.start(home, port, hop_id, 4)
    assert worker.pid is not None
    made: list[Path] = []
    chosen = settings(home, port)
    for moment in sorted(chance.randrange(_LETTERS) for _ in range(min(copies, _AT_ONCE))):
        while worker.is_alive() and kill.recorded(chosen) < moment:
            time.sleep(0.002)
        time.sleep(chance.random() * 0.02)
        if not worker.is_alive():
            break
        # It may end between two looks at it; then the copy is of a database whose work is done.
        with suppress(ProcessLookupError):
            os.kill(worker.pid, signal.SIGSTOP)
        try:
            target = folder / f"{len(made)}"
            target.mkdir()
            for file in home.glob("congvan.db*"):
                if not file.name.endswith("-shm"):
                    shutil.copy(file, target / file.name)
            made.append(target)
        finally:
            with suppress(ProcessLookupError):
                os.kill(worker.pid, signal.SIGCONT)
    worker.join()
    pipe.send("end")
    pipe.recv()
    sink.join()
    return made


async def go_on(home: Path) -> tuple[int, int]:
    """Open one copy and end its work; (sent before, sent now). Raises AssertionError."""
    connection = sqlite3.connect(home / "congvan.db")
    assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    connection.close()
    # What its dead process had claimed is free when its lease has ended.
    house = build(_settings(home))
    try:
        async with house.store.act() as ledger:
            await ledger.change(Message, Message.state == "CLAIMED", lease_until=house.clock.wall() - house.lease)
        async with house.store.view() as ledger:
            before = set(await ledger.all(select(Message.message_id).where(Message.state == "SENT")))
            everything = set(await ledger.all(select(Message.message_id)))
            campaign = await ledger.first(select(Campaign.code))
            hop_id = await ledger.first(select(Message.hop_id).where(Message.hop_id.is_not(None)))
        assert (await audit.audit(house, campaign)).findings == []
        taken = Taken()
        while await outbox.dispatch(house, taken, hop_id):
            pass
        now = taken.ids
        assert not before & now.keys(), "what had left was sent again"
        assert before | now.keys() == everything, "a letter was lost"
        assert set(now.values()) <= {1}, "a letter left twice"
        assert (await audit.audit(house, campaign)).findings == []
        return len(before), len(now)
    finally:
        await house.close()


def _settings(home: Path) -> Settings:
    return settings(home, 1, lease_s=5)


def main() -> int:
    """Take the copies and let each go on; 1 where one does not."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--copies", type=int, default=100)
    wanted = options.parse_args().copies
    chance, done, bad = random.Random(1), 0, 0
    while done < wanted:
        with tempfile.TemporaryDirectory(prefix="congvan-copies-") as name:
            folder = Path(name)
            for copy in take(folder / "work", folder, wanted - done, chance):
                done += 1
                try:
                    before, now = asyncio.run(go_on(copy))
                    print(f"copy {done}: {before} had left, {now} left now", flush=True)
                except AssertionError as fault:
                    traceback.print_exc(limit=-2)
                    bad += 1
                    print(f"copy {done}: BROKEN: {fault}", flush=True)
                shutil.rmtree(copy)
    print(f"{done - bad} of {done} copies went on with every invariant")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
