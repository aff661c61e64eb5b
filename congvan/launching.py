"""From a plan's file to a running campaign: the same for command line, flow and tests."""

from __future__ import annotations

from pathlib import Path

from congvan.acts.campaigns import Launch, launch
from congvan.acts.launch_check import Warn, refuse_faulty
from congvan.house import House
from congvan.reading import lines_of, read_cascade, read_plan


async def launch_file(house: House, path: Path, *, mode: str, by: str, warn: Warn | None = None) -> str:
    """Read, check and launch a plan; the campaign's id. Raise BadInput with every fault; nothing is half done.

    warn: shows each remark of the lint that does not stop the launch.
    """
    order, text = _read(house, path, mode, by)
    await refuse_faulty(house, order, text, warn)
    return await launch(house, order)


def _read(house: House, path: Path, mode: str, by: str) -> tuple[Launch, str]:
    plan, _ = read_plan(path)
    cascade = read_cascade(house.settings.cascade_file)
    order = Launch(plan, cascade, mode, by, folder=path.parent, source=str(path), lines=lines_of(path))
    return order, path.read_text("utf-8-sig")
