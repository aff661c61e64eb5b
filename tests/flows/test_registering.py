"""What Prefect is told of us at every start, and what it keeps of what operators have set there."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.objects import State
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.sorting import FlowRunSort
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Scheduled

from congvan.settings import Settings
from flows.deployments import register
from flows.left_behind import drop_late_watches
from flows.registered import NAME
from tests.flows.engine import Engine

_ANY = {"hop": {"hop_id": "a hop"}}

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
    (brake,) = (await _of(client, "hop")).schedules
    await client.update_deployment_schedule(ids["hop"], brake.id, active=False)
    (every,) = (await _of(client, "watch")).schedules
    await client.update_deployment_schedule(ids["watch"], every.id, active=False)

    assert await register(None, client, settings) == ids
    assert (await _of(client, "hop")).paused, "the operators' brake"
    assert [one.active for one in (await _of(client, "hop")).schedules] == [False], "and its switch in Prefect's pages"
    assert [one.active for one in (await _of(client, "watch")).schedules] == [False]
    assert [one.active for one in (await _of(client, "report")).schedules] == [True]

    await client.resume_deployment(ids["hop"])
    await register(None, client, settings, "a-pool")
    assert {(await _of(client, name)).work_pool_name for name in ("hop", "watch", "campaign")} == {"a-pool"}
    assert not (await _of(client, "hop")).paused
    await register(None, client, settings)
    served = [await _of(client, name) for name in ("hop", "watch", "campaign")]
    assert {(one.work_pool_name, one.work_queue_id) for one in served} == {(None, None)}, "no worker takes them as well"


async def test_an_automation_that_is_wrong_keeps_nothing_from_being_registered(
    client: PrefectClient, settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Before campaigns, hops and mail: no letter left as long as the file lay there."""
    config = shutil.copytree(settings.config, tmp_path / "config")
    (config / "automations" / "a-mine.yaml").write_text("name: x\nactions: [{type: run-deployment, deployment: tel}]\n")
    ids = await register(None, client, settings.model_copy(update={"config": config}))
    assert ids["hop"] == (await _of(client, "hop")).id
    assert "a-mine.yaml" in caplog.text
    assert len(await client.read_automations()) == len(list((config / "automations").iterdir())) - 1


async def test_watches_that_nobody_began_while_nobody_was_there_are_not_all_executed_afterwards(
    client: PrefectClient, settings: Settings, tmp_path: Path
) -> None:
    """They came before every hop that was due: the oldest are asked for first, some hundreds at a time."""
    ids = await register(None, client, settings)
    wall = datetime.now(UTC)

    async def scheduled(flow: str, minutes_ago: int) -> UUID:
        state: State[None] = Scheduled(scheduled_time=wall - timedelta(minutes=minutes_ago))
        return (await client.create_flow_run_from_deployment(ids[flow], parameters=_ANY.get(flow), state=state)).id

    late = [await scheduled("watch", 15 + 10 * number) for number in range(60)]
    young, asked_for, hop = await scheduled("watch", 5), await scheduled("watch", 60), await scheduled("hop", 60)
    with closing(sqlite3.connect(tmp_path / "prefect" / "prefect.db")) as database:
        # Prefect's scheduler alone may say so.
        of_the_schedule = [(str(key),) for key in (*late, young)]
        database.executemany("UPDATE flow_run SET auto_scheduled = 1 WHERE id = ?", of_the_schedule)
        database.commit()
    assert await drop_late_watches(client, ids["watch"], wall) == len(late)
    left = await client.read_flow_runs(sort=FlowRunSort.NEXT_SCHEDULED_START_TIME_ASC)
    assert {young, asked_for, hop} <= {run.id for run in left}
    assert not {run.id for run in left} & set(late)
