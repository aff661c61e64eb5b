"""The peers as the measures call them: each in its own process, on a database of its own."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.harness import PEERS, Bench, NotInstalled, PeerFailed, Took, this_python
from bench.peers.letter import Letter
from bench.prefect_server import prefect_server
from bench.scale import Scale

_DBOS, _PREFECT = "bench.peers.dbos_workflows", "bench.peers.prefect_subflows"
#: Subflows under way at a time; tried: one by one is slower, more wait for each other.
_AT_ONCE = 4
_WARM = 2


@dataclass(frozen=True, slots=True)
class DbosDatabase:
    """Where one run of DBOS keeps its workflows. file: of SQLite."""

    url: str
    file: Path | None

    def octets(self) -> int:
        """How large the file is, with nothing left in the log."""
        assert self.file is not None, "asked of SQLite only"
        connection = sqlite3.connect(self.file)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        return self.file.stat().st_size


def wanted(scale: Scale) -> None:
    """Raise NotInstalled where there is nothing to be measured beside."""
    if not scale.dbos:
        raise NotInstalled("DBOS: left out at this size")
    if not PEERS.exists():
        raise NotInstalled("DBOS: it is not installed; `make bench` does it (.venv-peers)")


def dbos_database(on: Bench, *, postgres: bool) -> DbosDatabase:
    """An empty one."""
    if postgres:
        return DbosDatabase(on.postgres().replace("+asyncpg", ""), None)
    file = on.sqlite()
    return DbosDatabase(f"sqlite:///{file}", file)


def dbos_order(way: str, letter: Path, database: DbosDatabase, count: int, **more: Any) -> dict[str, Any]:
    """What its process is told."""
    return {
        "way": way, "letter": str(letter), "database": database.url, "count": count, "wait_s": 0, "confirm": 0,
    } | more  # fmt: skip


def dbos(
    on: Bench, letter: Path, way: str, count: int, database: DbosDatabase, *, wait_s: float = 0, confirm: int = 0
) -> dict[str, Any]:
    """One run of DBOS, its tables and its queue prepared before the clock starts."""
    prepare_dbos(letter, database, count if way == "queued" else 0)
    order = dbos_order(way, letter, database, count, wait_s=wait_s, confirm=confirm)
    return on.peer(_DBOS, order, PEERS, os.environ)


def prepare_dbos(letter: Path, database: DbosDatabase, count: int) -> None:
    """Tables, and for a count the queue with that many workflows."""
    import json

    order = dbos_order("prepare", letter, database, count)
    subprocess.run([PEERS, "-m", _DBOS, json.dumps(order)], check=True, cwd=Path(__file__).parents[2])


def start_dbos(on: Bench, letter: Path, way: str, count: int, database: DbosDatabase) -> subprocess.Popen[str]:
    """A process of it that the caller ends."""
    return on.start_peer(_DBOS, dbos_order(way, letter, database, count, wait_s=600), PEERS, os.environ)


def subflows(on: Bench, letter: Path, count: int, repeats: int, *, postgres: bool) -> list[Took]:
    """Plain Prefect on one server, warmed up with a few letters."""
    order = {"letter": str(letter), "at_once": _AT_ONCE}
    with ExitStack() as stack:
        home = on.home()
        environment = stack.enter_context(prefect_server(home, on.postgres() if postgres else ""))
        on.peer(_PREFECT, order | {"count": _WARM}, this_python(), environment)
        found = [_again(on, order | {"count": count}, environment) for _ in range(repeats)]
    return [Took(one["letters"], one["wall_s"], one["cpu_s"], one["peak_kb"]) for one in found]


def _again(on: Bench, order: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """A second try: on a busy machine a subflow's start runs into the server's time-out and aborts the flow."""
    try:
        return on.peer(_PREFECT, order, this_python(), environment)
    except PeerFailed:
        return on.peer(_PREFECT, order, this_python(), environment)


def saved(letter: Letter, folder: Path) -> Path:
    """Where a peer reads the letter."""
    path = folder / "letter.json"
    letter.save(path)
    return path
