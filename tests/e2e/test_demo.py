"""`make run` to its end: a campaign of 726 recipients on real parts, and what its closing table says of it."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest


@pytest.mark.prefect
@pytest.mark.gates
@pytest.mark.xdist_group("prefect")
@pytest.mark.timeout(1800)
async def test_the_demo_ends_and_every_line_of_its_closing_is_as_it_should_be(tmp_path: Path) -> None:
    given = os.environ | {"CONGVAN_HOME": str(tmp_path), "NO_COLOR": "1", "COLUMNS": "120"}
    process = await asyncio.create_subprocess_exec(
        f"{Path(sys.executable).parent}/congvan", "up", "--demo", "--exit", env=given, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    said = out.decode()
    assert "SAI" not in said, said[-4000:]
    assert said.count("đạt") > 30
    assert process.returncode == 0
