"""What Prefect knows of us: the deployments with their forms, the work pool where there is one, the automations."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import UUID

import yaml
from prefect import Flow
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import DeploymentUpdate, WorkPoolCreate
from prefect.deployments.runner import RunnerDeployment
from prefect.events.schemas.automations import AutomationCore
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.runner import Runner
from prefect.schedules import Cron, Interval, Schedule
from prefect.types.entrypoint import EntrypointType

from congvan.settings import Settings
from flows import forms
from flows.apart import apart
from flows.campaign import campaign, campaign_in_full
from flows.hop import hop
from flows.registered import NAME, WATCH_EVERY
from flows.report import WEEKLY, ZONE, report
from flows.tell import tell
from flows.watch import watch
from tasks.board import delivery, recipients

#: The queue of hops, and that of what is started every few minutes: of these many runs are due at once, of the second
#: after a time without workers, so they have a limit. A campaign's page stays RUNNING as long as the campaign, and a
#: limit on its queue would be used up by it.
SENDING, WAKING = "sending", "waking"
#: Prefect's pages have a switch for each schedule, and none for a deployment without one. This one never starts a run:
#: its switch is the operators' brake, and while it is off no hop opens.
BRAKE = Interval(timedelta(days=36_525), anchor_date=datetime(2199, 1, 1, tzinfo=UTC), slug="cho-mo-chang")
#: Flow → (when it is started, its queue in a work pool). A wake must not wait behind a report.
SERVED: Mapping[Flow[..., Any], tuple[Schedule | None, str]] = MappingProxyType(
    {
        campaign: (None, "launching"),
        campaign_in_full: (None, "launching"),
        hop: (BRAKE, SENDING),
        watch: (Interval(WATCH_EVERY), WAKING),
        report: (Cron(WEEKLY, timezone=ZONE), "reports"),
        tell: (None, WAKING),
    }
)
#: Queue → priority, 1 first.
QUEUES: Mapping[str, int] = MappingProxyType({SENDING: 1, WAKING: 2, "launching": 3, "reports": 4})


async def register(
    runner: Runner | None, client: PrefectClient, settings: Settings, pool: str = "", processes: int = 4
) -> dict[str, UUID]:
    """Register everything; the deployments' ids by flow. Done again it changes nothing.

    runner: serves them in this process. Else workers of the pool of that name run them, and no more than so many
    processes of hops at a time, and of what watches over them, over all workers.
    """
    if pool:
        await _work_pool(client, pool, processes)
    ids = {}
    for one in SERVED:
        deployment = await _deployment(client, one, pool)
        ids[one.name] = await (deployment.aapply() if runner is None else runner.aadd_deployment(deployment))
    for picture in (recipients, delivery):
        flow_id = await client.create_flow(picture)
        ids[picture.name] = await client.create_deployment(flow_id=flow_id, name=NAME, description=picture.description)
    await _word_forms(client, ids, settings)
    await apply_automations(client, ids, settings)
    return ids


async def _deployment(client: PrefectClient, one: Flow[..., Any], pool: str) -> RunnerDeployment:
    """As it is to be registered: what an operator has paused or switched off in Prefect stays so."""
    schedule, queue = SERVED[one]
    paused = False
    with suppress(ObjectNotFound):
        known = await client.read_deployment_by_name(f"{one.name}/{NAME}")
        paused = known.paused
        if schedule is not None and known.schedules:
            schedule = replace(schedule, active=any(own.active for own in known.schedules))
    made = await one.ato_deployment(
        NAME, entrypoint_type=EntrypointType.MODULE_PATH, schedule=schedule, description=one.description,
        paused=paused, work_pool_name=pool or None, work_queue_name=queue if pool else None,
        job_variables=at_once() if pool else None,
    )  # fmt: skip
    if not pool:
        # Said, not left out: workers of a pool that was used before would go on taking what the runner takes.
        made.work_pool_name = made.work_queue_name = None
    return made


def at_once() -> dict[str, str]:
    """How a worker starts a flow: the engine itself. Without a command of ours Prefect starts a process that looks for
    a workspace and only then becomes the engine: everything is imported twice, for every woken hop.

    So the program lies on every machine of the pool where it lies on this one.
    """
    return {"command": f"{shlex.quote(sys.executable)} -m prefect.engine", "working_dir": os.getcwd()}


async def _work_pool(client: PrefectClient, pool: str, processes: int) -> None:
    """The limit is the queue's: a worker with a limit of its own (--limit) ends where a hop is woken again before its
    process has left (anyio lends one token to a run)."""
    try:
        await client.read_work_pool(pool)
    except ObjectNotFound:
        await client.create_work_pool(WorkPoolCreate(name=pool, type="process", description="congvan"))
    for name, priority in QUEUES.items():
        limit = processes if name in (SENDING, WAKING) else None
        try:
            await client.create_work_queue(name, work_pool_name=pool, priority=priority, concurrency_limit=limit)
        except ObjectAlreadyExists:
            continue


async def _word_forms(client: PrefectClient, ids: Mapping[str, UUID], settings: Settings) -> None:
    for one, draw in ((campaign, forms.short), (campaign_in_full, forms.full)):
        known = await client.read_deployment(ids[one.name])
        schema = draw(known.parameter_openapi_schema or {}, settings)
        changed = DeploymentUpdate(parameter_openapi_schema=schema, enforce_parameter_schema=True)
        await client.update_deployment(ids[one.name], changed)


async def apply_automations(client: PrefectClient, ids: Mapping[str, UUID], settings: Settings) -> None:
    """Make or renew the automations of config/automations; one that an operator has paused stays paused.

    No letter depends on them: one that is wrong is told of in the log, and left out.
    """
    for path in sorted((settings.config / "automations").glob("*.yaml")):
        with apart(f"the automation of {path.name}"):
            await _apply(client, _automation(path, ids))


def _automation(path: Path, ids: Mapping[str, UUID]) -> AutomationCore:
    text = yaml.safe_load(path.read_text("utf-8"))
    for action in text["actions"]:
        if "deployment" in action:
            action["deployment_id"] = str(ids[action.pop("deployment")])
    return AutomationCore.model_validate(text)


async def _apply(client: PrefectClient, wanted: AutomationCore) -> None:
    known = await client.read_automations_by_name(wanted.name)
    if not known:
        await client.create_automation(wanted)
    else:
        kept = wanted.model_copy(update={"enabled": known[0].enabled})
        await client.update_automation(known[0].id, kept)
