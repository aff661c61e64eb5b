"""A hop whose letters have all been sent and which waits for answers, with as many due as are wanted."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from sqlalchemy import func, select, update

from bench.outbox_world import launched
from congvan.acts import hops, outbox
from congvan.house import House, build, carrier
from congvan.settings import Settings
from congvan.store.schema import migrate
from congvan.store.tables import Delivery, Hop, Message


class Due(Enum):
    """What is due for a delivery: its deadline lies so long before or behind now."""

    NOTHING = timedelta(hours=100)
    REMINDER = timedelta(hours=24, seconds=-1)
    DEADLINE = timedelta(seconds=-1)
    ESCALATION = timedelta(hours=-24, seconds=-1)


_TAKEN = {Due.NOTHING: 0, Due.REMINDER: 0, Due.DEADLINE: 1, Due.ESCALATION: 2}


async def all_sent(house: House, hop_id: str) -> None:
    """Every letter of the hop was sent two days ago; nothing is due for days, and the board shows all of it."""
    now = await house.clock.now()
    sent, due_at = now - timedelta(hours=48), now + Due.NOTHING.value
    wake_at = due_at - timedelta(hours=24)
    async with house.store.act() as ledger:
        await ledger.change(Message, Message.hop_id == hop_id, state="SENT", sent_at=sent, not_before=sent)
        await ledger.change(
            Delivery, Delivery.hop_id == hop_id, state="SENT", sent_at=sent, due_at=due_at, wake_at=wake_at,
            board_seen=Delivery.board_seq,
        )  # fmt: skip
        await ledger.change(Hop, Hop.id == hop_id, due_at=due_at, wake_at=wake_at)


async def resting(chosen: Settings, hop_id: str) -> None:
    """`all_sent` in a house of its own."""
    house = build(chosen)
    try:
        await all_sent(house, hop_id)
    finally:
        await house.close()


async def really_sent(chosen: Settings, tenants: int) -> None:
    """A campaign launched, opened and sent as in earnest, so that the auditor finds nothing wrong: of copied rows it
    finds much, and that costs."""
    house = build(chosen)
    try:
        await migrate(house.store)
        hop_id, _took = await launched(house, tenants)
        lease = await hops.turn(house, hop_id)
        assert lease is not None
        sender = carrier(chosen)
        tally = await outbox.dispatch(house, sender, hop_id)
        await sender.aclose()
        assert tally == {"accepted": tenants}, tally
        await hops.rest(house, lease)
        await hops.release(house, lease)
    finally:
        await house.close()


async def fall_due(house: House, hop_id: str, what: Due, number: int) -> datetime:
    """For so many of the hop, spread over all of it, this falls due in the same second; that second."""
    now = await house.clock.now()
    due_at = now + what.value
    async with house.store.act() as ledger:
        # The ends of the ids are random, so those that are due do not stand side by side.
        ids = select(Delivery.id).where(Delivery.hop_id == hop_id, Delivery.state == "SENT", Delivery.steps_taken == 0)
        some = ids.order_by(func.substr(Delivery.id, 24)).limit(number)
        values: dict[str, Any] = {"due_at": due_at, "wake_at": now, "steps_taken": _TAKEN[what]}
        await ledger.session.execute(
            update(Delivery)
            .where(Delivery.id.in_(some))
            .values(**values)
            .execution_options(synchronize_session=False)
        )
        await ledger.change(Hop, Hop.id == hop_id, wake_at=now)
    return now


async def some_waiting(house: House, hop_id: str, number: int) -> list[str]:
    """Deliveries for which nothing is due: those that answer."""
    now = await house.clock.now()
    async with house.store.view() as ledger:
        return await ledger.all(
            select(Delivery.id).where(Delivery.hop_id == hop_id, Delivery.wake_at > now).limit(number)
        )
