"""From a plan's file to a running campaign: the same for command line, flow and tests."""

from __future__ import annotations

from pathlib import Path

from congvan.acts.campaigns import Launch, launch
from congvan.house import House
from congvan.reading import lines_of, read_cascade, read_plan


async def launch_file(house: House, path: Path, *, mode: str, by: str) -> str:
    """Read, check and launch a plan; the campaign's id. Raise BadInput with every fault; nothing is half done."""
    plan, _ = read_plan(path)
    cascade = read_cascade(house.settings.cascade_file)
    order = Launch(plan, cascade, mode, by, folder=path.parent, source=str(path), lines=lines_of(path))
    return await launch(house, order)
