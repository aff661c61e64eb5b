"""What a process has on the wire, in a file that outlives it by a kill.

The database learns of outcomes in batches; what it has not learnt yet stands here, a line the moment it
happens. The file is mapped into memory: a line costs no call of the system, and the kernel keeps it when the
process is killed. A power cut may take the last lines, and then the letter counts as unknown.

    B boot-id              the first line: whether the machine has been started anew since
    C id id …              claimed: an attempt of each stands in the database
    A n n …                which attempt, in the same order
    D id                   its final dot is about to leave
    E [id, verdict, …]     what became of it, as JSON
"""

from __future__ import annotations

import fcntl
import mmap
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import orjson

from congvan.mail.outgoing import Outcome

_SUFFIX = ".wire"
#: Octets made ready for each message; the file grows where servers say more.
_ROOM = 256
_BOOT = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """What changes when the machine starts; empty where nothing says."""
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return ""


class Journal:
    """The file of one batch. While it is open it is locked, so nobody takes its writer for dead."""

    def __init__(
        self, folder: Path, owner: str, number: int, keys: Sequence[str], attempts: Sequence[int] = ()
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"{owner}-{number}{_SUFFIX}"
        made = self._path.with_suffix(".new")
        self._open = True
        self._file = os.open(made, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        head = f"B {boot_id()}\nC {' '.join(keys)}\nA {' '.join(map(str, attempts))}\n".encode()
        self._reserve(len(head) + _ROOM * (len(keys) + 1))
        self._map = mmap.mmap(self._file, 0)
        self._at = 0
        self._say(head)
        # Only now it can be found, and only locked.
        made.rename(self._path)

    def handing_over(self, key: str) -> bool:
        """The final dot of this message is about to leave. False once the journal is closed: what left then would be
        sent again as if it had never been handed over."""
        self._say(b"D %b\n" % key.encode())
        return self._open

    def ended(self, outcome: Outcome) -> None:
        """The outcome of a message is known."""
        said = (outcome.key, outcome.verdict, outcome.code, outcome.reply[:500], outcome.slow_down)
        self._say(b"E %b\n" % orjson.dumps(said))

    def _say(self, line: bytes) -> None:
        # What ends after its dispatch was given up is unknown: nobody is there to record it.
        if not self._open:
            return
        end = self._at + len(line)
        if end > len(self._map):
            self._reserve(2 * end)
            self._map.resize(2 * end)
        self._map[self._at : end] = line
        self._at = end

    def _reserve(self, octets: int) -> None:
        # A page of the map for which the disk has no room would end the process; this raises OSError instead.
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(self._file, 0, octets)
        else:
            os.ftruncate(self._file, octets)

    def done(self) -> None:
        """The database knows all of it."""
        self._path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open = False
        self._map.close()
        os.close(self._file)


@dataclass(frozen=True, slots=True)
class Left:
    """What a dead process left behind. claimed, handed: ids; outcomes: of those that had ended.

    attempts: of those claimed, where the journal says so; complete: nothing can be missing from it (the machine has
    run on).
    """

    path: Path
    owner: str
    claimed: tuple[str, ...]
    handed: frozenset[str]
    outcomes: tuple[Outcome, ...]
    complete: bool
    attempts: Mapping[str, int]


@contextmanager
def left_behind(path: Path) -> Iterator[Left | None]:
    """What stands in a file whose writer is dead, locked meanwhile; None where it lives or somebody else reads."""
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        yield None
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever held it before may have finished with it.
        yield _read(path) if path.exists() else None
    except BlockingIOError:
        yield None
    finally:
        os.close(file)


def files(folder: Path) -> list[Path]:
    """The journals in a folder, of the living and of the dead."""
    return sorted(folder.glob(f"*{_SUFFIX}")) if folder.is_dir() else []


def _read(path: Path) -> Left:
    claimed: list[str] = []
    handed: set[str] = set()
    outcomes: list[Outcome] = []
    attempts: list[int] = []
    boot = ""
    # What stands behind the last line end was torn, or is the empty rest of the file.
    for line in path.read_bytes().split(b"\n")[:-1]:
        if b"\0" in line:
            continue
        mark, _, rest = line.partition(b" ")
        if mark == b"B":
            boot = rest.decode()
        elif mark == b"C":
            claimed += rest.decode().split()
        elif mark == b"A":
            attempts += map(int, rest.split())
        elif mark == b"D":
            handed.add(rest.decode())
        elif mark == b"E":
            try:
                outcomes.append(Outcome(*orjson.loads(rest)))
            except (orjson.JSONDecodeError, TypeError):
                continue
    complete = bool(boot) and boot == boot_id()
    owner = path.stem.rpartition("-")[0]
    # One of an older version says of none which attempt it was.
    made = dict(zip(claimed, attempts, strict=False))
    return Left(path, owner, tuple(claimed), frozenset(handed), tuple(outcomes), complete, made)
