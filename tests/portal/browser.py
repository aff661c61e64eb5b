"""A real Chromium for the tests that need one."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from congvan.up import die_with_parent

FLAGS = (
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
#: The size of the window and whether scripts run: each once, and in `make gates` each with each.
WAYS = [
    pytest.param("phone", True, id="phone-script"),
    pytest.param("desk", False, id="desk-no script"),
    pytest.param("phone", False, id="phone-no script", marks=pytest.mark.gates),
    pytest.param("desk", True, id="desk-script", marks=pytest.mark.gates),
]
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def executable() -> str:
    """Where the browser is: CONGVAN_BROWSER, else what the machine has. Without one: skipped, in CI an error."""
    named = os.environ.get("CONGVAN_BROWSER", "")
    found = shutil.which(named) if named else next((path for name in _NAMES if (path := shutil.which(name))), None)
    if found:
        return found
    said = "no browser: set CONGVAN_BROWSER or install chromium; THE PAGES WERE NOT TRIED IN A BROWSER"
    if os.environ.get("CI"):
        pytest.fail(said)
    pytest.skip(said)


def flags() -> list[str]:
    """What Chromium is started with; its sandbox does not work for root."""
    return [*FLAGS, *(["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else [])]


@contextmanager
def listening(folder: Path) -> Iterator[str]:
    """A Chromium on a port of its own, until the block ends; where it listens. folder: for its profile."""
    command = [executable(), "--headless", "--hide-scrollbars", "--remote-debugging-port=0", *flags()]
    with (folder / "chromium.log").open("wb") as log:
        running = subprocess.Popen(
            [*command, f"--user-data-dir={folder}", "about:blank"], stdout=log, stderr=log, preexec_fn=die_with_parent
        )
    try:
        yield f"http://127.0.0.1:{_port(folder / 'DevToolsActivePort', running)}"
    finally:
        running.terminate()
        running.wait()


def _port(told: Path, running: subprocess.Popen[bytes]) -> int:
    """Chromium writes it down as soon as it listens."""
    until = time.monotonic() + 60
    while time.monotonic() < until and running.poll() is None:
        if told.exists() and (lines := told.read_text().splitlines()):
            return int(lines[0])
        time.sleep(0.02)
    raise AssertionError(f"Chromium does not listen; see {told.parent / 'chromium.log'}")
