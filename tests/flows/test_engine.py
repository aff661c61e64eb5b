"""The flows on a real Prefect server, with processes that are killed."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, select

from congvan.acts import campaigns
from congvan.rules.protocol import Event
from congvan.store.tables import Attempt, Campaign, Delivery, EventRow, Hop, Message
from tests.flows.engine import Engine, until

pytestmark = [pytest.mark.prefect, pytest.mark.xdist_group("prefect"), pytest.mark.timeout(280)]


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    """An engine whose server is up; nothing is left of it afterwards."""
    async with Engine(tmp_path) as made:
        await made.start_server()
        yield made


async def _letters(engine: Engine, number: int) -> bool:
    return len(set(engine.inbox.of("letter"))) >= number


async def _hop(engine: Engine, issuer: str) -> str:
    return str((await engine.rows(select(Hop.state).where(Hop.issuer == issuer)))[0][0])


async def _asleep(engine: Engine, number: int) -> bool:
    runs = await engine.runs("hop", name={"any_": ["AwaitingConfirmation"]})
    return len(runs) >= number


async def test_a_directive_goes_down_three_hops_and_every_tenant_is_seen_in_prefect(engine: Engine) -> None:
    await engine.launch()
    await engine.start_flows()
    await until(lambda: _slip(engine), 90, "the slip to the board")
    await engine.answer("BOARD")
    await until(lambda: _letters(engine, 4), 60, "the board's letters")
    await engine.answer("INV", Event.FORWARDED)
    await until(lambda: _letters(engine, 9), 60, "the investor's letters")

    await until(lambda: _asleep(engine, 2), 30, "both hops asleep in Prefect's schedule")
    # 1 board + 4 of the board's + 5 tenants; the exempt drafting unit is shown as such.
    await until(lambda: _shown(engine, {"AwaitingConfirmation": 8, "Confirmed": 2, "Exempt": 1}), 60, "the board")
    await engine.answer("TEN-001")
    await until(lambda: _shown(engine, {"AwaitingConfirmation": 7, "Confirmed": 3, "Exempt": 1}), 30, "the answer")
    assert all(count == 1 for count in engine.inbox.ids().values())
    await _every_hop_slept_without_a_process(engine)
    _no_mailbox_reached_prefect(engine)


async def _every_hop_slept_without_a_process(engine: Engine) -> None:
    async with httpx.AsyncClient(base_url=engine.api) as client:
        for run in await engine.runs("hop", name={"any_": ["AwaitingConfirmation"]}):
            states = (await client.get("/flow_run_states/", params={"flow_run_id": run["id"]})).json()
            names = [state["name"] for state in states]
            assert names[-1] == "AwaitingConfirmation"
            assert "Running" in names


def _no_mailbox_reached_prefect(engine: Engine) -> None:
    for path in [*(engine.home / "prefect").rglob("*.db*"), engine.home / "flows.log"]:
        assert b"vanthu@" not in path.read_bytes(), f"a mailbox stands in {path.name}"


async def _slip(engine: Engine) -> bool:
    return bool(engine.inbox.of("slip"))


async def _shown(engine: Engine, wanted: dict[str, int]) -> bool:
    return Counter(run["state"]["name"] for run in await engine.runs("delivery")) == wanted


@pytest.mark.gates
async def test_the_worker_killed_three_times_while_sending_loses_nothing(engine: Engine) -> None:
    await engine.launch(units=150, tenants=0)
    engine.inbox.delay_s = 0.1
    await engine.start_flows()
    await until(lambda: _slip(engine), 90, "the slip")
    await engine.answer("BOARD")
    for share in (0.15, 0.4, 0.7):
        await until(lambda share=share: _letters(engine, int(150 * share)), 90, f"{share:.0%} of the letters")
        await engine.kill("flows")
        await engine.start_flows()
    engine.inbox.delay_s = 0.0
    await until(lambda: _all_sent(engine), 120, "every letter to be recorded as sent")

    letters = Counter(engine.inbox.of("letter"))
    recorded = {key for (key,) in await engine.rows(select(Message.message_id).where(Message.kind == "letter"))}
    assert set(letters) == recorded, "no letter was lost, and none went out that is not in the database"
    unknown = await _unknown(engine)
    twice = {key for key, number in letters.items() if number > 1}
    assert len(twice) <= unknown, "twice only what was on the wire at a kill"
    assert all(number <= 4 for number in letters.values())


async def _all_sent(engine: Engine) -> bool:
    left = await engine.rows(select(func.count()).select_from(Message).where(Message.state != "SENT"))
    return not left[0][0]


async def _unknown(engine: Engine) -> int:
    found = await engine.rows(select(func.count()).select_from(Attempt).where(Attempt.outcome.is_(None)))
    return int(found[0][0])


@pytest.mark.gates
async def test_a_kill_between_going_to_sleep_and_leaving_costs_nothing(engine: Engine) -> None:
    await engine.launch()
    await engine.start_flows(CONGVAN_FAILPOINT="hop-asleep")
    await until(lambda: _slip(engine), 90, "the slip")
    await until(lambda: _turned(engine), 30, "the first turn")
    await engine.kill("flows")
    await engine.start_flows()
    await engine.answer("BOARD")
    await until(lambda: _letters(engine, 4), 90, "the board's letters, although the hop above died asleep")
    assert all(count == 1 for count in engine.inbox.ids().values())


async def _turned(engine: Engine) -> bool:
    return (await engine.rows(select(Hop.turns).where(Hop.issuer == "CITY")))[0][0] >= 1


@pytest.mark.gates
async def test_a_wiped_prefect_database_is_filled_again_from_ours(engine: Engine) -> None:
    await engine.launch()
    await engine.start_flows()
    await until(lambda: _slip(engine), 90, "the slip")
    await engine.answer("BOARD")
    await until(lambda: _letters(engine, 4), 60, "the board's letters")
    await engine.stop("flows")
    await engine.stop("server")
    shutil.rmtree(engine.home / "prefect")
    await engine.start_server()
    await engine.start_flows()
    await engine.answer("INV", Event.FORWARDED)
    await until(lambda: _letters(engine, 9), 90, "the investor's letters after the loss")
    await until(lambda: _shown(engine, {"AwaitingConfirmation": 8, "Confirmed": 2, "Exempt": 1}), 60, "the board again")
    opened = await engine.rows(
        select(EventRow.stream).join(Hop, Hop.id == EventRow.stream).where(EventRow.kind == "opened")
    )
    assert all(count == 1 for count in engine.inbox.ids().values()), "nothing was sent again"
    assert len(opened) == 3, "each hop opened once"


@pytest.mark.gates
async def test_a_server_that_is_dropped_under_the_flows_is_waited_for(engine: Engine) -> None:
    await engine.launch()
    await engine.start_flows()
    await until(lambda: _slip(engine), 90, "the slip")
    await engine.kill("server")
    await engine.answer("BOARD")
    await asyncio.sleep(2)
    await engine.start_server()
    await until(lambda: _letters(engine, 4), 120, "the board's letters once the server is back")
    assert await _hop(engine, "BOARD") == "OPEN"
    # A letter is at its recipient before the outcome of its batch is recorded.
    await until(lambda: _sent(engine, 4), 30, "the board's letters recorded as sent")


async def test_a_run_cancelled_in_prefect_holds_the_campaign_until_a_person_resumes_it(engine: Engine) -> None:
    await engine.launch()
    await engine.start_flows()
    await until(lambda: _slip(engine), 90, "the slip")
    await until(lambda: _asleep(engine, 1), 30, "the hop asleep")
    run = (await engine.runs("hop"))[0]
    async with httpx.AsyncClient(base_url=engine.api) as client:
        await client.post(f"/flow_runs/{run['id']}/set_state", json={"state": {"type": "CANCELLING"}})
    await until(lambda: _held(engine), 60, "the campaign to be held")
    await engine.answer("BOARD")
    await asyncio.sleep(3)
    assert not engine.inbox.of("letter"), "a held campaign sends nothing"
    house = engine.house()
    await campaigns.resume(house, "T1", "An")
    await house.close()
    await until(lambda: _letters(engine, 4), 60, "the letters once a person has resumed it")


async def _sent(engine: Engine, count: int) -> bool:
    rows = await engine.rows(select(func.count()).select_from(Delivery).where(Delivery.state == "SENT"))
    return bool(rows[0][0] == count)


async def _held(engine: Engine) -> bool:
    return (await engine.rows(select(Campaign.held_at)))[0][0] is not None
