"""A real Chromium for the tests that need one."""

from __future__ import annotations

import os
import shutil

import pytest

FLAGS = (
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
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
