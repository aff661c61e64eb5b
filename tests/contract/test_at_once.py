"""Many deadlines in the same second: each fires once, and who answers meanwhile is heard. No letter is forgotten."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import select, text

from bench.outbox_world import fill
from bench.waiting_world import Due, all_sent, fall_due
from congvan.acts import campaigns, chasing, confirmations, hops, joining, launches, mails, registry, waking
from congvan.errors import ActRefused
from congvan.house import House
from congvan.rules.protocol import Event
from congvan.rules.records import Park, Register
from congvan.store.tables import Campaign, Case, Delivery, Hop, Message, ParkRow
from tests.conftest import ROOT, Postbox, turned
from tests.protocol.world import CASCADE, PLAN, organisation, register

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


async def test_on_postgresql_an_answer_for_which_a_batch_waits_does_not_end_the_round(on_postgresql: House) -> None:
    """The row is not due any more when it is free: the batch is one short, though it was not the last."""
    house = on_postgresql
    hop_id = await fill(house, 2 * chasing.BATCH)
    await all_sent(house, hop_id)
    now = await fall_due(house, hop_id, Due.DEADLINE, 2 * chasing.BATCH)
    # The turn reads it in its first batch, and finds it taken.
    async with house.store.view() as ledger:
        first, *_ = await ledger.all(chasing.next_batch().params(hop=hop_id, now=now, most=1))
    async with house.store.act() as ledger:
        await ledger.take(Delivery, first)
        await ledger.change(Delivery, Delivery.id == first, wake_at=None)
        turning = asyncio.create_task(hops.turn(house, hop_id))
        await _until_somebody_waits(house)
    assert await turning is not None
    assert await keys(house, Delivery.id, Delivery.wake_at <= now) == []
    assert len(await keys(house, Message.id, Message.kind == "overdue")) == 2 * chasing.BATCH - 1


async def test_on_postgresql_who_lets_a_campaign_go_on_waits_for_its_hops_before_it_is_his(
    on_postgresql: House
) -> None:
    """As every turn does, which settles its hop and wakes the campaign: else each would wait for the other."""
    house = on_postgresql
    hop_id = await fill(house, 1)
    [campaign_id] = await keys(house, Campaign.id)
    await campaigns.hold(house, campaign_id, "An", "thử")
    async with house.store.act() as ledger:
        await ledger.take(Hop, hop_id)
        resuming = asyncio.create_task(campaigns.resume(house, campaign_id, "An"))
        await _until_somebody_waits(house)
        await mails.wake_campaign(ledger, campaign_id, await house.clock.now())
    await resuming
    assert await keys(house, Campaign.held_at) == [None]


async def test_on_postgresql_a_mail_is_written_down_while_its_campaign_and_its_hop_are_locked(
    on_postgresql: House
) -> None:
    house = on_postgresql
    hop_id = await fill(house, 1)
    [campaign_id], now = await keys(house, Campaign.id), await house.clock.now()
    mail = mails.Mail("copy", "1", "A", "a@a.example", now, hop_id=hop_id, campaign_id=campaign_id)
    async with house.store.act() as ledger, asyncio.timeout(30):
        await ledger.take(Hop, hop_id)
        await ledger.take(Campaign, campaign_id)
        async with house.store.act() as another:
            await mails.queue(house, another, [mail], now)
    assert len(await keys(house, Message.id, Message.kind == "copy")) == 1


async def test_on_postgresql_two_files_of_the_registry_are_taken_over_in_one_order(on_postgresql: House) -> None:
    house = on_postgresql
    parks = Park(code="B", name="B"), Park(code="A", name="A")
    async with house.store.act() as ledger:
        await ledger.put(ParkRow, {"code": "A"}, name="A", record=parks[1].model_dump(mode="json"))
        taking = asyncio.create_task(registry.take_over(house, Register(organisations=(), parks=parks)))
        await _until_somebody_waits(house)
        await ledger.put(ParkRow, {"code": "B"}, name="B", record=parks[0].model_dump(mode="json"))
    await taking
    assert set(await keys(house, ParkRow.code)) >= {"A", "B"}


async def test_on_postgresql_a_plan_that_is_launched_twice_at_once_is_one_campaign(on_postgresql: House) -> None:
    house = on_postgresql
    await registry.take_over(house, register())
    order = launches.Launch(PLAN, CASCADE, "exercise", "Lan", ROOT / "config" / "campaigns")
    first, second = await asyncio.gather(launches.launch(house, order), launches.launch(house, order))
    assert first == second


async def test_on_postgresql_who_is_taken_in_twice_at_once_stands_there_once(on_postgresql: House) -> None:
    house = on_postgresql
    await registry.take_over(house, register())
    order = launches.Launch(PLAN, CASCADE, "exercise", "Lan", ROOT / "config" / "campaigns")
    campaign = await launches.launch(house, order)
    town = Register(organisations=(organisation("T-NEW", "tenant", parks=("P1",)),))
    await registry.take_over(house, town)
    two = [joining.join(house, campaign, "T-NEW", "An") for _ in range(2)]
    ends = await asyncio.gather(*two, return_exceptions=True)
    assert {type(one) for one in ends} == {joining.Joined, ActRefused}
    assert await keys(house, Delivery.recipient, Delivery.recipient == "T-NEW") == ["T-NEW"]


async def _until_somebody_waits(house: House) -> None:
    async with asyncio.timeout(30):
        while not await _somebody_waits(house):  # noqa: ASYNC110 - PostgreSQL tells nobody
            await asyncio.sleep(0.01)


async def _somebody_waits(house: House) -> bool:
    async with house.store.view() as ledger:
        waiting = "wait_event_type = 'Lock' AND datname = current_database()"
        return bool(await ledger.session.scalar(text(f"SELECT count(*) FROM pg_stat_activity WHERE {waiting}")))
