"""Many confirm at once while first letters leave and a reminder round runs: no answer is lost, none who has
answered is reminded, and every letter leaves once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from bench import portal as bench
from congvan.acts import hops, letters, mails, opening, outbox, waking
from congvan.house import House
from congvan.store.tables import Campaign, Delivery, Hop
from tests.conftest import Postbox

#: (clients at once, recipients): the second for `make gates`.
SIZES = [(20, 400), pytest.param(200, 4_000, marks=[pytest.mark.gates, pytest.mark.timeout(400)])]
#: Every fifth has not been written to: his first letter leaves while the others answer.
NOT_YET = 5


@pytest.mark.parametrize(("clients", "recipients"), SIZES)
async def test_many_confirm_at_once_while_letters_leave_and_reminders_are_due(
    tmp_path: Path, clients: int, recipients: int
) -> None:
    who = await bench.prepare(tmp_path, recipients, waiting=True)
    house = bench.build_house(bench.url_of(tmp_path), tmp_path)
    house.clock.forward(hours=2)  # type: ignore[attr-defined]
    now = await house.clock.now()
    async with house.store.act() as ledger:
        # The hop that is open carries them all: nobody is chased on one that waits.
        hop = await ledger.first(select(Hop).where(Hop.state == "OPEN"))
        await ledger.change(Delivery, Delivery.level == "tenant", hop_id=hop.id)
    unwritten = await _put_back(house, hop.id, [key for key, _ in who[::NOT_YET]], now)
    who = [one for number, one in enumerate(who) if number % NOT_YET]
    async with house.store.act() as ledger:
        # The day of the deadline: everybody who was written to days ago is reminded.
        soon = {"due_at": now + timedelta(hours=1), "sent_at": now - timedelta(days=6), "steps_taken": 0}
        await ledger.change(Delivery, Delivery.state == "SENT", wake_at=now, **soon)
        await ledger.change(Hop, Hop.state == "OPEN", wake_at=now)
        boxes = dict(await ledger.rows(select(Delivery.address, Delivery.id)))
    process, port = bench.started(bench.run_portal, tmp_path)
    postbox = Postbox()
    try:
        loading = asyncio.create_task(bench.load(port, iter(bench.posts(house, who)), clients, 300))
        crossed: list[str] = []
        while not loading.done():
            answered, before = await _answered(house), len(postbox.taken)
            await _round(house, postbox)
            # What was claimed after they had been answered.
            crossed += [to for to, _ in postbox.taken[before:] if boxes[to] in answered]
        recorded, _took = await loading
    finally:
        process.terminate()
        process.join()
    there = await _answered(house)
    async with house.store.view() as ledger:
        states = Counter(await ledger.all(select(Delivery.state).where(Delivery.address.in_(unwritten))))
    await house.close()
    assert len(recorded) == len(who) >= recipients / 2
    assert set(recorded) <= there, "a confirmation that was answered is lost"
    got = Counter(to for to, _ in postbox.taken)
    assert {to: got[to] for to in unwritten} == dict.fromkeys(unwritten, 1), "a first letter leaves once"
    assert states == {"SENT": len(unwritten)}
    assert len(unwritten) >= recipients / 10
    assert len(set(got) - unwritten) > clients, "reminders were sent meanwhile"
    assert crossed == []


async def _put_back(house: House, hop_id: str, keys: Sequence[str], now: datetime) -> set[str]:
    """Let these stand as their hop's opening has left them: the letter written down, and not yet sent."""
    async with house.store.act() as ledger:
        await ledger.change(Delivery, Delivery.id.in_(keys), state="QUEUED", sent_at=None, wake_at=now)
        rows: list[Delivery] = await ledger.all(select(Delivery).where(Delivery.id.in_(keys)).order_by(Delivery.id))
        hop = await ledger.get(Hop, hop_id)
        campaign = await ledger.get(Campaign, hop.campaign_id)
        enclosed = await letters.enclosures(ledger, campaign, hop)
        written = [opening.letter_mail(campaign, hop, row, now, enclosed, now) for row in rows]
        await mails.queue(house, ledger, written, now)
    return {str(row.address) for row in rows}


async def _answered(house: House) -> set[str]:
    async with house.store.view() as ledger:
        return set(await ledger.all(select(Delivery.id).where(Delivery.state == "ACKNOWLEDGED")))


async def _round(house: House, postbox: Postbox) -> None:
    """Every hop that is due: its reminders are decided and sent."""
    async with house.store.view() as ledger:
        due = await waking.due_hops(ledger, await house.clock.now())
    for hop in due:
        if (lease := await hops.turn(house, hop.id)) is not None:
            await outbox.dispatch(house, postbox, hop.id)
            await hops.rest(house, lease)
            await hops.release(house, lease)
    await asyncio.sleep(0.01)
