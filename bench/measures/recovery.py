"""SIGKILL in the middle of a dispatch: from the start of the next process to its first letter."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from bench.dispatch import sample
from bench.figures import Ratio, Section, grown, middle
from bench.harness import CONNECTIONS, Bench, NotInstalled
from bench.measures import peers
from bench.outbox_world import ROOT
from bench.scale import Scale

_PATIENCE_S = 120
#: Where few letters wait, all may have left before the kill.
_TRIES = 5


class _NothingLeft(Exception):
    """The sender has ended: its letters had left before it was killed."""


def measure(on: Bench, scale: Scale) -> Section:
    """The section of the table."""
    section = Section("Recovery after SIGKILL: from the start of the next process to its first letter")
    fresh: dict[int, list[float]] = {}
    after: dict[int, list[float]] = {}
    for size in scale.sizes:
        tried = [_killed(on, size) for _ in range(scale.repeats)]
        fresh[size], after[size] = [one for one, _ in tried], [two for _, two in tried]
    largest = max(scale.sizes)
    section.growths.append(grown("start → next letter, by letters in the outbox", after, 0.25))
    section.ratios.append(
        Ratio(f"the next letter of {largest:,} after a kill", "the first letter of a start with nothing to recover",
              tuple(one / other for one, other in zip(after[largest], fresh[largest], strict=True)))
    )  # fmt: skip
    try:
        peers.wanted(scale)
        theirs = [_dbos_killed(on, scale.dbos) for _ in range(scale.repeats)]
        values = tuple(one / middle(theirs) for one in after[largest])
        section.ratios.append(Ratio(f"the next letter of {largest:,} after a kill", f"DBOS, of {scale.dbos:,}", values))
    except NotInstalled as absent:
        section.missing.append(str(absent))
    section.notes.append("With the start of Python and its imports; how long nobody noticed the kill is not in it.")
    return section


def _killed(on: Bench, size: int) -> tuple[float, float]:
    """Seconds to the first letter of a first start, and of the start after the kill."""
    chosen, hop_id = on.filled(size)

    def start() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "bench.kill", "--send", str(chosen.home), str(on.port), hop_id]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return subprocess.Popen([*command, str(CONNECTIONS)], cwd=ROOT, **quiet)

    for _ in range(_TRIES):
        with suppress(_NothingLeft):
            return _first(on, start, min(size // 10, 500)), _first(on, start, 0)
        chosen, hop_id = on.filled(size)
    raise AssertionError(f"{size} letters leave before a kill comes")


def _dbos_killed(on: Bench, count: int) -> float:
    path = peers.saved(sample(on.settings())[1], on.folder)
    database = peers.dbos_database(on, postgres=False)
    peers.prepare_dbos(path, database, 0)
    _first(on, lambda: _go(on, path, "started", count, database), count // 10)
    return _first(on, lambda: _go(on, path, "recovered", count, database), 0)


def _go(on: Bench, path: Path, way: str, count: int, database: peers.DbosDatabase) -> subprocess.Popen[str]:
    worker = peers.start_dbos(on, path, way, count, database)
    assert worker.stdin is not None
    worker.stdin.write("go\n")
    worker.stdin.flush()
    return worker


def _first(on: Bench, start: Callable[[], subprocess.Popen[str] | subprocess.Popen[bytes]], more: int) -> float:
    """Seconds from the start to the first letter; the process is killed after so many more."""
    before = on.accepted()
    began = time.perf_counter()
    worker = start()
    try:
        _reached(on, before + 1, worker)
        took = time.perf_counter() - began
        _reached(on, before + 1 + more, worker)
    finally:
        worker.kill()
        worker.wait()
        for pipe in (worker.stdin, worker.stdout):
            if pipe is not None:
                pipe.close()
    _settled(on)
    return took


def _reached(on: Bench, number: int, worker: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    end = time.perf_counter() + _PATIENCE_S
    while on.accepted() < number:
        if worker.poll() is not None:
            raise _NothingLeft
        assert time.perf_counter() < end, "no letter came"
        time.sleep(0.002)


def _settled(on: Bench) -> None:
    """What a dead sender left in the kernel's buffers is taken by the sink too."""
    last = -1
    while (now := on.accepted()) != last:
        last = now
        time.sleep(0.1)
