"""The interim report on its schedule, and the seals of the log, on a real Prefect server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from congvan.store.tables import Seal
from tests.flows.engine import Engine, until

pytestmark = [pytest.mark.prefect, pytest.mark.xdist_group("prefect"), pytest.mark.timeout(280)]


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    """An engine whose server is up; nothing is left of it afterwards."""
    async with Engine(tmp_path) as made:
        await made.start_server()
        yield made


async def _deployments(engine: Engine) -> dict[str, dict[str, Any]]:
    async with engine.client() as client:
        flows = {one["id"]: one["name"] for one in (await client.post("/flows/filter", json={})).json()}
        found = (await client.post("/deployments/filter", json={})).json()
    return {flows[one["flow_id"]]: one for one in found}


async def _has(engine: Engine, *names: str) -> bool:
    return set(names) <= set(await _deployments(engine))


async def _run(engine: Engine, deployment: dict[str, Any]) -> bool:
    """Ask for a run; False where the server is too busy to take it."""
    async with engine.client() as client:
        answer = await client.post(f"/deployments/{deployment['id']}/create_flow_run", json={})
    assert answer.status_code in (200, 201, 503), answer.text
    return answer.is_success


async def _pdfs(engine: Engine) -> list[Path]:
    return list((engine.home / "congvan" / "reports").glob("*.pdf"))


@pytest.mark.gates
async def test_the_report_is_due_on_fridays_and_watch_seals_the_log(engine: Engine) -> None:
    await engine.launch()
    await engine.start_flows()
    await until(lambda: _has(engine, "report", "watch"), 120, "the deployments")
    known = await _deployments(engine)
    (friday,) = known["report"]["schedules"]
    assert (friday["schedule"]["cron"], friday["schedule"]["timezone"]) == ("0 16 * * 5", "Asia/Ho_Chi_Minh")
    (often,) = known["watch"]["schedules"]
    assert often["schedule"]["interval"] == 600
    for name in ("report", "watch"):
        await until(lambda name=name: _run(engine, known[name]), 60, "a run to be taken")  # type: ignore[misc]
    (pdf,) = await until(lambda: _pdfs(engine), 120, "the interim report")
    assert pdf.read_bytes().startswith(b"%PDF-")
    await until(lambda: engine.rows(select(Seal.hash)), 120, "a seal")
