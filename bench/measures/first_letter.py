"""`make run` typed in a fresh clone, its packages in the cache: how long until the first letter is in the sink."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import httpx

from bench.figures import Ratio, Section
from bench.harness import Bench
from bench.outbox_world import ROOT
from bench.scale import Scale

#: Allowed from the return key to the first letter, and from the server's answer to it, in seconds.
ALLOWED_S = {"uv": 45.0, "pip": 90.0}
AFTER_SERVER_S = 15.0
_PATIENCE_S = 300.0
_LOOK_EVERY_S = 0.1


def measure(on: Bench, scale: Scale) -> Section:
    """The section of the table."""
    section = Section("`make run`: the first letter in the sink, in a fresh clone with its packages in the cache")
    after: list[float] = []
    for tool, allowed in ALLOWED_S.items():
        environment = _with(tool)
        if environment is None:
            section.missing.append(f"with {tool}: it is not on the PATH")
            continue
        subprocess.run(["make", ".venv/.run"], cwd=_clone(on), env=environment, check=True, capture_output=True)
        found = [_run(_clone(on), environment) for _ in range(min(scale.repeats, 2))]
        whole = tuple(first / allowed for first, _ in found)
        said = f"with {tool}, from the return key"
        section.ratios.append(Ratio(said, f"the {allowed:.0f} s allowed", whole, at_most=1))
        after += [first - server for first, server in found]
    if after:
        values = tuple(one / AFTER_SERVER_S for one in after)
        section.ratios.append(Ratio("from the Prefect server's answer", "the 15 s allowed", values, at_most=1))
    return section


def _with(tool: str) -> Mapping[str, str] | None:
    """The environment of somebody who has this tool, and for pip nothing better."""
    ours = ("CONGVAN_", "PREFECT_", "VIRTUAL")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    uv = shutil.which("uv")
    if tool == "uv":
        return kept if uv else None
    if uv:
        kept["PATH"] = os.pathsep.join(
            folder for folder in kept["PATH"].split(os.pathsep) if not (Path(folder) / "uv").exists()
        )
    return kept


def _clone(on: Bench) -> Path:
    target = on.home() / "clone"
    subprocess.run(["git", "clone", "-q", "--depth", "1", f"file://{ROOT}", target], check=True)
    return target


def _run(clone: Path, environment: Mapping[str, str]) -> tuple[float, float]:
    """Seconds to the first letter, and to the first answer of the Prefect server."""
    output = clone / "output"
    with output.open("wb") as log:
        began = time.perf_counter()
        running = subprocess.Popen(
            ["make", "run", "EXIT=1"], cwd=clone, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    server = 0.0
    try:
        while time.perf_counter() - began < _PATIENCE_S:
            assert running.poll() is None, output.read_text("utf-8", "replace")[-2_000:]
            server = server or (time.perf_counter() - began if _answers(output) else 0.0)
            if any(path.is_file() for path in (clone / ".congvan").rglob("mail/**/*")):
                return time.perf_counter() - began, server
            time.sleep(_LOOK_EVERY_S)
        raise AssertionError("no letter came")
    finally:
        os.killpg(running.pid, signal.SIGTERM)
        running.wait(60)
        shutil.rmtree(clone)


def _answers(output: Path) -> bool:
    """Whether the server that the banner names answers."""
    found = re.search(r"Prefect\s+(http://\S+)", output.read_text("utf-8", "replace"))
    if found is None:
        return False
    try:
        return httpx.get(f"{found[1]}/api/health", timeout=1).status_code == 200
    except httpx.HTTPError:
        return False
