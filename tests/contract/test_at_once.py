"""Many deadlines in the same second: each fires once, and who answers meanwhile is heard. No letter is forgotten."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import select

from bench.outbox_world import fill
from bench.waiting_world import Due, all_sent, fall_due
from congvan.acts import confirmations, waking
from congvan.house import House
from congvan.rules.protocol import Event
from congvan.store.tables import Case, Delivery, Message
from tests.conftest import Postbox, turned

#: The second for `make gates`.
SIZES = [300, pytest.param(10_000, marks=[pytest.mark.gates, pytest.mark.timeout(900)])]
_ANSWERS = 40
#: For whom nothing is due.
_OTHERS = 25
#: Of the letters, only the reminders.
_OWN = {Due.REMINDER: (Message.kind == "reminder",), Due.ESCALATION: ()}


async def keys(house: House, what: Any, *where: Any) -> list[str]:
    """A column of what there is."""
    async with house.store.view() as ledger:
        return await ledger.all(select(what).where(*where))


async def answer(house: House, chosen: Sequence[str]) -> None:
    """One after the other, while the engine is at work."""
    for key in chosen:
        said = confirmations.Answer(Event.ACKNOWLEDGED, "Bình", channel="phone", actor="An")
        await confirmations.answer(house, key, said)
        await asyncio.sleep(0)


@pytest.mark.parametrize("number", SIZES)
@pytest.mark.parametrize(
    ("what", "fired"),
    [(Due.REMINDER, Message.delivery_id), (Due.ESCALATION, Case.delivery_id)],
    ids=["reminders", "escalations"],
)
async def test_deadlines_of_one_second_each_fire_once_and_answers_are_taken_meanwhile(
    house: House, postbox: Postbox, number: int, what: Due, fired: Any
) -> None:
    hop_id = await fill(house, number + _OTHERS)
    await all_sent(house, hop_id)
    now = await fall_due(house, hop_id, what, number)
    due = await keys(house, Delivery.id, Delivery.wake_at <= now)
    assert len(due) == number
    answering = due[:: number // _ANSWERS][:_ANSWERS]
    await asyncio.gather(turned(house, postbox), answer(house, answering))
    async with house.store.view() as ledger:
        assert not await waking.due_hops(ledger, now)
    found = Counter(await keys(house, fired, *_OWN[what]))
    assert set(found.values()) == {1}
    assert set(due) - set(answering) <= set(found) <= set(due), "nobody is forgotten, and nobody comes too early"
    assert set(await keys(house, Delivery.id, Delivery.state == "ACKNOWLEDGED")) == set(answering)
    sent = await keys(house, Message.message_id, Message.kind == "reminder", Message.state == "SENT")
    assert postbox.ids() == Counter(sent), "each once, and nothing but reminders: whoever is escalated is told of later"
