"""The cascade's last hop on DBOS Transact: one durable workflow per recipient, which sends and then waits.

Written as its documentation does: an asynchronous workflow, the mail as a step with retries, `DBOS.recv` with
the term of the letter, a queue where the workflows are written down before anybody works on them. It runs in
an environment of its own (requirements-peers.txt) and is told everything by one line of JSON.

  prepare    makes the tables, and with a count the queue and that many waiting workflows
  started    workflows are started one beside the other; the clock runs from before the first start
  queued     works off what `prepare` has written down; the clock runs from the queue's opening
  recovered  goes on with what a killed process has left

After the last letter it waits as long as it is told to, then confirms some of them, and prints one line of JSON.
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
from dbos import DBOS, DBOSClient, DBOSConfig

from bench.peers.letter import Letter, Pool, pool
from bench.peers.resident import peak_kb, resident_kb

TERM_S = 5 * 24 * 3600
QUEUE = "letters"
#: Starts under way at once: more only wait for the database.
_STARTS = 20


class _Office:
    """What a step needs and a workflow's arguments should not carry."""

    pool: Pool
    wanted = 0
    sent = 0
    all_sent: asyncio.Event


@DBOS.step(retries_allowed=True, max_attempts=5)
async def send(number: int) -> None:
    """Hand one letter over."""
    await _Office.pool.send(number)


@DBOS.workflow()
async def letter(number: int) -> str:
    """One recipient: the letter, then the answer or the end of the term."""
    await send(number)
    _Office.sent += 1
    if _Office.sent == _Office.wanted:
        _Office.all_sent.set()
    answer = await DBOS.recv_async("confirmation", timeout_seconds=TERM_S)
    return "silent" if answer is None else str(answer)


async def _start(count: int) -> None:
    numbers = iter(range(count))

    async def line() -> None:
        for number in numbers:
            await DBOS.start_workflow_async(letter, number)

    await asyncio.gather(*(line() for _ in range(_STARTS)))


def _enqueue(url: str, count: int) -> None:
    client = DBOSClient(system_database_url=url)
    for number in range(count):
        client.enqueue({"queue_name": QUEUE, "workflow_name": letter.__qualname__}, number)
    client.destroy()


def _launch(url: str) -> None:
    config: DBOSConfig = {"name": "letters", "system_database_url": url, "log_level": "ERROR"}
    DBOS(config=config)
    DBOS.launch()


def _prepare(order: dict[str, Any]) -> None:
    """Make the tables and the queue, then fill it."""
    _launch(order["database"])
    if order["count"]:
        DBOS.register_queue(QUEUE)
    DBOS.destroy()
    _enqueue(order["database"], order["count"])


async def _work(order: dict[str, Any]) -> dict[str, Any]:
    count = _Office.wanted = order["count"]
    _Office.all_sent = asyncio.Event()
    async with pool(Letter.read(Path(order["letter"])), order["port"], order["connections"]) as opened:
        _Office.pool = opened
        # It starts before the clock, as ours does.
        _launch(order["database"])
        wall, cpu = time.perf_counter(), time.process_time()
        if order["way"] == "queued":
            await DBOS.register_queue_async(QUEUE)
        if order["way"] == "started":
            await _start(count)
        if order["way"] != "recovered":
            await _Office.all_sent.wait()
        took = {"letters": count, "wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
        return took | await _wait(order["wait_s"]) | {"confirm_s": await _confirm(order["confirm"])}


async def _wait(seconds: float) -> dict[str, float]:
    await asyncio.sleep(2.0 if seconds else 0.0)
    cpu = time.process_time()
    await asyncio.sleep(seconds)
    return {"waited_s": seconds, "waiting_cpu_s": time.process_time() - cpu, "resident_kb": resident_kb()}


async def _confirm(number: int) -> list[float]:
    """Seconds until each of some confirmations is recorded."""
    took: list[float] = []
    if number:
        waiting = await DBOS.list_workflows_async(status="PENDING", limit=number)
        for one in waiting:
            began = time.perf_counter()
            await DBOS.send_async(one.workflow_id, "confirmed", topic="confirmation")
            took.append(time.perf_counter() - began)
    return took


def main() -> None:
    """Do what the line says."""
    logging.disable(logging.WARNING)
    order = json.loads(sys.argv[1])
    if order["way"] == "prepare":
        _prepare(order)
        return
    print("ready", flush=True)
    sys.stdin.readline()
    took = uvloop.run(_work(order))
    print(json.dumps(took | {"peak_kb": peak_kb()}), flush=True)
    # Thousands of workflows wait; a peer is not measured by how it says goodbye.
    os._exit(0)


if __name__ == "__main__":
    main()
