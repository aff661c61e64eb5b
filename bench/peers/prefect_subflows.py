"""The cascade's last hop on Prefect alone: a subflow per recipient, which sends in a task and then waits.

Written as its documentation does: the mail as a task with retries, `pause_flow_run` with the answer's model
and the term of the letter as its time-out. It is told everything by one line of JSON and talks to the server
of PREFECT_API_URL. The clock runs from the call of the parent flow to the last letter.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any

import uvloop
from prefect import flow, task
from prefect.flow_runs import pause_flow_run
from prefect.input import RunInput

from bench.peers.letter import Letter, Pool, pool
from bench.peers.resident import peak_kb

TERM_S = 5 * 24 * 3600


class Confirmation(RunInput):
    """What the recipient says."""

    name: str


class _Office:
    """What a task needs and a flow's parameters should not carry."""

    pool: Pool
    sent = 0
    #: Subflows that are being opened at a time.
    slots: asyncio.Semaphore


@task(retries=5, retry_delay_seconds=10)
async def send(number: int) -> None:
    """Hand one letter over."""
    await _Office.pool.send(number)


@flow
async def letter(number: int) -> str:
    """One recipient: the letter, then the answer or the end of the term."""
    await send(number)
    _Office.sent += 1
    _Office.slots.release()
    answer = await pause_flow_run(wait_for_input=Confirmation, timeout=TERM_S)
    return str(answer.name)


@flow
async def hop(count: int) -> None:
    """Everybody below one issuer."""
    waiting = []
    for number in range(count):
        await _Office.slots.acquire()
        waiting.append(asyncio.create_task(letter(number)))
    await asyncio.gather(*waiting)


async def _work(order: dict[str, Any]) -> dict[str, Any]:
    _Office.slots = asyncio.Semaphore(order["at_once"])
    async with pool(Letter.read(Path(order["letter"])), order["port"], order["connections"]) as opened:
        _Office.pool = opened
        wall, cpu = time.perf_counter(), time.process_time()
        running = asyncio.create_task(hop(order["count"]))
        while _Office.sent < order["count"]:
            assert not running.done(), running.exception()
            await asyncio.sleep(0.005)
        return {"letters": order["count"], "wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}


def main() -> None:
    """Do what the line says."""
    logging.disable(logging.ERROR)
    order = json.loads(sys.argv[1])
    print("ready", flush=True)
    sys.stdin.readline()

    async def run() -> None:
        took = await _work(order)
        print(json.dumps(took | {"peak_kb": peak_kb()}), flush=True)
        # The subflows wait for days; a peer is not measured by how it says goodbye.
        os._exit(0)

    uvloop.run(run())


if __name__ == "__main__":
    main()
