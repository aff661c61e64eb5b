"""What operators do to runs in Prefect: a crashed hop is retried, runs are deleted; the database leads."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from congvan.acts import board
from congvan.board_check import compare
from congvan.rules.protocol import Event
from congvan.store.tables import Attempt, EventRow, Hop, Message
from tests.flows.engine import Engine, until

pytestmark = [pytest.mark.gates, pytest.mark.prefect, pytest.mark.xdist_group("prefect"), pytest.mark.timeout(280)]


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    """An engine whose server is up."""
    async with Engine(tmp_path) as made:
        await made.start_server()
        yield made


@pytest.fixture
async def client(engine: Engine) -> AsyncIterator[httpx.AsyncClient]:
    """What an operator's browser calls."""
    async with engine.client() as made:
        yield made


async def test_a_crashed_hop_that_is_retried_in_prefect_goes_on_where_it_stood(
    engine: Engine, client: httpx.AsyncClient
) -> None:
    await engine.launch(units=40, tenants=0)
    await engine.start_flows()
    await until(lambda: _came(engine, "slip", 1), 90, "the slip to the board")
    engine.inbox.delay_s = 0.2
    await engine.answer("BOARD")
    await until(lambda: _came(engine, "letter", 8), 90, "some of the board's letters")
    os.kill(engine.run_process(), signal.SIGKILL)
    run = await until(lambda: _hop_run(engine, "BOARD", "CRASHED"), 30, "the run to be shown as crashed")
    engine.inbox.delay_s = 0.0
    # What the button "Retry" of the UI sends.
    retry = {"state": {"type": "SCHEDULED", "name": "AwaitingRetry", "message": "Retry from the UI"}, "force": False}
    assert (await client.post(f"/flow_runs/{run['id']}/set_state", json=retry)).json()["status"] == "ACCEPT"
    await until(lambda: _all_sent(engine), 120, "every letter to be sent")
    await until(lambda: _hop_run(engine, "BOARD", "SCHEDULED"), 60, "the hop asleep again")

    unknown = (await engine.rows(select(func.count()).select_from(Attempt).where(Attempt.outcome.is_(None))))[0][0]
    twice = [key for key, number in Counter(engine.inbox.of("letter")).items() if number > 1]
    assert len(twice) <= unknown, "twice only what was on the wire when it crashed"
    assert await _opened(engine) == {"CITY": 1, "BOARD": 1}


async def test_deleting_every_run_in_prefect_loses_nothing_and_sends_nothing_twice(
    engine: Engine, client: httpx.AsyncClient
) -> None:
    await engine.launch()
    await engine.start_flows()
    await until(lambda: _came(engine, "slip", 1), 90, "the slip to the board")
    await engine.answer("BOARD")
    await until(lambda: _came(engine, "letter", 4), 60, "the board's letters")
    await until(lambda: _true(engine, 6), 120, "the board")
    await until(lambda: _summaries(client, 3), 90, "the pages' summaries")
    for flow in ("delivery", "hop", "recipients", "campaign"):
        for run in await engine.runs(flow):
            await until(lambda key=run["id"]: _deleted(client, key), 60, f"a {flow} to be deleted")
    await engine.answer("INV", Event.FORWARDED)
    await until(lambda: _came(engine, "letter", 9), 120, "the investor's letters")
    await until(lambda: _hop_run(engine, "INV", "SCHEDULED"), 60, "the investor's hop asleep on a page made anew")
    # A recipient's run is made again with its next change, or all of them when a person asks for it.
    await engine.answer("UNIT-001")
    await until(lambda: _delivery(engine, "UNIT-001"), 90, "the run of one that has answered since")
    house = engine.house()
    assert await board.repaint(house) == 11
    await house.close()
    await until(lambda: _true(engine, 11), 120, "the whole board again")
    assert max(engine.inbox.ids().values()) == 1, "nothing was sent again"
    assert await _opened(engine) == {"CITY": 1, "BOARD": 1, "INV": 1}


async def test_artifacts_are_renewed_in_place_and_never_multiply(engine: Engine, client: httpx.AsyncClient) -> None:
    await engine.launch()
    await engine.start_flows()
    await until(lambda: _came(engine, "slip", 1), 90, "the slip to the board")
    await engine.answer("BOARD")
    await until(lambda: _came(engine, "letter", 4), 60, "the board's letters")
    for number, unit in enumerate(("UNIT-001", "UNIT-002", "UNIT-003"), 1):
        await engine.answer(unit)
        # The exempt drafting unit counts as settled.
        await until(lambda number=number: _progress(client, f"{number + 1}/5"), 90, f"the answer of {unit}")
        if number == 2:
            # Another process takes over, which remembers nothing of what the first has put there.
            await engine.stop("flows")
            await engine.start_flows()
    found = Counter((one["flow_run_id"], one["key"]) for one in await _artifacts(client))
    assert len(found) >= 6, "three for the campaign and three for each hop's page"
    assert set(found.values()) == {1}


async def _artifacts(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client.post("/artifacts/filter", json={"limit": 200})).json()
    return found


async def _deleted(client: httpx.AsyncClient, run_id: str) -> bool:
    # Again where the server's database is busy (503), as Prefect's own client does.
    return (await client.delete(f"/flow_runs/{run_id}")).status_code in (204, 404)


async def _summaries(client: httpx.AsyncClient, number: int) -> bool:
    return sum(one["key"].endswith("-summary") for one in await _artifacts(client)) >= number


async def _progress(client: httpx.AsyncClient, words: str) -> bool:
    found = [one["description"] for one in await _artifacts(client) if one["key"] == "hop-t1-board-progress"]
    return any(words in one for one in found)


async def _came(engine: Engine, kind: str, number: int) -> bool:
    return len(set(engine.inbox.of(kind))) >= number


async def _hop_run(engine: Engine, issuer: str, kind: str) -> dict[str, Any] | None:
    return next((one for one in await engine.runs("hop", type={"any_": [kind]}) if issuer in one["name"]), None)


async def _delivery(engine: Engine, recipient: str) -> bool:
    return any(one["name"].startswith(f"{recipient} ") for one in await engine.runs("delivery"))


async def _all_sent(engine: Engine) -> bool:
    left = await engine.rows(select(func.count()).select_from(Message).where(Message.state != "SENT"))
    return not left[0][0]


async def _opened(engine: Engine) -> dict[str, int]:
    rows = await engine.rows(
        select(Hop.issuer).join(EventRow, EventRow.stream == Hop.id).where(EventRow.kind == "opened")
    )
    return Counter(issuer for (issuer,) in rows)


async def _true(engine: Engine, number: int) -> bool:
    house = engine.house()
    try:
        found = await compare(house, engine.api)
    finally:
        await house.close()
    return found.compared == number and not found.behind and not found.differences
