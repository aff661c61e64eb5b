"""The mail server is away for hours: real processes on the demo's clock, which plays the hours in a minute or two."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from congvan.acts import demo
from congvan.rules.protocol import Event
from congvan.store.schema import migrate
from congvan.store.tables import Attempt, Delivery, Message
from tests.flows.engine import Engine, until

pytestmark = [pytest.mark.gates, pytest.mark.prefect, pytest.mark.xdist_group("prefect"), pytest.mark.timeout(480)]
#: A Monday morning.
BEGUN = datetime(2026, 11, 30, 2, 0, tzinfo=UTC)
AWAY = timedelta(hours=2)
UNITS, TENANTS = 6, 5


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    """An engine on the demo's clock, with its server up."""
    async with Engine(tmp_path, CONGVAN_DEMO="true") as made:
        house = made.house()
        await migrate(house.store)
        await demo.start_clock(house, BEGUN)
        await house.close()
        await made.start_server()
        yield made


async def test_hours_without_a_mail_server_lose_no_letter_and_give_up_nobody(engine: Engine) -> None:
    await engine.launch(units=UNITS, tenants=TENANTS)
    await engine.start_flows()
    await until(lambda: _waits(engine, "slip", 0), 90, "the slip to the board")
    await engine.sink.stop()
    await engine.answer("BOARD")
    gone_at = await _now(engine)
    await until(lambda: _waits(engine, "letter", UNITS + 1), 60, "the board's letters to be written down")
    await until(lambda: _is_past(engine, gone_at + AWAY), 240, "hours of the played time")

    assert engine.inbox.of("letter") == []
    states = Counter(row[0] for row in await engine.rows(select(Message.state).where(Message.kind == "letter")))
    assert states == {"QUEUED": UNITS + 1}, "nothing was given up, and nothing counts as sent"
    tried = await engine.rows(select(Attempt.ordinal).join(Message).where(Message.kind == "letter"))
    assert tried == [], "a server that is not there was offered nothing"
    await engine.answer("UNIT-001")

    await engine.sink.start()
    # Whoever has answered meanwhile gets his letter all the same.
    await until(lambda: _came(engine, UNITS + 1), 120, "the letters, once the server was back")
    await engine.answer("INV", Event.FORWARDED)
    await until(lambda: _came(engine, UNITS + 1 + TENANTS), 120, "the letters of the hop below")
    twice = {key: number for key, number in engine.inbox.ids().items() if number > 1}
    assert twice == {}
    await until(lambda: _all_reached(engine), 60, "every recipient to count as reached")


async def _waits(engine: Engine, kind: str, number: int) -> bool:
    """True when so many mails of a kind wait, and the others of it have left."""
    rows = await engine.rows(select(Message.state).where(Message.kind == kind))
    return bool(rows) and sum(row[0] != "SENT" for row in rows) == number


async def _now(engine: Engine) -> datetime:
    house = engine.house()
    try:
        return await house.clock.now()
    finally:
        await house.close()


async def _is_past(engine: Engine, instant: datetime) -> bool:
    return await _now(engine) >= instant


async def _all_reached(engine: Engine) -> bool:
    return not await engine.rows(select(Delivery.id).where(Delivery.state.in_(("QUEUED", "UNDELIVERABLE"))))


async def _came(engine: Engine, number: int) -> bool:
    return len(engine.inbox.of("letter")) >= number
