"""Two engines on one database and one Prefect: the one that leads stands still, again and again, and comes back."""

from __future__ import annotations

import asyncio
import fcntl
import random
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import func, select

from congvan.acts import auditing, confirmations, launches, leases, registry
from congvan.rules.protocol import Event
from congvan.store.schema import migrate
from congvan.store.tables import Attempt, Campaign, Delivery, EventRow, Lease, Message
from flows.relay import LEASE_FOR
from tests.flows import world
from tests.flows.engine import Engine, until

pytestmark = [pytest.mark.gates, pytest.mark.prefect, pytest.mark.xdist_group("prefect"), pytest.mark.timeout(900)]
PAUSES, UNITS = 10, 4
#: From the moment at which the leader stands still until another leads; seconds.
TAKEN_OVER_S = LEASE_FOR.total_seconds() + 10


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    """An engine whose server is up, and its registry."""
    async with Engine(tmp_path) as made:
        house = made.house()
        await migrate(house.store)
        await registry.take_over(house, world.register(UNITS, tenants=0))
        await house.close()
        await made.start_server()
        yield made


async def test_a_leader_that_stands_still_is_replaced_and_comes_back_without_harm(engine: Engine) -> None:
    chance = random.Random(1)
    await engine.start_flows()
    await _slip_has_come(engine, "T0")
    alone = await _leader(engine)
    await engine.start("flows-two", "-m", "flows")
    stood_still = set()
    for number in range(1, PAUSES + 1):
        code = f"T{number}"
        await _slip_has_come(engine, code)
        await _board_answers(engine, code)
        await asyncio.sleep(chance.uniform(0, 3))
        # Mostly it is the other's turn; on a busy machine the lead may have passed by itself meanwhile.
        owner = await until(lambda: _leader(engine), TAKEN_OVER_S, "a leader")
        leader = "flows" if owner == alone else "flows-two"
        stood_still.add(leader)
        await _stopped_between_writes(engine, leader)
        try:
            await until(lambda owner=owner: _leads_another(engine, owner), TAKEN_OVER_S, "another leader")
            await until(lambda code=code: _sent(engine, code, "letter", UNITS + 1), 90, f"the letters of {code}")
        finally:
            engine.signal(leader, signal.SIGCONT)
    assert stood_still == {"flows", "flows-two"}
    opened = [row[0] for row in await engine.rows(select(EventRow.stream).where(EventRow.kind == "opened"))]
    assert len(opened) == len(set(opened)), "a hop was opened twice"
    unknown = (await engine.rows(select(func.count()).select_from(Attempt).where(Attempt.outcome.is_(None))))[0][0]
    taken = engine.inbox.ids()
    assert taken.total() - len(taken) <= unknown, "twice only what was on the wire"
    house = engine.house()
    assert [one for one in await auditing.look_over(house) if not one.passing] == []
    await house.close()


async def _stopped_between_writes(engine: Engine, name: str) -> None:
    """SIGSTOP to a process that does not have the only place from which SQLite lets anybody write: one that stands
    still there holds up everybody, which no lease can change."""
    while True:
        engine.signal(name, signal.SIGSTOP)
        with suppress(AssertionError):
            await until(lambda: _somebody_may_write(engine), 2, "the place")
            return
        engine.signal(name, signal.SIGCONT)
        await asyncio.sleep(0.05)


async def _somebody_may_write(engine: Engine) -> bool:
    with (engine.home / "congvan" / "congvan.db-desk").open("rb") as desk, suppress(BlockingIOError):
        fcntl.flock(desk, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


async def _slip_has_come(engine: Engine, code: str) -> None:
    """Launch one more campaign, and wait until the board has its slip."""
    house = engine.house()
    await launches.launch(house, launches.Launch(world.plan(code), world.cascade(), "exercise", "An"))
    await house.close()
    await until(lambda: _sent(engine, code, "slip", 1), 90, f"the slip of {code}")


async def _board_answers(engine: Engine, code: str) -> None:
    house = engine.house()
    async with house.store.view() as ledger:
        board = select(Delivery.id).join(Campaign).where(Campaign.code == code, Delivery.recipient == "BOARD")
        key = await ledger.first(board)
    said = confirmations.Answer(Event.ACKNOWLEDGED, "Bình", channel="phone", actor="An")
    await confirmations.answer(house, key, said)
    await house.close()


async def _sent(engine: Engine, code: str, kind: str, number: int) -> bool:
    of_it = (Campaign.code == code) & (Message.kind == kind) & (Message.state == "SENT")
    query = select(func.count(Message.id)).join(Campaign, Campaign.id == Message.campaign_id).where(of_it)
    return bool((await engine.rows(query))[0][0] == number)


async def _leader(engine: Engine) -> str:
    found = await engine.rows(select(Lease.owner).where(Lease.name == leases.RELAY))
    return str(found[0][0]) if found else ""


async def _leads_another(engine: Engine, owner: str) -> bool:
    return await _leader(engine) not in ("", owner)
