"""What Prefect is told of us at every start, and what it keeps of what operators have set there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.responses import DeploymentResponse
from prefect.settings import PREFECT_API_URL, temporary_settings

from congvan.settings import Settings
from flows.deployments import register
from flows.registered import NAME
from tests.flows.engine import Engine

pytestmark = [pytest.mark.prefect, pytest.mark.gates, pytest.mark.xdist_group("prefect"), pytest.mark.timeout(600)]


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[PrefectClient]:
    """Of a Prefect that knows nothing of us yet."""
    async with Engine(tmp_path) as engine:
        await engine.start_server()
        with temporary_settings({PREFECT_API_URL: engine.api}):
            async with get_client() as asked:
                yield asked


async def _of(client: PrefectClient, flow: str) -> DeploymentResponse:
    return await client.read_deployment_by_name(f"{flow}/{NAME}")


async def test_a_start_takes_nothing_back_that_an_operator_has_set_in_prefect(
    client: PrefectClient, settings: Settings
) -> None:
    ids = await register(None, client, settings)
    assert not (await _of(client, "hop")).paused
    await client.pause_deployment(ids["hop"])
    (every,) = (await _of(client, "watch")).schedules
    await client.update_deployment_schedule(ids["watch"], every.id, active=False)

    assert await register(None, client, settings) == ids
    assert (await _of(client, "hop")).paused, "the operators' brake"
    assert [one.active for one in (await _of(client, "watch")).schedules] == [False]
    assert [one.active for one in (await _of(client, "report")).schedules] == [True]

    await client.resume_deployment(ids["hop"])
    await register(None, client, settings, "a-pool")
    assert {(await _of(client, name)).work_pool_name for name in ("hop", "watch", "campaign")} == {"a-pool"}
    assert not (await _of(client, "hop")).paused
    await register(None, client, settings)
    served = [await _of(client, name) for name in ("hop", "watch", "campaign")]
    assert {(one.work_pool_name, one.work_queue_id) for one in served} == {(None, None)}, "no worker takes them as well"
