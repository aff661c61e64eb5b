"""Flows that tell how they were started; `test_forking` runs them."""

from __future__ import annotations

import asyncio
import json
import os
import random
from pathlib import Path
from uuid import uuid4

from prefect import flow
from prefect.settings import get_current_settings


@flow
async def surroundings(file: str) -> None:
    """Write down what this process has of its own."""
    found = {
        "pid": os.getpid(), "parent": os.getppid(), "folder": os.getcwd(), "given": os.environ.get("GIVEN"),
        "setting": get_current_settings().runner.poll_frequency, "chance": random.random(), "id": str(uuid4()),
        "nice": os.nice(0),
    }  # fmt: skip
    await asyncio.to_thread(Path(file).write_text, json.dumps(found), "utf-8")


@flow
async def endless(file: str) -> None:
    """Tell that it runs, and run on."""
    await asyncio.to_thread(Path(file).touch)
    await asyncio.Event().wait()


@flow
async def faulty() -> None:
    """End with a fault."""
    raise ValueError("a fault of the flow")
