"""Two hundred confirm at once while a reminder round runs: no answer is lost, nobody is reminded after his answer."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from bench import portal as bench
from congvan.acts import hops, outbox
from congvan.house import House
from congvan.store.tables import Delivery, Hop
from tests.conftest import Postbox

CLIENTS, RECIPIENTS = 200, 4_000
pytestmark = [pytest.mark.gates, pytest.mark.timeout(280)]


async def test_two_hundred_confirm_while_letters_leave_and_reminders_are_due(tmp_path: Path) -> None:
    who = await bench.prepare(tmp_path, RECIPIENTS, waiting=True)
    house = bench.build_house(bench.url_of(tmp_path), tmp_path)
    house.clock.forward(hours=2)  # type: ignore[attr-defined]
    now = await house.clock.now()
    async with house.store.act() as ledger:
        # The day of the deadline: everybody who was written to days ago is reminded.
        soon = {"due_at": now + timedelta(hours=1), "sent_at": now - timedelta(days=6), "steps_taken": 0}
        await ledger.change(Delivery, Delivery.state == "SENT", wake_at=now, **soon)
        await ledger.change(Hop, Hop.state == "OPEN", wake_at=now)
        boxes = dict(await ledger.rows(select(Delivery.address, Delivery.id)))
    process, port = bench.started(bench.run_portal, tmp_path)
    postbox = Postbox()
    try:
        loading = asyncio.create_task(bench.load(port, iter(bench.posts(house, who)), CLIENTS, 120))
        crossed: list[str] = []
        while not loading.done():
            answered, before = await _answered(house), len(postbox.sent)
            await _round(house, postbox)
            # What was claimed after they had been answered.
            crossed += [to for to, _ in postbox.sent[before:] if boxes[to] in answered]
        recorded, _took = await loading
    finally:
        process.terminate()
        process.join()
    there = await _answered(house)
    await house.close()
    assert len(recorded) == len(who) >= RECIPIENTS / 2
    assert set(recorded) <= there, "a confirmation that was answered is lost"
    assert postbox.sent, "reminders were sent meanwhile"
    assert crossed == []


async def _answered(house: House) -> set[str]:
    async with house.store.view() as ledger:
        return set(await ledger.all(select(Delivery.id).where(Delivery.state == "ACKNOWLEDGED")))


async def _round(house: House, postbox: Postbox) -> None:
    """Every hop that is due: its reminders are decided and sent."""
    async with house.store.view() as ledger:
        due = await hops.due_hops(ledger, await house.clock.now())
    for hop in due:
        if (lease := await hops.turn(house, hop.id)) is not None:
            await outbox.dispatch(house, postbox, hop.id)
            await hops.rest(house, lease)
            await hops.release(house, lease)
    await asyncio.sleep(0.01)
