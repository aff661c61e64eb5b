"""What happens to machines, each once to a dispatch on a small disk: it stops, says why, and goes on afterwards.

A disk that is full and one that is read-only (a tmpfs, so they take root), fsync that fails (by strace, where it is
installed), no file descriptor left, no memory left, a mail server whose name nobody knows. While it lasts the process
must end or stand still with a word of the cause; afterwards an ordinary one sends what is left. Each letter must have
been taken, and twice only what counts as unknown.

Run: python -m tests.gates.machine [--only WORD]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select

from bench import kill
from bench.outbox_world import filled, settings
from bench.small_disk import Disk, small_disk
from congvan.house import build
from congvan.settings import Settings
from congvan.store.tables import Message

LETTERS = 5_000
#: Letters that have left when the harm begins.
_BEFORE = 300
#: How long it lasts at the most (it ends with the process), and how long one that stands still is watched; seconds.
_LASTS_S, _STILL_S = 60.0, 8.0
#: In a process's own words.
_WORDS = {
    "the disk is full": ("disk is full", "No space left"),
    "the disk is read-only": ("readonly", "Read-only"),
    "fsync fails": ("disk I/O error", "Input/output error"),
    "no file descriptor is left": ("Too many open files", "unable to open database file"),
    "no memory is left": ("MemoryError", "Not enough memory", "Cannot allocate memory", "failed to map segment"),
    "nobody knows the mail server": ("not known", "resolution", "No address"),
}


@dataclass(frozen=True)
class Ground:
    """Where one dispatch stands: its disk, its house, its hop."""

    disk: Disk
    chosen: Settings
    hop_id: str
    port: int

    @property
    def home(self) -> Path:
        return self.chosen.home

    def sender(self, *before: str, host: str = "127.0.0.1") -> Sender:
        """A sending process; what it says goes to a file on another disk."""
        return Sender(self, before, host)


class Sender:
    """One sending process and its words."""

    def __init__(self, ground: Ground, before: tuple[str, ...], host: str) -> None:
        self._told = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `end`
        command = [
            *before, sys.executable, "-m", "bench.kill", "--send", str(ground.home), str(ground.port), ground.hop_id,
            "4", host,
        ]  # fmt: skip
        self.process = subprocess.Popen(
            command, stdout=self._told, stderr=self._told, cwd=Path(__file__).parents[2], start_new_session=True
        )

    def end(self) -> str:
        """Kill it where it has not ended; all that it said."""
        # With whatever it was started by: strace alone would leave it behind.
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        with self._told:
            self._told.seek(0)
            return self._told.read().decode(errors="replace")


def under_way(ground: Ground) -> Sender:
    """A sender that has sent some letters."""
    sender = ground.sender()
    while sender.process.poll() is None and kill.recorded(ground.chosen) < _BEFORE:
        time.sleep(0.01)
    return sender


def _full(ground: Ground) -> str:
    sender = under_way(ground)
    # It is full at once: to fill it takes as long as to send the rest.
    sender.process.send_signal(signal.SIGSTOP)
    try:
        ground.disk.fill()
    finally:
        sender.process.send_signal(signal.SIGCONT)
    _wait(sender)
    said = sender.end()
    ground.disk.free()
    return said


def _read_only(ground: Ground) -> str:
    under_way(ground).end()
    # Nobody may have a file open for writing while the kernel turns the disk; that is how a failing disk is met, too:
    # at the next start.
    subprocess.run(["mount", "-o", "remount,ro", str(ground.disk.root)], check=True)
    try:
        sender = ground.sender()
        _wait(sender)
        return sender.end()
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(ground.disk.root)], check=True)


def _no_fsync(ground: Ground) -> str:
    inject = "inject=fsync,fdatasync:error=EIO:when=4+"
    sender = ground.sender("strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e", inject)
    _wait(sender)
    return sender.end()


def _no_descriptors(ground: Ground) -> str:
    sender = under_way(ground)
    used = len(os.listdir(f"/proc/{sender.process.pid}/fd"))
    return _limited(sender, resource.RLIMIT_NOFILE, used)


def _no_memory(ground: Ground) -> str:
    sender = under_way(ground)
    pages = int(Path(f"/proc/{sender.process.pid}/statm").read_text().split()[0])
    return _limited(sender, resource.RLIMIT_AS, pages * resource.getpagesize())


def _limited(sender: Sender, what: int, most: int) -> str:
    """It may have no more of it than it has."""
    resource.prlimit(sender.process.pid, what, (most, most))
    _wait(sender)
    return sender.end()


def _no_name(ground: Ground) -> str:
    sender = ground.sender(host="mail.invalid")
    _wait(sender, _STILL_S)
    said = sender.end()
    assert kill.recorded(ground.chosen) == 0, "something left to nowhere"
    # It goes to the log of the attempts, where operators look, not to a terminal.
    return said + asyncio.run(_replies(ground.chosen))


def _wait(sender: Sender, most_s: float = _LASTS_S) -> None:
    end = time.monotonic() + most_s
    while sender.process.poll() is None and time.monotonic() < end:
        time.sleep(0.02)


async def _replies(chosen: Settings) -> str:
    house = build(chosen)
    try:
        async with house.store.view() as ledger:
            return "; ".join(await ledger.all(select(Message.reply).where(Message.reply.is_not(None)).distinct()))
    finally:
        await house.close()


HARMS: dict[str, Callable[[Ground], str]] = {
    "the disk is full": _full,
    "the disk is read-only": _read_only,
    "fsync fails": _no_fsync,
    "no file descriptor is left": _no_descriptors,
    "no memory is left": _no_memory,
    "nobody knows the mail server": _no_name,
}


def suffer(disk: Disk, what: str, home: Path) -> str:
    """One harm, and what came of it; what is wrong with it, or nothing."""
    pipe, there = kill.FORKS.Pipe()
    sink = kill.FORKS.Process(target=kill.serve, args=(there,), daemon=True)
    sink.start()
    port = int(pipe.recv())
    chosen = settings(home, port)
    ground = Ground(disk, chosen, asyncio.run(filled(chosen, LETTERS)), port)
    said = HARMS[what](ground)
    left = LETTERS - kill.recorded(chosen)
    asyncio.run(_at_once(chosen))
    last = ground.sender()
    status = last.process.wait(180)
    words = last.end()
    pipe.send("end")
    seen: dict[str, int] = pipe.recv()
    sink.join()
    sent, unknown = asyncio.run(_counted(chosen))
    doubled = sum(number - 1 for number in seen.values())
    found = {"harm": what, "left": left, "taken": len(seen), "doubled": doubled, "unknown": unknown}
    print(json.dumps(found), flush=True)
    if status != 0:
        return f"what came afterwards ended with {status}: {words[-400:]}"
    if not left:
        return "it harmed nobody: everything had left"
    if not any(word in said for word in _WORDS[what]):
        return f"no word of the cause: {said[-400:]!r}"
    if sent != LETTERS or len(seen) != LETTERS:
        return f"{LETTERS - len(seen)} letters were lost, {sent} count as sent"
    return "" if doubled <= unknown else f"{doubled} left twice, and {unknown} count as unknown"


async def _at_once(chosen: Settings) -> None:
    """What was put off for minutes may leave now: nobody waits for them here. Claims of the dead end, too."""
    house = build(chosen)
    try:
        now = house.clock.wall()
        async with house.store.act() as ledger:
            await ledger.change(Message, Message.state.in_(("QUEUED", "UNKNOWN")), not_before=now)
    finally:
        await house.close()


async def _counted(chosen: Settings) -> tuple[int, int]:
    house = build(chosen)
    try:
        async with house.store.view() as ledger:
            sent = await ledger.count(select(Message.id).where(Message.state == "SENT"))
            return sent, int(await ledger.first(select(func.sum(Message.unknown))) or 0)
    finally:
        await house.close()


def main() -> int:
    """Every harm; 1 where one did not end well."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--only", default="", help="harms whose description holds this word")
    chosen = [what for what in HARMS if options.parse_args().only in what]
    failed = 0
    with small_disk() as disk:
        for number, what in enumerate(chosen):
            if not disk.small and what.startswith("the disk"):
                print(f"{what}: left out, it takes root")
                continue
            if what == "fsync fails" and shutil.which("strace") is None:
                print(f"{what}: left out, strace is not installed")
                continue
            wrong = suffer(disk, what, disk.root / f"house-{number}")
            shutil.rmtree(disk.root / f"house-{number}")
            failed += bool(wrong)
            if wrong:
                print(f"DOES NOT HOLD: {what}: {wrong}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
