"""`python -m flows`: serves the deployments and runs the relay beside them, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from datetime import timedelta
from typing import Any
from uuid import UUID

from prefect import Flow
from prefect.client.orchestration import PrefectClient
from prefect.runner import Runner
from prefect.schedules import Cron, Interval, Schedule
from prefect.types.entrypoint import EntrypointType

from congvan.house import build
from flows.campaign import campaign
from flows.hop import hop
from flows.relay import Relay
from flows.report import WEEKLY, ZONE, report
from flows.runs import NAME, Deployments
from flows.watch import watch
from tasks.board import delivery, recipients

_POLL_S = 1.0


async def _deployments(runner: Runner, client: PrefectClient) -> dict[str, UUID]:
    """Register every deployment; the pictures are never executed, so they have no runner."""
    served: tuple[tuple[Flow[..., Any], Schedule | None], ...] = (
        (campaign, None), (hop, None), (watch, Interval(timedelta(minutes=10))), (report, Cron(WEEKLY, timezone=ZONE)),
    )  # fmt: skip
    ids = {}
    for one, schedule in served:
        deployment = await one.ato_deployment(
            NAME, entrypoint_type=EntrypointType.MODULE_PATH, schedule=schedule,
            description=one.description,
        )  # fmt: skip
        ids[one.name] = await runner.aadd_deployment(deployment)
    for picture in (recipients, delivery):
        flow_id = await client.create_flow(picture)
        ids[picture.name] = await client.create_deployment(flow_id=flow_id, name=NAME, description=picture.description)
    return ids


async def main() -> int:
    """Serve until told to stop."""
    if not os.environ.get("PREFECT_API_URL"):
        # `serve` would accept deployments and run none.
        print("PREFECT_API_URL is not set: start a server and set it, or use `congvan up`", file=sys.stderr)
        return 2
    house = build()
    limit = int(os.environ.get("CONGVAN_PROCESSES", "4"))
    runner = Runner(name=NAME, query_seconds=_POLL_S, limit=limit, pause_on_shutdown=False)
    pause_s = float(os.environ.get("CONGVAN_DEMO_PAUSE_S", "0"))

    async def register(client: PrefectClient) -> dict[str, UUID]:
        return await _deployments(runner, client)

    deployments = Deployments(register)
    relay = Relay(house, deployments, every_s=0.3 if house.settings.demo else 1.0, pause_s=pause_s)
    loop = asyncio.get_running_loop()
    relaying = asyncio.create_task(relay.run(), name="relay")
    await deployments.known(relaying)
    serving = asyncio.create_task(runner.start(), name="runner")

    def stop() -> None:
        relay.stop()
        serving.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    done = await asyncio.gather(relaying, serving, return_exceptions=True)
    await house.close()
    faults = [one for one in done if isinstance(one, Exception)]
    for fault in faults:
        logging.getLogger("congvan").error("ended by a fault", exc_info=fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
