"""A real Prefect server for a peer, with the settings that ours gets too."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from congvan.up import SERVER_SETTINGS
from tests.flows.engine import free_port

_ANSWERS_S = 120


@contextmanager
def prefect_server(home: Path, database_url: str = "") -> Iterator[Mapping[str, str]]:
    """The environment in which a flow finds the server; SQLite under `home` unless a database is named."""
    port = free_port()
    api = f"http://127.0.0.1:{port}/api"
    environment = os.environ | SERVER_SETTINGS | {
        "PREFECT_HOME": str(home), "PREFECT_API_URL": api, "PREFECT_LOGGING_LEVEL": "ERROR",
    }  # fmt: skip
    if database_url:
        environment["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = database_url
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with (home / "server.log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        _wait(api, server, home / "server.log")
        yield environment
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _wait(api: str, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _ANSWERS_S
    while time.monotonic() < end:
        try:
            if httpx.get(f"{api}/health", timeout=5).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        if server.poll() is not None:
            break
        time.sleep(0.1)
    raise RuntimeError(log.read_text("utf-8", "replace")[-2_000:])
